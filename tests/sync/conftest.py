"""The seller of these tests, new and in step with Amazon."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.sync.shop import new_sim, opened, run_all
from tests.year.company import Clock, Company
from zenv.simulators.amazon import AmazonSimulator

HOUR = 3600.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sim(clock: Clock) -> AmazonSimulator:
    """A seller of two teapots and a mug."""
    found = new_sim(clock)
    for sku, quantity in (("POT-1", 5), ("POT-2", 8), ("MUG", 20)):
        found.add_listing(sku, name=f"A {sku}", quantity=quantity)
    clock.wind(2 * HOUR)
    return found


@pytest.fixture
def shop(sim: AmazonSimulator, clock: Clock, tmp_path: Any) -> Iterator[Company]:
    """Connected, nothing read yet."""
    with opened(sim, clock, tmp_path) as c:
        yield c
        assert sim.violations == []


@pytest.fixture
def in_step(shop: Company) -> Company:
    """Everything was read once, and Amazon was told what it shows already."""
    assert {result.outcome for result in run_all(shop)} == {"ok"}
    shop.clock.wind(HOUR)
    return shop
