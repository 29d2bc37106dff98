"""What moves with an inbound, beside what simply goes from one place to the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from zenv.ledger.inbounds.rows import change_line
from zenv.ledger.models import OUTSIDE
from zenv.ledger.stock import Move, move
from zenv.ledger.transaction import AnyRow, Transaction


def put_back(t: Transaction, inbound: AnyRow, lines: Sequence[AnyRow], keep: Mapping[int, int] | None = None) -> None:
    """What is picked or set aside at the source and does not leave any more is free again, but for the units (by line)
    to `keep`."""
    back: list[Move] = []
    for line in lines:
        wanted = max(0, keep.get(line.id, 0)) if keep else 0
        picked = min(line.picked, wanted)
        aside = min(line.allocated, wanted - picked)
        if (picked, aside) == (line.picked, line.allocated):
            continue
        if line.picked > picked:
            source, shelf = t.place(inbound.source_id, "picked"), t.place(inbound.source_id, "on_hand")
            back.append(Move(line.item_id, source, shelf, line.picked - picked, "unpicked", inbound.number))
        change_line(t, line.id, picked=picked, allocated=aside)
        t.touch(line.item_id)
    move(t, back)


def write_off(t: Transaction, inbound: AnyRow, missing: Mapping[AnyRow, int], note: str) -> None:
    """Units of lines that were sent never arrived: they are in transit no more."""
    move(t, [
        Move(line.item_id, t.place(inbound.destination_id, "in_transit"), OUTSIDE["adjustment"], units, "adjusted",
             inbound.number, f"{note} {line.sent - units} of {line.sent}")
        for line, units in missing.items() if units > 0 and inbound.source_id is not None
    ])  # fmt: skip
