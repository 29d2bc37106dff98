"""zenv as a real process, killed at its n-th system call or told by the kernel that the disk is full or failing.

The simulated Amazon is served here and counts effects; time passes in the ledger, as everything runs on the real
clock. CI takes a few seeded n (ZENV_SEED, shown when it fails), `pytest -m whole` many. Power loss is SQLite's own
matter (`synchronous=FULL`), which a kill cannot show.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests import killing
from tests.cli_account import SECRETS
from tests.cli_driver import Answer, Zenv
from tests.straced import Days, needs_strace
from zenv.simulators.amazon import AmazonSimulator, serve

SEED = int(os.environ.get("ZENV_SEED", "1"))
FEW, MANY = 1, 25
DIED = -signal.SIGKILL
DISK = 74


@contextmanager
def an_account(home: Path, log: Path) -> Iterator[Days]:
    """The books of a company with one account, on the real clock, everything read once."""
    zenv = Zenv(home)
    zenv.good("init", "--company", "Mugs", "--country", "US", "--time-zone", "America/New_York", "--currency", "USD",
              "--key-store", "file")  # fmt: skip
    sim = AmazonSimulator(7, lambda: datetime.now(UTC), limits=False, feed_seconds=0)
    sim.add_listing("MUG", name="A mug", quantity=40)
    with serve(sim) as url:
        secrets = "\n".join(f"{name}={getattr(sim, name)}" for name in SECRETS)
        account = ("--country", "US", "--seller-id", sim.seller_id, "--endpoint", url, "--name", "a")
        wishes = ("--consent", "--adopt-new", "--enable", "--yes", "--secret-stdin")
        zenv.good("connect", "amazon", *account, *wishes, stdin=secrets)
        yield Days(zenv, sim, log)


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Days]:
    folder = tmp_path_factory.mktemp("straced")
    with an_account(folder / "home", folder / "log") as found:
        found.zenv.good("sync", "due")
        yield found


# ---- kill -9 ---------------------------------------------------------------------------------------------


def killed_at_random(days: Days, call: str, times: int) -> int:
    """Kill `sync due` at so many seeded calls of one kind; how often it died."""
    most, rng, deaths = days.most("sync", "due")[call], random.Random(f"{SEED} {call}"), 0
    for _ in range(times):
        nth = rng.randint(1, most)
        days.morning()
        answer = days.run("sync", "due", inject=[f"{call}:signal=KILL:when={nth}"])
        try:
            assert answer.code in (0, DIED), answer
            days.evening()
        except AssertionError as error:
            raise AssertionError(f"killed at {call} number {nth} of {most} (ZENV_SEED={SEED}): {error}") from error
        deaths += answer.code == DIED
    return deaths


@needs_strace
@pytest.mark.parametrize("call", ["pwrite64", "fsync", "sendto"])
def test_I3_I10_killed_at_a_few_seeded_system_calls_each_effect_happens_once(days: Days, call: str) -> None:
    assert killed_at_random(days, call, FEW) > 0


@pytest.mark.whole
@needs_strace
@pytest.mark.parametrize("call", ["pwrite64", "fsync", "sendto"])
def test_I3_I10_killed_at_many_seeded_system_calls_each_effect_happens_once(days: Days, call: str) -> None:
    assert killed_at_random(days, call, MANY) > MANY // 2


def killed_when_a_package_was_told(days: Days, bug: str = "") -> None:
    """Amazon has answered, and the very next write of the ledger never happens."""
    days.morning()
    assert days.run("sync", "now", "a", "shipments", bug=bug).code == 0
    nth = days.first_write_after_a_package_was_told()
    days.evening()
    days.morning()
    before = len(days.sim.confirmations)
    assert days.run("sync", "now", "a", "shipments", inject=[f"pwrite64:signal=KILL:when={nth}"], bug=bug).code == DIED
    assert len(days.sim.confirmations) == before + 1
    if bug:
        days.time_passes()
        days.run("sync", "now", "a", "shipments", bug=bug)
    days.evening()


@needs_strace
def test_I3_killed_before_the_receipt_of_a_package_is_written_it_is_looked_up_and_not_told_again(days: Days) -> None:
    killed_when_a_package_was_told(days)


@needs_strace
def test_a_message_that_is_not_claimed_before_it_is_sent_is_noticed(tmp_path: Path) -> None:
    with an_account(tmp_path / "home", tmp_path / "log") as days:
        days.zenv.good("sync", "due")
        with pytest.raises(AssertionError):
            killed_when_a_package_was_told(days, killing.NOT_CLAIMED)
        assert [one.tracking for one in days.sim.confirmations if one.edit] == ["1Z2"]  # it was told once more


# ---- the disk is full, or fails --------------------------------------------------------------------------


def says_that_the_disk_is_the_trouble(answer: Answer) -> None:
    """One sentence of our own and the next step; no traceback."""
    assert answer.code == DISK, answer
    said = answer.err.strip().splitlines()
    assert "disk" in said[0] and "Traceback" not in answer.err, answer
    assert len(said) <= 2, answer
    assert "Nothing was changed" in answer.err or "was not kept" in answer.err or "Nothing was lost" in answer.err


TROUBLES = {"ENOSPC": ("pwrite64", "pwrite64:error=ENOSPC:when={}+"), "EIO": ("fsync", "fsync:error=EIO:when={}+")}


def failing_disk(days: Days, trouble: str, times: int) -> None:
    call, injection = TROUBLES[trouble]
    most, rng = days.most("sync", "now", "a")[call], random.Random(f"{SEED} {trouble}")
    for _ in range(times):
        nth = rng.randint(1, most - 3)
        days.morning()
        answer = days.run("sync", "now", "a", inject=[injection.format(nth)])
        try:
            says_that_the_disk_is_the_trouble(answer)
            days.evening()
        except AssertionError as error:
            raise AssertionError(f"{trouble} from {call} {nth} of {most} on (ZENV_SEED={SEED}): {error}") from error


@needs_strace
@pytest.mark.parametrize("trouble", TROUBLES)
def test_I10_a_full_or_failing_disk_is_said_in_one_sentence_and_loses_nothing(days: Days, trouble: str) -> None:
    failing_disk(days, trouble, FEW)


@pytest.mark.whole
@needs_strace
@pytest.mark.parametrize("trouble", TROUBLES)
def test_I10_a_disk_that_fails_anywhere_loses_nothing(days: Days, trouble: str) -> None:
    failing_disk(days, trouble, MANY)


@needs_strace
def test_I10_a_full_disk_ends_what_is_due_with_the_same_sentence(days: Days) -> None:
    days.morning()
    says_that_the_disk_is_the_trouble(days.run("sync", "due", inject=["pwrite64:error=ENOSPC:when=60+"]))
    days.evening()


@needs_strace
def test_a_disk_error_that_is_passed_over_is_noticed(days: Days) -> None:
    days.morning()
    answer = days.run("sync", "now", "a", inject=["pwrite64:error=ENOSPC:when=60+"], bug=killing.PASSED_OVER)
    with pytest.raises(AssertionError):
        says_that_the_disk_is_the_trouble(answer)
    days.evening()


# ---- a small disk that runs full -------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MiB in memory."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m,mode=700", "zenv-tests", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small tmpfs takes root")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_I10_an_import_that_fills_the_disk_completes_once_there_is_room(small_disk: Path, tmp_path: Path) -> None:
    with an_account(small_disk / "home", tmp_path / "log") as days:
        days.sim.change_quantity("MUG", 1000)
        placed = {days.sim.place_order([("MUG", 1)], "PENDING") for _ in range(400)}
        ballast = small_disk / "ballast"
        room = shutil.disk_usage(small_disk).free
        ballast.write_bytes(bytes(room - 300 * 1024))
        says_that_the_disk_is_the_trouble(days.zenv.process("sync", "now", "a", "orders"))
        ballast.unlink()
        days.time_passes()
        days.zenv.good("sync", "now", "a", "orders")
        assert {row["number"] for row in days.zenv.data("orders", "list", "--limit", "1000")} == placed
        days.zenv.good("sync", "due")
        days.zenv.good("doctor")
