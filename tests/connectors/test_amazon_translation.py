"""Amazon's payloads and reports in, facts out; and nothing that arrives can make the translation stumble."""

from __future__ import annotations

import json
import string
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.connectors.translations import HOME, SEEN, expected_file, payload_files, translated
from tests.shared_files import SHARED
from zenv.connectors.amazon.listings import listing_or_bad
from zenv.connectors.amazon.listings_report import read_listings
from zenv.connectors.amazon.orders import order_or_bad, recipient_fact
from zenv.connectors.amazon.orders_report import read_shipped_orders
from zenv.connectors.amazon.reading import Unreadable, batches, gtin, to_money
from zenv.connectors.amazon.tables import column_name, read_table
from zenv.errors import BadInput, BadReply
from zenv.facts import BadRecord, ListingFact, OrderFact

REAL_REPORT = SHARED / "data" / "all_listings_uk_2016.txt"


@pytest.mark.parametrize("path", payload_files(), ids=lambda path: path.stem)
def test_a_payload_becomes_the_expected_facts(path: Path) -> None:
    assert translated(path) == expected_file(path).read_text()


def test_every_expectation_belongs_to_a_payload() -> None:
    expectations = {path.name for path in expected_file(payload_files()[0]).parent.glob("*.expected.json")}
    assert expectations == {expected_file(path).name for path in payload_files()}


@pytest.mark.skipif(not REAL_REPORT.is_file(), reason=f"the published report is not at {REAL_REPORT}")
def test_A3_a_published_all_listings_report_is_read() -> None:
    with REAL_REPORT.open("rb") as file:
        facts = list(read_listings(file, currency="GBP"))
    assert [(fact.sku, fact.quantity, fact.status, fact.gtin) for fact in facts if isinstance(fact, ListingFact)] == [
        ("1234567", 1, "active", "680242554716"),
        ("35-GFRR-W3VC", 1, "active", "3800065711135"),
        ("ATV2", 1, "inactive", ""),
    ]
    assert len(facts) == 3


@pytest.mark.parametrize(
    "content", [b"", b"\n\n", b"sku\tprice\nA\t1\n", b"\x89PNG\r\n\x1a\n", b"<html>Sign in</html>"]
)
def test_a_file_that_is_no_listings_report_is_refused_with_the_way_to_get_one(content: bytes) -> None:
    with pytest.raises(BadInput, match="seller-sku") as caught:
        read_listings([content])
    assert "All Listings" in caught.value.hint


def test_an_order_report_without_its_columns_is_a_bad_reply() -> None:
    with pytest.raises(BadReply, match="quantity"):
        list(read_shipped_orders([b"amazon-order-id\tsku\n1\t2\n"]))


def test_columns_are_the_same_in_every_spelling() -> None:
    assert {column_name(name) for name in ("seller-sku", "Seller SKU", " seller_sku ", '"Seller-SKU"')} == {
        "seller-sku"
    }


def pieces(content: bytes, cuts: Iterable[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(content) + 1) for cut in cuts), len(content)]
    return [content[start:end] for start, end in pairwise(places)]


@given(
    st.sampled_from([p for p in payload_files() if p.suffix == ".txt"]), st.lists(st.integers(0, 10_000), max_size=8)
)
def test_a_report_reads_the_same_however_it_is_cut_into_pieces(path: Path, cuts: list[int]) -> None:
    content = path.read_bytes()
    whole, cut = (
        [(row.number, row.cells) for row in read_table(chunks)[1]] for chunks in ([content], pieces(content, cuts))
    )
    assert whole == cut


CELLS = st.text(st.characters(exclude_characters="\t\n\r", exclude_categories=["Cs"]), max_size=12)


