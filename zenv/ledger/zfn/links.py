"""Our links to providers: asked for, accepted or denied, and ended again in the order that is documented (Z34 to Z43).

Saving a warehouse comes before connecting it, the request is its own step, the provider decides; parting goes the same
way back: no units, no connection, no warehouse. The state here follows what the provider says of the link.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection as Sql
from sqlalchemy import func, select
from sqlalchemy.dialects.sqlite import insert as insert_or_update

from zenv.errors import BadInput, Refused
from zenv.facts import Farewell, LinkFact, Message, Receipt, RequestLink
from zenv.ledger import audit, connections, stock, users
from zenv.ledger.models import Breaker, Company, Link, Order, OrderLine, Warehouse
from zenv.ledger.models import Connection as Account
from zenv.ledger.models import Message as OwedRow
from zenv.ledger.notices import notice, withdraw
from zenv.ledger.outbox import Owed
from zenv.ledger.transaction import AnyRow, Transaction, row, table
from zenv.ledger.zfn import handing, sharing
from zenv.privacy import strip_control

if TYPE_CHECKING:
    from zenv.company_code import CompanyCode

links, warehouses, accounts, company = table(Link), table(Warehouse), table(Account), table(Company)
orders, lines, messages, breakers = table(Order), table(OrderLine), table(OwedRow), table(Breaker)

STANDING = ("requested", "linked", "disconnected")
"""The states of a link that still is one; a warehouse has at most one such."""
DENIED = "link denied"
REQUEST_SECRET, TOKEN, NEXT_TOKEN = "request_secret", "token", "next_token"


@dataclass(frozen=True)
class Ask:
    """What a request is made of: the warehouse, the provider's code and the name it gave itself, what both sides show,
    and the secrets that we made."""

    warehouse: str
    code: CompanyCode
    provider: str
    fingerprint: str
    secret: str
    token: str

    def __repr__(self) -> str:
        return f"Ask(warehouse={self.warehouse!r}, code={self.code!r}, ***)"


# ---- the warehouse ---------------------------------------------------------------------------------------

NOT_YET = {
    "fba": "Amazon's own warehouses",
    "zfs": "Zalando's warehouses",
    "house": "fulfilment houses",
}


def add_warehouse(t: Transaction, name: str, provider: str | None, rank: int = 100, shared: bool = True) -> int:
    """A new warehouse, our own or (`zfn`) one that a provider is to keep: saved, it is not connected yet and holds no
    stock (Z12 to Z15). Raises BadInput with the list for a provider there is not, Refused for one not had yet."""
    if provider is None:
        return stock.add_warehouse(t, name, rank=rank, shared=shared)
    if provider in NOT_YET:
        raise Refused(f"This zenv does not work with {NOT_YET[provider]} ({provider}) yet; nothing was added.",
                      "Of the providers only zfn, another company that runs zenv, works so far.")  # fmt: skip
    if provider != "zfn":
        raise BadInput(f"There is no provider {strip_control(provider)!r}.",
                       "give one of: " + ", ".join(["zfn", *NOT_YET]))  # fmt: skip
    return stock.add_warehouse(t, name, "zfn", rank, shared)


# ---- asking ----------------------------------------------------------------------------------------------


def pending(sql: Sql, warehouse: str, code: str) -> AnyRow | None:
    """The request of this warehouse that waits already; asking again makes no second one (Z19). Raises Refused where
    another one waits: there is one at a time."""
    found = sql.execute(_with_names.where(links.c.state == "requested")).first()
    if found is None or (found.warehouse == warehouse and found.endpoint == code):
        return found
    raise Refused(f"The request of {found.warehouse} still waits for {found.provider}; one at a time is asked.",
                  f"zenv sync now {found.connection}")  # fmt: skip


_with_names = (
    select(links, warehouses.c.name.label("warehouse"), accounts.c.name.label("connection"), accounts.c.endpoint)
    .join(warehouses, warehouses.c.id == links.c.warehouse_id)
    .join(accounts, accounts.c.id == links.c.connection_id)
)


def demand_free(sql: Sql, warehouse: str, user: str) -> AnyRow:
    """A saved warehouse of the network that may be connected now, and a user who may ask. Raises NotFound, Refused."""
    users.require(sql, user)
    found = _warehouse(sql, warehouse)
    if not found.active:
        raise Refused(f"{warehouse} was deactivated; an administrator can open it again.",
                      f"zenv warehouses reactivate {warehouse}")  # fmt: skip
    if not found.shared:
        raise Refused(f"{warehouse} is not open to all users; a warehouse that a provider keeps has to be (Z44).",
                      f"zenv warehouses edit {warehouse} --shared")  # fmt: skip
    link = of_warehouse(sql, found.id)
    if link is not None and link.state != "requested" and not _is_locked_out(sql, link):
        raise Refused(f"{warehouse} is {link.state}; it cannot be connected a second time.", "zenv warehouses list")
    return found


def _is_locked_out(sql: Sql, link: AnyRow) -> bool:
    """Whether the provider does not take our token any more: we ask again, and stay its client."""
    return link.state == "linked" and connections.status(sql, link.connection_id) == "needs_login"


def _warehouse(sql: Sql, name: str) -> AnyRow:
    number = stock.warehouse_id(sql, name)
    found = sql.execute(select(warehouses).where(warehouses.c.id == number)).one()
    if found.kind != "zfn":
        raise Refused(f"{name} is no warehouse that a provider keeps for you.",
                      "zenv warehouses add NAME --provider zfn")  # fmt: skip
    return found


def request(t: Transaction, asked: Ask, master: bytes) -> None:
    """Write a request down, with its secrets sealed: it is owed to the provider from now on (Z16 to Z19)."""
    if pending(t.sql, asked.warehouse, str(asked.code)) is not None:
        raise Refused(f"The request of {asked.warehouse} waits already.", "zenv zfn request")
    found = demand_free(t.sql, asked.warehouse, t.actor)
    secrets = {REQUEST_SECRET: asked.secret, TOKEN: asked.token}
    link = of_warehouse(t.sql, found.id)
    if link is not None and link.state == "linked":
        _ask_for_a_token(t, link, asked, secrets, master)
        return
    number = connections.add_link(t, asked.warehouse, asked.code.company, str(asked.code), secrets, master)
    said = {"warehouse_id": found.id, "state": "requested", "provider": strip_control(asked.provider),
            "user_name": t.actor, "fingerprint": asked.fingerprint, "asked_at": t.now, "decided_at": None,
            "token_expires_at": None}  # fmt: skip
    entry = insert_or_update(links).values(row(Link, connection_id=number, **said))
    t.sql.execute(entry.on_conflict_do_update(index_elements=["connection_id"], set_=said))
    withdraw(t, DENIED, asked.warehouse)
    handing.owe(t, number, "link", number)
    audit.record(t, "requested link", asked.warehouse, detail=f"provider={asked.provider}")


def _ask_for_a_token(t: Transaction, link: AnyRow, asked: Ask, secrets: Mapping[str, str], master: bytes) -> None:
    """We are linked, and the provider does not know us any more: a request that, once accepted, brings a new token."""
    connections.let_in_again(t, link.connection_id, str(asked.code), secrets, master)
    _write(t, link.connection_id, fingerprint=asked.fingerprint, user_name=t.actor, asked_at=t.now)
    handing.owe(t, link.connection_id, "link", link.connection_id)
    audit.record(t, "requested link", asked.warehouse, detail=f"provider={link.provider}, for a new token")


def build(sql: Sql, owed: Mapping[int, Owed]) -> dict[int, RequestLink | Farewell]:
    """What is still to be said of a link, by the message's key."""
    built: dict[int, RequestLink | Farewell] = {}
    for found in sql.execute(_with_names.where(links.c.connection_id.in_(list(owed)))):
        key = owed[found.connection_id].id
        if found.state == "requested" or connections.keeps_secret(sql, found.connection_id, REQUEST_SECRET):
            us = sql.execute(select(company)).one()
            built[key] = RequestLink(key, us.ledger_id, us.name, found.user_name, found.warehouse)
        elif found.state == "deactivated":
            built[key] = Farewell(key, "deactivated")
    return built


