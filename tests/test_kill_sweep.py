"""kill -9 at every boundary of a run, then the same task again unharmed: nothing is lost and nothing happens twice.

The simulated Amazon lives on in this process and counts effects. CI takes every k-th boundary from a seeded offset
(printed when it fails); `pytest -m whole` takes them all. The mutants show that the sweep would notice.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from datetime import datetime

import pytest

from tests import books, killing
from tests.kill_scenes import (
    CANCELLATION,
    DUE,
    HISTORY,
    IMPORT,
    ITEMS,
    REDACTION,
    REPORT,
    SHIPMENTS,
    STOCK,
    VERIFY,
    Scene,
    Stage,
)
from tests.killing import SMALL, Errand
from tests.year.company import Clock, connect, new_books
from zenv.ledger import book as ledger
from zenv.ledger.book import Book
from zenv.simulators.amazon import AmazonSimulator, serve

SEED = int(os.environ.get("ZENV_SEED", "1"))
AFTER_THE_LEASES = 20 * 60.0


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    clock = Clock()
    sim = AmazonSimulator(7, clock)
    with serve(sim) as url:
        yield Stage(sim, url, clock, tmp_path_factory.mktemp("kills"))


def act(scene: Scene, stage: Stage, boundary: int, mutants: tuple[str, ...]) -> bool:
    """One kill and what came after it; whether there was a boundary with this number."""
    stage.anew()
    begun = books_before(scene, stage)
    home = stage.folder / "home"
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(stage.folder / scene.name, home)
    scene.meanwhile(stage)
    stage.clock.now = max(begun, stage.clock.now)
    changes = (SMALL, *scene.changes, *mutants)
    died = killing.killed(Errand(home, scene.task, stage.clock.now, changes), boundary)
    with ledger.open_book(home, "doctor", stage.clock) as book:
        assert books.findings(book) == []
        scene.at_once(book, stage)
        run_again(scene, stage, book, changes)
        assert books.findings(book) == []
        assert stage.sim.violations == []
        scene.judge(book, stage)
    return died


_BEGUN: dict[str, datetime] = {}


def books_before(scene: Scene, stage: Stage) -> datetime:
    """Make the books of a scene once; they are only ever copied. When they were left."""
    where = stage.folder / scene.name
    if not where.exists():
        folder = stage.folder / f"of {scene.name}"
        folder.mkdir()
        new_books(folder, stage.clock, ("Main",)).rename(where)
        with ledger.open_book(where, "clerk", stage.clock) as book:
            connect(book, "a", stage.sim, stage.url, adopt_new=True)
            scene.prepare(book, stage)
        _BEGUN[scene.name] = stage.clock.now
        stage.anew()  # what was asked while the books were made is forgotten
    return _BEGUN[scene.name]


def run_again(scene: Scene, stage: Stage, book: Book, changes: tuple[str, ...]) -> None:
    """Unharmed, in this process, until nothing is owed any more: what becomes of a feed is told later."""
    for _ in range(scene.rounds):
        stage.clock.wind(AFTER_THE_LEASES)
        outcomes = Errand(book.home, scene.task, stage.clock.now, changes).do(stage.clock)
        assert set(outcomes) == {"ok"}, outcomes
        if not _waits_to_be_heard(book):
            return


def _waits_to_be_heard(book: Book) -> bool:
    told = books.ask(book, "SELECT 1 FROM listings WHERE submitted IS NOT NULL AND applied_at IS NULL")
    return bool(told or books.ask(book, "SELECT 1 FROM messages"))


# ---- the sweep -------------------------------------------------------------------------------------------

ALL = (IMPORT, ITEMS, REPORT, VERIFY, SHIPMENTS, CANCELLATION, STOCK, REDACTION, HISTORY, DUE)
SCENES = pytest.mark.parametrize("scene", ALL, ids=lambda scene: scene.name)


def sweep(scene: Scene, stage: Stage, first: int, step: int, mutants: tuple[str, ...] = ()) -> int:
    """Kill at every `step`-th boundary from the `first` on, until a run survives; at how many it died."""
    boundary, kills = first, 0
    while True:
        try:
            if not act(scene, stage, boundary, mutants):
                return kills
        except AssertionError as error:
            where = f"killed at boundary {boundary} of {scene.name} (ZENV_SEED={SEED})"
            raise AssertionError(f"{where}: {error}") from error
        kills, boundary = kills + 1, boundary + step


@SCENES
def test_I1_to_I10_hold_after_a_kill_at_a_seeded_portion_of_the_boundaries(scene: Scene, stage: Stage) -> None:
    assert sweep(scene, stage, random.Random(SEED).randint(1, scene.step), scene.step) > 3


@pytest.mark.whole
@SCENES
def test_I1_to_I10_hold_after_a_kill_at_each_boundary(scene: Scene, stage: Stage) -> None:
    assert sweep(scene, stage, 1, 1) > scene.boundaries


@pytest.mark.parametrize(
    ("scene", "mutant"),
    [
        (IMPORT, killing.CURSOR_FIRST), (ITEMS, killing.ITEMS_READ_TOO_SOON), (REPORT, killing.DETAILS_ONLY_WITH_ITEMS),
        (VERIFY, killing.SWEEP_GOES_TOO_FAR), (SHIPMENTS, killing.NOT_CLAIMED), (SHIPMENTS, killing.BLIND),
        (STOCK, killing.LEVELS_TAKEN_AS_TOLD), (REDACTION, killing.KEYS_STAY), (REDACTION, killing.BYTES_FIRST),
        (DUE, killing.PLANNED_FOR_THE_NEXT_SLOT), (DUE, killing.CLAIMED_APART),
    ],
    ids=lambda value: value if isinstance(value, str) else value.name,
)  # fmt: skip
def test_the_sweep_notices_a_planted_bug(scene: Scene, mutant: str, stage: Stage) -> None:
    with pytest.raises(AssertionError, match="killed at boundary") as noticed:
        for first in random.Random(SEED).sample(range(1, scene.step + 1), scene.step):
            sweep(scene, stage, first, scene.step, (mutant,))
    print(noticed.value)
