"""Another process holds the ledger's lock while a run is going on: shorter than the run waits, and it just goes on;
longer, and it ends as Busy, and the next one completes what it had begun. The lock is taken right after the n-th
commit of the run, for each n, so that every transaction in turn finds it taken: the claim, a page, a receipt of what
has happened at Amazon already. Several writers at once lose no update.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from tests import books, killing
from tests.cli_account import a_seller as a_seller
from tests.cli_account import an_account as an_account
from tests.cli_driver import Zenv
from tests.cli_driver import a_shop as a_shop
from tests.cli_driver import an_empty_home as an_empty_home
from tests.kill_scenes import IMPORT, SHIPMENTS, STOCK, Scene, Stage
from tests.test_kill_sweep import books_before, run_again
from tests.test_kill_sweep import stage as stage
from tests.year.company import Clock
from zenv import commands
from zenv.errors import Busy
from zenv.ledger import book as ledger
from zenv.ledger import sqlite, stock, views

SEED = int(os.environ.get("ZENV_SEED", "1"))
IMPATIENT_S, PATIENT_S = 0.05, 10.0
STEP = 6
forks = multiprocessing.get_context("forkserver")


class Holder:
    """A process that holds the ledger's lock, until it is told to give it back or for a time."""

    def __init__(self) -> None:
        self._mine, theirs = forks.Pipe()
        self._process = forks.Process(target=_hold, args=(theirs,), daemon=True)
        self._process.start()

    def take(self, home: Path, seconds: float | None = None) -> None:
        """Returns when the lock is held."""
        self._mine.send((home / "ledger.db", seconds))
        assert self._mine.recv() == "held"

    def give_back(self) -> None:
        """Returns when it is free."""
        self._mine.send("free")
        assert self._mine.recv() == "free"

    def end(self) -> None:
        self._mine.send(None)
        self._process.join()


def _hold(pipe: Any) -> None:
    while told := pipe.recv():
        path, seconds = told
        connection = sqlite.module.connect(path, isolation_level=None, timeout=60)
        connection.execute("BEGIN IMMEDIATE")
        pipe.send("held")
        pipe.poll(seconds)
        connection.close()
        if seconds is None:
            pipe.recv()
            pipe.send("free")


@pytest.fixture(scope="module")
def holder() -> Iterator[Holder]:
    found = Holder()
    yield found
    found.end()


@contextmanager
def after_commit(number: int, take: Callable[[], None]) -> Iterator[list[int]]:
    """Take the lock before the first transaction after the n-th commit begins; the list says that it was."""
    commits, taken = 0, []

    def committed(connection: Any) -> None:
        nonlocal commits
        commits += not connection.get_execution_options().get("reading", False)

    def begins(connection: Any) -> None:
        if commits == number and not taken:
            taken.append(number)
            take()

    event.listen(Engine, "commit", committed)
    event.listen(Engine, "begin", begins, insert=True)
    try:
        yield taken
    finally:
        event.remove(Engine, "commit", committed)
        event.remove(Engine, "begin", begins)


@contextmanager
def waits(seconds: float) -> Iterator[None]:
    """Whoever opens the books waits so long for their lock."""
    defaults = ledger.open_book.__defaults__ or ()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger.open_book, "__defaults__", (*defaults[:-1], seconds))
        patch.setattr(commands, "LOCK_S", seconds)
        yield


def fresh(scene: Scene, stage: Stage) -> Path:
    """The books of a scene, and its Amazon, before the run."""
    stage.anew()
    begun = books_before(scene, stage)
    home = stage.folder / "home"
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(stage.folder / scene.name, home)
    stage.clock.now = begun
    return home


def locked(scene: Scene, stage: Stage, number: int, holder: Holder, bug: tuple[str, ...] = ()) -> bool:
    """The lock is taken for good after the n-th commit of a run, and given back when that has ended; whether there
    was an n-th."""
    home, changes = fresh(scene, stage), (killing.SMALL, *scene.changes, *bug)
    with waits(IMPATIENT_S), after_commit(number, lambda: holder.take(home)) as taken:
        try:
            said = killing.Errand(home, scene.task, stage.clock.now, changes).run(_clock(stage)).error
        except Busy as error:
            said = error
    if taken:
        holder.give_back()
        assert isinstance(said, Busy), f"it ended with {said!r}"
    with ledger.open_book(home, "doctor", stage.clock) as book:
        run_again(scene, stage, book, changes)
        assert books.findings(book) == []
        scene.judge(book, stage)
    return bool(taken)


