"""The days against the outside: while they pass, and when a quiet day has ended them."""

from __future__ import annotations

from collections import Counter

from tests.days.trouble import DAY, MINUTE, Days
from tests.year import checks, deeds
from tests.year.checks import promise
from tests.year.outside import OPEN
from zenv import scheduler
from zenv.ledger import invariants, recipients, views

PASSES = ("runs", "persons")
"""What the auditor may find while nobody keeps the schedule: a run that was killed, a person past their time."""


def always(d: Days) -> None:
    """What must be true at every moment, whatever goes wrong."""
    found = [one for one in invariants.check_all(d.company.book) if one.check not in PASSES]
    promise(not found, f"the auditor says {found}")
    promise(not d.bugs, f"zenv's own bugs: {d.bugs}")
    promise(not d.asked_of_disabled, f"a disabled account was asked {d.asked_of_disabled}")
    twice = [one for one, times in Counter(d.started).items() if times > 1]
    promise(not twice, f"run twice at one moment: {twice}")
    insists = {when: times for when, times in d.logins_refused.items() if times > 3}
    promise(not insists, f"refused logins are tried again and again: {insists}")
    for shop in d.company.shops:
        _of_a_shop(d, shop.name)


def _of_a_shop(d: Days, name: str) -> None:
    sim = d.company.shop(name).sim
    promise(not sim.violations, f"{name}: {sim.violations[:3]}")
    promise(not sim.channel_accidents and not sim.handling_resets, f"{name}: an accident with a listing")
    ours = Counter((p.order, p.tracking) for p in d.y.outside.packed if p.shop == name)
    said = Counter((c.order_id, c.tracking) for c in sim.confirmations)
    promise(not said - ours, f"{name}: told more than left: {said - ours}")
    promise(not [c for c in sim.confirmations if c.edit], f"{name}: a package was told over another")
    gone = [order for order, times in Counter(c.order_id for c in sim.cancellations).items() if times > 1]
    promise(not gone, f"{name}: cancelled twice: {gone}")


def nothing_is_late(d: Days) -> None:
    """A11 to A17: once the trouble is over, what is late is caught up without anybody's help."""
    rows = [dict(zip(table.columns, row, strict=True)) for table in [views.schedule(d.company.home)]
            for row in table.rows]  # fmt: skip
    now = f"{d.clock():%Y-%m-%d %H:%M:%S}"
    late = [f"{row['connection']} {row['task']} since {row['late_at']}" for row in rows if str(row["late_at"]) < now]
    promise(not late, f"late at {now}: {late}")
    wanted = len(scheduler.bounds(d.company.book))
    promise(len(rows) == wanted > 12, f"{len(rows)} tasks are planned, not {wanted}")


def quiet(d: Days, hours: float, minutes: float = 30) -> None:
    """Nothing goes wrong and nobody does anything, but for the person who settles the inbox."""
    for _ in range(int(hours * 60 / minutes)):
        d.company.clock.wind(minutes * MINUTE)
        d.pass_on()
        d.ticks()


def the_end(d: Days) -> None:
    """The trouble is over; what was planned catches up; then the books, Amazon and the shelf say the same."""
    _all_is_well(d)
    quiet(d, 4, 60)
    nothing_is_late(d)
    while d.y.outside.road:
        deeds.goods_arrive(d.y)
    for _ in range(4):
        quiet(d, 24.5, 180)
        if not _settled_by_a_person(d) and not checks._owed(d.y):
            break
    owed = checks._owed(d.y)
    promise(not owed, f"still owed: {owed}")
    checks._orders_are_the_same(d.y)
    checks._shelf_is_the_same(d.y)
    checks._everything_confirmed(d.y)
    checks.nothing_oversold(d.y)
    always(d)
    forgotten_after_a_month_off(d)


def _settled_by_a_person(d: Days) -> bool:
    """What waits on the inbox is linked, counted, tried again; whether there was anything."""
    linked = deeds.link(d.y)
    while deeds.link(d.y):
        pass
    counted = deeds.count_what_is_doubtful(d.y)
    deeds.clear_the_inbox(d.y)
    return linked or counted


def _all_is_well(d: Days) -> None:
    d.dies_after, d.beside = None, False
    for shop in d.company.shops:
        shop.sim.faults.clear()
    for running in (d.down, d.revoked, d.disabled):
        running.update(dict.fromkeys(running, d.now))
    d.off_until = d.now if d.off_until else None
    d.pass_on()


def forgotten_after_a_month_off(d: Days) -> None:
    """I7: the first thing that happens is that whoever got their goods a month ago is forgotten."""
    ended = [o.order_id for shop in d.company.shops for o in shop.sim.orders.values()
             if o.fulfilled_by == "MERCHANT" and o.status not in OPEN]  # fmt: skip
    d.company.clock.wind(35 * DAY)
    before = sum(len(shop.sim.requests) for shop in d.company.shops)
    d.asked_first = lambda: _known(d, ended)
    d.ticks()
    d.asked_first = None
    promise(sum(len(shop.sim.requests) for shop in d.company.shops) > before, "nothing ran after a month off")
    promise(not d.known_then, f"these were still known at the first request: {d.known_then}")
    promise(not _known(d, ended), "people are still known")


def _known(d: Days, numbers: list[str]) -> list[str]:
    """Of which of these orders the recipient can still be read."""
    known = []
    with d.company.book.reading() as sql:
        rows = sql.exec_driver_sql("SELECT id, number FROM customer_order").all()
        for order, number in rows:
            person = recipients.recipient(sql, d.company.book.keys, order) if number in numbers else {}
            if set(person.values()) - {"REDACTED", ""}:
                known.append(number)
    return known
