"""The companies whose goods we keep and ship: their requests, accepting and denying them, and how they part again.

A client asks, we decide (Z6, Z7). Its orders, listings and items hang on a connection of kind `zfn_client`, which has
no tasks: the client calls us. A client that comes back finds that connection again, and with it its history (Z43).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, select, text

from zenv import wire
from zenv.company_code import CompanyCode, fingerprint
from zenv.errors import BadInput, NotFound, Refused
from zenv.ledger import audit, outbox, users
from zenv.ledger.models import Client, LinkRequest
from zenv.ledger.models import Connection as Account
from zenv.ledger.transaction import AnyRow, Transaction, row, table
from zenv.ledger.zfn import standing, tokens
from zenv.privacy import strip_control

clients, requests, accounts = table(Client), table(LinkRequest), table(Account)

KIND = "zfn_client"
UNLINKED = ("disconnected", "deactivated", "deleted")
MOST_PENDING = 100
"""Anybody who has the code may ask: more than so many wait for nobody."""
REQUESTS = "zenv zfn requests"


# ---- asking ----------------------------------------------------------------------------------------------


def ask(t: Transaction, pepper: bytes, code: CompanyCode, said: wire.Request) -> str:
    """Write a request down; the fingerprint that both sides show. The same secret asks once (Z19).

    Raises Refused while another request of this company waits, or when too many wait.
    """
    known = tokens.check(t.sql, pepper, said.secret, t.now)
    if known is not None:
        asked = request_of(t.sql, known.id)
        if asked is not None:
            return str(asked.fingerprint)
    about = {"company_id": _clean(said.company_id), "company_name": _clean(said.company_name),
             "user_name": _clean(said.user), "warehouse": _clean(said.warehouse)}  # fmt: skip
    if not all(about.values()):
        raise BadInput("A name in the request has no letters.")
    waiting = list(t.sql.execute(select(requests.c.company_id).where(requests.c.state == "pending")).scalars())
    if about["company_id"] in waiting:
        raise Refused("A request of this company waits already; nothing was changed.", REQUESTS)
    if len(waiting) >= MOST_PENDING:
        raise Refused("Too many requests wait already; nothing was changed.", REQUESTS)
    tokens.issue(t, pepper, said.secret, tokens.REQUEST)
    digits = fingerprint(code, said.company_id, said.secret)
    made = {"fingerprint": digits, "token_id": tokens.public_id(said.secret), "asked_at": t.now}
    t.insert(LinkRequest, [row(LinkRequest, **about, **made)])
    return digits


@dataclass(frozen=True)
class Waiting:
    """A request to be decided. `former` is the client this company was, if it was one: offered first (Z43)."""

    request: int
    company: str
    user: str
    warehouse: str
    fingerprint: str
    asked_at: datetime
    new: bool
    former: str


def review(t: Transaction) -> list[Waiting]:
    """The requests that wait, those of former clients first; from now on somebody has seen them (Z21, Z22)."""
    found = t.sql.execute(select(requests).where(requests.c.state == "pending").order_by(requests.c.id)).all()
    waiting = [
        Waiting(one.id, one.company_name, one.user_name, one.warehouse, one.fingerprint, one.asked_at,
                one.reviewed_at is None, _former(t.sql, one.company_id))
        for one in found
    ]  # fmt: skip
    unseen = (requests.c.state == "pending", requests.c.reviewed_at.is_(None))
    t.sql.execute(requests.update().where(*unseen).values(reviewed_at=t.now))
    return sorted(waiting, key=lambda one: (not one.former, one.request))


def _former(sql: Connection, company: str) -> str:
    was = (clients.c.company_id == company, clients.c.state.in_(UNLINKED))
    return str(sql.execute(select(clients.c.name).where(*was).order_by(clients.c.id.desc())).scalar() or "")


# ---- deciding --------------------------------------------------------------------------------------------


def accept(t: Transaction, number: int, import_user: str, new_client: bool, client: str | None) -> AnyRow:
    """Link the company of a request, as a new client or as one that is not linked now; its row (Z25 to Z28). A client
    that is linked, and whose token is good no more, asks again and gets another.

    Exactly one of `new_client` and `client`. Raises BadInput, NotFound, Refused; then nothing was changed.
    """
    standing.demand_provider(t.sql)
    if new_client == (client is not None):
        raise BadInput("Choose one: a new client, or one you have. Nothing was changed.",
                       f"zenv zfn accept {number} --import-user USER --new-client, or --client NAME")  # fmt: skip
    asked = _pending(t.sql, number)
    users.require(t.sql, import_user)
    link = {"import_user": import_user, "fingerprint": asked.fingerprint, "company_id": asked.company_id}
    key = _made(t, asked, link) if client is None else _linked_again(t, find(t.sql, client), link)
    tokens.belongs_to(t, asked.token_id, key)
    _decide(t, asked, "accepted", key)
    found = by_id(t.sql, key)
    audit.record(t, "accepted client", found.name, detail=f"request={number} import_user={import_user}")
    return found


def deny(t: Transaction, number: int) -> str:
    """End a request; nothing else comes of it, and the company may ask again (Z24). The company's name."""
    asked = _pending(t.sql, number)
    _decide(t, asked, "denied", None)
    audit.record(t, "denied client", asked.company_name, detail=f"request={number}")
    return str(asked.company_name)


