"""Payload files in, facts out: `payloads/KIND-what-it-shows.json` (or .txt) beside `....expected.json`.

`python -m tests.connectors.rewrite` writes the expectations anew; the difference is read before it is committed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from zenv.connectors.amazon.listings import listing_or_bad
from zenv.connectors.amazon.listings_report import read_listings
from zenv.connectors.amazon.orders import order_or_bad, recipient_fact
from zenv.connectors.amazon.orders_report import read_shipped_orders
from zenv.connectors.amazon.reading import Unreadable
from zenv.facts import BadRecord, Fact

FOLDER = Path(__file__).parent / "payloads"
HOME = "A1F83G8C2ARO7P"
SEEN = datetime(2026, 9, 1, tzinfo=UTC)


def _recipient(payload: dict[str, Any]) -> Fact:
    try:
        return recipient_fact(payload)
    except Unreadable as error:
        return BadRecord("recipient", payload["orderId"], str(error))


READERS: dict[str, Callable[[bytes], Iterable[Fact]]] = {
    "order": lambda content: [order_or_bad(json.loads(content))],
    "recipient": lambda content: [_recipient(json.loads(content))],
    "listing": lambda content: [listing_or_bad(json.loads(content), HOME, SEEN)],
    "listings_report": lambda content: read_listings([content], currency="GBP", observed_at=SEEN),
    "orders_report": lambda content: read_shipped_orders([content]),
}


def payload_files() -> list[Path]:
    """Every payload file."""
    return sorted(path for path in FOLDER.iterdir() if ".expected" not in path.name)


def expected_file(path: Path) -> Path:
    """Where a payload's expected facts stand."""
    return path.with_name(f"{path.stem}.expected.json")


def translated(path: Path) -> str:
    """The facts of a payload file as readable JSON."""
    facts = READERS[path.name.split("-")[0]](path.read_bytes())
    told = [{"fact": type(fact).__name__} | asdict(fact) for fact in facts]
    return json.dumps(told, indent=2, ensure_ascii=False, default=str) + "\n"
