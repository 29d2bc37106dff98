"""Who bought, what is sealed of them, and who has looked: pseudonyms, sealed papers, the owner's own terms, the audit
trail."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint
from sqlmodel import Field, SQLModel

from zenv.ledger.models.base import one_of, strict


class Customer(SQLModel, table=True):
    """Somebody who bought, under a pseudonym (customers). What recognises them lies in keys.db and dies there."""

    __table_args__ = strict()
    id: int | None = Field(default=None, primary_key=True)
    pseudonym: str = Field(unique=True)
    first_seen_at: datetime
    redacted_at: datetime | None = None


class OrderCustomer(SQLModel, table=True):
    """Whose order it is (customers)."""

    __tablename__ = "order_customer"
    __table_args__ = strict()
    order_id: int = Field(foreign_key="customer_order.id", primary_key=True)
    customer_id: int = Field(foreign_key="customer.id", index=True)


class Paper(SQLModel, table=True):
    """A packing slip or a label, sealed under its order's key in a file of its own (papers).

    `file` is its name in the folder of labels; empty once it was destroyed. `type` was found by content.
    """

    __table_args__ = strict(
        one_of("kind", "packing_slip", "address_label", "carrier_label"),
        one_of("type", "pdf", "png", "zpl", "gif", "jpeg"),
        CheckConstraint("bytes > 0", name="holds_something"),
    )
    id: int | None = Field(default=None, primary_key=True)
    order_id: int = Field(foreign_key="customer_order.id", index=True)
    shipment_id: int | None = Field(default=None, foreign_key="shipment.id")
    kind: str
    type: str
    bytes: int
    file: str
    made_at: datetime
    made_by: str
    destroyed_at: datetime | None = None


class PrivacyTerm(SQLModel, table=True):
    """The owner's own, shorter or otherwise free term for one entry of the policy, in days (policy)."""

    __tablename__ = "privacy_term"
    __table_args__ = strict(CheckConstraint("days >= 0", name="days_not_negative"))
    entry: str = Field(primary_key=True)
    days: int
    set_at: datetime


class Audit(SQLModel, table=True):
    """Who did what to what that must be answered for, and how it ended: append-only, a chain of digests, without
    personal data (audit)."""

    __table_args__ = strict(one_of("result", "done", "refused", "failed"))
    id: int | None = Field(default=None, primary_key=True)
    at: datetime
    actor: str
    action: str = Field(index=True)
    subject: str = ""
    result: str = "done"
    detail: str = ""
    digest: bytes
