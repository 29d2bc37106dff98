"""The fulfilment network (ZFN): who may use these books, our own standing as a provider, our clients, and our link to a
provider of our own. What a provider keeps and what a client keeps stand apart; a ledger may be both."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from zenv.ledger.models.base import one_of, strict


class User(SQLModel, table=True):
    """One of our own people, by the name given with `--as` (users)."""

    __tablename__ = "zenv_user"
    __table_args__ = strict()
    name: str = Field(primary_key=True)
    administrator: bool = False
    active: bool = True
    added_at: datetime


class Standing(SQLModel, table=True):
    """Our own standing in the network: one row, once it differs from its defaults (standing).

    `address` is HOST:PORT as clients reach it; `certificates` says who vouches for it: our `own` certificate, pinned
    by the code, or `public` authorities (behind a proxy). `sealed` holds the pepper of tokens and the key of our
    certificate under the sub-key `pepper`.
    """

    __table_args__ = strict(
        CheckConstraint("id = 1", name="one_standing"),
        one_of("plan", "standard", "enterprise"),
        one_of("provider", "", "requested", "granted"),
        one_of("certificates", "own", "public"),
    )
    id: int = Field(default=1, primary_key=True)
    plan: str = "standard"
    provider: str = ""
    support_contact: str = ""
    address: str = ""
    certificates: str = "own"
    may_edit_picked: bool = False
    certificate: str = ""
    sealed: bytes = b""


# ---- kept by a provider ----------------------------------------------------------------------------------


class Client(SQLModel, table=True):
    """A company whose goods we keep and ship (clients). Its orders and items hang on its connection.

    `company_id` is the id of the client's own ledger. `state`: linked, disconnected (by the client), deactivated (its
    warehouse is closed, too), deleted.
    """

    __table_args__ = strict(one_of("state", "linked", "disconnected", "deactivated", "deleted"))
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    connection_id: int = Field(foreign_key="connection.id", unique=True)
    company_id: str = Field(index=True)
    import_user: str
    state: str = "linked"
    fingerprint: str
    created_at: datetime
    linked_at: datetime
    parted_at: datetime | None = None


class LinkRequest(SQLModel, table=True):
    """A company asks to become our client (clients). New until somebody has seen it (`reviewed_at`; Z21)."""

    __tablename__ = "link_request"
    __table_args__ = strict(
        one_of("state", "pending", "accepted", "denied"),
        Index("one_pending_request", "company_id", unique=True, sqlite_where=text("state = 'pending'")),
    )
    id: int | None = Field(default=None, primary_key=True)
    company_id: str
    company_name: str
    user_name: str
    warehouse: str
    fingerprint: str
    token_id: str = Field(foreign_key="link_token.id", unique=True)
    state: str = "pending"
    asked_at: datetime
    reviewed_at: datetime | None = None
    decided_at: datetime | None = None
    decided_by: str = ""
    client_id: int | None = Field(default=None, foreign_key="client.id")


class LinkToken(SQLModel, table=True):
    """What a client shows to be let in: its public half and a keyed hash of the whole (tokens).

    `scopes` are words with a space between. The token of a request (scope `request`) is good for one exchange:
    `used_for` then names the token that took its place.
    """

    __tablename__ = "link_token"
    __table_args__ = strict()
    id: str = Field(primary_key=True)
    client_id: int | None = Field(default=None, foreign_key="client.id", index=True)
    hash: bytes
    scopes: str
    issued_at: datetime
    expires_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None
    used_for: str = ""


class ClientJournal(SQLModel, table=True):
    """The movements of a client's goods, numbered 1, 2, 3 ... for this client alone (feed)."""

    __tablename__ = "client_journal"
    __table_args__ = strict()
    client_id: int = Field(foreign_key="client.id", primary_key=True)
    entry: int = Field(primary_key=True)
    movement_id: int = Field(foreign_key="movement.id", unique=True)


# ---- kept by a client ------------------------------------------------------------------------------------