def _pending(sql: Connection, number: int) -> AnyRow:
    found = sql.execute(select(requests).where(requests.c.id == number)).one_or_none()
    if found is None:
        raise NotFound(f"There is no request {number}.", REQUESTS)
    if found.state != "pending":
        raise Refused(f"Request {number} was {found.state} already; nothing was changed.", REQUESTS)
    return found


def _decide(t: Transaction, asked: AnyRow, state: str, client: int | None) -> None:
    seen = asked.reviewed_at or t.now
    said = {"state": state, "decided_at": t.now, "decided_by": t.actor, "reviewed_at": seen, "client_id": client}
    t.sql.execute(requests.update().where(requests.c.id == asked.id).values(**said))


def _made(t: Transaction, asked: AnyRow, link: dict[str, str]) -> int:
    """A new client under its company's name, with a connection of its own."""
    name = _free_name(t.sql, asked.company_name)
    # One company may become a client a second time, after the first was deleted: the request tells the two apart.
    account = row(Account, name=name, kind=KIND, external_id=asked.company_id, region=f"request {asked.id}",
                  status="active", with_fulfilled=True, consent_at=t.now, consent_scope=asked.fingerprint,
                  secret_set_at=t.now, created_at=t.now)  # fmt: skip
    connection = t.sql.execute(accounts.insert().returning(accounts.c.id), account).scalar_one()
    made = row(Client, name=name, connection_id=connection, created_at=t.now, linked_at=t.now, **link)
    return int(t.sql.execute(clients.insert().returning(clients.c.id), made).scalar_one())


def _free_name(sql: Connection, name: str) -> str:
    taken = set(sql.execute(select(clients.c.name).union(select(accounts.c.name))).scalars())
    free, again = name, 1
    while free in taken:
        again += 1
        free = f"{name} ({again})"
    return free


def _linked_again(t: Transaction, client: AnyRow, link: dict[str, str]) -> int:
    if client.state not in UNLINKED and client.company_id != link["company_id"]:
        raise Refused(f"{client.name} is linked already; nothing was changed.", "zenv zfn clients")
    tokens.revoke(t, client.id)
    again = link | {"state": "linked", "linked_at": t.now, "parted_at": None}
    t.sql.execute(clients.update().where(clients.c.id == client.id).values(**again))
    t.sql.execute(accounts.update().where(accounts.c.id == client.connection_id).values(status="active"))
    return int(client.id)


# ---- parting ---------------------------------------------------------------------------------------------


def part(t: Transaction, client: AnyRow, stage: Literal["disconnected", "deactivated"]) -> list[str]:
    """The client takes its leave: first the connection, then the warehouse (Z37 to Z39).

    What is still outstanding, and then nothing is changed; empty when it is done, or was done before.
    """
    if client.state == stage or client.state in ("deactivated", "deleted"):
        return []
    if stage == "deactivated" and client.state == "linked":
        return ["the connection has to be deleted first"]
    if stage == "disconnected" and (left := outstanding(t.sql, client)):
        return left
    t.sql.execute(clients.update().where(clients.c.id == client.id).values(state=stage, parted_at=t.now))
    tokens.narrow(t, client.id)
    outbox.forget(t, [owed.id for owed in outbox.of_connection(t.sql, client.connection_id)])
    t.sql.execute(accounts.update().where(accounts.c.id == client.connection_id).values(status="inactive"))
    audit.record(t, f"client {stage}", client.name)
    return []


