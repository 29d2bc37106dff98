"""Our accounts at remotes: their settings, what they sell, what they are owed, and what needs a person."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from zenv.ledger.models.base import one_of, strict

NETWORK = ("zfn", "zfn_client")
"""The kinds of connection that are links between two ledgers: to a provider, to a client. Neither is a channel: they
are never owed a stock level, a shipment or a cancellation."""


class Connection(SQLModel, table=True):
    """Our account at a remote, with its settings (connections)."""

    __table_args__ = strict(
        UniqueConstraint("kind", "external_id", "region", name="one_connection_per_account"),
        one_of("status", "saved", "active", "inactive", "needs_login", "removed"),
        CheckConstraint("buffer >= 0", name="buffer_not_negative"),
        CheckConstraint("handling_days BETWEEN 0 AND 30", name="handling_days_0_to_30"),
    )
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    kind: str
    external_id: str
    region: str
    status: str = "saved"
    marketplaces: str = ""
    home_marketplace: str = ""
    endpoint: str = ""
    sandbox: bool = False
    handling_days: int = 2
    buffer: int = 0
    with_fulfilled: bool = False
    high_frequency: bool = False
    adopt_new: bool = False
    consent_at: datetime
    consent_scope: str
    secret_set_at: datetime
    created_at: datetime
    opened_at: datetime | None = None


class StockSource(SQLModel, table=True):
    """The own warehouses whose sum a connection is told, and from which its orders are filled (connections)."""

    __tablename__ = "stock_source"
    __table_args__ = strict()
    connection_id: int = Field(foreign_key="connection.id", primary_key=True)
    warehouse_id: int = Field(foreign_key="warehouse.id", primary_key=True)


class Secret(SQLModel, table=True):
    """A credential of a connection, sealed under the master key (connections)."""

    __table_args__ = strict()
    connection_id: int = Field(foreign_key="connection.id", primary_key=True)
    field: str = Field(primary_key=True)
    sealed: bytes


class Cursor(SQLModel, table=True):
    """How far a stream of a connection has been read (connections)."""

    __table_args__ = strict()
    connection_id: int = Field(foreign_key="connection.id", primary_key=True)
    stream: str = Field(primary_key=True)
    position: str
    moved_at: datetime


class RateBucket(SQLModel, table=True):
    """A token bucket shared by all processes (buckets). `at` and `closed_until` are seconds since 1970."""

    __tablename__ = "rate_bucket"
    __table_args__ = strict()
    key: str = Field(primary_key=True)
    tokens: float
    rate: float
    at: float
    closed_until: float = 0.0


class Listing(SQLModel, table=True):
    """An item as sold on one connection; unlinked while `item_id` is empty (catalog).

    `channel_quantity` is what the remote last showed, `submitted` what it was last told, `applied_at` when the
    remote was seen to show what it was told.
    """

    __table_args__ = strict(
        UniqueConstraint("connection_id", "sku", name="one_listing_per_sku"),
        one_of("fulfilled_by", "merchant", "channel", "both"),
        one_of("status", "active", "inactive", "deleted"),
        CheckConstraint("submitted >= 0", name="submitted_not_negative"),
    )
    id: int | None = Field(default=None, primary_key=True)
    connection_id: int = Field(foreign_key="connection.id")
    item_id: int | None = Field(default=None, foreign_key="item.id", index=True)
    sku: str
    name: str = ""
    asin: str = ""
    gtin: str = ""
    product_type: str = ""
    fulfilled_by: str = "merchant"
    status: str = "active"
    parent_sku: str = ""
    is_parent: bool = False
    attributes: str = "{}"
    price: int | None = None
    currency: str = ""
    needs_detail: bool = False
    channel_quantity: int | None = None
    observed_at: datetime | None = None
    submitted: int | None = None
    submitted_handling: int | None = None
    submitted_at: datetime | None = None
    applied_at: datetime | None = None
    opened_at: datetime | None = None
    first_seen_at: datetime
    digest: bytes = b""


class Message(SQLModel, table=True):
    """What we owe a remote, by subject and without content (outbox).

    `subject` is the id of a listing (stock_level), shipment (shipment), order (cancellation, order), item (item),
    inbound (inbound) or connection (link). `lease_until` belongs to the process that is sending. What a provider owes
    a client waits until the client asks for it, and is gone when the client says that it has it.
    """

    __table_args__ = strict(
        UniqueConstraint("connection_id", "kind", "subject", name="one_message_per_subject"),
        one_of("kind", "stock_level", "shipment", "cancellation", "link", "item", "inbound", "order"),
        one_of("state", "pending", "sending", "sent", "unknown", "parked"),
        Index("message_by_state", "connection_id", "kind", "state"),
    )
    id: int | None = Field(default=None, primary_key=True)
    connection_id: int = Field(foreign_key="connection.id")
    kind: str
    subject: int
    revision: int = 1
    state: str = "pending"
    sent_revision: int = 0
    attempts: int = 0
    not_before: datetime | None = None
    lease_until: datetime | None = None
    remote_ref: str = ""
    reason: str = ""
    queued_at: datetime


class Notice(SQLModel, table=True):
    """Something a person must look at that no table shows by itself (notices)."""

    __table_args__ = strict(UniqueConstraint("kind", "subject", name="noticed_once"))
    id: int | None = Field(default=None, primary_key=True)
    kind: str
    subject: str
    text: str
    command: str
    noticed_at: datetime
    settled_at: datetime | None = None
