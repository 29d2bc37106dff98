"""The real daemon while its machine's clock is set, sleeps, or changes to summer time: libfaketime moves the wall
clock of the process and leaves the monotonic one alone, as Linux does."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.daemons import ROOT, Daemon, House, house

LIBRARIES = [*Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), *Path("/usr/lib").glob("faketime/libfaketime.so.1")]

pytestmark = pytest.mark.skipif(not LIBRARIES, reason="needs libfaketime (Debian: libfaketime)")

BERLIN = ZoneInfo("Europe/Berlin")
STEPPED = "event=clock_stepped"


class Wall:
    """A wall clock that is set by hand and goes on by itself, the same for every process that is told of its file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.set(timedelta())

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def set(self, ahead: timedelta) -> None:
        """By how much it differs from the real time."""
        part = self._file.with_suffix(".part")
        part.write_text(f"{ahead.total_seconds():+.3f}")
        part.replace(self._file)
        self._ahead = ahead

    def step(self, by: timedelta) -> None:
        self.set(self._ahead + by)

    def show(self, moment: datetime) -> None:
        """Set it to this moment."""
        self.set(moment - datetime.now(UTC))

    def environment(self) -> dict[str, str]:
        return {"LD_PRELOAD": str(LIBRARIES[0]), "FAKETIME_TIMESTAMP_FILE": str(self._file), "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"}  # fmt: skip


@pytest.fixture
def wall(tmp_path: Path) -> Wall:
    return Wall(tmp_path / "faketime")


@pytest.fixture
def shop(tmp_path: Path, wall: Wall) -> Iterator[House]:
    with house(tmp_path, wall) as made:
        yield made


def alive(daemon: Daemon, ticks: int) -> None:
    """It gives so many more signs of life."""
    heard = daemon.supervisor
    heard.wait("WATCHDOG=1", heard.lines().count("WATCHDOG=1") + ticks)


def all_runs(shop: House) -> Counter[str]:
    return Counter(task for (task,) in shop.rows("SELECT task FROM run WHERE outcome = 'ok'"))


# ---- set back, and slept ---------------------------------------------------------------------------------


def test_a_clock_set_back_by_an_hour_does_not_silence_it(tmp_path: Path, wall: Wall) -> None:
    with house(tmp_path) as shop:  # Amazon's clock is right
        daemon = shop.start(**wall.environment())
        daemon.until(shop.all_ran)
        wall.step(-timedelta(hours=1))
        daemon.wait_for_log(f"{STEPPED} seconds=-3600")
        daemon.until(lambda: len(shop.runs("orders")) == 2)
        alive(daemon, 5)
        assert daemon.end() == 0


NO_GUARD = "from zenv.daemon import Guard\nGuard.stepped = lambda self: 0.0\n"


def test_without_the_guard_it_would_be_silent_for_that_hour(tmp_path: Path, wall: Wall) -> None:
    """The planted mutant: the test above can fail."""
    (tmp_path / "mutant").mkdir()
    (tmp_path / "mutant" / "sitecustomize.py").write_text(NO_GUARD)
    with house(tmp_path) as shop:
        daemon = shop.start(**wall.environment(), PYTHONPATH=f"{tmp_path / 'mutant'}{os.pathsep}{ROOT}")
        daemon.until(shop.all_ran)
        wall.step(-timedelta(hours=1))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tests.daemons.CEILING_S", 6.0)
            with pytest.raises(AssertionError, match="never came"):
                alive(daemon, 5)
        # silent but for a tick that was under way when the clock was set
        assert len(shop.runs("orders")) <= 2
        assert daemon.end() == 0


def test_after_nine_hours_of_sleep_each_task_catches_up_exactly_once(shop: House, wall: Wall) -> None:
    daemon = shop.start(**wall.environment())
    daemon.until(shop.all_ran)
    before = all_runs(shop)
    due = (wall() + timedelta(hours=9)).replace(tzinfo=None).isoformat(" ")
    missed = {task for (task,) in shop.rows("SELECT task FROM scheduled_task WHERE next_at < ?", due)}
    assert {"orders", "items", "cancellations", "shipments"} <= missed
    wall.step(timedelta(hours=9))
    expected = before + Counter(missed | {"redaction"})
    daemon.until(lambda: all_runs(shop) >= expected)
    alive(daemon, 10)
    assert all_runs(shop) == expected
    assert f"{STEPPED} seconds=32400" in daemon.log
    assert daemon.end() == 0


# ---- summer time -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("day", [datetime(2026, 3, 29), datetime(2026, 10, 25)], ids=["to summer", "to winter"])
def test_stock_is_told_exactly_once_at_the_midnights_around_a_change_of_time(
    tmp_path: Path, wall: Wall, day: datetime
) -> None:
    """The midnight that begins the day of 23 or 25 hours, and the one that ends it."""
    begins, ends = (local.replace(tzinfo=BERLIN).astimezone(UTC) for local in (day, day + timedelta(days=1)))
    assert ends - begins in (timedelta(hours=23), timedelta(hours=25))
    wall.show(begins - timedelta(minutes=30))
    with house(tmp_path, wall) as shop:
        shop.write("UPDATE company SET time_zone = 'Europe/Berlin'")
        daemon = shop.start(**wall.environment())
        daemon.until(shop.all_ran)
        for count, midnight in ((2, begins), (3, ends)):
            wall.show(midnight - timedelta(seconds=2))
            at_midnight(shop, daemon, midnight, count)
        assert daemon.end() == 0


def at_midnight(shop: House, daemon: Daemon, midnight: datetime, count: int) -> None:
    """The `count`-th run of the stock task begins then, and no further one."""
    daemon.until(lambda: shop.runs("stock") == [("stock", "ok")] * count)
    alive(daemon, 10)
    starts = [moment(text) for (text,) in shop.rows("SELECT started_at FROM run WHERE task = 'stock' ORDER BY id")]
    assert len(starts) == count
    assert midnight <= starts[-1] < midnight + timedelta(minutes=1)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
