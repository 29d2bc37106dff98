"""Whose books, what is counted, and where it is."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from zenv.ledger.models.base import one_of, strict


class Company(SQLModel, table=True):
    """Whose books these are: one row (book). `next_key_fingerprint` is there while the master key is rotated (keys)."""

    __table_args__ = strict(CheckConstraint("id = 1", name="one_company"))
    id: int = Field(default=1, primary_key=True)
    ledger_id: str
    name: str
    country: str
    time_zone: str
    currency: str
    key_kind: str
    key_detail: str
    key_fingerprint: str
    next_key_fingerprint: str = ""
    created_at: datetime


class Item(SQLModel, table=True):
    """A thing we count (catalog). `client_id` is whose it is, where it is not our own (clients)."""

    __table_args__ = strict(
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
    client_id: int | None = Field(default=None, foreign_key="client.id", index=True)


class Warehouse(SQLModel, table=True):
    """Where units are: own, or kept by somebody else (stock).

    `shared`: all users can view it or request transfers from it (Z44, Z45); else only `keeper`, who added it, and
    administrators.
    """

    __table_args__ = strict(one_of("kind", "own", "fba", "zfs", "zfn", "house"))
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    kind: str = "own"
    rank: int = 100
    active: bool = True
    created_at: datetime
    shared: bool = True
    keeper: str = ""


class Place(SQLModel, table=True):
    """One end of a movement: a state inside a warehouse, or the world outside (stock).

    The four places outside have the fixed ids of `OUTSIDE`.
    """

    __table_args__ = strict(
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
    """The only way stock changes: append-only, two-ended (stock; a trigger forbids UPDATE and DELETE).

    `digest` covers the row and the digest before it, so that a changed or missing row is noticed (chain).
    """

    __table_args__ = strict(
        CheckConstraint("quantity > 0", name="moves_something"),
        CheckConstraint("source_id <> destination_id", name="two_ends"),
        one_of("reason", "opening", "received", "adjusted", "counted", "transferred", "arrived", "picked",
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
    digest: bytes


class Level(SQLModel, table=True):
    """The fold of the movements per item and warehouse, kept in the same transaction (stock)."""

    __table_args__ = strict(
        CheckConstraint("on_hand >= 0 AND picked >= 0 AND in_transit >= 0", name="never_below_zero")
    )
    item_id: int = Field(foreign_key="item.id", primary_key=True)
    warehouse_id: int = Field(foreign_key="warehouse.id", primary_key=True)
    on_hand: int = 0
    picked: int = 0
    in_transit: int = 0


class Transfer(SQLModel, table=True):
    """Units on their way between two own warehouses (stock)."""

    __table_args__ = strict(
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
