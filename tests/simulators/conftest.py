"""A simulated Amazon per test, on a hand clock, judged by Amazon's models where they are at hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.shared_files import SPAPI
from tests.simulators.client import Api
from zenv.simulators.amazon import AmazonSimulator, serve

START = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def sim() -> AmazonSimulator:
    """A simulator whose clock stands still until a test winds it."""
    return AmazonSimulator(seed=7, now=lambda: START, models=SPAPI if SPAPI.is_dir() else None)


@pytest.fixture
def api(sim: AmazonSimulator) -> Iterator[Api]:
    """A client of the served simulator, logged in; every answer it got obeyed Amazon's models."""
    with serve(sim) as url, Api(sim, url) as client:
        client.login()
        yield client
    assert [v for v in sim.violations if v.problem.startswith("our answer")] == []
