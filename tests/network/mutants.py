"""Bugs planted in the product, inside the test process only: the histories must find every one of them.

Made as those of tests/year/mutants.py are; above each stands the check that kills it. One that was tried is not here:
small revisions of what is told (`outbox._stamp`) need the number of a deleted row again at the right moment, which
hardly ever comes.
"""

from __future__ import annotations

from tests.year.mutants import Change, change
from zenv import pulling
from zenv.connectors.zfn import streams
from zenv.ledger import outbox, settle
from zenv.ledger.inbounds import announcing
from zenv.ledger.inbounds import rows as inbound_rows
from zenv.ledger.inbounds import taking as inbound_taking
from zenv.ledger.zfn import answers, arrivals, feed, handing, journal, replay, taking

_LAID_OUT = (
    "these = messages.update().where(messages.c.id.in_(chunk))\n"
    '        t.sql.execute(these.values(state="sent", sent_revision=messages.c.revision))'
)

MUTANTS: dict[str, tuple[Change, ...]] = {
    # An order comes back to life, or is what it was before: the lines of both sides differ (_orders).
    "the provider heeds any version": (
        change(taking._is_news,
               ("said.version > known.version:", "True:")),
    ),
    # What was read is read again and refused (a good day must work), or booked twice (_goods).
    "the mark does not move with the rows": (
        change(pulling._record_journal, ("_end_page(t, job, page, stream)", "runs.renew(t, job.run)")),
    ),
    # Entries have other numbers than those that were read (a good day must work; zenv zfn compare).
    "the journal is numbered anew for each request": (
        change(feed.number, ("t.sql.execute(text(NUMBER)",
                             't.sql.execute(text("DELETE FROM client_journal WHERE client_id = :client"),'
                             ' {"client": client.id})\n    t.sql.execute(text(NUMBER.replace("ORDER BY id",'
                             ' "ORDER BY id DESC"))')),
        change(feed.is_numbered, ("== 0", "== -1")),
    ),
    # The mirror is in a state that the provider was never in (the_mirror_is_what_the_provider_was).
    "a page ends inside a transaction": (
        change(feed._page, ("if len(found) <= limit:", "if found := found[:limit]:")),
    ),
    # What is picked is not set aside for its order (the auditor).
    "a reservation does not follow a pick": (change(arrivals.follow, ("_set_aside(t, link, order, picked)", "pass")),),
    # Where the provider says no, the client has changed what stands there (_orders; a snapshot that cannot be said).
    "a wish holds at once": (
        change(handing.wish, ("    t.hand(order.id)", "    from zenv.ledger.zfn import answers\n"
                              "    answers._reshape(t, order, change.get('lines', {}))\n    t.hand(order.id)")),
    ),
    # A delayed message is taken after its refusal was told (_orders).
    "a refused version is not remembered": (
        change(taking._take, ("_remember_refusals(t, books, [", "list([")),
    ),
    # An entered order, or a refusal, never reaches the client (_orders, _returned_are_said).
    "what is told is forgotten when it is read": (
        change(outbox.lay_out, (_LAID_OUT, "t.sql.execute(messages.delete().where(messages.c.id.in_(chunk)))")),
    ),
    # The customer waits for a parcel that has left (_parcels).
    "Amazon is not told of a provider's package": (
        change(arrivals._book_package, ("_is_channel(t, order.connection_id)", "False")),
    ),
    # The units are at home and in the depot (_goods).
    "a transfer is received from the supplier": (
        change(announcing._of_line, ("if inbound.source_id is None:", "if True:")),
    ),
    # Half of an order is set aside in the depot (SPLIT).
    "a line is filled from the depot, wherever its order leaves from": (
        change(settle._allowed, ("filled_from.own(line.connection)", "filled_from.of(line.connection)")),
    ),
    # What the provider has promised is sold again (nothing_oversold).
    "the demand of orders that the provider entered is not counted": (
        change(streams.order, ('fulfilled_by="merchant"', 'fulfilled_by="channel"')),
    ),
    # What a transfer has is set aside for an order as well (the auditor).
    "orders do not see what transfers have": (
        change(inbound_rows.allocated, ("lines.c.allocated > 0", "lines.c.id < 0")),
    ),
    # More is set aside for a transfer than lies there (the auditor).
    "transfers give nothing up": (
        change(settle._take_back, ("inbounds.give_back(t, item, warehouse, missing)", "0")),
    ),
    # One client reads of another's goods (nothing_foreign, in the first minute).
    "items are not scoped to their client": (
        change(feed._items, ("listings.c.connection_id == client.connection_id, items.c.client_id == client.id",
                             "listings.c.connection_id.is_not(None),")),
    ),
    # An order that was called back is handed over in a version that is not heeded (_orders).
    "versions begin anew": (
        change(handing._refresh, ("version=known.version + 1)\n    known", "version=1)\n    known")),
    ),
    # That the client puts back what the provider holds shows too seldom here: tests/zfn/test_handing.py finds it.
    # A parcel of an order that was not known yet is never heard of again (the auditor, _parcels).
    "the journal does not wait for the order it speaks of": (
        change(journal.unknown_orders, ("return sorted(entered - set(sql.execute(here).scalars()))", "return []")),
    ),
    # Nobody learns that the provider will not ship (_returned_are_said, _orders).
    "a returned order is not returned": (
        change(answers.record_state, ("handing.refused(t, order.id, known.version, returned=True)", "return")),
    ),
    # The mirror has moved what the provider has not (_goods).
    "an entry is left out": (
        change(replay.record, ("for moved in booked.movements:\n        if (item",
                               "for moved in booked.movements[1:]:\n        if (item")),
    ),
    # An announcement that was overtaken brings the old state back (_inbounds).
    "an older announcement is heeded": (
        change(inbound_taking.take, ("said.version <= known.version", "False")),
    ),
}  # fmt: skip