class Link(SQLModel, table=True):
    """Our link to a provider, by our connection to it, with the warehouse that it keeps for us (links). `restores` is
    how often the provider had gone back to a backup when we last asked."""

    __table_args__ = strict(
        one_of("state", "requested", "denied", "linked", "disconnected", "deactivated", "parted"),
        Index("one_link_per_warehouse", "warehouse_id", unique=True,
              sqlite_where=text("state IN ('requested', 'linked', 'disconnected')")),
    )  # fmt: skip
    connection_id: int = Field(foreign_key="connection.id", primary_key=True)
    warehouse_id: int = Field(foreign_key="warehouse.id")
    state: str = "requested"
    provider: str
    user_name: str
    fingerprint: str
    client_number: int | None = None
    asked_at: datetime
    decided_at: datetime | None = None
    token_expires_at: datetime | None = None
    restores: int = 0


class Mirrored(SQLModel, table=True):
    """Which entry of the provider's journal a movement in our warehouse there repeats (replay)."""

    __table_args__ = strict(Index("mirrored_entry", "connection_id", "entry"))
    movement_id: int = Field(foreign_key="movement.id", primary_key=True)
    connection_id: int = Field(foreign_key="connection.id")
    entry: int


# ---- kept by both ----------------------------------------------------------------------------------------


class Fulfilment(SQLModel, table=True):
    """An order that one company hands to another to ship (handing at the client, taking at the provider).

    `version` counts what the client has said of it: an older version than the one known is never heeded. At the
    client, `told` is the version the provider has answered, `wish` a change (JSON) that holds once the provider
    agrees, and `state`: wanted, handed, returned (the provider will not ship it), recalled (nor any other; should it be
    handed over again, the versions go on from here). At the provider the state is taken.
    """

    __table_args__ = strict(
        one_of("state", "wanted", "handed", "returned", "recalled", "taken"),
        CheckConstraint("told <= version", name="told_what_was_said"),
    )
    order_id: int = Field(foreign_key="customer_order.id", primary_key=True)
    connection_id: int = Field(foreign_key="connection.id", index=True)
    state: str
    version: int = 1
    told: int = 0
    wish: str = ""
    remote_number: str = ""
    digest: bytes = b""


class Inbound(SQLModel, table=True):
    """Goods on their way to a warehouse: a purchase order to a supplier, or a transfer from another warehouse
    (inbounds). At a provider it is what a client has announced (`connection_id` is that client's).

    `version` and `told` are those of `Fulfilment`. A transfer goes requested -> open -> shipped -> closed, a purchase
    order open -> closed; either may be cancelled before anything was received.
    """

    __table_args__ = strict(
        UniqueConstraint("connection_id", "remote_id", name="one_inbound_per_remote_id"),
        one_of("kind", "purchase", "transfer"),
        one_of("state", "requested", "open", "shipped", "closed", "cancelled"),
        CheckConstraint("told <= version", name="told_what_was_said"),
    )
    id: int | None = Field(default=None, primary_key=True)
    number: str = Field(unique=True)
    kind: str
    connection_id: int | None = Field(default=None, foreign_key="connection.id")
    remote_id: str | None = None
    source_id: int | None = Field(default=None, foreign_key="warehouse.id")
    destination_id: int = Field(foreign_key="warehouse.id")
    supplier: str = ""
    state: str = "open"
    made_by: str
    made_at: datetime
    expected_at: datetime | None = None
    closed_at: datetime | None = None
    version: int = 1
    told: int = 0


class InboundLine(SQLModel, table=True):
    """Units of one item on their way (inbounds). Of a transfer: `allocated` are set aside on the source's shelf,
    `picked` have left it, `sent` are under way. More may be received than was ordered."""

    __tablename__ = "inbound_line"
    __table_args__ = strict(
        UniqueConstraint("inbound_id", "remote_id", name="one_inbound_line_per_remote_id"),
        CheckConstraint("quantity > 0", name="brings_something"),
        CheckConstraint("allocated >= 0 AND picked >= 0 AND sent >= 0 AND received >= 0", name="counts_not_negative"),
        CheckConstraint("allocated + picked + sent <= quantity", name="sends_at_most_all"),
        Index("inbound_line_of_item", "item_id"),
    )
    id: int | None = Field(default=None, primary_key=True)
    inbound_id: int = Field(foreign_key="inbound.id", index=True)
    remote_id: str
    item_id: int | None = Field(default=None, foreign_key="item.id")
    sku: str
    quantity: int
    allocated: int = 0
    picked: int = 0
    sent: int = 0
    received: int = 0
