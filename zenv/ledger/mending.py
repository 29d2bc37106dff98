"""Mending what `zenv doctor` finds: one mend per check, each one transaction, each saying what it changed.

A mend writes what no operation may, because it repairs what no operation could have done: here, and nowhere else,
tables of several subjects are written. Where the subject has a function that does, that is used. What a mend cannot
know it does not guess: stock follows the movements, and a file that is damaged as such is restored from a backup.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from zenv.errors import BadInput, NotFound
from zenv.ledger import audit, buckets, chain, outbox
from zenv.ledger.book import Book
from zenv.ledger.inbounds import rows as inbounds
from zenv.ledger.invariants import append_only, folder, goods, schema, trade, work
from zenv.ledger.lines import refresh_states
from zenv.ledger.models import OUTSIDE
from zenv.ledger.stock import Move, is_own, move
from zenv.ledger.transaction import AnyRow, Transaction, as_stored

Act = Callable[[Transaction], list[str]]


@dataclass(frozen=True)
class Mend:
    """How a finding is mended, and what a person should know before they say yes; empty where nothing of what the
    books say of stock changes."""

    act: Act
    warning: str = ""


@dataclass(frozen=True)
class Change:
    """One thing a mend did, or would do."""

    check: str
    text: str


def preview(book: Book, check: str, subject: str = "") -> list[Change]:
    """What the mend would change: it is done, looked at, and taken back."""
    found: list[Change] = []
    with suppress(_TakenBack), book.transaction() as t:
        found += _mended(t, check, subject)
        raise _TakenBack
    return found


class _TakenBack(Exception):
    pass


def mend(book: Book, check: str, subject: str = "") -> list[Change]:
    """Mend what this check finds, all of it or nothing; what was changed. NotFound for a check without a mend."""
    if check == "files":
        return [Change(check, said) for said in close_files(book)]
    with book.transaction() as t:
        done = _mended(t, check, subject)
        audit.record(t, "mended", f"{check} {subject}".strip(), detail=f"{len(done)} changes")
        return done


def warning(check: str) -> str:
    """What to say before this mend; empty where it needs no yes."""
    return "" if check in ("files", "packages") else _known(check).warning


def _mended(t: Transaction, check: str, subject: str) -> list[Change]:
    if check == "packages":
        return [Change(check, said) for said in tell_again(t, subject)]
    return [Change(check, said) for said in _known(check).act(t)]


def _known(check: str) -> Mend:
    if check not in MENDS:
        raise NotFound(f"There is nothing called {check!r} to mend.", "zenv doctor")
    return MENDS[check]


# ---- stock -----------------------------------------------------------------------------------------------


def levels(t: Transaction) -> list[str]:
    """Each level becomes what its movements add up to. Where those add up to less than nothing, one of them is
    lost: a correction is booked, so that the history explains the level again."""
    wrong = t.sql.execute(text(goods.FOLD)).all()
    lost = [row for row in wrong if row.folded < 0]
    _correct(t, lost)
    rest = [row for row in wrong if row.folded >= 0]
    for row in rest:
        _set_level(t, row, row.folded)
    t.touch(*(row.item_id for row in wrong))
    said = [f"{row.sku} {row.state} in {row.warehouse}: {row.level} becomes {row.folded}" for row in rest]
    return said + [
        f"{row.sku} {row.state} in {row.warehouse}: a correction of {row.level - row.folded} units explains the"
        f" {row.level} that are there" for row in lost
    ]  # fmt: skip


def _correct(t: Transaction, lost: Sequence[AnyRow]) -> None:
    move(t, [
        Move(row.item_id, OUTSIDE["adjustment"], t.place(row.warehouse_id, row.state), row.level - row.folded,
             "adjusted", note="a movement was lost (zenv doctor)")
        for row in lost
    ])  # fmt: skip
    for row in lost:
        _set_level(t, row, row.level)  # the level had it already


def _set_level(t: Transaction, row: AnyRow, units: int) -> None:
    t.sql.execute(
        text(f"INSERT INTO level (item_id, warehouse_id, on_hand, picked, in_transit) VALUES (:item, :there, 0, 0, 0)"
             f" ON CONFLICT DO UPDATE SET {row.state} = {row.state}"),
        {"item": row.item_id, "there": row.warehouse_id},
    )  # fmt: skip
    changed = text(f"UPDATE level SET {row.state} = :units WHERE item_id = :item AND warehouse_id = :there")
    t.sql.execute(changed, {"units": units, "item": row.item_id, "there": row.warehouse_id})


def transfers(t: Transaction) -> list[str]:
    """A transfer says what its movements say; where more arrived than left, only its movements know why."""
    wrong = t.sql.execute(text(goods.TRANSFERRED)).all()
    for row in wrong:
        said = {"id": row.id, "went": max(row.went, row.came, 1), "came": row.came}
        t.sql.execute(text("UPDATE transfer SET quantity = :went, arrived = :came WHERE id = :id"), said)
    return [f"transfer {row.id}: {row.came} of {row.went} units have arrived" for row in wrong]


def inbound_lines(t: Transaction) -> list[str]:
    """An inbound says what its movements say."""
    wrong = t.sql.execute(text(goods.INBOUND)).all()
    for row in wrong:
        inbounds.recount(t, row.id, row.item_id, row.in_hands, row.gone, row.came)
    t.touch(*(row.item_id for row in wrong))
    return [f"inbound {row.number}: {row.gone} x {row.sku} were sent, {row.came} received" for row in wrong]


def reservations(t: Transaction) -> list[str]:
    """Where reservations do not fit their shelf or their line, all of that shelf's are given up, what was picked
    goes back, and the lines are filled again, oldest order first."""
    shelves = {
        (row.item_id, row.warehouse_id)
        for query in (goods.RESERVED, goods.PICKED, goods.OVERHELD)
        for row in t.sql.execute(text(query))
    }
    said = [_clear(t, item, warehouse) for item, warehouse in sorted(shelves)]
    half = t.sql.execute(text(goods.HALF_FILLED)).all()
    t.touch(*(row.item_id for row in half))
    return said + [f"order {row.number}: {row.missing} free units more are reserved" for row in half]


def _clear(t: Transaction, item: int, warehouse: int) -> str:
    this = {"item": item, "there": warehouse}
    # A line whose item is another one now is to be filled from that.
    lines = "SELECT ol.item_id FROM reservation r JOIN order_line ol ON ol.id = r.line_id"
    t.touch(item, *t.sql.execute(text(f"{lines} WHERE r.item_id = :item AND r.warehouse_id = :there"), this).scalars())
    t.sql.execute(text("DELETE FROM reservation WHERE item_id = :item AND warehouse_id = :there"), this)
    # What is in a provider's hands, the provider puts back: its journal alone moves what is there.
    units = (t.sql.execute(text(PICKED_FOR_ORDERS), this).scalar() or 0) if is_own(t.sql, warehouse) else 0
    if units > 0:
        move(t, [Move(item, t.place(warehouse, "picked"), t.place(warehouse, "on_hand"), units, "unpicked",
                      note="reservations were made anew (zenv doctor)")])  # fmt: skip
    named = t.sql.execute(text("SELECT i.sku, w.name FROM item i, warehouse w WHERE i.id = :item AND w.id = :there"),
                          this).one()  # fmt: skip
    back = f", {units} picked units are on the shelf again" if units > 0 else ""
    return f"{named.sku} in {named.name}: reservations are made anew{back}"


PICKED_FOR_ORDERS = """
SELECT l.picked - (SELECT COALESCE(SUM(n.picked), 0) FROM inbound_line n JOIN inbound b ON b.id = n.inbound_id
                    WHERE n.item_id = l.item_id AND b.source_id = l.warehouse_id)
  FROM level l WHERE l.item_id = :item AND l.warehouse_id = :there
