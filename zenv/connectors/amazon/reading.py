"""Reading Amazon's payloads leniently where it does not matter and strictly where it does.

Amazon adds fields and values without notice, so what is unknown is skipped and what is absent gets a
default. What is there but senseless raises `Unreadable`, which names the field and never repeats its
value: the value may be a person's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from itertools import islice
from typing import Any, TypeVar

from zenv.facts import Money
from zenv.money import minor_digits
from zenv.privacy import strip_control

T = TypeVar("T")

LARGEST_COUNT = 2**31 - 1
LARGEST_AMOUNT = 10**15


class Unreadable(ValueError):
    """A field that makes no sense; the text names the field only."""


def part(payload: Any, *path: str) -> Any:
    """The value at a path of keys; None where a key is absent. Raises Unreadable for a path through no
    object."""
    for index, key in enumerate(path):
        if payload is None:
            return None
        if not isinstance(payload, dict):  # JSON makes dicts; asking for a Mapping costs several times as much
            raise Unreadable(f"{'.'.join(path[:index]) or 'the record'} is not an object")
        payload = payload.get(key)
    return payload


def rows(payload: Any, *path: str) -> list[Mapping[str, Any]]:
    """The list of objects at a path; empty where it is absent."""
    value = part(payload, *path)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise Unreadable(f"{'.'.join(path)} is not a list of objects")
    return value


def record(payload: Any, *path: str) -> Mapping[str, Any]:
    """The object at a path that must be there."""
    value = part(payload, *path)
    if not isinstance(value, Mapping):
        raise Unreadable(f"{'.'.join(path)} is not an object")
    return value


def words(payload: Any, *path: str) -> tuple[str, ...]:
    """The list of words at a path; what is not a word is left out."""
    value = part(payload, *path)
    return tuple(clean(word) for word in value if isinstance(word, str)) if isinstance(value, list) else ()


def text(payload: Any, *path: str) -> str:
    """The text at a path, without control characters; "" where it is absent."""
    value = part(payload, *path)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Unreadable(f"{'.'.join(path)} is not a text")
    return clean(value)


def needed(payload: Any, *path: str) -> str:
    """The text at a path that must be there."""
    value = text(payload, *path)
    if not value:
        raise Unreadable(f"{'.'.join(path)} is missing")
    return value


def clean(value: str) -> str:
    """Text as it may enter: no control characters, no half of a surrogate pair."""
    if not value.isascii():
        value = value.encode("utf-8", "replace").decode("utf-8")
    return value if value.isprintable() else strip_control(value)


def sku_of(payload: Any, *path: str) -> str:
    """A SKU, exactly as it is there: it is an identifier, so nothing is stripped from it. "" where it is
    absent."""
    value = part(payload, *path)
    if value is None:
        return ""
    if not isinstance(value, str) or clean(value) != value:
        raise Unreadable(f"{'.'.join(path)} is not a text without control characters")
    return value


def count(payload: Any, *path: str) -> int | None:
    """A whole number from 0 up; None where it is absent."""
    value = part(payload, *path)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST_COUNT:
        raise Unreadable(f"{'.'.join(path)} is not a number from 0 to {LARGEST_COUNT}")
    return value


def moment(payload: Any, *path: str) -> datetime | None:
    """An ISO 8601 time in UTC; None where it is absent. Without an offset it means UTC."""
    value = part(payload, *path)
    if value is None:
        return None
    try:
        return parse_time(value)
    except (TypeError, ValueError, OverflowError):
        raise Unreadable(f"{'.'.join(path)} is not a time") from None


def needed_moment(payload: Any, *path: str) -> datetime:
    """A time that must be there."""
    value = moment(payload, *path)
    if value is None:
        raise Unreadable(f"{'.'.join(path)} is missing")
    return value


def money(payload: Any, *path: str) -> Money | None:
    """An amount with its currency; None where it is absent."""
    value = part(payload, *path)
    if value is None:
        return None
    try:
        return to_money(str(part(value, "amount")), text(value, "currencyCode"))
    except (InvalidOperation, ValueError):
        raise Unreadable(f"{'.'.join(path)} is not an amount of money") from None


def to_money(amount: str, currency: str) -> Money:
    """A decimal text as minor units, rounded half up. Raises ValueError or decimal.InvalidOperation."""
    value = Decimal(amount.strip())
    if not value.is_finite() or abs(value) > LARGEST_AMOUNT or len(currency) != 3 or not currency.isalpha():
        raise ValueError("not an amount")
    minor = value.scaleb(minor_digits(currency.upper())).quantize(Decimal(1), rounding=ROUND_HALF_UP)
    return Money(int(minor), currency.upper())


def parse_time(value: str) -> datetime:
    """An ISO 8601 text as a time in UTC. Raises ValueError, TypeError, OverflowError."""
    found = datetime.fromisoformat(value)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def stamp(value: datetime) -> str:
    """A time as Amazon writes it: UTC, milliseconds, Z."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def gtin(value: str) -> str:
    """The digits of a valid GTIN of 8, 12, 13 or 14 digits; "" for anything else, so nothing is linked by
    it."""
    digits = "".join(value.split())
    if len(digits) not in (8, 12, 13, 14) or not (digits.isascii() and digits.isdecimal()):
        return ""
    weighed = sum(int(digit) * (3 if index % 2 else 1) for index, digit in enumerate(reversed(digits)))
    return digits if weighed % 10 == 0 and digits.strip("0") else ""


def batches(things: Iterable[T], size: int) -> Iterator[list[T]]:
    """The things in lists of `size`, the last one shorter."""
    source = iter(things)
    while batch := list(islice(source, size)):
        yield batch
