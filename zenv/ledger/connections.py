"""Connections: our accounts at remotes, their settings, their sealed secrets, and how far each was read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection as Sql
from sqlalchemy import select
from sqlalchemy.dialects.sqlite import insert as insert_or_update
from sqlalchemy.exc import IntegrityError

from zenv import credentials
from zenv.errors import BadInput, Busy, NotFound, Refused
from zenv.ledger import audit
from zenv.ledger.models import Company, Connection, Cursor, Listing, Message, Secret, StockSource
from zenv.ledger.models.channels import NETWORK
from zenv.ledger.stock import supplying_warehouse
from zenv.ledger.transaction import AnyRow, Transaction, row, table
from zenv.privacy import strip_control

connections, sources, secrets = table(Connection), table(StockSource), table(Secret)
cursors, listings, messages = table(Cursor), table(Listing), table(Message)


OURSELVES = "housekeeping"
"""What the schedule and the history call zenv's own tasks, which belong to no connection."""


@dataclass(frozen=True)
class NewConnection:
    """What `zenv connect` has asked. `warehouses` are the names whose stock is told and from which orders go."""

    name: str
    kind: str
    external_id: str
    region: str
    marketplaces: tuple[str, ...]
    home_marketplace: str
    warehouses: tuple[str, ...]
    consent_scope: str
    endpoint: str = ""
    sandbox: bool = False
    handling_days: int = 2
    buffer: int = 0
    with_fulfilled: bool = False
    high_frequency: bool = False
    adopt_new: bool = False


def missing_fields(new: NewConnection, given: Mapping[str, str], wanted: tuple[str, ...]) -> list[str]:
    """Everything that still has to be filled in, named at once (A22, A25)."""
    required = {
        "name": new.name, "seller id": new.external_id, "region": new.region, "marketplace": new.marketplaces,
        "stock warehouse": new.warehouses, "consent": new.consent_scope,
    }  # fmt: skip
    return [name for name, value in required.items() if not value] + [name for name in wanted if not given.get(name)]


def add(t: Transaction, new: NewConnection, given: Mapping[str, str], master: bytes) -> int:
    """Write a connection with its secrets sealed, saved but not enabled (A24). Its id.

    Raises BadInput for missing fields, Refused for a second connection to the same account (A19: several
    accounts may stand side by side).
    """
    if _clean(new.name) == OURSELVES:
        raise BadInput(f"{OURSELVES} is the name of zenv's own tasks.", "Choose another name.")
    missing = missing_fields(new, given, tuple(given))
    if missing:
        raise BadInput("Still missing: " + ", ".join(missing) + ".")
    _check_numbers(new.handling_days, new.buffer)
    settings = row(
        Connection, name=_clean(new.name), kind=new.kind, external_id=_clean(new.external_id), region=new.region,
        marketplaces=",".join(new.marketplaces), home_marketplace=new.home_marketplace, endpoint=new.endpoint,
        sandbox=new.sandbox, handling_days=new.handling_days, buffer=new.buffer,
        with_fulfilled=new.with_fulfilled, high_frequency=new.high_frequency, adopt_new=new.adopt_new,
        consent_at=t.now, consent_scope=new.consent_scope, secret_set_at=t.now, created_at=t.now)  # fmt: skip
    number = _revived(t, settings) or _inserted(t, settings)
    choose_warehouses(t, number, new.warehouses)
    _seal(t, number, settings["name"], given, master)
    audit.record(t, "connected", settings["name"], detail=f"{new.kind} {settings['external_id']} {new.region}")
    return number


def _revived(t: Transaction, settings: Mapping[str, Any]) -> int | None:
    """An account that was removed and comes back finds its orders and links again."""
    account = (connections.c[part] == settings[part] for part in ("kind", "external_id", "region"))
    removed = select(connections.c.id).where(*account, connections.c.status == "removed")
    number = t.sql.execute(removed).scalar()
    if number is not None:
        kept = {"created_at", "opened_at"}
        fresh = {name: value for name, value in settings.items() if name not in kept}
        with _taken_is_refused(settings):
            t.sql.execute(connections.update().where(connections.c.id == number).values(**fresh))
    return number