def book(t: Transaction, owed: Owed, message: Message | None, receipt: Receipt) -> None:
    """Write down what the provider answered: a request that it does not take is denied, a last farewell ends it all."""
    link = of_connection(t.sql, owed.subject)
    assert link is not None
    if isinstance(message, RequestLink) and receipt.outcome == "refused" and link.state == "requested":
        _denied(t, link, f"{link.provider} did not take the request ({receipt.reason})")
    if isinstance(message, Farewell) and receipt.outcome == "done" and link.state == "deactivated":
        _part(t, link)


# ---- what the provider says of it ------------------------------------------------------------------------


def record(t: Transaction, connection: int, fact: LinkFact) -> None:
    """Bring the link up to what the provider says of it."""
    link, said = of_connection(t.sql, connection), fact.state
    if link is None:
        return
    match (link.state, said.state):
        case ("requested", "denied"):
            _denied(t, link, f"{link.provider} denied the request of {warehouse_name(t.sql, link)}")
        case ("requested", "linked"):
            _linked(t, link, said.client)
        case ("linked", "linked" | "denied"):
            _asked_for_a_token(t, connection, said.state)
        case ("linked", "disconnected" | "deactivated"):
            disconnected(t, connection)
        case ("deactivated", "deactivated"):
            _part(t, link)
    if said.state == "linked":
        _write(t, connection, restores=said.restores, token_expires_at=said.token_expires_at)


