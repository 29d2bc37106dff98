"""The seller's listings at Amazon and the one door through which a live merchant quantity changes."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

from . import names
from .records import Listing, QuantityChange
from .state import State, locked


class Catalogue(State):
    """Listings: made by hand or by the thousand, edited by somebody at Amazon."""

    @locked
    def add_listing(
        self,
        sku: str,
        *,
        name: str | None = None,
        quantity: int = 5,
        gtin: str | None = None,
        asin: str | None = None,
        marketplace: str | None = None,
        fulfillment_channel: str = "DEFAULT",
        parent_sku: str | None = None,
        variation: dict[str, str] | None = None,
        theme: str | None = None,
        price: str | None = "19.99",
        product_type: str = "PRODUCT",
        is_parent: bool = False,
        active: bool = True,
        created: datetime | None = None,
        lead_time: int | None = None,
    ) -> Listing:
        """List a SKU; a SKU that exists already is offered in one more marketplace (shared quantity)."""
        marketplace = marketplace or self.marketplaces[0]
        if sku in self._listings:
            self._listings[sku].marketplaces.append(marketplace)
            return self._listings[sku]
        moment = created or self.now()
        number = self.serial()
        listing = Listing(
            sku=sku,
            name=name or f"Item {sku}",
            asin=asin or names.asin(self.rng),
            listing_id=f"{number:04d}{self._code(7)}",
            created=moment,
            updated=moment,
            gtin=gtin,
            marketplaces=[marketplace],
            price=None if is_parent or price is None else Decimal(price),
            product_type=product_type,
            parent_sku=parent_sku,
            variation=variation or {},
            theme=theme or "_".join(sorted(variation or {})).upper() or None,
            is_parent=is_parent,
            active=active,
            lead_time=lead_time,
        )
        self._open_channel(listing, fulfillment_channel, quantity)
        self._join_family(listing)
        self._listings[sku] = listing
        return listing

    def _open_channel(self, listing: Listing, channel: str, quantity: int) -> None:
        if listing.is_parent:
            return
        by_merchant = channel == "DEFAULT"
        listing.channels[channel] = quantity if by_merchant else None
        entry: dict[str, str | int] = {"fulfillment_channel_code": channel}
        if by_merchant:
            entry["quantity"] = quantity
        if listing.lead_time is not None:
            entry["lead_time_to_ship_max_days"] = listing.lead_time
        listing.submitted = [entry]

    def _join_family(self, listing: Listing) -> None:
        if listing.parent_sku is None:
            return
        parent = self._listings.get(listing.parent_sku)
        if parent is None or not parent.is_parent:
            raise ValueError(f"list the parent {listing.parent_sku} first, with is_parent=True")
        parent.child_skus.append(listing.sku)
        parent.theme = parent.theme or listing.theme

    @locked
    def fill(self, items: int, seed: int = 1, fba: float = 0.0) -> list[str]:
        """List `items` sellable SKUs, a fifth of them variation children (their parents come on top).

        `fba` is the share kept in Amazon's warehouses. Returns the sellable SKUs. Creation times are
        spread over the past, up to a minute apart.
        """
        rng = random.Random(seed)
        titles = names.good_names(rng)
        moments = self._past(rng, items)
        skus: list[str] = []
        while len(skus) < items:
            if rng.random() < 0.06:
                skus += self._list_family(rng, next(titles), moments, items - len(skus))
            else:
                skus.append(self._list_single(rng, next(titles), next(moments), rng.random() < fba))
        return skus

    def _past(self, rng: random.Random, items: int) -> Iterator[datetime]:
        moment = self.now() - timedelta(minutes=2 * items + 60)
        for _ in itertools.count():
            moment += timedelta(seconds=rng.randint(1, 60))
            yield moment

    def _list_single(self, rng: random.Random, title: str, moment: datetime, by_amazon: bool) -> str:
        number = self.serial()
        channel = self.channel_of(self.marketplaces[0]) if by_amazon else "DEFAULT"
        listing = self.add_listing(
            f"ZE-{number:06d}",
            name=title,
            quantity=rng.choice((0, 1, 2, 3, 5, 8, 13, 40)),
            gtin=names.gtin(rng, number),
            price=f"{rng.randint(3, 90)}.{rng.choice(('49', '95', '99'))}",
            fulfillment_channel=channel,
            created=moment,
        )
        return listing.sku

    def _list_family(self, rng: random.Random, title: str, moments: Iterator[datetime], room: int) -> list[str]:
        number = self.serial()
        parent = self.add_listing(f"ZP-{number:06d}", name=title, is_parent=True, theme="COLOR", created=next(moments))
        skus = []
        for colour in names.COLOURS[: min(room, rng.randint(2, 6))]:
            child = self.add_listing(
                f"{parent.sku}-{colour[:3].upper()}",
                name=f"{title}, {colour}",
                quantity=rng.choice((0, 2, 4, 9, 25)),
                gtin=names.gtin(rng, self.serial()),
                price=f"{rng.randint(3, 90)}.99",
                parent_sku=parent.sku,
                variation={"color": colour},
                theme="COLOR",
                created=next(moments),
            )
            skus.append(child.sku)
        return skus

    @locked
    def change_quantity(self, sku: str, quantity: int) -> None:
        """Somebody edits the merchant quantity of a listing at Amazon."""
        listing = self._listings[sku]
        self.set_quantity(listing, quantity, self.now(), "edit", "Seller Central")
        listing.updated = self.now()

    def set_quantity(self, listing: Listing, quantity: int | None, at: datetime, source: str, reference: str) -> None:
        """Change a live merchant quantity and write the effect down; None takes the merchant leg away."""
        before = listing.quantity
        if quantity is None:
            listing.channels.pop("DEFAULT", None)
        else:
            listing.channels["DEFAULT"] = quantity
        if before != quantity:
            change = QuantityChange(listing.sku, before, quantity, at, source, reference)
            self.quantity_changes.append(change)