def _clock(stage: Stage) -> Clock:
    mine = Clock()
    mine.now = stage.clock.now
    return mine


def sweep(scene: Scene, stage: Stage, holder: Holder, first: int, step: int, bug: tuple[str, ...] = ()) -> int:
    """Every `step`-th commit from the `first` on; how many there were."""
    number = first
    while True:
        try:
            if not locked(scene, stage, number, holder, bug):
                return (number - first) // step
        except AssertionError as error:
            raise AssertionError(f"locked after commit {number} of {scene.name} (ZENV_SEED={SEED}): {error}") from error
        number += step


SCENES = pytest.mark.parametrize("scene", [IMPORT, SHIPMENTS, STOCK], ids=lambda scene: scene.name)


@SCENES
def test_I3_I10_a_run_that_finds_the_ledger_locked_ends_as_busy_and_the_next_completes_it(
    scene: Scene, stage: Stage, holder: Holder
) -> None:
    assert sweep(scene, stage, holder, random.Random(SEED).randint(1, STEP), STEP) > 1


@pytest.mark.whole
@SCENES
def test_I3_I10_whichever_transaction_of_a_run_finds_the_ledger_locked(
    scene: Scene, stage: Stage, holder: Holder
) -> None:
    assert sweep(scene, stage, holder, 1, 1) > 10


def test_a_message_that_is_not_claimed_before_it_is_sent_is_noticed(stage: Stage, holder: Holder) -> None:
    with pytest.raises(AssertionError, match="locked after commit") as noticed:
        sweep(SHIPMENTS, stage, holder, 1, 1, (killing.NOT_CLAIMED,))
    print(noticed.value)
    assert any(said.edit for said in stage.sim.confirmations)  # for this reason and no other


@SCENES
def test_a_run_that_waits_longer_than_the_lock_is_held_just_goes_on(scene: Scene, stage: Stage, holder: Holder) -> None:
    for number in random.Random(SEED).sample(range(1, 8), 2):
        home = fresh(scene, stage)
        with waits(PATIENT_S), after_commit(number, lambda home=home: holder.take(home, 0.2)) as taken:  # type: ignore[misc]
            changes = (killing.SMALL, *scene.changes)
            result = killing.Errand(home, scene.task, stage.clock.now, changes).run(_clock(stage))
        assert taken and result.outcome == "ok"


# ---- at the command line ---------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [("sync", "now", "a", "orders"), ("sync", "due")], ids=" ".join)
def test_a_locked_ledger_is_said_in_one_sentence_with_exit_code_75_and_the_next_run_goes(
    connected: Zenv, holder: Holder, words: tuple[str, ...]
) -> None:
    holder.take(connected.home)
    with waits(IMPATIENT_S):
        answer = connected(*words)
    holder.give_back()
    assert answer.code == Busy.exit_code and "Another zenv is writing to the ledger" in answer.err
    assert len(answer.err.splitlines()) <= 2
    connected.good(*words)
    assert len(connected.data("orders", "list")) == 1


# ---- many writers ----------------------------------------------------------------------------------------

WRITERS, TIMES = 4, 25


def _receive(home: Path, deferred: bool, start: Any) -> None:
    with books.opened(home, books.Clock()) as book:
        if deferred:  # the planted bug: BEGIN without IMMEDIATE
            book.engine = book.engine.execution_options(reading=True)
        start.wait()
        for _ in range(TIMES):
            with book.transaction() as t:
                stock.receive(t, "MUG", "Main", 1)


def write_at_once(home: Path, deferred: bool = False) -> list[int | None]:
    """How each of the writers ended."""
    with ExitStack() as stack:
        start = forks.Barrier(WRITERS)
        writers = [forks.Process(target=_receive, args=(home, deferred, start)) for _ in range(WRITERS)]
        for one in writers:
            one.start()
            stack.callback(one.join)
    return [one.exitcode for one in writers]


def test_C5_four_processes_that_book_on_one_shelf_at_once_lose_no_update(book: ledger.Book) -> None:
    books.add_items(book, "MUG")
    assert write_at_once(book.home) == [0] * WRITERS
    assert books.shelf(book, "MUG")[0] == WRITERS * TIMES
    assert len(views.movements(book.home, "MUG", limit=1000).rows) == WRITERS * TIMES


def test_writers_that_take_the_lock_too_late_are_noticed(book: ledger.Book) -> None:
    books.add_items(book, "MUG")
    ended = write_at_once(book.home, deferred=True)
    assert any(ended) or books.shelf(book, "MUG")[0] < WRITERS * TIMES
