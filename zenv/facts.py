"""What a remote says (facts, coming in) and what we owe it (messages, going out).

Facts are frozen snapshots, never differences: recording one twice is recording it once, and an older one than
the ledger holds is ignored. Messages carry what the ledger says at the moment of sending. Money is an integer
of minor units beside an ISO 4217 code; quantities are integers of base units; times are aware and in UTC.
Facts that carry a person have no printable repr.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # pydantic costs more than most commands do
    from zenv import wire

FulfilledBy = Literal["merchant", "channel", "both"]
ChannelState = Literal["pending", "ready", "part_shipped", "shipped", "cancelled", "unfulfillable"]


@dataclass(frozen=True)
class Money:
    """An amount in minor units (cents) of an ISO 4217 currency."""

    minor: int
    currency: str


@dataclass(frozen=True)
class Marketplace:
    """One national shop of a remote, as the account takes part in it."""

    id: str
    country: str
    currency: str
    name: str
    participating: bool


@dataclass(frozen=True)
class Account:
    """Who we are at the remote: the answer to `check`."""

    external_id: str
    plan: str
    region: str
    marketplaces: tuple[Marketplace, ...]
    roles: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class ListingFact:
    """An item as sold on one connection. `quantity` is what is live there; None where the remote does not say.

    `fulfilled_by` "both" is an item with a merchant and a channel leg under one SKU: never pushed.
    `needs_detail` marks a row that came from a report and still lacks its variation and GTIN.
    """

    sku: str
    name: str = ""
    asin: str = ""
    gtin: str = ""
    product_type: str = ""
    fulfilled_by: FulfilledBy = "merchant"
    status: Literal["active", "inactive", "deleted"] = "active"
    quantity: int | None = None
    parent_sku: str = ""
    is_parent: bool = False
    variation_theme: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    price: Money | None = None
    observed_at: datetime | None = None
    needs_detail: bool = False


@dataclass(frozen=True)
class OrderLineFact:
    """One line: `quantity` ordered, of which `cancelled` and `shipped` as the remote counts them."""

    remote_id: str
    sku: str
    quantity: int
    name: str = ""
    shipped: int = 0
    cancelled: int = 0
    price: Money | None = None
    tax: Money | None = None
    buyer_wants_cancel: str = ""


@dataclass(frozen=True)
class PackageFact:
    """A package the remote knows of; `lines` is (remote line id, quantity)."""

    reference: str
    carrier: str
    tracking: str
    shipped_at: datetime | None
    status: str
    lines: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class OrderFact:
    """A whole order. City, region, postcode and country are kept for reports and tax; the person is a
    `RecipientFact`, fetched apart and only when the order is ready to ship."""

    remote_id: str
    placed_at: datetime
    updated_at: datetime
    state: ChannelState
    channel_status: str
    fulfilled_by: FulfilledBy
    marketplace: str
    lines: tuple[OrderLineFact, ...]
    seller_reference: str = ""
    ship_by: datetime | None = None
    deliver_by: datetime | None = None
    service_level: str = ""
    total: Money | None = None
    payment: str = ""
    cancelled_by: str = ""
    programs: tuple[str, ...] = ()
    packages: tuple[PackageFact, ...] = ()
    replaces: str = ""


@dataclass(frozen=True, repr=False)
class RecipientFact:
    """The person and place an order goes to. Never printed, logged or kept unsealed."""

    order: str
    name: str = ""
    company: str = ""
    line1: str = ""
    line2: str = ""
    line3: str = ""
    phone: str = ""
    email: str = ""
    gift_message: str = ""
    city: str = ""
    region: str = ""
    postcode: str = ""
    country: str = ""

    def __repr__(self) -> str:
        return f"RecipientFact(order={self.order!r}, ***)"

    def personal(self) -> dict[str, str]:
        """The fields that are sealed (requirements A31-A34, gift message)."""
        return {name: getattr(self, name) for name in PERSONAL_FIELDS}


PERSONAL_FIELDS = ("name", "company", "line1", "line2", "line3", "phone", "email", "gift_message")


@dataclass(frozen=True)
class BadRecord:
    """A record the connector could not translate: kept aside with its reason, never stopping the others."""

    kind: str
    remote_id: str
    reason: str


@dataclass(frozen=True)
class LinkFact:
    """How our link to a provider stands there."""

    state: wire.LinkState


@dataclass(frozen=True)
class BookedFact:
    """A transaction of a provider's: what it moved of our goods, and the packages that left."""

    booked: wire.Booked