def _inserted(t: Transaction, settings: Mapping[str, Any]) -> int:
    with _taken_is_refused(settings):
        made = t.sql.execute(connections.insert().returning(connections.c.id), settings)
    return int(made.scalar_one())


@contextmanager
def _taken_is_refused(settings: Mapping[str, Any]) -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise Refused(f"There is a connection {settings['name']}, or one to this account, already.",
                      "zenv connections list") from None  # fmt: skip


def remove(t: Transaction, name: str) -> None:
    """Forget the credentials and stop for good. Orders, listings and links stay for the record."""
    found = _standing(t.sql, name)
    if found.kind in NETWORK:
        raise Refused(f"{name} is a link to another company, which has to part, too; nothing was changed.",
                      "zenv zfn disconnect WAREHOUSE at the client, zenv zfn clients at the provider")  # fmt: skip
    owed = t.sql.execute(
        select(messages.c.id).where(messages.c.connection_id == found.id, messages.c.kind != "stock_level")
    ).first()
    if owed is not None:
        raise Refused(f"{name} is still owed shipments or cancellations.", f"zenv sync now {name}")
    for owned in (secrets, cursors, sources, messages):
        t.sql.execute(owned.delete().where(owned.c.connection_id == found.id))
    t.sql.execute(connections.update().where(connections.c.id == found.id).values(status="removed"))
    audit.record(t, "removed connection", name)


# ---- links to a provider ---------------------------------------------------------------------------------


def add_link(t: Transaction, name: str, company: str, code: str, given: Mapping[str, str], master: bytes) -> int:
    """Write our connection to a provider with the secrets that we made for it; its request is about to be told. One
    that was removed comes back with its orders, links and marks. Its id; raises Refused where the name is taken."""
    settings = row(
        Connection, name=_clean(name), kind="zfn", external_id=company, region="", endpoint=code, status="active",
        with_fulfilled=True, adopt_new=True, consent_at=t.now, consent_scope="what a fulfilment provider is told",
        secret_set_at=t.now, created_at=t.now)  # fmt: skip
    number = _revived(t, settings) or _inserted(t, settings)
    _seal(t, number, settings["name"], given, master)
    return number


def end_link(t: Transaction, number: int) -> None:
    """The link is over: its secrets are forgotten, nothing is owed any more. The marks stay: should it ever be linked
    again as the same client, the journal goes on where it was left."""
    for owned in (secrets, sources, messages):
        t.sql.execute(owned.delete().where(owned.c.connection_id == number))
    t.sql.execute(connections.update().where(connections.c.id == number).values(status="removed"))


def forget_cursors(t: Transaction, number: int) -> None:
    """What was read of this connection says nothing about what there is to read now."""
    t.sql.execute(cursors.delete().where(cursors.c.connection_id == number))


def keep_secrets(t: Transaction, number: int, given: Mapping[str, str], master: bytes) -> None:
    """Seal secrets that zenv made itself, in the place of older ones of the same names."""
    name = t.sql.execute(select(connections.c.name).where(connections.c.id == number)).scalar_one()
    _seal(t, number, name, given, master)


def let_in_again(t: Transaction, number: int, code: str, given: Mapping[str, str], master: bytes) -> None:
    """Secrets that a provider is about to know us by, in the place of those it does not take any more."""
    keep_secrets(t, number, given, master)
    again = {"status": "active", "endpoint": code, "secret_set_at": t.now}
    t.sql.execute(connections.update().where(connections.c.id == number).values(**again))


def keeps_secret(sql: Sql, number: int, field: str) -> bool:
    """Whether a connection has a secret of this name."""
    this = (secrets.c.connection_id == number, secrets.c.field == field)
    return sql.execute(select(secrets.c.field).where(*this)).first() is not None


