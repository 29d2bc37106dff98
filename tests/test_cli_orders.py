"""`zenv orders` from creation to completion, by hand and from a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli_driver import ROOT, Zenv, a_shop, an_empty_home  # noqa: F401  # the fixtures shop and zenv


@pytest.fixture(name="stocked")
def a_stocked_shop(shop: Zenv) -> Zenv:
    shop.good("stock", "receive", "MUG", "10")
    shop.good("stock", "receive", "CUP", "10")
    return shop


def state(shop: Zenv, number: str = "M-1") -> str:
    return str(shop.data("orders", "show", number)["state"])


def test_an_order_goes_from_created_to_completed_in_two_packages(stocked: Zenv) -> None:
    stocked.good("orders", "create", "--line", "MUG=3@30.00", "--line", "CUP=1@5.00")
    stocked.good("orders", "pick", "M-1")
    stocked.good("orders", "ship", "M-1", "--carrier", "DHL", "--tracking", "1", "--line", "MUG=2")
    assert state(stocked) == "part_shipped"
    stocked.good("orders", "ship", "M-1", "--carrier", "DHL", "--tracking", "2")
    stocked.good("orders", "complete", "M-1")
    shown = stocked.data("orders", "show", "M-1")
    assert shown["state"] == "completed" and shown["total"] == 3500
    assert [package["units"] for package in shown["packages"]] == [2, 2]


def test_an_order_waits_for_stock_and_stands_on_the_inbox(shop: Zenv) -> None:
    shop.good("orders", "create", "--line", "MUG=3")
    (entry,) = shop.data("inbox")
    assert entry["command"] == "zenv stock receive MUG 3"
    shop.good(*entry["command"].split()[1:])
    assert shop.data("inbox") == [] and shop.good("inbox", "--quiet").out == ""
    assert shop.data("orders", "show", "M-1")["lines"][0]["reserved"] == 3


def test_hold_release_allocate_unpick_comment_and_cancel(stocked: Zenv) -> None:
    stocked.good("orders", "create", "--line", "MUG=2", "--line", "CUP=1", "--number", "A/7")
    stocked.good("orders", "hold", "A/7", "--reason", "address")
    assert state(stocked, "A/7") == "on hold" and stocked("orders", "pick", "A/7").code == 79
    stocked.good("orders", "release", "A/7")
    stocked.good("orders", "deallocate", "A/7")
    stocked.good("orders", "allocate", "A/7", "--warehouse", "Main")
    stocked.good("orders", "pick", "A/7")
    stocked.good("orders", "unpick", "A/7")
    stocked.good("orders", "comment", "A/7", "Paid")
    assert [said["text"] for said in stocked.data("orders", "show", "A/7")["comments"]] == ["Paid"]
    stocked.good("orders", "cancel", "A/7", "--reason", "buyer_request", "--line", "MUG=1")
    stocked.good("orders", "cancel", "A/7", "--reason", "buyer_request")
    assert state(stocked, "A/7") == "cancelled"
    assert {row["available"] for row in stocked.data("items", "list")} == {10}
    assert [row["number"] for row in stocked.data("orders", "list", "--state", "cancelled")] == ["A/7"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("create", "--line", "NOPE=1"), 66, "NOPE"),
        (("create", "--line", "MUG"), 65, "SKU=UNITS"),
        (("create", "--line", "MUG=-1"), 65, "-1"),
        (("create", "--line", "MUG=99999999999999999999"), 65, "sensible"),
        (("create", "--line", "MUG=1@x"), 65, "amount"),
        (("create", "--line", "MUG=1", "--number", "M-1"), 79, "already"),
        (("create",), 2, "--line"),
        (("show", "M-9"), 66, "M-9"),
        (("ship", "M-1", "--line", "MUG=9"), 65, "8 x MUG"),
        (("ship", "M-1", "--line", "MUG"), 65, "SKU=QUANTITY"),
        (("ship", "M-1", "--at", "2999-01-01"), 65, "future"),
        (("cancel", "M-1"), 2, "--reason"),
        (("cancel", "M-1", "--reason", "boredom"), 2, "no_stock"),
        (("complete", "M-1"), 79, "ready"),
        (("hold", "M-1"), 65, "reason"),
        (("allocate", "M-1", "--warehouse", "Nowhere"), 66, "Nowhere"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(stocked: Zenv, words: tuple[str, ...], code: int, said: str) -> None:
    stocked.good("orders", "create", "--line", "MUG=1")
    before = stocked.good("orders", "show", "M-1").out
    answer = stocked("orders", *words)
    assert answer.code == code and said in answer.err, answer
    assert stocked.good("orders", "show", "M-1").out == before and len(stocked.data("orders", "list")) == 1


# --- the person -----------------------------------------------------------------------------------------------

JANE = "name=Jane Markerova\nline1=1 Marker Street\ncity=Berlin\npostcode=10115\ncountry=DE\n"


def test_the_recipient_is_read_from_stdin_and_shown_only_when_asked_for(stocked: Zenv) -> None:
    stocked.good("orders", "create", "--line", "MUG=1", "--recipient", stdin=JANE)
    assert "Marker" not in stocked.good("orders", "show", "M-1").out
    assert stocked.data("orders", "show", "M-1")["city"] == "Berlin"
    assert stocked.data("orders", "show", "M-1", "--with-personal-data")["recipient"]["name"] == "Jane Markerova"
    for path in stocked.home.rglob("*"):
        assert path.is_dir() or b"Marker" not in path.read_bytes(), path


def test_a_line_of_stdin_that_is_not_understood_is_not_repeated(stocked: Zenv) -> None:
    answer = stocked("orders", "create", "--line", "MUG=1", "--recipient", stdin="name=Jane\nMarkerova Street\n")
    assert answer.code == 65 and "Line 2" in answer.err and "Marker" not in answer.err
    assert stocked.data("orders", "list") == []


# --- a file ---------------------------------------------------------------------------------------------------

FILE = """number,sku,quantity,price,name,city
W-1,MUG,2,10.00,Jane Markerova,Berlin
W-1,CUP,1,5.00,,
W-2,NOPE,1,,,
W-3,MUG,two,,,
W-3,CUP,1,,,
W-4,CUP,1,,,Bonn,too many
,CUP,1,,,
"""


def test_an_import_of_orders_is_shown_first_and_books_the_good_ones_once(stocked: Zenv, tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_text(FILE)
    preview = stocked("orders", "import", str(file), "--json")
    assert preview.code == 2 and (preview.data["orders"], preview.data["units"]) == (1, 3)
    assert {problem["line"] for problem in preview.data["problems"]} == {4, 5, 6, 7, 8}
    assert stocked.data("orders", "list") == [] and not (stocked.home / "keys.db").exists()

    booked = stocked("orders", "import", str(file), "--yes")
    assert booked.code == 80 and "5 lines left out" in booked.err and "Marker" not in booked.out + booked.err
    shown = stocked.data("orders", "show", "W-1", "--with-personal-data")
    assert shown["total"] == 1500 and shown["recipient"]["name"] == "Jane Markerova"
    again = stocked("orders", "import", str(file), "--yes", "--json").data
    assert (again["orders"], again["already_there"]) == (0, 1)
    assert {row["available"] for row in stocked.data("items", "list")} == {8, 9}


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", 65), (b"number,sku\nA,MUG\n", 65), (b'number,sku,quantity\nA,"MUG,1\n', 80), (None, 66)],
)
def test_a_malformed_file_is_refused(stocked: Zenv, tmp_path: Path, content: bytes | None, code: int) -> None:
    file = tmp_path / "orders.csv"
    if content is not None:
        file.write_bytes(content)
    answer = stocked("orders", "import", str(file), "--yes")
    assert answer.code == code and answer.err.startswith("zenv: "), answer
    assert stocked.data("orders", "list") == []


def test_a_file_of_a_spreadsheet_is_read_too(stocked: Zenv, tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_bytes("Number;SKU;Quantity;City\r\nW-1;MUG;1;Köln\r\n".encode("cp1252"))
    stocked.good("orders", "import", str(file), "--yes")
    assert stocked.data("orders", "show", "W-1")["city"] == "Köln"


def test_the_ledger_is_asked_in_sql_and_never_changed(stocked: Zenv) -> None:
    stocked.good("orders", "create", "--line", "MUG=2")
    assert stocked.data("sql", "SELECT number, units FROM orders") == [{"number": "M-1", "units": 2}]
    for statement in ("DELETE FROM item", "SELECT * FROM nowhere", "", "PRAGMA user_version = 7"):
        assert stocked("sql", statement).code == 65, statement
    assert len(stocked.data("items", "list")) == 2


def test_doctor_finds_the_books_sound(stocked: Zenv) -> None:
    stocked.good("orders", "create", "--line", "MUG=2")
    stocked.good("orders", "pick", "M-1")
    assert stocked.good("doctor", "--quiet").out == "" and stocked.data("doctor") == []
