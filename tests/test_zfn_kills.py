"""kill -9 at every boundary of what two companies do together, on either side, then the same again unharmed: linked
once, each order at the provider once, each parcel in the client's books once and told to Amazon once, no unit lost.

The client, a command of the provider's, or the process that serves the provider's face dies. CI takes a boundary of
each by the seed that is printed when it fails; `pytest -m whole` takes them all. The mutants show that the sweep would
notice.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError

from tests import books
from tests.kill_scenes import Stage
from tests.year.company import scratch
from tests.zfn import kills, scenes
from tests.zfn.faces import free_port
from tests.zfn.kills import Deed, Face, Shared
from tests.zfn.scenes import Scene, Two
from zenv import credentials
from zenv.errors import Unreachable, ZenvError
from zenv.ledger import book as ledger
from zenv.ledger import stock
from zenv.ledger.zfn import standing
from zenv.simulators.amazon import AmazonSimulator, serve

SEED = int(os.environ.get("ZENV_SEED", "1"))
AFTER_THE_LEASES = 20 * 60.0
CLIENT, FACE, COMMAND = "the client", "the face", "the command"


@dataclass
class Ground:
    """Where it happens: one Amazon and one port for all; a pair of homes for each state of the books, made once."""

    stage: Stage
    folder: Path
    port: int
    made: dict[str, datetime] = field(default_factory=dict)
    """When each was left."""

    def homes(self, name: str) -> Path:
        """The folder of both homes in this state of the books, made if they are not yet."""
        where = self.folder / name
        if name not in self.made:
            before, step = scenes.BOOKS[name]
            shutil.copytree(self.homes(before), where)
            self.stage.anew()
            self.stage.clock.now = max(self.made[before], self.stage.clock.now)
            with self.both(where) as two:
                step(two)
                self.stage.clock.wind(60)
            self.made[name] = self.stage.clock.now
        return where

    def code(self, where: Path) -> str:
        """What leads to the provider's face."""
        with ledger.open_book(where / "provider", "clerk", self.stage.clock) as book, book.reading() as sql:
            return str(standing.code(sql))

    @contextmanager
    def both(self, where: Path, changes: tuple[str, ...] = ()) -> Iterator[Two]:
        """Both books open, and the face served."""
        with ExitStack() as stack:
            stack.enter_context(Face(where / "provider", self.port, self.stage.clock, changes).served())
            client, provider = (stack.enter_context(ledger.open_book(where / name, "clerk", self.stage.clock))
                                for name in ("client", "provider"))  # fmt: skip
            yield Two(client, provider, self.stage, self.code(where))


@pytest.fixture(scope="module")
def ground() -> Iterator[Ground]:
    clock = Shared()
    sim = AmazonSimulator(7, clock)
    with scratch() as folder, serve(sim) as url:
        found = Ground(Stage(sim, url, clock, folder), folder, free_port())
        _begin(found)
        yield found


def _begin(found: Ground) -> None:
    homes = [_new(found, name, company) for name, company in (("client", "Teapots"), ("provider", "Fulfil Inc"))]
    found.stage.anew()
    with ExitStack() as stack:
        client, provider = (stack.enter_context(ledger.open_book(home, "clerk", found.stage.clock)) for home in homes)
        scenes.begin((client, provider), found.stage, found.port)
    found.made[scenes.STRANGERS] = found.stage.clock.now


def _new(found: Ground, name: str, company: str) -> Path:
    store = credentials.KeyStore("file", str(found.folder / f"{name}.key"), "kills")
    credentials.create_master_key(store)
    home = found.folder / scenes.STRANGERS / name
    ledger.create(home, ledger.NewCompany(company, "US", "America/New_York", "USD"), store, found.stage.clock)
    with ledger.open_book(home, "clerk", found.stage.clock) as book, book.transaction() as t:
        stock.add_warehouse(t, "Main")
    return home


# ---- one kill --------------------------------------------------------------------------------------------


def act(
    ground: Ground, scene: Scene, victim: str, boundary: int, mutants: tuple[str, ...] = (), edges: bool = False
) -> bool:
    """One kill and what came after it; whether there was a boundary with this number."""
    made = ground.homes(scene.books)
    home = ground.folder / "now"
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(made, home)
    ground.stage.anew()
    ground.stage.clock.now = max(ground.made[scene.books], ground.stage.clock.now)
    died = break_off(ground, scene, home, Death(victim, boundary, mutants, edges))
    with kills.product(mutants), ground.both(home, mutants) as two:
        assert found(two) == []
        scene.at_once(two)
        do_again(ground, scene, home, two)
        assert found(two) == []
        scene.judge(two)
        assert found(two) == []
    return died


@dataclass(frozen=True)
class Death:
    """Who dies, and at which boundary (of the edges only, if it says so)."""

    victim: str
    boundary: int
    mutants: tuple[str, ...]
    edges: bool


