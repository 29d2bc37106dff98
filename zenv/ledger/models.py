"""The tables. Each is written by exactly one subject module, named beside it.

Money is an integer of minor units, quantities are integers of base units, times are UTC. A table model does not
validate what it is given (SQLModel leaves that to other models), so the CHECK constraints here are the last
word. Everything is STRICT on SQLite: text never ends up in an integer column.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.types import Boolean, DateTime, Float, LargeBinary, String
from sqlmodel import Field, SQLModel


@compiles(String, "sqlite")
def _text(*_: Any, **__: Any) -> str:
    return "TEXT"


@compiles(DateTime, "sqlite")
def _time_as_text(*_: Any, **__: Any) -> str:
    return "TEXT"


@compiles(Boolean, "sqlite")
def _boolean_as_integer(*_: Any, **__: Any) -> str:
    return "INTEGER"


@compiles(Float, "sqlite")
def _real(*_: Any, **__: Any) -> str:
    return "REAL"


@compiles(LargeBinary, "sqlite")
def _blob(*_: Any, **__: Any) -> str:
    return "BLOB"


def _table(*constraints: Any) -> tuple[Any, ...]:
    return (*constraints, {"sqlite_strict": True})


def _one_of(column: str, *values: str) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=f"known_{column}")


class Company(SQLModel, table=True):
    """Whose books these are: one row (book)."""

    __table_args__ = _table(CheckConstraint("id = 1", name="one_company"))
    id: int = Field(default=1, primary_key=True)
    ledger_id: str
    name: str
    country: str
    time_zone: str
    currency: str
    key_kind: str
    key_detail: str
    key_fingerprint: str
    created_at: datetime


class Item(SQLModel, table=True):
    """A thing we count (catalog)."""

    __table_args__ = _table(
        CheckConstraint("unit_cost >= 0", name="cost_not_negative"),
        CheckConstraint("weight_grams >= 0", name="weight_not_negative"),
        CheckConstraint("sku <> ''", name="sku_not_empty"),
    )
    id: int | None = Field(default=None, primary_key=True)
    sku: str = Field(unique=True)
    gtin: str | None = Field(default=None, index=True)
    name: str = ""
    parent_id: int | None = Field(default=None, foreign_key="item.id", index=True)
    attributes: str = "{}"
    unit_cost: int | None = None
    weight_grams: int | None = None
    active: bool = True
    created_at: datetime


class Warehouse(SQLModel, table=True):
    """Where units are: own, or kept by somebody else (stock)."""

    __table_args__ = _table(_one_of("kind", "own", "fba", "zfs", "zfn", "house"))
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    kind: str = "own"
    rank: int = 100
    active: bool = True
    created_at: datetime


class Place(SQLModel, table=True):
    """One end of a movement: a state inside a warehouse, or the world outside (stock).

    The four places outside have the fixed ids of `OUTSIDE`.
    """

    __table_args__ = _table(
        UniqueConstraint("warehouse_id", "state", name="one_place_per_state"),
        CheckConstraint(
            "(warehouse_id IS NULL AND state IN ('supplier', 'customer', 'adjustment', 'opening'))"
            " OR (warehouse_id IS NOT NULL AND state IN ('on_hand', 'picked', 'in_transit'))",
            name="known_state",
        ),
    )
    id: int | None = Field(default=None, primary_key=True)
    warehouse_id: int | None = Field(default=None, foreign_key="warehouse.id")
    state: str


OUTSIDE = {"supplier": 1, "customer": 2, "adjustment": 3, "opening": 4}


class Movement(SQLModel, table=True):
    """The only way stock changes: append-only, two-ended (stock; a trigger forbids UPDATE and DELETE)."""

    __table_args__ = _table(
        CheckConstraint("quantity > 0", name="moves_something"),
        CheckConstraint("source_id <> destination_id", name="two_ends"),
        _one_of("reason", "opening", "received", "adjusted", "counted", "transferred", "arrived", "picked",
                "unpicked", "shipped", "returned"),
        Index("movement_of_item", "item_id", "at"),
        Index("movement_by_reference", "reference"),
    )  # fmt: skip
    id: int | None = Field(default=None, primary_key=True)
    at: datetime
    item_id: int = Field(foreign_key="item.id")
    source_id: int = Field(foreign_key="place.id")
    destination_id: int = Field(foreign_key="place.id")
    quantity: int
    reason: str
    reference: str = ""
    actor: str = ""
    note: str = ""


class Level(SQLModel, table=True):
    """The fold of the movements per item and warehouse, kept in the same transaction (stock)."""

    __table_args__ = _table(
        CheckConstraint("on_hand >= 0 AND picked >= 0 AND in_transit >= 0", name="never_below_zero")
    )
    item_id: int = Field(foreign_key="item.id", primary_key=True)
    warehouse_id: int = Field(foreign_key="warehouse.id", primary_key=True)
    on_hand: int = 0
    picked: int = 0
    in_transit: int = 0


class Transfer(SQLModel, table=True):
    """Units on their way between two own warehouses (stock)."""

    __table_args__ = _table(
        CheckConstraint("quantity > 0", name="transfers_something"),
        CheckConstraint("arrived >= 0 AND arrived <= quantity", name="arrives_at_most_all"),
    )
    id: int | None = Field(default=None, primary_key=True)
    item_id: int = Field(foreign_key="item.id")
    source_id: int = Field(foreign_key="warehouse.id")
    destination_id: int = Field(foreign_key="warehouse.id")
    quantity: int
    arrived: int = 0
    sent_at: datetime


class Connection(SQLModel, table=True):
    """Our account at a remote, with its settings (connections)."""

    __table_args__ = _table(
        UniqueConstraint("kind", "external_id", "region", name="one_connection_per_account"),
        _one_of("status", "saved", "active", "inactive", "needs_login", "removed"),
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
    __table_args__ = _table()
    connection_id: int = Field(foreign_key="connection.id", primary_key=True)
    warehouse_id: int = Field(foreign_key="warehouse.id", primary_key=True)


class Secret(SQLModel, table=True):
    """A credential of a connection, sealed under the master key (connections)."""

    __table_args__ = _table()
    connection_id: int = Field(foreign_key="connection.id", primary_key=True)
    field: str = Field(primary_key=True)
    sealed: bytes


class Cursor(SQLModel, table=True):
    """How far a stream of a connection has been read (connections)."""

    __table_args__ = _table()
    connection_id: int = Field(foreign_key="connection.id", primary_key=True)
    stream: str = Field(primary_key=True)
    position: str
    moved_at: datetime


class RateBucket(SQLModel, table=True):
    """A token bucket shared by all processes (buckets). `at` and `closed_until` are seconds since 1970."""

    __tablename__ = "rate_bucket"
    __table_args__ = _table()
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

    __table_args__ = _table(
        UniqueConstraint("connection_id", "sku", name="one_listing_per_sku"),
        _one_of("fulfilled_by", "merchant", "channel", "both"),
        _one_of("status", "active", "inactive", "deleted"),
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


class Order(SQLModel, table=True):
    """What a customer bought (orders). A manual order has no connection.

    `state` is ours; `channel_status` is the remote's own word. `hold` is the reason an order is on hold.
    """

    __tablename__ = "customer_order"
    __table_args__ = _table(
        UniqueConstraint("connection_id", "remote_id", name="one_order_per_remote_id"),
        _one_of("state", "pending", "ready", "part_shipped", "shipped", "completed", "cancelled"),
        _one_of("fulfilled_by", "merchant", "channel", "both"),
        _one_of("cancelling", "", "requested", "accepted", "refused"),
        Index("order_by_state", "state", "placed_at"),
    )
    id: int | None = Field(default=None, primary_key=True)
    number: str = Field(unique=True)
    connection_id: int | None = Field(default=None, foreign_key="connection.id")
    remote_id: str | None = None
    state: str
    channel_status: str = ""
    hold: str = ""
    cancelling: str = ""
    cancel_reason: str = ""
    buyer_wants_cancel: str = ""
    fulfilled_by: str = "merchant"
    marketplace: str = ""
    service_level: str = ""
    placed_at: datetime
    updated_at: datetime
    recorded_at: datetime
    ship_by: datetime | None = None
    shipped_at: datetime | None = None
    completed_at: datetime | None = None
    cancelled_at: datetime | None = None
    total: int | None = None
    currency: str = ""
    city: str = ""
    region: str = ""
    postcode: str = ""
    country: str = ""
    replaces: str = ""
    digest: bytes = b""


class OrderLine(SQLModel, table=True):
    """One line of an order (orders). Open = quantity - cancelled - shipped, never below 0."""

    __tablename__ = "order_line"
    __table_args__ = _table(
        UniqueConstraint("order_id", "remote_id", name="one_line_per_remote_id"),
        CheckConstraint("quantity >= 0 AND cancelled >= 0 AND shipped >= 0", name="counts_not_negative"),
        CheckConstraint("cancelled + shipped <= quantity", name="not_more_than_ordered"),
        Index("open_line_of_item", "item_id", sqlite_where=text("cancelled + shipped < quantity")),
    )
    id: int | None = Field(default=None, primary_key=True)
    order_id: int = Field(foreign_key="customer_order.id", index=True)
    remote_id: str
    listing_id: int | None = Field(default=None, foreign_key="listing.id", index=True)
    item_id: int | None = Field(default=None, foreign_key="item.id")
    sku: str
    name: str = ""
    quantity: int
    cancelled: int = 0
    shipped: int = 0
    price: int | None = None
    tax: int | None = None


class OrderComment(SQLModel, table=True):
    """A remark under an order, e.g. `Paid` (orders; H79)."""

    __tablename__ = "order_comment"
    __table_args__ = _table(UniqueConstraint("order_id", "text", name="said_once"))
    id: int | None = Field(default=None, primary_key=True)
    order_id: int = Field(foreign_key="customer_order.id")
    at: datetime
    text: str


class Reservation(SQLModel, table=True):
    """The open units of a line have their warehouse; `picked` of them have left the shelf (orders)."""

    __table_args__ = _table(
        CheckConstraint("quantity > 0", name="reserves_something"),
        CheckConstraint("picked >= 0 AND picked <= quantity", name="picks_at_most_all"),
        Index("reservation_by_shelf", "item_id", "warehouse_id"),
    )
    line_id: int = Field(foreign_key="order_line.id", primary_key=True)
    item_id: int = Field(foreign_key="item.id")
    warehouse_id: int = Field(foreign_key="warehouse.id")
    quantity: int
    picked: int = 0


class Shipment(SQLModel, table=True):
    """A package that left; `reference` numbers it inside its order, as the remote is told (orders).

    `elsewhere` packages were shipped without zenv and are never told to the remote.
    """

    __table_args__ = _table(UniqueConstraint("order_id", "reference", name="one_package_per_reference"))
    id: int | None = Field(default=None, primary_key=True)
    order_id: int = Field(foreign_key="customer_order.id")
    reference: str
    warehouse_id: int | None = Field(default=None, foreign_key="warehouse.id")
    carrier: str = ""
    service: str = ""
    tracking: str = ""
    shipped_at: datetime
    elsewhere: bool = False
    confirmed_at: datetime | None = None


class ShipmentLine(SQLModel, table=True):
    """What is in a package (orders)."""

    __tablename__ = "shipment_line"
    __table_args__ = _table(CheckConstraint("quantity > 0", name="ships_something"))
    shipment_id: int = Field(foreign_key="shipment.id", primary_key=True)
    line_id: int = Field(foreign_key="order_line.id", primary_key=True)
    quantity: int


class Personal(SQLModel, table=True):
    """The recipient of an order, sealed under the order's own key (recipients; design 5.7)."""

    __table_args__ = _table()
    order_id: int = Field(foreign_key="customer_order.id", primary_key=True)
    key_id: str
    sealed: bytes
    fetched_at: datetime


