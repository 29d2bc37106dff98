"""What is true outside the books: the goods on the shelf, the packages that left, what people know.

It is kept by the deeds themselves and never asks the books: with the simulators' own record of sales and
shipments it is the oracle of the year.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from zenv.simulators.amazon import Order

OPEN = ("PENDING", "UNSHIPPED", "PARTIALLY_SHIPPED")


@dataclass(frozen=True)
class Packed:
    """A package that left through zenv: `units` by the order item id Amazon gave."""

    shop: str
    order: str
    tracking: str
    units: dict[str, int]


@dataclass
class Outside:
    """`thing` says which item a listing really is, `linked` what zenv was told so far."""

    shelf: Counter[str] = field(default_factory=Counter)
    road: dict[int, tuple[str, int]] = field(default_factory=dict)
    thing: dict[tuple[str, str], str] = field(default_factory=dict)
    linked: set[tuple[str, str]] = field(default_factory=set)
    packed: list[Packed] = field(default_factory=list)
    by_hand: dict[str, dict[str, int]] = field(default_factory=dict)
    uncounted: set[str] = field(default_factory=set)
    """Items of which units left under a listing that zenv could not place: a person must count them."""
    in_vain: set[str] = field(default_factory=set)
    """Orders that left through zenv after Amazon had cancelled them, before zenv could know."""

    def packages_of(self, order: str) -> list[Packed]:
        """What left of an order through zenv."""
        return [package for package in self.packed if package.order == order]

    def open_units(self, shop: str, order: Order) -> Counter[str]:
        """Item -> units a customer still waits for; what left but is not yet confirmed is no longer waited for."""
        waited: Counter[str] = Counter()
        if order.status not in OPEN or order.fulfilled_by != "MERCHANT":
            return waited
        left = self.left_unconfirmed(order)
        for line in order.lines:
            if (shop, line.sku) in self.linked:
                waited[self.thing[shop, line.sku]] += line.unshipped - left[line.item_id]
        return waited

    def left_unconfirmed(self, order: Order) -> Counter[str]:
        """Order item id -> units in packages of ours that Amazon does not show yet."""
        shown = {package.tracking for package in order.packages.values()}
        left: Counter[str] = Counter()
        for package in self.packages_of(order.order_id):
            if package.tracking not in shown:
                left.update(package.units)
        return left
