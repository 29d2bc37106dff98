"""Stolen files, old backups, weeks of absence: whoever was redacted is gone, on time and from everywhere; the reports
do not notice. Each held by the product, and each proved able to fail by leaks planted in it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.assessor import suites
from tests.assessor.household import Household, household
from tests.daemons import QUICK, ROOT, until
from tests.test_daemon_clock import LIBRARIES, Wall

Suite = Callable[[Household], list[str]]

LEAKS: list[tuple[Suite, str]] = [
    (suites.stolen_without_the_key, "an order's key lies in the ledger"),
    (suites.stolen_without_the_key, "the master key lies in the ledger"),
    (suites.stolen_without_the_key, "a digest of the e-mail address lies in the ledger"),
    (suites.stolen_with_the_key, "redaction removes the bytes and lets the key be"),
    (suites.stolen_with_the_key, "redaction puts the key somewhere else"),
    (suites.stolen_with_the_key, "a backup holds the keys"),
    (suites.restored_shows_nobody, "restoring brings the keys back"),
    (suites.forgets_first, "redaction comes after everything else"),
    (suites.changes_no_report, "redaction clears the city"),
    (suites.changes_no_report, "redaction removes an order's row of personal data"),
]
LATE = "redaction comes after everything else"

needs_faketime = pytest.mark.skipif(not LIBRARIES, reason="needs libfaketime (Debian: libfaketime)")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Household]:
    with household(tmp_path_factory.mktemp("assessor") / "base") as made:
        yield made


@pytest.mark.parametrize(("suite", "leak"), LEAKS, ids=[leak for _, leak in LEAKS])
def test_the_planted_leak_is_found(base: Household, tmp_path: Path, suite: Suite, leak: str) -> None:
    assert suite(base.like(tmp_path / "house", mutant=leak)) != []


def test_a_stolen_ledger_with_backups_and_keys_opens_nothing_without_the_master_key(
    base: Household, tmp_path: Path
) -> None:
    assert suites.stolen_without_the_key(base.like(tmp_path / "house")) == []


def test_C20_the_master_key_and_old_backups_open_nobody_who_was_redacted(base: Household, tmp_path: Path) -> None:
    assert suites.stolen_with_the_key(base.like(tmp_path / "house")) == []


def test_C20_A38_a_backup_of_before_the_redaction_brought_back_shows_REDACTED(base: Household, tmp_path: Path) -> None:
    assert suites.restored_shows_nobody(base.like(tmp_path / "house")) == []


def test_A36_to_A40_every_report_is_the_same_byte_for_byte_after_redaction(base: Household, tmp_path: Path) -> None:
    assert suites.changes_no_report(base.like(tmp_path / "house")) == []


# ---- 45 days off -----------------------------------------------------------------------------------------


def test_A30_after_45_days_off_whoever_is_due_is_forgotten_before_any_request(base: Household, tmp_path: Path) -> None:
    assert suites.forgets_first(base.like(tmp_path / "house")) == []


@needs_faketime
@pytest.mark.whole
@pytest.mark.parametrize("leak", ["", LATE])
def test_A30_the_same_with_the_machines_own_clock_45_days_on(tmp_path: Path, leak: str) -> None:
    wall = Wall(tmp_path / "wall")
    with household(tmp_path / "house", wall) as house:
        number = suites.ready_for_time_off(house)
        wall.step(timedelta(days=45))
        watch = suites.watched(house, number)
        process = started(house, wall, leak, "sync", "due")
        assert process.wait(60) in (0, 80)
        assert bool(suites.asked_while_known(house, number, watch)) is bool(leak)


@needs_faketime
def test_A30_the_daemon_too_forgets_before_it_asks(tmp_path: Path) -> None:
    wall = Wall(tmp_path / "wall")
    with household(tmp_path / "house", wall) as house:
        number = suites.ready_for_time_off(house)
        wall.step(timedelta(days=45))
        watch = suites.watched(house, number)
        process = started(house, wall, "", "daemon", "run")
        until(lambda: any(seen.operation == "searchOrders" for seen in watch), lambda: process.poll() is None)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert suites.asked_while_known(house, number, watch) == []


def started(house: Household, wall: Wall, leak: str, *words: str) -> subprocess.Popen[bytes]:
    """zenv in a process on the wall's clock."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.assessor.leaky", leak, *words], cwd=ROOT, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, **house.where().environment, **wall.environment(), **QUICK},
    )  # fmt: skip
