"""Buyers who order, pay and change their minds, and a seller who ships by hand in Seller Central."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from . import names
from .catalogue import Catalogue
from .marketplaces import MARKETPLACES
from .records import Cancellation, Line, Order, Package, SoldOut
from .state import locked

OPEN = ("PENDING", "UNSHIPPED", "PARTIALLY_SHIPPED")


class Storefront(Catalogue):
    """The shop: every deed changes `lastUpdatedTime`, and sales eat the live merchant quantity."""

    @locked
    def place_order(
        self,
        lines: list[tuple[str, int]],
        status: str = "UNSHIPPED",
        fulfilled_by: str = "MERCHANT",
        *,
        marketplace: str | None = None,
        recipient: dict[str, Any] | None = None,
        buyer: dict[str, Any] | None = None,
        gift_message: str | None = None,
        programs: list[str] | None = None,
        service_level: str = "STANDARD",
        force: bool = False,
    ) -> str:
        """A buyer orders; returns the order id (3-7-7 digits).

        Merchant units leave the live quantity at once, also while the order is PENDING. Raises SoldOut
        when the live quantity is too small, unless `force`, which sells anyway and leaves the quantity at 0.
        """
        if status not in ("PENDING", "UNSHIPPED"):
            raise ValueError(f"an order starts PENDING or UNSHIPPED, not {status}")
        if fulfilled_by not in ("MERCHANT", "AMAZON"):
            raise ValueError(f"fulfilled by MERCHANT or AMAZON, not {fulfilled_by}")
        if fulfilled_by == "MERCHANT" and not force:
            self._check_stock(lines)
        order = self._new_order(lines, status, fulfilled_by, marketplace or self.marketplaces[0])
        order.recipient |= recipient or {}
        order.buyer |= buyer or {}
        order.programs = programs or []
        order.service_level = service_level
        for line in order.lines:
            line.gift_message = gift_message
        if fulfilled_by == "MERCHANT":
            self._take_stock(order)
        self.book.add(order)
        return order.order_id

    def _check_stock(self, lines: list[tuple[str, int]]) -> None:
        wanted: Counter[str] = Counter()
        for sku, quantity in lines:
            wanted[sku] += quantity
        for sku, quantity in wanted.items():
            if quantity > (self._listings[sku].quantity or 0):
                raise SoldOut(f"{sku}: {quantity} wanted, {self._listings[sku].quantity} live")

    def _take_stock(self, order: Order) -> None:
        for line in order.lines:
            listing = self._listings[line.sku]
            left = max(0, (listing.quantity or 0) - line.quantity)
            self.set_quantity(listing, left, order.created, "order", order.order_id)

    def _new_order(self, lines: list[tuple[str, int]], status: str, fulfilled_by: str, marketplace: str) -> Order:
        now, number = self.now(), self.serial()
        address, buyer = names.person(self.rng, MARKETPLACES[marketplace].country)
        return Order(
            order_id=f"{self.rng.randint(111, 999)}-{self.rng.randint(0, 9999999):07d}-{number:07d}",
            status=status,
            fulfilled_by=fulfilled_by,
            marketplace=marketplace,
            created=now,
            updated=now,
            lines=[self._new_line(sku, quantity) for sku, quantity in lines],
            recipient=address,
            buyer=buyer,
            service_level="STANDARD",
            ship_by=now + timedelta(days=2),
            deliver_by=now + timedelta(days=7),
            shipping_price=Decimal("4.99"),
        )

    def _new_line(self, sku: str, quantity: int) -> Line:
        listing = self._listings[sku]
        if listing.is_parent or quantity < 1:
            raise ValueError(f"nobody can buy {quantity} of {sku}")
        item_id = f"{self.serial():05d}{self.rng.randint(0, 999999999):09d}"
        price = listing.price or Decimal("19.99")
        return Line(item_id, sku, quantity, listing.asin, listing.name, price)

    @locked
    def pay(self, order_id: str) -> None:
        """The payment of a PENDING order goes through: it becomes UNSHIPPED."""
        order = self._open_order(order_id, ("PENDING",))
        order.status = "UNSHIPPED"
        self.book.touch(order, self.now())

    @locked
    def cancel(self, order_id: str, by: str = "BUYER", reason: str = "Changed my mind") -> None:
        """Cancel a whole order that has not been shipped, by BUYER, MERCHANT or AMAZON."""
        self.cancel_order(self._open_order(order_id), by, reason, self.now(), None)

    def cancel_order(self, order: Order, by: str, reason: str, at: datetime, feed_id: str | None) -> None:
        """Carry a cancellation out and write the effect down; units of a PENDING order are for sale again."""
        was_pending = order.status == "PENDING"
        for line in order.lines:
            line.cancelled_by, line.cancel_reason = by, reason
            if was_pending and order.fulfilled_by == "MERCHANT":
                listing = self._listings[line.sku]
                back = (listing.quantity or 0) + line.quantity
                self.set_quantity(listing, back, at, "cancel", order.order_id)
        order.status = "CANCELLED"
        self.book.touch(order, at)
        self.cancellations.append(Cancellation(order.order_id, by, reason, at, feed_id))

    @locked
    def request_cancel(self, order_id: str, reason: str = "Ordered by mistake") -> None:
        """The buyer asks the seller to cancel; nothing else changes."""
        order = self._open_order(order_id, ("UNSHIPPED", "PARTIALLY_SHIPPED"))
        for line in order.lines:
            line.cancel_request = reason
        self.book.touch(order, self.now())

    @locked
    def ship_elsewhere(self, order_id: str, carrier: str = "UPS", tracking: str | None = None) -> None:
        """The seller ships all that is left in Seller Central (or Amazon ships its own order)."""
        order = self._open_order(order_id, ("UNSHIPPED", "PARTIALLY_SHIPPED"))
        now = self.now()
        items = {line.item_id: line.unshipped for line in order.lines if line.unshipped}
        reference = str(1 + max((int(ref) for ref in order.packages), default=0))
        tracking = tracking or f"1Z{self.rng.randint(10**9, 10**10 - 1)}"
        if order.fulfilled_by == "MERCHANT":
            order.packages[reference] = Package(reference, carrier, tracking, "Ground", now, now, items)
        for line in order.lines:
            line.shipped += items.get(line.item_id, 0)
        order.status = "SHIPPED"
        self.book.touch(order, now)

    @locked
    def deliver(self, order_id: str) -> None:
        """The carrier delivers every package of a shipped order."""
        order = self.book.orders[order_id]
        for package in order.packages.values():
            package.status = "DELIVERED"
        self.book.touch(order, self.now())

    @locked
    def change_address(self, order_id: str, recipient: dict[str, Any] | None = None) -> None:
        """The buyer corrects the delivery address of an order that is still to be shipped."""
        order = self._open_order(order_id)
        address, _ = names.person(self.rng, MARKETPLACES[order.marketplace].country)
        order.recipient = address | (recipient or {})
        self.book.touch(order, self.now())

    def _open_order(self, order_id: str, statuses: tuple[str, ...] = OPEN) -> Order:
        order = self.book.orders[order_id]
        if order.status not in statuses:
            raise ValueError(f"order {order_id} is {order.status}")
        return order
