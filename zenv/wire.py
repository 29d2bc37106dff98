"""What two zenvs say to each other: the types of the fulfilment network (ZFN), for the provider's face and the client's
connector alike.

What may be shared is a type, not a mask: there is no price, no cost, no e-mail address, no vendor code and no other
client in any of them, so none can be told by mistake. Every write is a snapshot with a `version` that its client counts
up: one that is not newer than the last known is answered and not heeded, so a message may be lost, doubled, delayed or
overtaken. Times are aware and in UTC, quantities are units. A person's fields have no printable repr, and a value that
does not fit is never quoted.

References name a thing on both sides: `c:NUMBER` is an order, a purchase order or a transfer of the client's, under the
client's own number; `p:NUMBER` is one that the provider entered for the client. Items are named by the SKU under which
they were first shared.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

PREFIX = "/zfn/1"
"""Where the face begins; the number rises with a change that an older zenv would misread."""

MOST_AT_ONCE = 200
"""Orders, items or inbounds in one request."""
EVENTS_AT_ONCE = 2000
"""Movements in one page of events, unless a single transaction has more."""
LEVELS_AT_ONCE = 5000

Word = Annotated[str, StringConstraints(max_length=200)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Reference = Annotated[str, StringConstraints(pattern=r"^[cp]:[^\x00-\x1f\x7f]{1,200}$")]
Sku = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Units = Annotated[int, Field(ge=0, le=1_000_000_000)]
SomeUnits = Annotated[int, Field(ge=1, le=1_000_000_000)]
Version = Annotated[int, Field(ge=1, le=2**53)]
Secret = Annotated[str, StringConstraints(pattern=r"^zenv_[0-9a-f]{16}_[A-Za-z0-9_-]{43}$")]
"""A token: `zenv_`, its public id of 16 hex digits, and 32 random bytes as base64url."""


def _in_our_time(at: datetime) -> datetime:
    """At the very ends of the calendar a time has no UTC, and nothing is sold there."""
    if not 1970 <= at.year < 9000:
        raise ValueError("not a time in which anything is sold")
    return at


Moment = Annotated[AwareDatetime, AfterValidator(_in_our_time)]
"""A time that a client names."""
Place = Literal["on_hand", "picked", "in_transit", "supplier", "customer", "adjustment", "opening"]


class Said(BaseModel):
    """What all types share: nothing unknown is taken, and no value is ever quoted in an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Trouble(Said):
    """Every answer that is not a success (RFC 9457, application/problem+json). `code` is one of zenv's words."""

    title: str
    status: int
    code: str
    outstanding: list[str] = []


# ---- linking ---------------------------------------------------------------------------------------------


class Provider(Said):
    """The answer to whoever holds a company code: yes, this is that provider, and it takes requests."""

    company: Name


class Request(Said):
    """A company asks to be a client. `secret` is made by the client; it lets the client, and nobody else, learn the
    outcome, and is good for one exchange against a token (POST /link/token)."""

    company_id: Name
    company_name: Name
    user: Name
    warehouse: Name
    secret: Secret = Field(repr=False)


class Requested(Said):
    """The request waits for the provider. Both sides show `fingerprint`, so that two people can compare it."""

    fingerprint: str


class LinkState(Said):
    """How the link stands. `client` is our number there, `head` the newest entry of our journal, `restores` how often
    the provider has gone back to a backup: what was said since that backup is to be said again."""

    state: Literal["pending", "denied", "linked", "disconnected", "deactivated"]
    provider: Name
    fingerprint: str
    client: int | None = None
    head: int = 0
    restores: int = 0
    token_expires_at: AwareDatetime | None = None


class NewToken(Said):
    """From now on the client shows this token; the one it was asked with stays good for a day, a request's secret for
    nothing more."""

    token: Secret = Field(repr=False)


class Issued(Said):
    """The token is good until then."""

    expires_at: AwareDatetime


class Parting(Said):
    """The client takes its leave: first the connection, then the warehouse (Z39)."""

    stage: Literal["disconnected", "deactivated"]


# ---- the catalogue ---------------------------------------------------------------------------------------


class SharedItem(Said):
    """An item as both sides know it. No cost, no price, no vendor code (2.1.11). `said_at` is when its client says so:
    what was said earlier than the last is not heeded."""

    sku: Sku
    name: Word = ""
    gtin: Annotated[str, StringConstraints(max_length=14)] = ""
    weight_grams: Annotated[int, Field(ge=0, le=100_000_000)] | None = None
    attributes: dict[Name, Word] = {}
    active: bool = True
    said_at: Moment | None = None


class SharedItems(Said):
    """Items, at most MOST_AT_ONCE of them."""

    items: Annotated[list[SharedItem], Field(max_length=MOST_AT_ONCE)]


class ItemPage(Said):
    """All items that the provider has for this client, by SKU; `more` follow after the last."""

    items: list[SharedItem]
    more: bool


# ---- orders ----------------------------------------------------------------------------------------------


class Recipient(Said):
    """Whom the goods go to, as a packer and a carrier need it: there is no e-mail address."""

    name: Word = Field("", repr=False)
    company: Word = Field("", repr=False)
    line1: Word = Field("", repr=False)
    line2: Word = Field("", repr=False)
    line3: Word = Field("", repr=False)
    phone: Word = Field("", repr=False)
    gift_message: Annotated[str, StringConstraints(max_length=1000)] = Field("", repr=False)
    city: Word = Field("", repr=False)
    region: Word = Field("", repr=False)
    postcode: Word = Field("", repr=False)
    country: Annotated[str, StringConstraints(max_length=2)] = ""