@given(
    columns=st.permutations(
        ["seller-sku", "quantity", "price", "fulfillment-channel", "product-id", "product-id-type"]
    ),
    kept=st.integers(1, 6),
    rows=st.lists(st.lists(CELLS, max_size=9), max_size=6),
    encoding=st.sampled_from(["utf-8", "cp1252", "cp932", "utf-16-le"]),
)
@settings(max_examples=300)
def test_no_table_however_odd_makes_the_listings_report_stumble(
    columns: list[str], kept: int, rows: list[list[str]], encoding: str
) -> None:
    header = sorted({"seller-sku", *columns[:kept]}, key=columns.index)
    content = "\t".join(header).encode() + b"\n" + "\n".join("\t".join(row) for row in rows).encode(encoding, "replace")
    for fact in read_listings([content], currency="GBP"):
        if isinstance(fact, ListingFact):
            assert fact.sku and fact.sku.isprintable() == all(c.isprintable() for c in fact.sku)
            assert fact.quantity is None or fact.quantity >= 0
        else:
            assert isinstance(fact, BadRecord) and "line" in fact.reason


@given(st.binary(max_size=400))
def test_no_bytes_after_the_header_make_a_report_stumble(junk: bytes) -> None:
    list(read_listings([b"seller-sku\tquantity\tprice\n" + junk], currency="JPY"))
    header = b"amazon-order-id\tpurchase-date\tlast-updated-date\torder-status\tfulfillment-channel\tsku\tquantity\n"
    list(read_shipped_orders([header + junk + b"\tx\ty\tShipped\tMerchant\ts\t1"]))


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
ORDER = json.loads((Path(__file__).parent / "payloads" / "order-partly-shipped-with-packages.json").read_text())
ITEM = json.loads((Path(__file__).parent / "payloads" / "listing-variation-child.json").read_text())


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(deeper for key, one in inner for deeper in places(one, (*path, key)))]


def spoiled(value: Any, path: tuple[Any, ...], junk: Any) -> Any:
    if not path:
        return junk
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = spoiled(value[path[0]], path[1:], junk)
    return copy


@given(st.sampled_from(places(ORDER)[1:]), JUNK)
@settings(max_examples=400)
def test_C2_junk_anywhere_in_an_order_is_a_fact_or_a_bad_record(path: tuple[Any, ...], junk: Any) -> None:
    payload = spoiled(ORDER, path, junk)
    assert isinstance(order_or_bad(payload), OrderFact | BadRecord)
    try:
        recipient_fact(payload)
    except Unreadable as error:
        assert str(error)


@given(st.sampled_from(places(ITEM)[1:]), JUNK)
@settings(max_examples=400)
def test_C2_junk_anywhere_in_an_item_is_a_fact_or_a_bad_record(path: tuple[Any, ...], junk: Any) -> None:
    assert isinstance(listing_or_bad(spoiled(ITEM, path, junk), HOME, SEEN), ListingFact | BadRecord)


@given(st.text(string.digits, max_size=15))
def test_a_gtin_is_kept_only_with_its_check_digit(digits: str) -> None:
    if gtin(digits):
        changed = digits[:-1] + str((int(digits[-1]) + 1) % 10)
        assert gtin(changed) == "" and len(digits) in (8, 12, 13, 14)


@given(st.integers(-(10**12), 10**12), st.sampled_from(["EUR", "JPY", "KWD"]))
def test_an_amount_keeps_every_minor_unit(minor: int, currency: str) -> None:
    digits = {"EUR": 2, "JPY": 0, "KWD": 3}[currency]
    sign, units = "-" if minor < 0 else "", f"{abs(minor):0{digits + 1}}"
    amount = units if not digits else f"{units[:-digits]}.{units[-digits:]}"
    assert to_money(sign + amount, currency).minor == minor


@given(st.lists(st.integers(), max_size=30), st.integers(1, 7))
def test_batches_lose_nothing(things: list[int], size: int) -> None:
    made = list(batches(things, size))
    assert [thing for batch in made for thing in batch] == things
    assert all(0 < len(batch) <= size for batch in made)