def _asked_for_a_token(t: Transaction, connection: int, answer: str) -> None:
    """The provider lets us in again, or will not."""
    connections.drop_secrets(t, connection, REQUEST_SECRET)
    if answer == "denied":
        connections.needs_login(t, connection)


def _write(t: Transaction, connection: int, **values: Any) -> None:
    t.sql.execute(links.update().where(links.c.connection_id == connection).values(**values))


def _denied(t: Transaction, link: AnyRow, said: str) -> None:
    _write(t, link.connection_id, state="denied", decided_at=t.now)
    connections.end_link(t, link.connection_id)
    name = warehouse_name(t.sql, link)
    notice(t, DENIED, name, said, f"zenv zfn request --warehouse '{name}' --code CODE")
    audit.record(t, "link denied", name, "refused", detail=f"provider={link.provider}")


def _linked(t: Transaction, link: AnyRow, client: int | None) -> None:
    """From now on goods flow: the catalogue is shared, and orders that wait may leave from there."""
    if client != link.client_number:
        # Another client's journal begins at 1, whatever was read of the one we were before.
        connections.forget_cursors(t, link.connection_id)
    _write(t, link.connection_id, state="linked", client_number=client, decided_at=t.now)
    connections.drop_secrets(t, link.connection_id, REQUEST_SECRET)
    sharing.share_all(t, link.connection_id)
    t.touch(*_items_waited_for(t.sql))
    t.hand(*t.sql.execute(select(orders.c.id).where(orders.c.ship_from == link.warehouse_id)).scalars())
    audit.record(t, "linked", warehouse_name(t.sql, link), detail=f"provider={link.provider} client={client}")


def _items_waited_for(sql: Sql) -> Sequence[int]:
    waits = (lines.c.cancelled + lines.c.shipped < lines.c.quantity, lines.c.item_id.is_not(None))
    return sql.execute(select(lines.c.item_id).where(*waits).distinct()).scalars().all()


# ---- parting ---------------------------------------------------------------------------------------------


def disconnected(t: Transaction, connection: int) -> None:
    """The provider knows that the connection is over; the warehouse is still there (Z39)."""
    link = of_connection(t.sql, connection)
    assert link is not None
    if link.state == "linked":
        _write(t, connection, state="disconnected")
        audit.record(t, "disconnected", warehouse_name(t.sql, link), detail=f"provider={link.provider}")


def deactivate_warehouse(t: Transaction, name: str) -> None:
    """Close a warehouse. One that a provider keeps is disconnected first, and its provider is told (Z39)."""
    link = of_warehouse(t.sql, stock.warehouse_id(t.sql, name))
    if link is not None and link.state != "disconnected":
        raise Refused(f"{name} is {link.state}: its connection is ended before it is closed.",
                      f"zenv zfn disconnect '{name}'")  # fmt: skip
    stock.deactivate_warehouse(t, name)
    if link is not None:
        _write(t, link.connection_id, state="deactivated")
        handing.owe(t, link.connection_id, "link", link.connection_id)
        audit.record(t, "deactivated warehouse", name, detail=f"provider={link.provider}")


def _part(t: Transaction, link: AnyRow) -> None:
    _write(t, link.connection_id, state="parted")
    connections.end_link(t, link.connection_id)
    audit.record(t, "parted", warehouse_name(t.sql, link), detail=f"provider={link.provider}")


