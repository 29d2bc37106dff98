"""A simulated Amazon per test, served on loopback, judged by Amazon's models where they are at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.connectors.world import HandClock, secrets_of, terms_of, world_of
from tests.shared_files import SPAPI
from zenv.connectors.amazon.connector import AmazonConnector
from zenv.simulators.amazon import AmazonSimulator, serve

Connect = Callable[..., AmazonConnector]


@pytest.fixture
def sim() -> AmazonSimulator:
    """A simulator whose clock moves only when somebody sleeps; every request must be what the models allow."""
    start = HandClock().present
    return AmazonSimulator(seed=7, now=lambda: start, models=SPAPI if SPAPI.is_dir() else None)


@pytest.fixture
def url(sim: AmazonSimulator) -> Iterator[str]:
    """Where the simulator is served."""
    with serve(sim) as address:
        yield address


@pytest.fixture
def connect(sim: AmazonSimulator, url: str) -> Iterator[Connect]:
    """Makes connectors to the simulator, each as a new process would; terms may be changed by name."""
    made: list[AmazonConnector] = []

    def one(patience: float = 100_000.0, **terms: object) -> AmazonConnector:
        made.append(AmazonConnector(terms_of(sim, url, **terms), secrets_of(sim), world_of(sim, patience)))
        return made[-1]

    yield one
    for connector in made:
        connector.close()
