"""Bugs planted in the product, inside the test process only: the year must find every one of them.

A mutant replaces a piece of the source of one function, wherever that function is known; a piece that is not
there any more is an error, so that no mutant dies quietly of old age.
"""

from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from zenv import delivery, sync
from zenv.connectors.amazon import following, order_stream
from zenv.connectors.amazon import stock as amazon_stock
from zenv.ledger import adoption, lines, listings, messages, order_changes, order_facts, outbox, settle, stock


@dataclass(frozen=True)
class Change:
    """In `function`, each piece of `pieces` becomes the other."""

    function: Callable[..., Any]
    pieces: tuple[tuple[str, str], ...]


def change(function: Callable[..., Any], *pieces: tuple[str, str]) -> Change:
    """A Change, written shortly."""
    return Change(function, pieces)


@contextmanager
def changed(*changes: Change) -> Iterator[None]:
    """The product with these changes."""
    with ExitStack() as stack:
        for one in changes:
            stack.enter_context(_replaced(one.function, _rewritten(one)))
        yield


def _rewritten(change: Change) -> Callable[..., Any]:
    function: Any = change.function
    source = textwrap.dedent(inspect.getsource(function))
    for old, new in change.pieces:
        if source.count(old) != 1:
            raise LookupError(f"{function.__qualname__} has {source.count(old)} times {old!r}")
        source = source.replace(old, new)
    code = compile("from __future__ import annotations\n" + source, inspect.getfile(function), "exec")
    space: dict[str, Any] = {}
    exec(code, function.__globals__, space)
    return space[function.__name__]  # type: ignore[no-any-return]


@contextmanager
def _replaced(old: Any, new: Any) -> Iterator[None]:
    """Put `new` wherever zenv's modules, classes and tables hold `old`."""
    places = list(_places(old))
    if not places:
        raise LookupError(f"{old!r} is nowhere")
    for put in places:
        put(new)
    try:
        yield
    finally:
        for put in places:
            put(old)


def _places(wanted: Any) -> Iterator[Callable[[Any], None]]:
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] == "zenv":
            yield from _inside(vars(module), lambda key, value, m=module: setattr(m, key, value), wanted)  # type: ignore[misc]


def _inside(space: dict[str, Any], put: Callable[[str, Any], None], wanted: Any) -> Iterator[Callable[[Any], None]]:
    for key, held in list(space.items()):
        if held is wanted:
            yield lambda value, k=key: put(k, value)  # type: ignore[misc]
        elif isinstance(held, dict) and key.isupper():
            yield from (lambda value, d=held, k=k: d.__setitem__(k, value) for k, v in held.items() if v is wanted)  # type: ignore[misc]
        elif _is_method(wanted, held):
            yield lambda value, c=held: setattr(c, value.__name__, value)  # type: ignore[misc]


def _is_method(wanted: Any, held: Any) -> bool:
    ours = isinstance(held, type) and held.__module__.startswith("zenv")
    return ours and wanted is vars(held).get(getattr(wanted, "__name__", ""))


def small_pages() -> Any:
    """Two orders a page, as Amazon may: a year is too short for pages of a hundred."""
    return changed(change(order_stream._search, ('"100"', '"2"')))


_DELIVER = "delivery.deliver(job.book, job.row, job.connector, kind, job.tally, yes_to_zero, job.go_on)"
_FOUND = "receipt = connector.find(message)"
_RELEASED = '_cancel_lines(t, order, None)\n    refresh_states(t, [order.id])\n    return "requested"'
_OPEN_TO_ALL = (
    "select(listings, connections.c.buffer, connections.c.handling_days)"
    ".join(connections, connections.c.id == listings.c.connection_id).where(listings.c.item_id.is_not(None),"
)
_FATAL = '"unknown", reason=reason) for message in messages)\n        return\n    content'

MUTANTS: dict[str, tuple[Change, ...]] = {
    "the cursor moves with every page": (
        change(order_stream._walk,
               ("cursor.dumps(), read, why_empty", "OrderCursor(since=horizon).dumps(), read, why_empty")),
    ),
    "known orders are never updated": (change(order_facts._update, ("if not changed:", "if True:")),),
    "demand is not subtracted": (
        change(settle.Shelves.offer, ("self.free(item, warehouse)", "self.on_hand.get((item, warehouse), 0)"),
               (" - self.still_waiting[item]", "")),
    ),
    "waiting demand is not subtracted": (change(settle.Shelves.offer, (" - self.still_waiting[item]", "")),),
    "a lost answer is repeated under a new number": (
        change(delivery._look_up, (_FOUND, 'receipt = Receipt(owed.id, "retry")')),
        change(messages._shipment_notices, ("s.reference,", "str(int(s.reference) + 20 * owed[s.id].attempts),")),
    ),
    "a lost answer is repeated blindly": (change(delivery._look_up, (_FOUND, 'receipt = Receipt(owed.id, "retry")')),),
    "a lost answer is taken as done": (change(delivery._look_up, (_FOUND, 'receipt = Receipt(owed.id, "done")')),),
    "a failed feed is taken as done": (change(following.follow_feed, (_FATAL, _FATAL.replace("unknown", "done"))),),
    "stock is told before the orders are read": (
        change(sync.whole, ("            pulling.pull_task(job, task)\n", ""),
               (_DELIVER, f"{_DELIVER}\n            pulling.pull_task(job, task)")),
    ),
    "a change on the wire is forgotten": (
        change(outbox._done, (", messages.c.sent_revision == messages.c.revision", "")),
        change(messages._book_stock_level, ('if receipt.outcome in ("done", "submitted"):', "if False:")),
    ),
    "waiting lines are never filled": (change(settle._fill, ("in shelves.waiting:", "in ():")),),
    "an order touches nothing": (
        change(order_facts._insert, ('t.touch(*(line["item_id"] for line in rows))', "pass")),
    ),
    "a delivery touches nothing": (change(stock.move, ("t.touch(*(m.item for m in moves))", "pass")),),
    "a sale and a delivery cancel out": (change(listings.quantity_moved, ("in in_chunks(", "in in_chunks(() and ")),),
    "what was shipped elsewhere moves nothing": (
        change(lines._moves,
               ("    warehouse = held", "    if on_shelf is not None:\n        return []\n    warehouse = held")),
    ),
    "a cancelled order keeps its stock": (change(lines.reshape, ("in held_for(t, wanted)", "in ()")),),
    "a cancellation releases at once": (change(order_changes._ask_to_cancel, ('return "requested"', _RELEASED)),),
    "the opening stock forgets open orders": (
        change(adoption._opening_units, ("quantity + changes.get(listing, 0)", "quantity")),
        change(order_facts._reopen, ('line["quantity"] - line["cancelled"] - line["shipped"]', "0")),
    ),
    "Amazon's own stock is told a quantity": (
        change(settle._owe_levels, ('listings.c.fulfilled_by == "merchant",', "")),
        change(messages._stock_levels, ("_told_listings.where(", _OPEN_TO_ALL)),
        change(amazon_stock._sorted_out, ('if level.fulfilled_by != "merchant":', "if False:")),
    ),
}  # fmt: skip