class Message(SQLModel, table=True):
    """What we owe a remote, by subject and without content (outbox).

    `subject` is the id of a listing (stock_level), shipment (shipment) or order (cancellation). `lease_until`
    belongs to the process that is sending.
    """

    __table_args__ = _table(
        UniqueConstraint("connection_id", "kind", "subject", name="one_message_per_subject"),
        _one_of("kind", "stock_level", "shipment", "cancellation"),
        _one_of("state", "pending", "sending", "sent", "unknown", "parked"),
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


class Run(SQLModel, table=True):
    """One attempt at one task of one connection, also when it found nothing (runs)."""

    __table_args__ = _table(_one_of("outcome", "running", "ok", "partial", "failed", "abandoned"))
    id: int | None = Field(default=None, primary_key=True)
    connection_id: int = Field(foreign_key="connection.id", index=True)
    task: str
    started_at: datetime
    ended_at: datetime | None = None
    lease_until: datetime | None = None
    outcome: str = "running"
    items: int = 0
    orders: int = 0
    sent: int = 0
    failed: int = 0
    note: str = ""


class RunFailure(SQLModel, table=True):
    """A record a run set aside, with the reason; the others went on (runs; C2)."""

    __tablename__ = "run_failure"
    __table_args__ = _table()
    id: int | None = Field(default=None, primary_key=True)
    run_id: int = Field(foreign_key="run.id", index=True)
    kind: str
    remote_id: str
    reason: str
    settled_at: datetime | None = None


class Notice(SQLModel, table=True):
    """Something a person must look at that no table shows by itself (notices)."""

    __table_args__ = _table(UniqueConstraint("kind", "subject", name="noticed_once"))
    id: int | None = Field(default=None, primary_key=True)
    kind: str
    subject: str
    text: str
    command: str
    noticed_at: datetime
    settled_at: datetime | None = None