def drop_secrets(t: Transaction, number: int, *fields: str) -> None:
    """Forget secrets that are of no more use."""
    t.sql.execute(secrets.delete().where(secrets.c.connection_id == number, secrets.c.field.in_(fields)))


def choose_warehouses(t: Transaction, connection: int, names: tuple[str, ...]) -> None:
    """The warehouses whose sum the connection is told (A25, A26): own ones, and those that a provider keeps."""
    if not names:
        raise BadInput("Choose at least one warehouse that sends stock updates.", "add --warehouse NAME")
    chosen = {supplying_warehouse(t.sql, name) for name in names}
    t.sql.execute(sources.delete().where(sources.c.connection_id == connection))
    t.insert(StockSource, [{"connection_id": connection, "warehouse_id": number} for number in chosen])


def _seal(t: Transaction, connection: int, name: str, given: Mapping[str, str], master: bytes) -> None:
    # Under the write lock: what is sealed under a key that has just been rotated away could never be opened again.
    if credentials.key_check(master) != t.sql.execute(select(table(Company).c.key_fingerprint)).scalar_one():
        raise Busy("The master key was rotated this moment. Nothing was changed.", "Run the command again.")
    entry = insert_or_update(secrets)
    t.sql.execute(
        entry.on_conflict_do_update(
            index_elements=["connection_id", "field"], set_={"sealed": entry.excluded.sealed}
        ),
        [
            {"connection_id": connection, "field": field,
             "sealed": credentials.seal_secret(master, name, field, value)}
            for field, value in given.items()
        ],
    )  # fmt: skip


def replace_secrets(t: Transaction, name: str, given: Mapping[str, str], master: bytes) -> None:
    """New credentials for a connection; one that waited for a login goes on."""
    found = _standing(t.sql, name)
    _seal(t, found.id, name, given, master)
    changes: dict[str, Any] = {"secret_set_at": t.now} if "client_secret" in given else {}
    if found.status == "needs_login":
        changes["status"] = "active"
    if changes:
        t.sql.execute(connections.update().where(connections.c.id == found.id).values(**changes))
    audit.record(t, "logged in", name, detail=", ".join(sorted(given)))
    _touch_all(t, found.id)


def way_back(found: AnyRow) -> str:
    """The command that lets a connection in again whose credentials are not taken any more."""
    if found.kind == "zfn":
        return f"zenv zfn request --warehouse '{found.name}' --code CODE"
    return f"zenv connections login {found.name}"


def demand_login(found: AnyRow) -> None:
    """Raises Refused for a connection that nobody logs in to: the tokens of a link are made by zenv itself."""
    if found.kind in NETWORK:
        raise Refused(f"{found.name} is a link to another company; nobody logs in to it.", "zenv zfn rotate WAREHOUSE")


def open_secrets(sql: Sql, name: str, master: Callable[[], bytes]) -> dict[str, str]:
    """The credentials of a connection, opened; the environment's `ZENV_SECRET_...` goes first."""
    sealed = sql.execute(select(secrets.c.field, secrets.c.sealed).where(secrets.c.connection_id == find(sql, name).id))
    return {field: credentials.open_secret(master, name, field, value).value for field, value in sealed}


EDITABLE = ("handling_days", "buffer", "with_fulfilled", "high_frequency", "adopt_new", "home_marketplace", "endpoint")


def edit(t: Transaction, name: str, warehouses: tuple[str, ...] | None = None, **changes: Any) -> None:
    """Change settings. A new default handling time, buffer or warehouse is told for all listings (A10)."""
    found = _standing(t.sql, name)
    unknown = set(changes) - set(EDITABLE)
    if unknown:
        raise BadInput(f"{', '.join(sorted(unknown))} cannot be changed.", "zenv connections edit --help")
    _check_numbers(changes.get("handling_days", 0), changes.get("buffer", 0))
    if changes:
        t.sql.execute(connections.update().where(connections.c.id == found.id).values(**changes))
    if "with_fulfilled" in changes:
        # H76: the preference is one for all channels.
        t.sql.execute(connections.update().values(with_fulfilled=changes["with_fulfilled"]))
    if warehouses is not None:
        choose_warehouses(t, found.id, warehouses)
    _touch_all(t, found.id)


