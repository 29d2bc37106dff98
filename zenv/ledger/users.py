"""Our own people, by the names given with `--as`: who there is, and who administers.

A ledger that knows nobody yet trusts whoever acts. This is an order among colleagues, not a wall: who can open the
ledger's file can do everything.
"""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from zenv.errors import BadInput, NotFound, Refused
from zenv.ledger import audit
from zenv.ledger.models import User
from zenv.ledger.transaction import AnyRow, Transaction, row, table
from zenv.privacy import strip_control

users = table(User)

LONGEST = 100


def add(t: Transaction, name: str, administrator: bool = False) -> None:
    """Somebody may act from now on; one who was deactivated may again. Administrators only.

    In a ledger that knows nobody, whoever does this is written down first, as an administrator.
    """
    demand_administrator(t, "add users")
    begin(t)
    name = _named(name)
    known = t.sql.execute(select(users).where(users.c.name == name)).one_or_none()
    if known is not None and known.active and known.administrator >= administrator:
        raise Refused(f"There is a user {name} already.", "zenv users list")
    if known is None:
        t.insert(User, [row(User, name=name, administrator=administrator, added_at=t.now)])
    else:
        t.sql.execute(users.update().where(users.c.name == name).values(administrator=administrator, active=True))
    audit.record(t, "added user", name, detail="administrator" if administrator else "")


def begin(t: Transaction) -> None:
    """Whoever acts in a ledger that knows nobody is its first administrator."""
    if not _known(t.sql) and t.actor.strip():
        t.insert(User, [row(User, name=_named(t.actor), administrator=True, added_at=t.now)])
        audit.record(t, "added user", _named(t.actor), detail="administrator")


def deactivate(t: Transaction, name: str) -> None:
    """Somebody may act no more; their name stays in the history. Administrators only; one of them stays."""
    demand_administrator(t, "deactivate users")
    found = require(t.sql, name)
    if found.administrator and administrators(t.sql) == [found.name]:
        raise Refused(f"{found.name} is the only administrator.", "zenv users add NAME --administrator")
    t.sql.execute(users.update().where(users.c.name == found.name).values(active=False))
    audit.record(t, "deactivated user", found.name)


def require(sql: Connection, name: str) -> AnyRow:
    """The active user of this name; raises NotFound."""
    found = sql.execute(select(users).where(users.c.name == name, users.c.active)).one_or_none()
    if found is None:
        raise NotFound(f"There is no active user {_clean(name)!r}.", "zenv users list")
    return found


def is_administrator(sql: Connection, name: str) -> bool:
    """Whether `name` administers this ledger; where nobody is known, whoever acts does."""
    return name in administrators(sql) or not _known(sql)


def administrators(sql: Connection) -> list[str]:
    """The names of the active administrators."""
    active = select(users.c.name).where(users.c.administrator, users.c.active).order_by(users.c.name)
    return list(sql.execute(active).scalars())


def demand_administrator(t: Transaction, doing: str) -> None:
    """Refused, naming the administrators, unless one of them acts."""
    if not is_administrator(t.sql, t.actor):
        names = administrators(t.sql)
        raise Refused(f"Only an administrator may {doing}, and {_clean(t.actor)} is none. Nothing was changed.",
                      f"Ask {' or '.join(names)}.")  # fmt: skip


def _known(sql: Connection) -> bool:
    return bool(sql.execute(select(func.count()).select_from(users)).scalar_one())


def _named(name: str) -> str:
    name = _clean(name)
    if not 0 < len(name) <= LONGEST:
        raise BadInput("A user needs a name.", f"give 1 to {LONGEST} letters")
    return name


def _clean(text: str) -> str:
    return strip_control(text).strip()