"""


def movements(t: Transaction) -> list[str]:
    """What stands in the movements is taken for what happened, and sealed as a chain again."""
    broken = chain.broken(t.sql)
    if not broken:
        return []
    for name, _ in append_only.triggers():
        t.sql.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}")
    before = chain.BEGINNING
    for number, *values in t.sql.exec_driver_sql(
        f"SELECT id, {', '.join(chain.FIELDS)} FROM movement ORDER BY id"
    ).fetchall():
        before = chain.link(before, values)
        t.sql.exec_driver_sql("UPDATE movement SET digest = ? WHERE id = ?", (before, number))
    triggers(t)
    return [f"movement {number} is taken as it stands" for number in broken]


def triggers(t: Transaction) -> list[str]:
    """What is append-only refuses changes again."""
    missing = append_only.missing_triggers(t.sql)
    for name, statement in missing:
        t.sql.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}")
        t.sql.exec_driver_sql(statement)
    return [f"{name} stands again" for name, _ in missing]


def views(t: Transaction) -> list[str]:
    """The views are made again as this version has them."""
    wrong = [found.subject for found in schema.views_say_what_this_version_says(t.sql, t.now)]
    for name in wrong:
        t.sql.exec_driver_sql(f'DROP VIEW IF EXISTS "{name}"')
        t.sql.exec_driver_sql(schema.views()[name])
    return [f"{name} is made again" for name in wrong]


# ---- orders ----------------------------------------------------------------------------------------------


def orders(t: Transaction) -> list[str]:
    """An order has the state its lines say."""
    wrong = t.sql.execute(text(trade.STATES)).all()
    for row in wrong:
        # What the state claims is forgotten, or `completed` would stay and `cancelled` keep its time.
        state = "UPDATE customer_order SET state = CASE state WHEN 'pending' THEN state ELSE 'ready' END"
        t.sql.execute(text(f"{state} WHERE id = :id"), {"id": row.id})
        t.touch(*t.sql.execute(text("SELECT item_id FROM order_line WHERE order_id = :id"), {"id": row.id}).scalars())
    refresh_states(t, [row.id for row in wrong])
    states = {row.id: row.state for row in t.sql.execute(text("SELECT id, state FROM customer_order"))}
    return [f"order {row.number}: {row.state} becomes {states[row.id]}" for row in wrong]


def packages(t: Transaction) -> list[str]:
    """What has left the shelf decides: lines count what their packages hold if the movements agree with that,
    else the packages hold what the lines count."""
    foreign = t.sql.execute(text(trade.FOREIGN_LINES)).all()
    for row in foreign:
        this = {"shipment": row.shipment_id, "line": row.line_id}
        t.sql.execute(text("DELETE FROM shipment_line WHERE shipment_id = :shipment AND line_id = :line"), this)
    said = [f"order {row.number}: package {row.reference} holds no line of another order" for row in foreign]
    wrong = t.sql.execute(text(trade.PACKED)).all()
    said += [_agree(t, row) for row in wrong]
    refresh_states(t, {row.order_id for row in wrong})
    t.touch(*(row.item_id for row in wrong))
    return said


def _agree(t: Transaction, row: AnyRow) -> str:
    if row.packed > row.shipped and _left(t, row) < _packed_of_item(t, row):
        _take_out(t, row.line_id, row.packed - row.shipped)
        return f"order {row.number}: its packages hold {row.shipped} units of a line, not {row.packed}"
    ordered = text(
        "UPDATE order_line SET shipped = :units, quantity = MAX(quantity, cancelled + :units) WHERE id = :id"
    )
    t.sql.execute(ordered, {"units": row.packed, "id": row.line_id})
    return f"order {row.number}: {row.packed} units of a line are shipped, not {row.shipped}"


def _left(t: Transaction, row: AnyRow) -> int:
    moved = "SELECT COALESCE(SUM(quantity), 0) FROM movement WHERE reason = 'shipped' AND reference = :number"
    about = {"number": row.number, "item": row.item_id}
    return int(t.sql.execute(text(f"{moved} AND item_id = :item"), about).scalar_one())


def _packed_of_item(t: Transaction, row: AnyRow) -> int:
    packed = ("SELECT COALESCE(SUM(sl.quantity), 0) FROM shipment_line sl JOIN order_line ol ON ol.id = sl.line_id"
              " WHERE ol.order_id = :order AND ol.item_id IS :item")  # fmt: skip
    return int(t.sql.execute(text(packed), {"order": row.order_id, "item": row.item_id}).scalar_one())


def _take_out(t: Transaction, line: int, units: int) -> None:
    """Units of a line out of its youngest packages."""
    found = text("SELECT shipment_id, quantity FROM shipment_line WHERE line_id = :line ORDER BY shipment_id DESC")
    for package in t.sql.execute(found, {"line": line}).all():
        less = min(units, package.quantity)
        units -= less
        change = (
            "DELETE FROM shipment_line" if less == package.quantity else "UPDATE shipment_line SET quantity = :left"
        )
        t.sql.execute(text(f"{change} WHERE shipment_id = :package AND line_id = :line"),
                      {"left": package.quantity - less, "package": package.shipment_id, "line": line})  # fmt: skip


def messages(t: Transaction) -> list[str]:
    """What a channel was never told is owed, and looked up there first, in case it was told; what is about nothing
    is forgotten."""
    needless = t.sql.execute(text(trade.NEEDLESS)).all()
    outbox.forget(t, [row.id for row in needless])
    untold = t.sql.execute(text(trade.UNTOLD)).all()
    _owe_again(t, untold)
    said = [f"message {row.id} about nothing is forgotten" for row in needless]
    return said + [f"{row.kind} {row.subject_name} is looked up at the channel, then told" for row in untold]


def _owe_again(t: Transaction, rows: Iterable[Any]) -> None:
    owed = [(row.connection_id, row.kind, row.subject) for row in rows]
    ours = text("UPDATE shipment SET elsewhere = 0 WHERE id = :id AND elsewhere AND confirmed_at IS NULL")
    for _, kind, subject in owed:
        if kind == "shipment":
            t.sql.execute(ours, {"id": subject})
    outbox.queue(t, owed)
    outbox.doubt(t, owed)


def tell_again(t: Transaction, subject: str) -> list[str]:
    """A package (ORDER/PACKAGE) the channel does not show after all is owed again, and looked up there first."""
    number, _, reference = subject.rpartition("/")
    if not number or not reference:
        raise BadInput(f"{subject!r} is not ORDER/PACKAGE.", "zenv orders show ORDER")
    found = t.sql.execute(text(PACKAGE), {"number": number, "reference": reference}).all()
    if not found:
        raise NotFound(f"There is no package {reference} of an order {number} that a channel is told.",
                       "zenv orders list")  # fmt: skip
    for row in found:
        t.sql.execute(text("UPDATE shipment SET confirmed_at = NULL WHERE id = :id"), {"id": row.subject})
    _owe_again(t, found)
    return [f"package {subject} is looked up at the channel, then told"]


PACKAGE = """
SELECT 'shipment' AS kind, o.connection_id, s.id AS subject
  FROM shipment s JOIN customer_order o ON o.id = s.order_id
 WHERE o.number = :number AND s.reference = :reference AND o.connection_id IS NOT NULL AND NOT s.elsewhere