class HandedLine(Said):
    """One line: `quantity` units were ordered, of which `cancelled` are not wanted any more."""

    line: Name
    sku: Sku
    name: Word = ""
    quantity: SomeUnits
    cancelled: Units = 0


class HandedOrder(Said):
    """An order that the provider is to ship, whole (2.1.8). Cancelled: nothing of it any more."""

    order: Reference
    version: Version
    placed_at: Moment
    ship_by: Moment | None = None
    service_level: Word = ""
    hold: bool = False
    cancelled: bool = False
    lines: Annotated[list[HandedLine], Field(min_length=1, max_length=1000)]
    recipient: Recipient | None = Field(None, repr=False)


class HandedOrders(Said):
    """Orders, at most MOST_AT_ONCE of them."""

    orders: Annotated[list[HandedOrder], Field(max_length=MOST_AT_ONCE)] = Field(repr=False)


RefusedFor = Literal["being picked", "shipped", "returned", "received", "unknown item", "not possible"]


class Answer(Said):
    """What became of a snapshot. `version` is the newest the provider knows: with a refusal the one before it still
    holds. `number` is the provider's own."""

    reference: Reference
    outcome: Literal["taken", "refused"]
    version: int
    number: Word = ""
    reason: RefusedFor | Literal[""] = ""


class Answers(Said):
    """One answer for each snapshot, in their order."""

    answers: list[Answer]


class OrderState(Said):
    """An order as the provider has it: one that it entered for the client (`p:`), or one of the client's (`c:`) of
    which it will not ship some units or any (`cancelled`)."""

    order: Reference
    cancelled: bool
    hold: bool
    placed_at: AwareDatetime
    ship_by: AwareDatetime | None = None
    service_level: Word = ""
    city: Word = ""
    region: Word = ""
    postcode: Word = ""
    country: Word = ""
    lines: list[HandedLine]


# ---- goods on their way to the provider ------------------------------------------------------------------


class InboundGoods(Said):
    """Units of one item: announced, and of those `sent` already (a transfer)."""

    line: Name
    sku: Sku
    quantity: SomeUnits
    sent: Units = 0


class AnnouncedInbound(Said):
    """Goods that are to arrive: the client's purchase order at a supplier, or its transfer (2.1.10). The provider sees
    both as a purchase order, `PO-CLIENT-NUMBER` or `TO-CLIENT-NUMBER`."""

    inbound: Reference
    kind: Literal["purchase", "transfer"]
    number: Name
    version: Version
    cancelled: bool = False
    expected_at: Moment | None = None
    lines: Annotated[list[InboundGoods], Field(min_length=1, max_length=1000)]


class AnnouncedInbounds(Said):
    """Inbounds, at most MOST_AT_ONCE of them."""

    inbounds: Annotated[list[AnnouncedInbound], Field(max_length=MOST_AT_ONCE)]


class InboundState(Said):
    """An inbound that the provider has closed: received in full, or marked complete with less (2.1.12)."""

    inbound: Reference
    closed: bool
    received: dict[Name, Units]


# ---- what the provider has to tell -----------------------------------------------------------------------


class Change(Said):
    """Something the client has not said it knows yet: exactly one of the three. `revision` rises with every change."""

    key: int
    revision: int
    item: SharedItem | None = None
    order: OrderState | None = None
    inbound: InboundState | None = None


class Changes(Said):
    """What waits for the client, the oldest first; `more` is there once these have been seen."""

    changes: list[Change]
    more: bool


class Seen(Said):
    """The client has these in its books: (key, revision)."""

    seen: Annotated[list[tuple[int, int]], Field(max_length=10 * MOST_AT_ONCE)]


# ---- what happened to the client's goods -----------------------------------------------------------------


class Moved(Said):
    """One movement of the client's goods: entry number `entry` of its journal. `order` or `inbound` is what it was
    for, where that is the client's business."""

    entry: int
    sku: Sku
    quantity: SomeUnits
    source: Place
    destination: Place
    reason: Word
    order: Reference | None = None
    inbound: Reference | None = None


class Packed(Said):
    """Units of an order's line in a package."""

    line: Name
    quantity: SomeUnits


class Package(Said):
    """A package that left with these movements."""

    order: Reference
    reference: Name
    carrier: Word
    service: Word
    tracking: Word
    shipped_at: AwareDatetime
    lines: list[Packed]


class Booked(Said):
    """All that the provider booked for this client in one transaction: it is repeated here in one, too."""

    at: AwareDatetime
    movements: list[Moved]
    packages: list[Package]


class Mark(Said):
    """A place in the journal: the entry, and the digest that the provider's chain of movements has there. Where the
    digest does not fit, the provider's history is no longer the one that was read (it restored a backup)."""

    entry: int = Field(ge=0)
    digest: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{32})?$")] = ""


class Events(Said):
    """What was booked after a mark, in order; `until` is where to go on, `head` the newest entry there is."""

    booked: list[Booked]
    until: Mark
    head: int


class LevelOf(Said):
    """Units of one item at the provider, in all its warehouses together."""

    sku: Sku
    on_hand: Units
    picked: Units
    in_transit: Units


class Levels(Said):
    """Levels as they were right after a mark, by SKU; items without units are left out, `more` follow the last."""

    at: Mark
    levels: list[LevelOf]
    more: bool


def reference(side: Literal["c", "p"], number: str) -> str:
    """The name both sides give to what has this number on one of them."""
    return f"{side}:{number}"


def number_in(said: str) -> tuple[str, str]:
    """The side that entered it, `c` or `p`, and its number there."""
    side, _, number = said.partition(":")
    return side, number
