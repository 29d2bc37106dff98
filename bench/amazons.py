"""A simulated Amazon in another process, so that its work is not counted as zenv's."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any

NAMES = ("client_id", "client_secret", "refresh_token")


@contextmanager
def sellers(count: int, listings: int) -> Iterator[list[tuple[str, str, dict[str, str]]]]:
    """So many sellers with their limits off: (address, seller id, credentials) of each."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, count, listings), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        ours.close()
        process.join()


def _serve(pipe: Connection, count: int, listings: int) -> None:
    from contextlib import ExitStack

    from zenv.simulators.amazon import AmazonSimulator, serve

    with ExitStack() as stack:
        told: list[Any] = []
        for number in range(count):
            sim = AmazonSimulator(seed=number + 1, limits=False)
            for sku in range(listings):
                sim.add_listing(f"SKU-{number}-{sku:04d}", quantity=9)
            url = stack.enter_context(serve(sim))
            told.append((url, sim.seller_id, {name: getattr(sim, name) for name in NAMES}))
        pipe.send(told)
        with suppress(EOFError):
            pipe.recv()  # until the other end is closed