def break_off(ground: Ground, scene: Scene, home: Path, death: Death) -> bool:
    """The deed, in which somebody dies; whether somebody did."""
    clock, port, mutants = ground.stage.clock, ground.port, death.mutants
    if death.victim == COMMAND:
        return kills.killed(Deed(home / "provider", scene.deed, clock.now, "", mutants), death.boundary, death.edges)
    deed = Deed(home / "client", scene.deed, clock.now, ground.code(home), mutants)
    if death.victim == CLIENT:
        with Face(home / "provider", port, clock, mutants).served():
            return kills.killed(deed, death.boundary, death.edges)
    with Face(home / "provider", port, clock, mutants, death.boundary, death.edges).served() as has_died:
        try:
            deed.do(clock)
        except Unreachable:
            assert has_died(20), "a face that is well was out of reach"
        return has_died(0)


def do_again(ground: Ground, scene: Scene, home: Path, two: Two) -> None:
    """Unharmed, in this process, once the leases of what died are over."""
    ground.stage.clock.wind(AFTER_THE_LEASES)
    whose = home / scene.of
    Deed(whose, scene.again or scene.deed, ground.stage.clock.now, two.code).do(ground.stage.clock)


def found(two: Two) -> list[str]:
    """What the auditors of both find."""
    return books.findings(two.client) + books.findings(two.provider)


# ---- the sweep -------------------------------------------------------------------------------------------

CASES = [(scene, victim) for scene in scenes.ALL for victim in ((CLIENT, FACE) if scene.of == "client" else (COMMAND,))]
EACH = pytest.mark.parametrize(("scene", "victim"), CASES, ids=lambda value: getattr(value, "name", value))


def sweep(ground: Ground, scene: Scene, victim: str, mutants: tuple[str, ...] = (), edges: bool = False) -> int:
    """Kill at each boundary until nobody dies; how often somebody did."""
    boundary = 1
    while survive(ground, scene, victim, boundary, mutants, edges):
        boundary += 1
    return boundary - 1


def survive(
    ground: Ground, scene: Scene, victim: str, boundary: int, mutants: tuple[str, ...] = (), edges: bool = False
) -> bool:
    """Kill at one boundary; whether somebody died. Raises AssertionError where what must be true was not."""
    try:
        return act(ground, scene, victim, boundary, mutants, edges)
    except (AssertionError, ZenvError, IntegrityError) as error:
        where = f"{victim} killed at boundary {boundary} of {scene.name} (ZENV_SEED={SEED})"
        raise AssertionError(f"{where}: {type(error).__name__} {error}") from error


@EACH
def test_I14_holds_after_a_kill_at_a_seeded_boundary(scene: Scene, victim: str, ground: Ground) -> None:
    boundary = random.Random(f"{SEED} {scene.name} {victim}").randint(1, scene.boundaries[victim == FACE])
    assert survive(ground, scene, victim, boundary), f"there is no boundary {boundary}"


@pytest.mark.whole
@EACH
def test_I14_holds_after_a_kill_at_each_boundary(scene: Scene, victim: str, ground: Ground) -> None:
    assert sweep(ground, scene, victim) >= scene.boundaries[victim == FACE]


@pytest.mark.parametrize(
    ("mutant", "scene", "victim"),
    [
        (kills.ASKED_TWICE, scenes.ASK, FACE), (kills.TOLD_FIRST, scenes.ROTATED, CLIENT),
        (kills.NEXT_FORGOTTEN, scenes.ROTATED, FACE), (kills.ACCEPTED_IN_TWO, scenes.ACCEPT, COMMAND),
        (kills.PACKAGE_ALONE, scenes.SHIP, COMMAND), (kills.NUMBERED_LATER, scenes.HANDOVER, FACE),
        pytest.param(kills.MARK_FIRST, scenes.ARRIVE, CLIENT, marks=pytest.mark.whole),
        pytest.param(kills.SEEN_FIRST, scenes.RETURN, CLIENT, marks=pytest.mark.whole),
        pytest.param(kills.SETTLED_FIRST, scenes.WISH, CLIENT, marks=pytest.mark.whole),
        pytest.param(kills.TAKEN_AS_TOLD, scenes.HANDOVER, CLIENT, marks=pytest.mark.whole),
        pytest.param(kills.ASKED_TWICE, scenes.ASK, CLIENT, marks=pytest.mark.whole),
        pytest.param(kills.SECRET_SPENT, scenes.EXCHANGE, CLIENT, marks=pytest.mark.whole),
    ],
    ids=lambda value: getattr(value, "name", value),
)  # fmt: skip
def test_the_sweep_notices_a_planted_bug(mutant: str, scene: Scene, victim: str, ground: Ground) -> None:
    with pytest.raises(AssertionError, match="killed at boundary") as noticed:
        sweep(ground, scene, victim, (mutant,), edges=True)
    print(noticed.value)
