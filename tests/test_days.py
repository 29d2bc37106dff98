"""Days of two shops with the schedule in charge: whatever goes wrong for hours, a quiet day later Amazon, the shelf and
the books say the same, each thing happened once, and nothing is late.

The oracle is what the simulators sold, shipped and were asked, and what lay on the shelf. A failing seed is in the
name of its test; `ZENV_DAYS_SEEDS=17,18 pytest tests/test_days.py` plays others.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.days import mutants
from tests.days.play import play
from tests.year.mutants import changed

STEPS = int(os.environ.get("ZENV_DAYS_STEPS", "15"))
SEEDS = [int(seed) for seed in os.environ.get("ZENV_DAYS_SEEDS", "1,2,3,4").split(",")]
MANY_SEEDS = range(100, 140)
LONG = 60
MOST_SEEDS = 12
"""So many histories a planted bug may live."""


def must_hold(seed: int, steps: int) -> None:
    """Play a history; when it breaks, show how its story ended."""
    outcome = play(seed, steps)
    story = "\n".join(outcome.story[-80:])
    assert not outcome.broken, f"seed {seed}, {steps} steps: {outcome.broken}\n{story}"


@pytest.mark.parametrize("seed", SEEDS)
def test_A11_to_A17_I1_to_I11_after_days_of_trouble_a_quiet_day_brings_everything_in_step(seed: int) -> None:
    must_hold(seed, STEPS)


@pytest.mark.whole
@pytest.mark.parametrize("seed", MANY_SEEDS)
def test_many_long_histories_come_out_right(seed: int) -> None:
    must_hold(seed, LONG)


@pytest.mark.parametrize("name", mutants.FOUND_BY)
def test_the_days_find_the_planted_bug(name: str) -> None:
    seed, says = mutants.FOUND_BY[name]
    with changed(*mutants.MUTANTS[name]):
        outcome = play(seed, STEPS)
    assert says in outcome.broken, f"{name!r}, seed {seed}: {outcome.broken!r}; look for a seed that finds it"


@pytest.mark.whole
@pytest.mark.parametrize("name", mutants.MUTANTS)
def test_some_seed_finds_each_planted_bug(name: str) -> None:
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
