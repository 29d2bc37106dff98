"""Item files are read line by line: what is good is kept, what is not is named with its line number."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenv.errors import BadInput, NotFound
from zenv.facts import BadRecord, ListingFact
from zenv.ledger.item_files import (
    Sheet,
    read_amount,
    read_attributes,
    read_items_csv,
    read_weight,
    sheet_from_listings,
)


def read(tmp_path: Path, content: str | bytes, currency: str = "EUR") -> Sheet:
    path = tmp_path / "items.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_items_csv(path, currency)


def problems(sheet: Sheet) -> list[tuple[int, str]]:
    return [(problem.line_number, problem.reason) for problem in sheet.problems]


def test_columns_are_found_by_name_in_any_order(tmp_path: Path) -> None:
    header = "Weight,Unit Cost,SKU,GTIN,Name,Parent,Attributes,Active,Quantity"
    sheet = read(tmp_path, header + "\n1.2 kg,12.5,A-1,4006381333931,Lamp,A,color=red;size=L,no,7\n")
    assert not sheet.problems
    (line,) = sheet.lines
    assert (line.line_number, line.sku, line.quantity) == (2, "A-1", 7)
    assert line.values == {
        "gtin": "4006381333931", "name": "Lamp", "parent": "A", "attributes": {"color": "red", "size": "L"},
        "unit_cost": 1250, "active": False, "weight_grams": 1200,
    }  # fmt: skip


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_comma_semicolon_and_tab_are_told_apart(tmp_path: Path, separator: str) -> None:
    sheet = read(tmp_path, f"sku{separator}name\nA{separator}Lamp\n")
    assert [(line.sku, line.values) for line in sheet.lines] == [("A", {"name": "Lamp"})]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
def test_the_encodings_of_spreadsheets_are_read(tmp_path: Path, encoding: str) -> None:
    sheet = read(tmp_path, "sku;name\nA;Größe für 5 €\n".encode(encoding))
    assert sheet.lines[0].values["name"] == "Größe für 5 €"


def test_quotes_may_hold_separators_line_breaks_and_quotes(tmp_path: Path) -> None:
    sheet = read(tmp_path, 'sku,name\r\nA,"Lamp, ""big""\r\nand red"\r\nB,Shade 5" wide\r\n')
    assert [line.values["name"] for line in sheet.lines] == ['Lamp, "big" and red', 'Shade 5" wide']
    assert [line.line_number for line in sheet.lines] == [2, 4]


def test_an_empty_cell_and_a_missing_column_say_nothing(tmp_path: Path) -> None:
    sheet = read(tmp_path, "sku,name,gtin\nA,,\n\nB\n")
    assert [(line.line_number, line.sku, line.values) for line in sheet.lines] == [(2, "A", {}), (4, "B", {})]


def test_F4_any_number_of_attributes_is_kept_from_both_kinds_of_column(tmp_path: Path) -> None:
    sheet = read(tmp_path, "sku,attributes,attribute:Style,attribute:Cord\nA,a=1;b=2;c=3,Retro,\n")
    assert sheet.lines[0].values["attributes"] == {"a": "1", "b": "2", "c": "3", "Style": "Retro"}


def test_every_bad_line_is_named_with_all_that_is_wrong_and_the_others_are_kept(tmp_path: Path) -> None:
    sheet = read(
        tmp_path,
        "sku,gtin,unit_cost,weight,active,quantity,attributes,parent\n"
        "A,4006381333932,1.999,2 stone,perhaps,-1,red,A\n"
        ",,,,,,color=red,\n"
        "B,,,,,,,\n"
        "B,,,,,,,\n"
        "C,,,,,,,,,much\n",
    )
    assert [line.sku for line in sheet.lines] == ["B"]
    found = dict(problems(sheet))
    assert sorted(found) == [2, 3, 5, 6]
    for word in ("check digit", "'1.999'", "'2 stone'", "yes or no", "'-1'", "'red'", "its own parent"):
        assert word in found[2]
    assert found[3] == "the SKU is empty"
    assert found[5] == "B was on line 4 already"
    assert "10 cells where the header has 8" in found[6]


def test_a_quotation_mark_out_of_place_costs_its_own_line_only(tmp_path: Path) -> None:
    sheet = read(tmp_path, 'sku,name\nA,"Lamp"shade\nB,Lamp\n')
    assert [line.sku for line in sheet.lines] == ["B"]
    assert problems(sheet)[0][0] == 2


def test_a_quotation_mark_that_is_never_closed_is_named_where_it_opens(tmp_path: Path) -> None:
    sheet = read(tmp_path, 'sku,name\nA,Lamp\nB,"Lamp\nC,Lamp\n')
    assert [line.sku for line in sheet.lines] == ["A"]
    assert problems(sheet) == [(3, "a quotation mark is out of place (unexpected end of data)")]


def test_control_characters_never_enter(tmp_path: Path) -> None:
    sheet = read(tmp_path, "sku,name\nA\x1b[31m,La\x07mp\x9b \x00\n".replace("\x00", ""))
    assert sheet.lines[0].sku == "A[31m"
    assert sheet.lines[0].values["name"] == "Lamp"


def test_spaces_inside_a_sku_count_and_those_around_it_do_not(tmp_path: Path) -> None:
    assert read(tmp_path, "sku,name\n A  1 ,x\n").lines[0].sku == "A  1"


def test_a_column_nobody_knows_is_named_and_left_out(tmp_path: Path) -> None:
    sheet = read(tmp_path, "sku,colour\nA,red\n")
    assert problems(sheet) == [(1, "the column colour is not known and left out")]
    assert sheet.lines[0].values == {}


@pytest.mark.parametrize(("content", "says"), [
    (b"", "empty"),
    (b"\n \n", "empty"),
    (b"name,price\nLamp,5\n", "no column sku; its columns are: name, price"),
    (b"sku,name,Name\nA,b,c\n", "the column name twice"),
    ("sku\nA\n".encode("utf-16"), "not a text file"),
    (b"sku,name\nA,\x81\n", "neither UTF-8 nor Windows-1252"),
])  # fmt: skip
def test_a_file_that_is_none_of_items_is_refused_as_a_whole(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        read(tmp_path, content)


def test_a_file_that_cannot_be_read_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="No such file"):
        read_items_csv(tmp_path / "missing.csv", "EUR")
    with pytest.raises(NotFound, match="Is a directory"):
        read_items_csv(tmp_path, "EUR")


@pytest.mark.parametrize(("text", "currency", "minor"), [
    ("12", "EUR", 1200), ("12.5", "EUR", 1250), ("12,50", "EUR", 1250), ("0.01", "EUR", 1), ("12", "JPY", 12),
    ("1.250", "KWD", 1250),
])  # fmt: skip
def test_amounts_have_the_decimals_of_their_currency(text: str, currency: str, minor: int) -> None:
    assert read_amount(text, currency) == minor


@pytest.mark.parametrize(("text", "currency"), [
    ("1,250", "EUR"), ("1.250", "EUR"), ("1,250.00", "EUR"), ("12.5", "JPY"), ("-3", "EUR"), ("1e3", "EUR"),
    ("\u0663", "EUR"), ("12 EUR", "EUR"), ("9" * 15, "EUR"), ("", "EUR"),
])  # fmt: skip
def test_an_amount_that_could_be_read_two_ways_is_refused(text: str, currency: str) -> None:
    with pytest.raises(BadInput):
        read_amount(text, currency)


@given(st.integers(0, 10**12))
def test_an_amount_written_out_is_read_back(minor: int) -> None:
    assert read_amount(f"{minor // 100}.{minor % 100:02}", "EUR") == minor


@pytest.mark.parametrize(("text", "grams"), [
    ("350", 350), ("350g", 350), ("1.2 kg", 1200), ("1,2 KG", 1200), ("1 lb", 454), ("4 oz", 113), ("0.5", 1),
])  # fmt: skip
def test_weights_become_whole_grams(text: str, grams: int) -> None:
    assert read_weight(text) == grams


@pytest.mark.parametrize("text", ["heavy", "-1", "1 t", "999999 kg", "1.2.3"])
def test_a_weight_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        read_weight(text)


@pytest.mark.parametrize("text", ["red", "=red", "color=", "a=1;a=2"])
def test_an_attribute_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        read_attributes(text)


@given(st.text(st.characters(exclude_characters="\0"), max_size=400))
def test_no_text_brings_the_reader_down(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("any")
    sheet = read(folder, b"sku,name,weight\nFIRST,,\n" + text.encode("utf-8", "replace"))
    skus = [line.sku for line in sheet.lines]
    assert len(set(skus)) == len(skus)
    assert all(line.sku and line.line_number >= 2 for line in sheet.lines)


# ---- Amazon's own file ----------------------------------------------------------------------------------


def test_amazons_file_gives_stock_to_merchant_items_only() -> None:
    sheet = sheet_from_listings([
        ListingFact("A", "Lamp", quantity=5),
        ListingFact("B", "Lamp", fulfilled_by="channel"),
        ListingFact("C", "Lamp", fulfilled_by="both", quantity=9),
        ListingFact("D", "Gone", status="deleted", quantity=1),
    ])  # fmt: skip
    assert [(line.sku, line.quantity) for line in sheet.lines] == [("A", 5), ("B", None), ("C", None)]
    assert not sheet.problems


def test_amazons_file_gives_a_gtin_where_it_is_one_and_says_where_it_is_not() -> None:
    sheet = sheet_from_listings([
        ListingFact("A", gtin="680242554716"), ListingFact("B", gtin="680242554717"), ListingFact("A"),
        BadRecord("listing", "C", "the quantity 'x' is no number"),
    ])  # fmt: skip
    assert [(line.sku, line.values) for line in sheet.lines] == [("A", {"gtin": "680242554716"}), ("B", {})]
    assert problems(sheet) == [
        (3, "B: '680242554717' is not a GTIN; the item is taken without it"),
        (4, "A was on line 2 already"),
        (5, "C: the quantity 'x' is no number"),
    ]