def enable(t: Transaction, name: str) -> None:
    """From now on its tasks run, and its listings are owed their stock."""
    found = _standing(t.sql, name)
    t.sql.execute(connections.update().where(connections.c.id == found.id).values(status="active"))
    audit.record(t, "enabled", name)
    _touch_all(t, found.id)


def disable(t: Transaction, name: str) -> None:
    """Nothing runs any more; data, links and cursors stay (H82)."""
    found = _standing(t.sql, name)
    if found.kind == "zfn_client":
        raise Refused(f"{name} is a client of yours: it calls, and nothing of it runs here.", "zenv zfn clients")
    t.sql.execute(connections.update().where(connections.c.id == found.id).values(status="inactive"))
    audit.record(t, "disabled", name)


def needs_login(t: Transaction, connection: int) -> None:
    """The remote no longer takes the credentials; it stays so until the user logs in again."""
    active = (connections.c.id == connection, connections.c.status == "active")
    t.sql.execute(connections.update().where(*active).values(status="needs_login"))


def _touch_all(t: Transaction, connection: int) -> None:
    linked = select(listings.c.item_id).where(listings.c.connection_id == connection, listings.c.item_id.is_not(None))
    t.touch(*t.sql.execute(linked).scalars())


def find(sql: Sql, name: str) -> AnyRow:
    """The connection with this name; raises NotFound."""
    found = sql.execute(select(connections).where(connections.c.name == name)).one_or_none()
    if found is None:
        raise NotFound(f"There is no connection {_clean(name)!r}.", "zenv connections list")
    return found


def standing(sql: Sql) -> Sequence[AnyRow]:
    """All connections but those that were removed, by name."""
    return sql.execute(select(connections).where(connections.c.status != "removed").order_by(connections.c.name)).all()


def kind(sql: Sql, connection: int) -> str:
    """Which kind of remote it is."""
    return str(sql.execute(select(connections.c.kind).where(connections.c.id == connection)).scalar_one())


def status(sql: Sql, connection: int) -> str:
    """Whether it is saved, active, inactive, needs_login or removed."""
    return str(sql.execute(select(connections.c.status).where(connections.c.id == connection)).scalar_one())


def _standing(sql: Sql, name: str) -> AnyRow:
    found = find(sql, name)
    if found.status == "removed":
        raise Refused(f"{name} was removed; connect the account again.", f"zenv connect {found.kind}")
    return found


def cursor(sql: Sql, connection: int, stream: str) -> str | None:
    """How far a stream was read; None at the very first time."""
    this = (cursors.c.connection_id == connection, cursors.c.stream == stream)
    return sql.execute(select(cursors.c.position).where(*this)).scalar()


def move_cursor(t: Transaction, connection: int, stream: str, position: str) -> None:
    """The stream has been read this far; commits with the rows before it."""
    entry = insert_or_update(cursors).values(connection_id=connection, stream=stream, position=position, moved_at=t.now)
    t.sql.execute(
        entry.on_conflict_do_update(
            index_elements=["connection_id", "stream"], set_={"position": position, "moved_at": t.now}
        )
    )


def _check_numbers(handling_days: int, buffer: int) -> None:
    if not 0 <= handling_days <= 30:
        raise BadInput(f"A handling time of {handling_days} days is not possible.", "give 0 to 30")
    if not 0 <= buffer <= 1_000_000:
        raise BadInput(f"A buffer of {buffer} units is not possible.", "give 0 or more")


def _clean(text: str) -> str:
    return strip_control(text).strip()
