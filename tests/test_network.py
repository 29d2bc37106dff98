"""Two companies and an Amazon over a bad line: in the end both ledgers say the same, and what really happened (I14).

The oracle is what the deeds themselves kept of goods and parcels, and what Amazon sold; never a ledger's own opinion. A
failing seed is in the name of its test and in its message; `ZENV_NETWORK_SEEDS=17,18 pytest tests/test_network.py`
plays any others again, and `ZENV_NETWORK_STEPS=400` makes them longer.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.network import mutants
from tests.network.play import play
from tests.year.mutants import changed

STEPS = int(os.environ.get("ZENV_NETWORK_STEPS", "120"))
SEEDS = [int(seed) for seed in os.environ.get("ZENV_NETWORK_SEEDS", "1,2").split(",")]
ONCE_FAILED = ((3, 120), (3, 60), (4, 60), (33, 150), (34, 180), (38, 180), (63, 200))
"""(seed, steps) that found a bug once, in the calendar of that day; each of those bugs has a unit test now."""
MANY_SEEDS = range(100, 160)
LONG = 300
MOST_SEEDS = 30
"""So many histories a planted bug may live."""
SOON_DEAD = ("items are not scoped to their client", "a reservation does not follow a pick")
"""Mutants that hardly survive a morning: CI tries these."""


def must_hold(seed: int, steps: int) -> None:
    """Play a history; when it breaks, show how its story ended."""
    outcome = play(seed, steps)
    story = "\n".join(outcome.story[-60:])
    assert not outcome.broken, f"seed {seed}, {steps} steps: {outcome.broken}\n{story}"


@pytest.mark.parametrize("seed", SEEDS)
def test_I14_two_ledgers_and_an_amazon_come_out_the_same(seed: int) -> None:
    must_hold(seed, STEPS)


@pytest.mark.whole
@pytest.mark.parametrize(("seed", "steps"), ONCE_FAILED)
def test_what_failed_once_holds(seed: int, steps: int) -> None:
    must_hold(seed, steps)


@pytest.mark.whole
@pytest.mark.parametrize("seed", MANY_SEEDS)
def test_I14_many_long_histories_come_out_the_same(seed: int) -> None:
    must_hold(seed, LONG)


def test_a_seed_is_a_history_the_same_every_time() -> None:
    first, second = play(7, 40), play(7, 40)
    assert first == second


@pytest.mark.parametrize("name", SOON_DEAD)
def test_a_history_finds_the_planted_bug_soon(name: str) -> None:
    must_die(name)


@pytest.mark.whole
@pytest.mark.parametrize("name", [name for name in mutants.MUTANTS if name not in SOON_DEAD])
def test_a_history_finds_the_planted_bug(name: str) -> None:
    must_die(name)


def must_die(name: str) -> None:
    """One of the first histories breaks under this mutant."""
    killed_by = next(kills(name), None)
    print(f"{name}: {killed_by}")
    assert killed_by is not None, f"{name!r} survived {MOST_SEEDS} histories of {STEPS} steps"


def kills(name: str) -> Iterator[str]:
    """The seeds that find a planted bug, each with what it says."""
    for seed in range(1, MOST_SEEDS + 1):
        with changed(*mutants.MUTANTS[name]):
            outcome = play(seed, STEPS)
        if outcome.broken:
            yield f"seed {seed} says {outcome.broken}"
