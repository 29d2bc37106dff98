"""What customers buy, what is set aside for them, and what has left."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from zenv.ledger.models.base import one_of, strict


class Order(SQLModel, table=True):
    """What a customer bought (orders). A manual order has no connection.

    `state` is ours; `channel_status` is the remote's own word. `hold` is the reason an order is on hold. `ship_from` is
    the warehouse the whole order must leave from; empty: line by line from wherever it is.
    """

    __tablename__ = "customer_order"
    __table_args__ = strict(
        UniqueConstraint("connection_id", "remote_id", name="one_order_per_remote_id"),
        one_of("state", "pending", "ready", "part_shipped", "shipped", "completed", "cancelled"),
        one_of("fulfilled_by", "merchant", "channel", "both"),
        one_of("cancelling", "", "requested", "accepted", "refused"),
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
    ship_from: int | None = Field(default=None, foreign_key="warehouse.id")
    entered_by: str = ""


class OrderLine(SQLModel, table=True):
    """One line of an order (orders). Open = quantity - cancelled - shipped, never below 0."""

    __tablename__ = "order_line"
    __table_args__ = strict(
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
    __table_args__ = strict(UniqueConstraint("order_id", "text", name="said_once"))
    id: int | None = Field(default=None, primary_key=True)
    order_id: int = Field(foreign_key="customer_order.id")
    at: datetime
    text: str


class Reservation(SQLModel, table=True):
    """The open units of a line have their warehouse; `picked` of them have left the shelf (orders)."""

    __table_args__ = strict(
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

    `elsewhere` packages were shipped without zenv and are never told to the remote. `last_movement` is the last of the
    movements that were booked with it, where it left a shelf of ours.
    """

    __table_args__ = strict(UniqueConstraint("order_id", "reference", name="one_package_per_reference"))
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
    last_movement: int | None = None


class ShipmentLine(SQLModel, table=True):
    """What is in a package (orders)."""

    __tablename__ = "shipment_line"
    __table_args__ = strict(CheckConstraint("quantity > 0", name="ships_something"))
    shipment_id: int = Field(foreign_key="shipment.id", primary_key=True)
    line_id: int = Field(foreign_key="order_line.id", primary_key=True)
    quantity: int


class Personal(SQLModel, table=True):
    """The recipient of an order, sealed under the order's own key (recipients; design 5.7)."""

    __table_args__ = strict()
    order_id: int = Field(foreign_key="customer_order.id", primary_key=True)
    key_id: str
    sealed: bytes
    fetched_at: datetime
