"""Goods on their way to a warehouse: purchase orders and transfers.

    doing        what a person does with them
    announcing   a client tells its provider, and repeats what the provider received
    taking       a provider takes what a client announces
    moves        what goes back to its shelf, or was lost on the way
    rows         the two tables, and what is set aside for transfers

Nothing else writes the tables `inbound` and `inbound_line`.
"""

from zenv.ledger.inbounds.announcing import arrived, book, build, record_state, tell_again
from zenv.ledger.inbounds.doing import allocate, cancel, complete, order, pick, receive, request, ship, transfer
from zenv.ledger.inbounds.rows import allocated, give_back, under_way
from zenv.ledger.inbounds.taking import states, take

__all__ = [
    "allocate",
    "allocated",
    "arrived",
    "book",
    "build",
    "cancel",
    "complete",
    "give_back",
    "order",
    "pick",
    "receive",
    "record_state",
    "request",
    "ship",
    "states",
    "take",
    "tell_again",
    "transfer",
    "under_way",
]
