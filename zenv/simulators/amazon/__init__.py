"""A truthful model of Amazon's side: login, sellers, listings, reports, feeds, orders and shipments.

    sim = AmazonSimulator(seed=7)
    sim.add_listing("MUG-1", name="A mug", quantity=5)
    with serve(sim) as url:
        ...
    assert not sim.violations

It keeps state, a clock that can be wound, the published rate limits and named faults, and it counts
effects: what was really confirmed, cancelled and set for sale.
"""

from __future__ import annotations

from .records import Cancellation, Confirmation, Listing, Order, QuantityChange, SoldOut, Violation
from .run import run
from .server import serve
from .simulator import AmazonSimulator
from .state import DELIVERY_ROLE, LISTING_ROLE, ORDERS_ROLE, TAX_ROLE

__all__ = [
    "DELIVERY_ROLE",
    "LISTING_ROLE",
    "ORDERS_ROLE",
    "TAX_ROLE",
    "AmazonSimulator",
    "Cancellation",
    "Confirmation",
    "Listing",
    "Order",
    "QuantityChange",
    "SoldOut",
    "Violation",
    "run",
    "serve",
]
