"""A company with one account at a simulated Amazon, on the real clock, as the command line makes them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cli_driver import Zenv
from zenv.ledger import sqlite
from zenv.simulators.amazon import AmazonSimulator, serve

TASKS = ["orders", "items", "cancellations", "shipments", "stock", "verify"]
SECRETS = ("client_id", "client_secret", "refresh_token")


@pytest.fixture(name="sim")
def a_seller() -> AmazonSimulator:
    found = AmazonSimulator(7, lambda: datetime.now(UTC), limits=False)
    found.add_listing("MUG", name="A mug", quantity=9)
    found.place_order([("MUG", 1)])
    return found


@pytest.fixture(name="connected")
def an_account(shop: Zenv, sim: AmazonSimulator) -> Iterator[Zenv]:
    """An account called `a`, enabled, nothing read yet."""
    with serve(sim) as url:
        secrets = "\n".join(f"{name}={getattr(sim, name)}" for name in SECRETS)
        account = ("--country", "US", "--seller-id", sim.seller_id, "--endpoint", url, "--name", "a")
        wishes = ("--consent", "--adopt-new", "--enable", "--yes", "--secret-stdin")
        shop.good("connect", "amazon", *account, *wishes, stdin=secrets)
        yield shop


def change(home: Path, statement: str, *values: str) -> None:
    """Let time pass in the ledger: what no command does."""
    connection: sqlite3.Connection = sqlite.module.connect(home / "ledger.db")
    connection.execute(statement, values)
    connection.commit()
    connection.close()


def ago(**length: float) -> str:
    return (datetime.now(UTC) - timedelta(**length)).isoformat(" ", "microseconds")[:26]
