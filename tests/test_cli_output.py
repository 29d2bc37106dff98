"""One place renders: for a person at a terminal, for a pipe, for a script."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tests.cli_driver import Zenv, a_shop, an_empty_home  # noqa: F401  # the fixtures shop and zenv
from zenv import output
from zenv.errors import NeedsAttention
from zenv.money import amount
from zenv.output import Done, Manner, Record, Rows

BERLIN = ZoneInfo("Europe/Berlin")
PRICES = Rows(("sku", "price", "currency", "active", "placed_at"), [
    ("A", 1999, "EUR", 1, "2026-07-01 22:30:00.000000"), ("B", 1999, "JPY", 0, None)])  # fmt: skip


def shown(value: output.Value, capsys: pytest.CaptureFixture[str], **manner: bool) -> str:
    assert output.show(value, Manner(**manner), lambda: BERLIN) == 0
    return capsys.readouterr().out


def test_a_pipe_gets_tab_separated_lines_in_utc(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(PRICES, capsys).splitlines() == [
        "sku\tprice\tcurrency\tactive\tplaced_at",
        "A\t19.99\tEUR\tyes\t2026-07-01T22:30:00Z",
        "B\t1999\tJPY\tno\t",
    ]


def test_a_terminal_gets_a_table_in_the_company_s_time(capsys: pytest.CaptureFixture[str]) -> None:
    table = shown(PRICES, capsys, terminal=True)
    assert "placed at" in table and "2026-07-02 00:30" in table and "19.99" in table


def test_a_script_gets_minor_units_iso_times_and_booleans(capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(shown(PRICES, capsys, json=True))
    assert document == {"zenv": 1, "ok": True, "data": [
        {"sku": "A", "price": 1999, "currency": "EUR", "active": True, "placed_at": "2026-07-01T22:30:00Z"},
        {"sku": "B", "price": 1999, "currency": "JPY", "active": False, "placed_at": None},
    ]}  # fmt: skip


def test_many_rows_are_aligned_without_rich(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "rich.table", None)  # importing it would fail now
    many = Rows(("sku", "units"), [(f"SKU-{number}", number) for number in range(output.DRAWN + 1)])
    lines = shown(many, capsys, terminal=True).splitlines()
    assert lines[0] == "sku      units" and lines[-1] == "SKU-200    200"


def test_columns_without_anything_take_no_width_at_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert "gtin" not in shown(Rows(("sku", "gtin"), [("A", None), ("B", "")]), capsys, terminal=True)


def test_a_narrow_terminal_keeps_identities_whole_and_says_what_it_left_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    order = Rows(
        ("number", "name", "units", "carrier", "country"), [("123-4567890-1234567", "A mug " * 9, 1, "DHL", "DE")]
    )
    said = shown(order, capsys, terminal=True)
    assert "123-4567890-1234567" in said and "(a wider terminal also shows: carrier, country)" in said
    assert max(map(len, said.splitlines()[:3])) <= 50


def test_data_is_never_markup_and_moves_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    evil = "[red]x[/red] :smile: \x1b[2J\u202egnp.exe\x07"
    for manner in ({"terminal": True}, {}, {"json": True}):
        said = shown(Rows(("name",), [(evil,)]), capsys, **manner)
        assert "[red]x[/red] :smile:" in said
        assert "\x1b[2J" not in said and "\u202e" not in said and "\x07" not in said


@given(some.text())
def test_clean_text_stays_on_its_line(text: str) -> None:
    assert not set(output.clean(text)) & {"\n", "\r", "\t", "\x1b", "\x00", "\x85", "\u202e"}


def test_quiet_says_nothing_when_all_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(Done("Done."), capsys, quiet=True) == ""
    assert shown(Rows(("a",), []), capsys, quiet=True) == ""
    assert shown(Rows(("a",), [(1,)]), capsys, quiet=True) != ""


def test_trouble_beside_an_answer_is_said_and_gives_its_code(capsys: pytest.CaptureFixture[str]) -> None:
    value = Record({"new": 1}, {"left out": Rows(("line",), [(3,)])}, NeedsAttention("1 line left out.", "Mend it."))
    assert output.show(value, Manner(quiet=True), lambda: UTC) == 80
    said = capsys.readouterr()
    assert "new\t1" in said.out and said.err == "zenv: 1 line left out.\n      Mend it.\n"
    assert output.show(value, Manner(json=True), lambda: UTC) == 80
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is False and document["data"] == {"new": 1, "left_out": [{"line": 3}]}
    assert document["error"]["exit_code"] == 80


def test_a_column_named_like_a_time_may_hold_anything(capsys: pytest.CaptureFixture[str]) -> None:
    odd = Rows(
        ("look_at", "price", "attributes", "active", "at"), [("x", "dear", "{", 7, datetime(2026, 1, 1, tzinfo=UTC))]
    )
    assert shown(odd, capsys).splitlines()[1] == "x\tdear\t{\t7\t2026-01-01T00:00:00Z"
    assert json.loads(shown(odd, capsys, json=True))["data"][0]["active"] == 7


@pytest.mark.parametrize(("minor", "currency", "text"), [
    (1999, "EUR", "19.99"), (5, "USD", "0.05"), (-150, "EUR", "-1.50"), (1999, "JPY", "1999"), (1999, "KWD", "1.999"),
])  # fmt: skip
def test_money_has_the_decimals_of_its_currency(minor: int, currency: str, text: str) -> None:
    assert amount(minor, currency) == text


# --- at a real terminal ---------------------------------------------------------------------------------------


def test_at_a_terminal_one_line_says_how_much_waits(shop: Zenv) -> None:
    shop.good("orders", "create", "--line", "MUG=2")
    assert "1 thing waiting for you: zenv inbox" in shop.at_terminal("warehouses", "list").out
    assert "waiting for you" not in shop.at_terminal("warehouses", "list", "--quiet").out
    assert "waiting for you" not in shop.at_terminal("warehouses", "list", "--json").out
    assert "waiting for you" not in shop("warehouses", "list").err


def test_no_color_is_respected(shop: Zenv) -> None:
    assert "\x1b[" in shop.at_terminal("items", "show", "MUG").out
    assert "\x1b[" not in shop.at_terminal("items", "show", "MUG", NO_COLOR="1").out