def reactivate_warehouse(t: Transaction, name: str) -> None:
    """Open a closed warehouse again; one that a provider kept is an administrator's to open, and is connected anew by a
    whole request (Z41, Z42)."""
    number = stock.warehouse_id(t.sql, name)
    kind = t.sql.execute(select(warehouses.c.kind).where(warehouses.c.id == number)).scalar_one()
    if kind == "zfn":
        users.demand_administrator(t, f"reactivate {name}, which a provider kept")
        audit.record(t, "reactivated warehouse", name)
    stock.reactivate_warehouse(t, name)


# ---- a new token -----------------------------------------------------------------------------------------


def rotated(t: Transaction, connection: int, token: str, expires_at: Any, master: bytes) -> None:
    """The provider knows the new token: it takes the old one's place."""
    name = t.sql.execute(select(accounts.c.name).where(accounts.c.id == connection)).scalar_one()
    connections.replace_secrets(t, name, {TOKEN: token}, master)
    connections.drop_secrets(t, connection, NEXT_TOKEN)
    _write(t, connection, token_expires_at=expires_at)


# ---- looking them up -------------------------------------------------------------------------------------


def of_connection(sql: Sql, connection: int) -> AnyRow | None:
    """The link of a connection."""
    return sql.execute(select(links).where(links.c.connection_id == connection)).one_or_none()


def of_warehouse(sql: Sql, warehouse: int) -> AnyRow | None:
    """The standing link of a warehouse: requested, linked or disconnected."""
    standing = (links.c.warehouse_id == warehouse, links.c.state.in_(STANDING))
    return sql.execute(select(links).where(*standing)).one_or_none()


def demand_linked(sql: Sql, name: str) -> AnyRow:
    """The link over which goods flow, by its warehouse's name (or what that was when it was asked for), with the names
    of `warehouse` and `connection`. Raises NotFound; Refused where there is no live connection (Z34)."""
    for named in (warehouses.c.name, accounts.c.name):
        found = sql.execute(_with_names.where(named == name, links.c.state == "linked")).one_or_none()
        if found is not None:
            return found
    number = _warehouse(sql, name).id
    standing = of_warehouse(sql, number)
    state = "not connected" if standing is None else standing.state
    way_out = f"zenv zfn request --warehouse '{name}' --code CODE"
    if standing is not None:
        way_out = f"zenv sync now {_connection_name(sql, standing)}"
    raise Refused(f"{name} has no live connection to a provider: it is {state}.", way_out)


def is_kept(sql: Sql, warehouse: str) -> bool:
    """Whether a provider of the network keeps this warehouse. Raises NotFound."""
    this = warehouses.c.id == stock.warehouse_id(sql, warehouse)
    return bool(sql.execute(select(warehouses.c.kind == "zfn").where(this)).scalar_one())


def latest(sql: Sql, name: str) -> AnyRow:
    """The link of a warehouse that was asked for last, whatever became of it; the warehouse is known to have one."""
    of_warehouse = _with_names.where(warehouses.c.name == name).order_by(links.c.asked_at.desc())
    return sql.execute(of_warehouse.limit(1)).one()


def _connection_name(sql: Sql, link: AnyRow) -> str:
    return str(sql.execute(select(accounts.c.name).where(accounts.c.id == link.connection_id)).scalar_one())


def warehouse_name(sql: Sql, link: AnyRow) -> str:
    """What we call the warehouse of a link."""
    return str(sql.execute(select(warehouses.c.name).where(warehouses.c.id == link.warehouse_id)).scalar_one())


def owing(sql: Sql) -> Sequence[AnyRow]:
    """The active connections to providers that are owed something: name, `owed` messages, `at_once` how many of those
    wait for no time to pass, and until when the breaker leaves them alone."""
    waits = (accounts.c.kind == "zfn", accounts.c.status == "active", messages.c.state == "pending")
    now = func.sum(messages.c.not_before.is_(None))
    return sql.execute(
        select(accounts.c.name, func.count().label("owed"), now.label("at_once"), breakers.c.open_until)
        .join(messages, messages.c.connection_id == accounts.c.id)
        .outerjoin(breakers, breakers.c.connection_id == accounts.c.id)
        .where(*waits)
        .group_by(accounts.c.id)
        .order_by(accounts.c.name)
    ).all()
