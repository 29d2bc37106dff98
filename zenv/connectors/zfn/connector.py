"""A fulfilment provider that runs zenv: what is read of it and told to it, and how often (2.1.7: at most every 30
minutes, or when it is asked for)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar

from zenv import wire
from zenv.connectors.base import SecretField, Task, Terms, World
from zenv.connectors.zfn import streams, telling
from zenv.connectors.zfn.api import COMPANY, ROTATE, Api, ask, open_api, read_link
from zenv.errors import Bug, NotFound, Refused
from zenv.facts import (
    Account,
    Announcement,
    Farewell,
    Handover,
    ItemShare,
    LinkFact,
    Message,
    Page,
    Receipt,
    RequestLink,
)

LONGEST = timedelta(minutes=30)
TELLS = ("link", "item", "inbound", "order")
PUSH: dict[type, Any] = {
    ItemShare: telling.share_items,
    Handover: telling.hand_over,
    Announcement: telling.announce,
    RequestLink: telling.take_steps,
    Farewell: telling.take_steps,
}
STATES = {
    "pending": "has not decided on our request yet",
    "denied": "has denied our request",
    "disconnected": "is disconnected",
    "deactivated": "has parted from us",
}


class ZfnConnector:
    """One provider, as one of its clients."""

    kind: ClassVar[str] = "zfn"
    secrets: ClassVar[tuple[SecretField, ...]] = (
        SecretField("request_secret", "Secret of the request", "Made by zenv, good until the provider has accepted."),
        SecretField("token", "Token", "Made by zenv; zenv zfn rotate makes a new one."),
    )
    tasks: ClassVar[tuple[Task, ...]] = (
        Task("provider", LONGEST, streams=("link", "catalogue", "changes", "events"), tells=TELLS),
        Task("handover", LONGEST, tells=TELLS),
    )

    def __init__(self, terms: Terms, secrets: Mapping[str, str], world: World) -> None:
        self._terms = terms
        self._secrets = secrets
        self._world = world

    @cached_property
    def _api(self) -> Api:
        return open_api(self._terms, self._secrets, self._world)

    @cached_property
    def _link(self) -> wire.LinkState | None:
        """How the link stands, asked once in a run."""
        return read_link(self._api)

    def check(self) -> Account:
        """The provider behind the company code. Raises Unreachable; Refused where the code is of somebody else, or of
        nobody who is a provider."""
        code = self._api.code
        try:
            found = ask(self._api.asking, COMPANY, wire.Provider, {"company": code.company})
        except NotFound:
            raise Refused(
                f"At {code.address} nobody with this company code takes requests; nothing was written.",
                "Ask the provider for its company code: `zenv zfn invite` prints it there.",
            ) from None
        return Account(found.company, "zfn", "", ())

    def pull(self, stream: str, cursor: str | None) -> Iterator[Page]:
        """Read `link` (how it stands), `catalogue` (the provider's items), `changes` (what it has to tell) or `events`
        (its journal of our goods). While we are not linked, only the first has something to say."""
        if stream == "link":
            return self._how_it_stands()
        if self._link is None or self._link.state != "linked":
            return iter([Page((), why_empty=self._not_linked())])
        match stream:
            case "catalogue":
                return streams.read_catalogue(self._api, cursor)
            case "changes":
                return streams.read_changes(self._api)
            case "events":
                return streams.read_events(self._api, streams.read_mark(cursor))
        raise Bug(f"The connector to a provider has no {stream}.")

    def _how_it_stands(self) -> Iterator[Page]:
        if self._link is None:
            yield Page((), why_empty=self._not_linked())
        else:
            yield Page([LinkFact(self._link)])

    def _not_linked(self) -> str:
        if self._link is None:
            return f"{self._terms.name} has not heard of our request yet"
        return f"{self._terms.name} {STATES[self._link.state]}"

    def period(self, stream: str, since: datetime, until: datetime) -> Iterator[Page]:
        """All items, or the whole journal from its beginning: neither is dated."""
        if stream == "listings":
            return streams.read_items(self._api)
        if stream == "events":
            return _without_cursor(streams.read_events(self._api, streams.BEGINNING))
        raise Bug(f"The connector to a provider has no {stream} of a period.")

    def fetch(self, kind: str, references: Sequence[str]) -> Iterator[Page]:
        """Read an `order` or `inbound` by reference, a `detail` by SKU, or `levels` (see `streams.fetch_levels`)."""
        match kind:
            case "order":
                return streams.fetch_orders(self._api, references)
            case "inbound":
                return streams.fetch_inbounds(self._api, references)
            case "detail":
                return streams.fetch_items(self._api, references)
            case "levels":
                return streams.fetch_levels(self._api, references)
        raise Bug(f"The connector to a provider has no {kind}.")

    def push(self, messages: Sequence[Message]) -> Iterator[Receipt]:
        """Deliver messages of one kind."""
        return PUSH[type(messages[0])](self._api, messages) if messages else iter(())

    def follow(self, remote_ref: str, messages: Sequence[Message]) -> Iterator[Receipt]:
        """A provider answers at once: nothing is ever under way."""
        return iter(())

    def find(self, message: Message) -> Receipt:
        """A snapshot with a version is its own look-up: told again, it is heeded once."""
        return Receipt(message.key, "retry")

    def close(self) -> None:
        """Give the sockets back."""
        if "_api" in self.__dict__:
            self._api.client.close()


def _without_cursor(pages: Iterator[Page]) -> Iterator[Page]:
    for page in pages:
        yield Page(page.facts, None, page.progress, page.total)


def show_new_token(terms: Terms, secrets: Mapping[str, str], world: World, token: str) -> datetime:
    """Have the provider know us by a new token as well; until when it is good. To say it again is harmless."""
    api = open_api(terms, secrets, world)
    try:
        return ask(api.wire, ROTATE, wire.Issued, said=wire.NewToken(token=token)).expires_at
    finally:
        api.client.close()
