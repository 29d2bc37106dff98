"""The world of a connector under test: the simulator's clock, a sleep that winds it, buckets in memory."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from zenv.connectors.base import Terms, World
from zenv.simulators.amazon import AmazonSimulator

US = "ATVPDKIKX0DER"


class HandClock:
    """A clock that moves when somebody sleeps."""

    def __init__(self) -> None:
        self.present = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.present

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.present += timedelta(seconds=seconds)


class MemoryBuckets:
    """Token buckets by the rules of `zenv.connectors.base.Buckets`, on a given clock."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.now = now
        self.tokens: dict[str, tuple[float, float]] = {}
        self.closed: dict[str, float] = {}
        self.rates: dict[str, float] = {}

    def take(self, key: str, rate: float, burst: int) -> float:
        now, rate = self.now().timestamp(), self.rates.get(key, rate)
        tokens, at = self.tokens.get(key, (float(burst), now))
        tokens = min(float(burst), tokens + (now - at) * rate)
        # a thousandth of tolerance: 1/3 s of sleep must not fall short of a third of a token
        wait = max(self.closed.get(key, 0.0) - now, 0.0 if tokens > 0.999 else (1 - tokens) / rate, 0.0)
        self.tokens[key] = (tokens if wait else tokens - 1, now)
        return wait

    def learned(self, key: str, rate: float) -> None:
        self.rates[key] = rate

    def drained(self, key: str, wait: float) -> None:
        now = self.now().timestamp()
        self.tokens[key], self.closed[key] = (0.0, now), now + wait


def world_of(sim: AmazonSimulator, patience: float = 60.0) -> World:
    """A world in which sleeping winds the simulator's clock."""
    return World(sim.now, sim.wind, MemoryBuckets(sim.now), patience)


def terms_of(sim: AmazonSimulator, url: str, **more: object) -> Terms:
    """The terms of a connection to a simulator."""
    shops = tuple(sim.marketplaces)
    said: dict[str, object] = {
        "name": "teapots",
        "region": "NA",
        "seller_id": sim.seller_id,
        "marketplaces": shops,
        "home_marketplace": shops[0],
        "endpoint": url,
    }
    return Terms(**(said | more))  # type: ignore[arg-type]


def secrets_of(sim: AmazonSimulator) -> dict[str, str]:
    """The credentials the simulator accepts."""
    names = ("client_id", "client_secret", "refresh_token")
    return {name: getattr(sim, name) for name in names}