@dataclass(frozen=True)
class LevelsFact:
    """What a provider has of our goods right after a mark: of these SKUs, or (None) of everything."""

    levels: tuple[wire.LevelOf, ...]
    skus: tuple[str, ...] | None


@dataclass(frozen=True)
class HandedFact:
    """An order of ours as the provider has it: it will not ship some units of it, or any."""

    state: wire.OrderState


@dataclass(frozen=True)
class InboundFact:
    """An inbound of ours that the provider has closed."""

    state: wire.InboundState


Fact = (
    ListingFact | OrderFact | RecipientFact | BadRecord | LinkFact | BookedFact | LevelsFact | HandedFact | InboundFact
)


@dataclass(frozen=True)
class Page:
    """Facts that are recorded in one transaction, with the cursor that becomes true with them.

    `cursor` None leaves the cursor where it is (an unsorted stream that has not ended). `progress` and `total`
    count records for the progress bar. `why_empty` says why a page brought nothing.
    """

    facts: Sequence[Fact]
    cursor: str | None = None
    progress: int = 0
    total: int | None = None
    why_empty: str = ""


@dataclass(frozen=True)
class StockLevel:
    """Offer `quantity` units of `sku`, shipped within `handling_days`. `live` is what the remote last showed."""

    key: int
    sku: str
    product_type: str
    quantity: int
    handling_days: int
    live: int | None
    fulfilled_by: FulfilledBy


@dataclass(frozen=True)
class ShipmentNotice:
    """A package left: `reference` is our number for it inside the order; `lines` is (remote line id, quantity)."""

    key: int
    order: str
    marketplace: str
    reference: str
    carrier: str
    service: str
    tracking: str
    shipped_at: datetime
    placed_at: datetime
    lines: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Cancellation:
    """Cancel the whole order at the remote. `reason` is one of zenv's words (see CANCEL_REASONS)."""

    key: int
    order: str
    lines: tuple[str, ...]
    reason: str


CANCEL_REASONS = ("no_stock", "buyer_request", "address_undeliverable", "exchange", "wrong_price")


@dataclass(frozen=True)
class ItemShare:
    """Share an item with the provider that keeps our goods."""

    key: int
    item: wire.SharedItem


@dataclass(frozen=True)
class Handover:
    """Have a provider ship an order, or tell it what has changed of one. It carries a person."""

    key: int
    order: wire.HandedOrder = field(repr=False)


@dataclass(frozen=True)
class Announcement:
    """Announce goods that are to arrive at a provider."""

    key: int
    inbound: wire.AnnouncedInbound


@dataclass(frozen=True)
class RequestLink:
    """Ask a provider to take us as a client. The secret of the request is the connector's."""

    key: int
    company_id: str
    company_name: str
    user: str
    warehouse: str


@dataclass(frozen=True)
class Farewell:
    """Take leave of a provider: the next step of it."""

    key: int
    stage: Literal["disconnected", "deactivated"]


Message = StockLevel | ShipmentNotice | Cancellation | ItemShare | Handover | Announcement | RequestLink | Farewell


@dataclass(frozen=True)
class Receipt:
    """What became of the message with `key`.

    done        the effect is certain
    submitted   accepted, the answer comes later under `remote_ref`
    refused     will never be accepted as it is; `reason` for the person
    retry       not accepted now, no effect; try again (after `wait` seconds)
    unknown     the effect may have happened; look it up before anything else
    """

    key: int
    outcome: Literal["done", "submitted", "refused", "retry", "unknown"]
    remote_ref: str = ""
    reason: str = ""
    wait: float = 0.0