"""

# ---- work ------------------------------------------------------------------------------------------------


def cursors(t: Transaction) -> list[str]:
    """A stream whose place is lost is read from its beginning; recording twice is recording once."""
    query = (
        "SELECT k.connection_id, c.name, k.stream, k.position FROM cursor k JOIN connection c ON c.id = k.connection_id"
    )
    lost = [row for row in t.sql.execute(text(query)).all() if work.cursor_trouble(row.position, t.now)]
    for row in lost:
        this = {"connection": row.connection_id, "stream": row.stream}
        t.sql.execute(text("DELETE FROM cursor WHERE connection_id = :connection AND stream = :stream"), this)
    return [f"{row.stream} of {row.name} is read from the beginning: zenv sync now {row.name}" for row in lost]


def runs(t: Transaction) -> list[str]:
    """Runs that nobody does any more are abandoned; what they had recorded stays."""
    dead = t.sql.execute(text(work.DEAD_RUNS), {"now": as_stored(t.now)}).all()
    for row in dead:
        ended = "UPDATE run SET outcome = 'abandoned', ended_at = :now, lease_until = NULL WHERE id = :id"
        t.sql.execute(text(ended), {"now": as_stored(t.now), "id": row.id})
    return [f"run {row.id} ({row.task}) is abandoned" for row in dead]


def rates(t: Transaction) -> list[str]:
    """Buckets that cannot be begin anew."""
    wrong = [found.subject for found in work.buckets_can_be_emptied_and_filled(t.sql, t.now)]
    buckets.forget(t.sql, wrong)
    return [f"{key} begins anew" for key in wrong]


def seals(t: Transaction) -> list[str]:
    """What is not sealed is erased: a credential has to be given again, a recipient is fetched again, clients need a
    new company code."""
    said = []
    for row in t.sql.execute(text(work.UNSEALED)).all():
        t.sql.execute(text(f"{ERASED[row.place]} = :owner"), {"owner": row.owner})
        said.append(f"{row.subject}: {row.what} is erased")
    waiting = "UPDATE connection SET status = 'needs_login' WHERE status = 'active' AND kind <> 'zfn_client'"
    t.sql.execute(text(f"{waiting} AND id NOT IN (SELECT connection_id FROM secret)"))
    return said


ERASED = {
    "secret": "DELETE FROM secret WHERE connection_id",
    "personal": "DELETE FROM personal WHERE order_id",
    "standing": "UPDATE standing SET sealed = x'', certificate = '' WHERE id",
}


def close_files(book: Book) -> list[str]:
    """Files and folders of the ledger are opened by their owner only."""
    said = []
    for path, facts in folder.every_file(book.home):
        if facts.st_mode & 0o077:
            path.chmod(facts.st_mode & 0o700)
            said.append(f"{path.name} is yours alone")
    return said


MENDS: dict[str, Mend] = {
    "triggers": Mend(triggers),
    "views": Mend(views),
    "chain": Mend(movements, "Each of these movements was changed past zenv, or one before it was taken out. Sealing"
                             " them says: what stands there is what happened. Compare them with a backup first."),
    "levels": Mend(levels, "Stock follows its movements. Count these shelves afterwards."),
    "transfers": Mend(transfers, "Transfers follow their movements."),
    "inbounds": Mend(inbound_lines, "Inbounds follow their movements."),
    "shipments": Mend(packages, "What has left the shelf decides what was shipped."),
    "orders": Mend(orders),
    "reservations": Mend(reservations, "Put what was picked for these shelves' orders back before you go on."),
    "messages": Mend(messages),
    "cursors": Mend(cursors),
    "runs": Mend(runs),
    "buckets": Mend(rates),
    "seals": Mend(seals),
}  # fmt: skip
