"""One seller account at Amazon: which stream, record and message is whose, and the tasks with their intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar, TypeVar

import httpx

from zenv.connectors.amazon.api import Api, open_api, open_login_wire
from zenv.connectors.amazon.cancellations import find_cancellation, push_cancellations
from zenv.connectors.amazon.check import check_account
from zenv.connectors.amazon.following import follow_feed
from zenv.connectors.amazon.listing_stream import period_listings, pull_listings, pull_live
from zenv.connectors.amazon.listings import LIVE, WHOLE, fetch_listings
from zenv.connectors.amazon.login import exchange_code
from zenv.connectors.amazon.order_stream import fetch_orders, period_orders, pull_orders
from zenv.connectors.amazon.reading import Unreadable
from zenv.connectors.amazon.recipients import fetch_recipients
from zenv.connectors.amazon.shipments import find_shipment, push_shipments
from zenv.connectors.amazon.stock import find_stock, push_stock
from zenv.connectors.base import SecretField, Task, Terms, World
from zenv.connectors.http import new_client
from zenv.errors import BadReply, Bug
from zenv.facts import Account, Cancellation, Message, Page, Receipt, ShipmentNotice, StockLevel

T = TypeVar("T")

PULL: dict[str, Callable[[Api, str | None], Iterator[Page]]] = {
    "orders": pull_orders,
    "listings": pull_listings,
    "live": pull_live,
}
PERIOD: dict[str, Callable[[Api, datetime, datetime], Iterator[Page]]] = {
    "orders": period_orders,
    "listings": period_listings,
}
FETCH: dict[str, Callable[[Api, Sequence[str]], Iterator[Page]]] = {
    "order": fetch_orders,
    "recipient": fetch_recipients,
    "listing": lambda api, skus: fetch_listings(api, skus, LIVE),
    "detail": lambda api, skus: fetch_listings(api, skus, WHOLE),
}
PUSH: dict[type, Callable[[Api, Any], Iterator[Receipt]]] = {
    StockLevel: push_stock,
    ShipmentNotice: push_shipments,
    Cancellation: push_cancellations,
}
FIND: dict[type, Callable[[Api, Any], Receipt]] = {
    StockLevel: find_stock,
    ShipmentNotice: find_shipment,
    Cancellation: find_cancellation,
}


class AmazonConnector:
    """Amazon's Selling Partner API for one seller in one region."""

    kind: ClassVar[str] = "amazon"
    secrets: ClassVar[tuple[SecretField, ...]] = (
        SecretField("client_id", "Client identifier", "Beside the application at Amazon: LWA credentials, View."),
        SecretField("client_secret", "Client secret", "Under the client identifier; Amazon changes it every 180 days."),
        SecretField("refresh_token", "Refresh token", "Authorise the application at Amazon; it begins with Atzr|."),
    )
    tasks: ClassVar[tuple[Task, ...]] = (
        Task("orders", timedelta(minutes=15), streams=("orders",), dated="orders"),
        Task("items", timedelta(hours=4), streams=("listings",), dated="listings"),
        Task("cancellations", timedelta(hours=1), tells=("cancellation",)),
        Task("shipments", timedelta(hours=1), tells=("shipment",)),
        Task("stock", timedelta(hours=24), streams=("orders",), tells=("stock_level",), at_midnight=True,
             frequent=timedelta(minutes=10)),
        Task("verify", timedelta(hours=24), streams=("live",)),
    )  # fmt: skip

    def __init__(self, terms: Terms, secrets: Mapping[str, str], world: World) -> None:
        self._terms = terms
        self._secrets = secrets
        self._world = world
        self._client: httpx.Client | None = None

    @cached_property
    def _api(self) -> Api:
        self._client = new_client()
        return open_api(self._client, self._terms, self._secrets, self._world)

    def check(self) -> Account:
        """The account behind the credentials. Raises LoginNeeded, Refused, Unreachable."""
        return _sensible(lambda: check_account(self._api))

    def pull(self, stream: str, cursor: str | None) -> Iterator[Page]:
        """Read `orders`, `listings` (new items) or `live` (what every item shows now)."""
        return _sensible_each(_of(PULL, stream)(self._api, cursor))

    def period(self, stream: str, since: datetime, until: datetime) -> Iterator[Page]:
        """Read the orders placed, or the listings created, in a period."""
        return _sensible_each(_of(PERIOD, stream)(self._api, since, until))

    def fetch(self, kind: str, references: Sequence[str]) -> Iterator[Page]:
        """Read named records: `order` and `recipient` by order id, `listing` and `detail` by SKU."""
        return _sensible_each(_of(FETCH, kind)(self._api, references))

    def push(self, messages: Sequence[Message]) -> Iterator[Receipt]:
        """Deliver messages of one kind. Every message gets its receipt; only then is what closed the road raised."""
        if not messages:
            return iter(())
        return _sensible_each(_of(PUSH, type(messages[0]))(self._api, messages))

    def follow(self, remote_ref: str, messages: Sequence[Message]) -> Iterator[Receipt]:
        """What became of messages submitted under a feed."""
        return _sensible_each(follow_feed(self._api, remote_ref, messages))

    def find(self, message: Message) -> Receipt:
        """Whether a message whose answer was lost had its effect."""
        return _sensible(lambda: _of(FIND, type(message))(self._api, message))

    def close(self) -> None:
        """Give the sockets back."""
        if self._client is not None:
            self._client.close()


def authorise_by_code(
    terms: Terms, client_id: str, client_secret: str, code: str, redirect_uri: str, world: World
) -> str:
    """The refresh token for the code of a website authorisation (see login.read_redirect)."""
    with new_client() as client:
        wire = open_login_wire(client, terms, world)
        return exchange_code(wire, code, redirect_uri, client_id, client_secret)


K = TypeVar("K")
V = TypeVar("V")


def _of(table: Mapping[K, V], key: K) -> V:
    if key not in table:
        raise Bug(f"The Amazon connector has no {key}; it has {', '.join(map(str, table))}.")
    return table[key]


def _sensible(ask: Callable[[], T]) -> T:
    try:
        return ask()
    except Unreadable as error:
        raise BadReply(f"Amazon's answer makes no sense: {error}.") from None


def _sensible_each(answers: Iterator[T]) -> Iterator[T]:
    try:
        yield from answers
    except Unreadable as error:
        raise BadReply(f"Amazon's answer makes no sense: {error}.") from None