def outstanding(sql: Connection, client: AnyRow) -> list[str]:
    """What keeps a client from disconnecting: its goods with their quantities, its open orders and inbounds."""
    about = {"client": client.id, "connection": client.connection_id}
    return [str(line) for line in sql.execute(text(OUTSTANDING), about).scalars()]


OUTSTANDING = """
SELECT line FROM (
SELECT 1 AS rank, i.sku AS name, COALESCE(l.sku, i.sku) || ': ' || SUM(v.on_hand) || ' on hand'
       || CASE WHEN SUM(v.picked) > 0 THEN ', ' || SUM(v.picked) || ' picked' ELSE '' END
       || CASE WHEN SUM(v.in_transit) > 0 THEN ', ' || SUM(v.in_transit) || ' in transit' ELSE '' END AS line
  FROM level v JOIN item i ON i.id = v.item_id
  LEFT JOIN (SELECT item_id, MIN(sku) AS sku FROM listing WHERE connection_id = :connection GROUP BY item_id) l
         ON l.item_id = i.id
 WHERE i.client_id = :client GROUP BY i.id HAVING SUM(v.on_hand + v.picked + v.in_transit) > 0
UNION ALL
SELECT 2, o.number, 'order ' || o.number || ' is ' || o.state FROM customer_order o
 WHERE o.connection_id = :connection AND o.state IN ('pending', 'ready', 'part_shipped')
UNION ALL
SELECT 3, n.number, 'inbound ' || n.number || ' is ' || n.state FROM inbound n
 WHERE n.connection_id = :connection AND n.state IN ('requested', 'open', 'shipped')
) ORDER BY rank, name
"""


def delete(t: Transaction, name: str) -> None:
    """Be done with a client; its orders and items stay for the record (Z35, Z40).

    Raises Refused with the outstanding steps, and on whose side each is, until it has parted.
    """
    standing.demand_provider(t.sql)
    client = find(t.sql, name)
    if client.state == "deleted":
        raise Refused(f"{client.name} was deleted already.", "zenv zfn clients")
    if steps := _steps_left(t.sql, client):
        raise Refused(f"{client.name} cannot be deleted yet; nothing was changed. Still to do: {'; '.join(steps)}.",
                      "zenv zfn clients")  # fmt: skip
    tokens.revoke(t, client.id)
    t.sql.execute(clients.update().where(clients.c.id == client.id).values(state="deleted"))
    t.sql.execute(accounts.update().where(accounts.c.id == client.connection_id).values(status="removed"))
    audit.record(t, "deleted client", client.name)


def _steps_left(sql: Connection, client: AnyRow) -> list[str]:
    close = "on the client's side, deactivate the warehouse"
    steps = {"linked": ["on the client's side, delete the connection", close], "disconnected": [close]}
    left = outstanding(sql, client) if client.state == "linked" else []
    return [f"on both sides, bring to an end: {one}" for one in left] + steps.get(client.state, [])


# ---- finding ---------------------------------------------------------------------------------------------


def find(sql: Connection, name: str) -> AnyRow:
    """The client of this name; raises NotFound."""
    found = sql.execute(select(clients).where(clients.c.name == name)).one_or_none()
    if found is None:
        raise NotFound(f"There is no client {_clean(name)!r}.", "zenv zfn clients")
    return found


def by_id(sql: Connection, client: int) -> AnyRow:
    """The client with this number."""
    return sql.execute(select(clients).where(clients.c.id == client)).one()


def request_of(sql: Connection, token_id: str) -> AnyRow | None:
    """The request that this secret made."""
    return sql.execute(select(requests).where(requests.c.token_id == token_id)).one_or_none()


def _clean(said: str) -> str:
    return strip_control(said).strip()
