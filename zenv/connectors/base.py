"""What a connector is: pure translation and wire calls, with four verbs and no memory.

`check` asks who we are, `pull` reads a stream from a cursor, `fetch` reads named records, `push` delivers
messages, and `follow` and `find` learn later what became of them. Cursors, retries of business meaning,
states and conflicts belong to sync and the ledger. A cursor is a JSON document, so that a damaged one is noticed, which
only the connector understands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Protocol

from zenv.facts import Account, Message, Page, Receipt


@dataclass(frozen=True)
class Task:
    """One kind of work of a connector and the longest time its documentation allows between two runs.

    `at_midnight` tasks run at 00:00 of the company's time zone instead of after an interval, or after `frequent`
    where a connection asks for high-frequency updates. `streams` are pulled in this order, then messages of the kinds
    in `tells` are sent.
    """

    name: str
    longest: timedelta
    streams: tuple[str, ...] = ()
    tells: tuple[str, ...] = ()
    at_midnight: bool = False
    frequent: timedelta | None = None
    dated: str = ""
    """The stream of which a chosen period can be read (`Connector.period`)."""


@dataclass(frozen=True)
class SecretField:
    """A credential the user is asked for: hidden input, sealed in the ledger."""

    name: str
    prompt: str
    help: str


@dataclass(frozen=True)
class Terms:
    """The settings of a connection that its connector needs; all of them shown by `zenv connections show`."""

    name: str
    region: str
    seller_id: str
    marketplaces: tuple[str, ...]
    home_marketplace: str
    endpoint: str = ""
    sandbox: bool = False
    handling_days: int = 2
    with_fulfilled: bool = False
    urgent_below: int = 3


class Buckets(Protocol):
    """Token buckets kept in the ledger, shared by all processes (design 5.6)."""

    def take(self, key: str, rate: float, burst: int) -> float:
        """Take one token: 0 when there was one; else nothing is taken, and the answer is the seconds until it
        is worth asking again."""

    def learned(self, key: str, rate: float) -> None:
        """The remote named its rate (requests per second) in a header."""

    def drained(self, key: str, wait: float) -> None:
        """The remote said no: empty the bucket and stay away for `wait` seconds."""


@dataclass(frozen=True)
class World:
    """The outside a connector is allowed to touch, so that tests can hold it: clock, sleep, buckets."""

    now: Callable[[], datetime]
    sleep: Callable[[float], None]
    buckets: Buckets
    patience: float = 60.0
    """Longest time in seconds to wait for one token before `Throttled` is raised."""


class Connector(Protocol):
    """One account at one remote."""

    kind: ClassVar[str]
    secrets: ClassVar[tuple[SecretField, ...]]
    tasks: ClassVar[tuple[Task, ...]]

    def __init__(self, terms: Terms, secrets: Mapping[str, str], world: World) -> None:
        """Nothing is sent yet. `secrets` holds a value for each of `secrets` above."""

    def check(self) -> Account:
        """Who we are there. Raises LoginNeeded, Refused (plan, roles), Unreachable."""

    def pull(self, stream: str, cursor: str | None) -> Iterator[Page]:
        """Read a stream from where `cursor` says; None is the very first time."""

    def period(self, stream: str, since: datetime, until: datetime) -> Iterator[Page]:
        """Read what was placed (orders) or created (listings) from `since` to `until`, both included. The pages
        carry no cursor."""

    def fetch(self, kind: str, references: Sequence[str]) -> Iterator[Page]:
        """Read exactly these records (kinds: order, recipient, listing, detail)."""

    def push(self, messages: Sequence[Message]) -> Iterator[Receipt]:
        """Deliver messages of one kind; one receipt each, as soon as it is known."""

    def follow(self, remote_ref: str, messages: Sequence[Message]) -> Iterator[Receipt]:
        """Ask what became of messages that were `submitted` under `remote_ref`; nothing when still open."""

    def find(self, message: Message) -> Receipt:
        """Look up whether a message whose answer was lost had its effect: done, or retry when surely not."""

    def close(self) -> None:
        """Give sockets back."""
