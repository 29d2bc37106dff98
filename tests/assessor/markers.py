"""Persons nobody could mistake for anything else, and every form in which one may lie about.

All markers of a test run begin with the same random letters (telephone numbers with the same random digits), so that
one search finds any of them, cut short or not; only what was found is looked at more closely.
"""

from __future__ import annotations

import base64
import random
import string
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

_rng = random.SystemRandom()
FAMILY = "".join(_rng.choices("qjxzvkwy", k=8))
"""Letters that no language puts in this order."""
DIGITS = "7" + "".join(_rng.choices(string.digits, k=9))
FIELDS = ("name", "company", "line1", "line2", "line3", "phone", "email", "gift_message")
ODD = ("buyer_name", "customisation", "instruction", "address_note", "error_body", "file_name", "order_note")
"""Where else a person may stand in what Amazon sends, or in what a person types."""
ZIPPED = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda", b"\x1f\x8b\x08")


def _core(of: str) -> str:
    if of == "phone":
        return DIGITS + "".join(_rng.choices(string.digits, k=5))
    return FAMILY.capitalize() + "".join(_rng.choices(string.ascii_lowercase, k=8))


@dataclass(frozen=True)
class Person:
    """A value for each field, each with a marker of its own in it."""

    called: str
    cores: dict[str, str] = field(default_factory=lambda: {of: _core(of) for of in (*FIELDS, *ODD)})

    def __getitem__(self, of: str) -> str:
        core = self.cores[of]
        return {"phone": f"+1 {core}", "email": f"{core.lower()}@relay.example", "line1": f"7 {core} Straße",
                "file_name": core}.get(of, f"Zoë {core}")  # fmt: skip

    @cached_property
    def address(self) -> dict[str, Any]:
        """As Amazon's `deliveryAddress` holds it."""
        return {"name": self["name"], "companyName": self["company"], "addressLine1": self["line1"],
                "addressLine2": self["line2"], "addressLine3": self["line3"], "phone": self["phone"],
                "note": self["address_note"]}  # fmt: skip

    @cached_property
    def buyer(self) -> dict[str, Any]:
        """As Amazon's `buyer` holds it."""
        return {"buyerEmail": self["email"], "buyerName": self["buyer_name"]}

    @property
    def lines(self) -> str:
        """As `orders create --recipient` reads it from stdin."""
        return "\n".join([*(f"{of}={self[of]}" for of in FIELDS), "city=Springfield", "country=US"])

    @property
    def personal(self) -> dict[str, str]:
        """What zenv is to know of this person."""
        return {of: self[of] for of in FIELDS}


# ---- every form ------------------------------------------------------------------------------------------


def _base64(text: bytes) -> Iterator[bytes]:
    """The part that is the same whatever stands before and behind, for each of the three places it may begin."""
    for shift in range(3):
        whole = base64.b64encode(b"\0" * shift + text)
        kept = whole[(shift * 8 + 5) // 6 : (shift + len(text)) * 8 // 6]
        yield kept
        yield kept.replace(b"+", b"-").replace(b"/", b"_")


def folded_forms(core: str) -> set[bytes]:
    """Forms to be looked for in lower case."""
    low = core.lower().encode()
    spelt = (low, low.upper(), low.capitalize())
    return {
        low,
        core.lower().encode("utf-16-le"),
        core.lower().encode("utf-16-be"),
        core.lower().encode("utf-32-le"),
        low[::-1],
        *(text.hex().encode() for text in spelt),
        *("".join(f"%{byte:02x}" for byte in text).encode() for text in spelt),
        *("".join(f"\\u{byte:04x}" for byte in text).encode() for text in spelt),
        *("".join(f"&#{byte};" for byte in text).encode() for text in spelt),
    }


def exact_forms(core: str) -> set[bytes]:
    """Forms that fold no case."""
    return {
        form
        for text in (core.lower(), core.upper(), core.capitalize())
        for coded in (text.encode(), text.encode("utf-16-le"), text.encode().hex().encode())
        for form in _base64(coded)
    }


_FOLDED = folded_forms(FAMILY) | folded_forms(DIGITS)
_EXACT = exact_forms(FAMILY) | exact_forms(DIGITS)


def found_in(content: bytes, *persons: Person) -> list[str]:
    """Whose which field stands in this content, in any form, packed or not; what is cut short is named `a marker`."""
    parts = [part for part in (content, *unpacked(content)) if _any(part, _FOLDED, _EXACT)]
    if not parts:
        return []
    named = [
        f"{person.called}'s {of}"
        for person in persons
        for of, core in person.cores.items()
        if any(_any(part, folded_forms(core), exact_forms(core)) for part in parts)
    ]
    return named or ["a marker, cut short"]


def _said_by_pdf(content: bytes) -> bytes:
    from pypdfium2 import PdfDocument, PdfiumError

    try:
        pages = [page.get_textpage().get_text_bounded() for page in PdfDocument(content)]
    except PdfiumError:
        return b""
    return "".join("".join(pages).split()).encode()


def _any(content: bytes, folded: set[bytes], exact: set[bytes]) -> bool:
    low = content.lower()
    return any(form in low for form in folded) or any(form in content for form in exact)


def unpacked(content: bytes) -> Iterator[bytes]:
    """What deflate and gzip streams in it hold, wherever they begin; and what a PDF says, whose letters are numbers of
    glyphs."""
    if (at := content.find(b"%PDF-")) >= 0:
        yield _said_by_pdf(content[at:])
    for mark in ZIPPED:
        at = content.find(mark)
        while at >= 0:
            with suppress(zlib.error):
                yield zlib.decompressobj(47).decompress(content[at:])
            at = content.find(mark, at + 1)
