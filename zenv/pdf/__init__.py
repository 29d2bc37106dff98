"""Papers as PDF: what stands on them (here), and how they are drawn (`slip`, `label`). Nothing here knows the ledger.

The same content gives the same bytes: no clock, no name of a machine. What no font can draw is refused, never left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, repr=False)
class Address:
    """Whom a package goes to. It carries a person, so it is never printed."""

    name: str = ""
    company: str = ""
    line1: str = ""
    line2: str = ""
    line3: str = ""
    city: str = ""
    region: str = ""
    postcode: str = ""
    country: str = ""

    def lines(self) -> list[tuple[str, str]]:
        """What is written on a package, line by line, each with the name of its field; empty ones left out."""
        street = [(name, getattr(self, name)) for name in ("name", "company", "line1", "line2", "line3")]
        return [(name, text) for name, text in (*street, ("city", self._place()), ("country", self.country)) if text]

    def _place(self) -> str:
        if self.country in ("US", "CA", "AU", "GB", "IN"):
            return ", ".join(filter(None, (self.city, " ".join(filter(None, (self.region, self.postcode))))))
        return " ".join(filter(None, (self.postcode, self.city)))


@dataclass(frozen=True)
class SlipLine:
    """What lies in the package."""

    sku: str
    name: str
    quantity: int


@dataclass(frozen=True, repr=False)
class Slip:
    """A packing slip: one package of an order."""

    company: str
    country: str
    number: str
    ordered: date
    package: str
    to: Address
    lines: Sequence[SlipLine]
    gift_message: str = ""


@dataclass(frozen=True, repr=False)
class Label:
    """An address label: one package of an order."""

    company: str
    number: str
    ordered: date
    package: str
    to: Address
