"""`zenv sim amazon`: a filled simulator in the foreground, which first says how to connect to it."""

from __future__ import annotations

import random
from collections.abc import Callable

from .records import SoldOut
from .server import bind, serve_forever
from .simulator import AmazonSimulator


def filled(items: int, orders: int, seed: int) -> AmazonSimulator:
    """A simulator with a catalogue and some open orders, the same for the same seed."""
    sim = AmazonSimulator(seed)
    skus = sim.fill(items, seed)
    rng = random.Random(seed)
    placed = 0
    for _ in range(20 * orders):
        if placed == orders or not skus:
            break
        try:
            sim.place_order([(rng.choice(skus), rng.randint(1, 2))], rng.choice(("UNSHIPPED", "PENDING")))
            placed += 1
        except SoldOut:
            continue
    return sim


def run(port: int, items: int, orders: int, seed: int, show: Callable[[str], object] = print) -> None:
    """Serve until interrupted; `show` is told, line by line, how to connect."""
    sim = filled(items, orders, seed)
    listener = bind(port)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    for line in introduction(sim, url):
        show(line)
    serve_forever(sim, listener)


def introduction(sim: AmazonSimulator, url: str) -> list[str]:
    """How to connect. The credentials are made up and open nothing but this simulator."""
    return [
        f"A simulated Amazon listens on {url} (loopback only). Stop it with Ctrl-C.",
        f"  API endpoint    {url}",
        f"  Login endpoint  {url}/auth/o2/token",
        f"  Merchant token  {sim.seller_id}",
        f"  Marketplace     {', '.join(sim.marketplaces)}",
        f"  Client id       {sim.client_id}",
        f"  Client secret   {sim.client_secret}",
        f"  Refresh token   {sim.refresh_token}",
        f"It holds {len(sim.listings)} listings and {len(sim.orders)} orders.",
        f"  What it has seen   curl {url}/control/state",
        f'  A buyer orders     curl -d \'{{"lines": [["SKU", 1]]}}\' {url}/control/place_order',
    ]
