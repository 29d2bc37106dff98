"""`zenv items`: adding, importing with a preview, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli_driver import Zenv, a_shop, an_empty_home  # noqa: F401  # the fixtures shop and zenv
from tests.shared_files import SHARED


def test_an_item_is_added_shown_and_changed(shop: Zenv) -> None:
    shop.good("items", "add", "MUG-R", "--name", "Red mug", "--parent", "MUG", "--attribute", "color=red",
              "--unit-cost", "2.50", "--weight", "320")  # fmt: skip
    shown = shop.data("items", "show", "MUG-R")
    assert (shown["parent"], shown["attributes"], shown["unit_cost"]) == ("MUG", {"color": "red"}, 250)
    shop.good("items", "edit", "MUG-R", "--sku", "MUG-RED", "--inactive")
    assert shop.data("items", "show", "MUG-RED")["active"] is False
    assert shop("items", "show", "MUG-R").code == 66


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("add", "NEW", "--gtin", "4006381333932"), 65, "check digit"),
        (("add", "NEW", "--unit-cost", "cheap"), 65, "12.50"),
        (("add", "NEW", "--unit-cost", "-1"), 65, "-1"),
        (("add", "NEW", "--attribute", "red"), 65, "NAME=VALUE"),
        (("add", "NEW", "--parent", "NOPE"), 66, "NOPE"),
        (("add", "MUG"), 79, "already"),
        (("add", "  "), 65, "SKU"),
        (("edit", "MUG"), 65, "Nothing to change"),
        (("edit", "NOPE", "--name", "x"), 66, "NOPE"),
        (("confirm",), 2, "--all"),
        (("confirm", "X", "--all"), 2, "--all"),
        (("link", "X", "MUG"), 66, "X"),
        (("why", "NOPE"), 66, "NOPE"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(shop: Zenv, words: tuple[str, ...], code: int, said: str) -> None:
    before = shop.good("items", "list").out
    answer = shop("items", *words)
    assert answer.code == code and said in answer.err, answer
    assert answer.err.startswith("zenv: ") and shop.good("items", "list").out == before


SHEET = "sku,name,unit_cost,quantity\nMUG,The mug,3.00,9\nBOWL,A bowl,4.00,7\nBAD,A thing,much,1\nBOWL,Again,,\n"


def test_an_import_is_shown_first_and_booked_when_confirmed(shop: Zenv, tmp_path: Path) -> None:
    file = tmp_path / "items.csv"
    file.write_text(SHEET)
    preview = shop("items", "import", str(file), "--json")
    assert preview.code == 2 and "--yes" in preview.error["hint"]
    assert (preview.data["new"], preview.data["changed"], preview.data["opening_units"]) == (1, 1, 7)
    assert {problem["line"] for problem in preview.data["problems"]} == {4, 5}
    assert {"line": 2, "sku": "MUG", "field": "unit_cost", "old": None, "new": "3.00"} in preview.data["changes"]
    assert shop("items", "show", "BOWL").code == 66

    booked = shop("items", "import", str(file), "--yes")
    assert booked.code == 80 and "2 lines left out" in booked.err
    assert shop.data("stock", "levels", "BOWL")[0]["on_hand"] == 7
    again = shop("items", "import", str(file), "--yes", "--json").data
    assert (again["new"], again["changed"], again["same"]) == (0, 0, 2)


def test_at_a_terminal_the_import_asks(shop: Zenv, tmp_path: Path) -> None:
    file = tmp_path / "items.csv"
    file.write_text("sku\nBOWL\n")
    assert "Nothing was booked" in shop.at_terminal("items", "import", str(file), typed=("n",)).out
    assert shop("items", "show", "BOWL").code == 66
    assert shop.at_terminal("items", "import", str(file), typed=("y",)).code == 0
    shop.good("items", "show", "BOWL")


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", 65), (b"name,price\nx,1\n", 65), (b"\x00\x01\x02", 65), (b'sku,name\nA,"open\n', 80), (None, 66)],
)
def test_a_malformed_file_is_refused(shop: Zenv, tmp_path: Path, content: bytes | None, code: int) -> None:
    file = tmp_path / "items.csv"
    if content is not None:
        file.write_bytes(content)
    answer = shop("items", "import", str(file), "--yes")
    assert answer.code == code and answer.err.startswith("zenv: ")
    assert len(shop.data("items", "list")) == 2


def test_amazon_s_downloaded_listings_start_the_books(shop: Zenv) -> None:
    reports = sorted((SHARED / "data").glob("**/*[Ll]isting*.t*"))
    if not reports:
        pytest.skip(f"no published All Listings report in {SHARED / 'data'}")
    preview = shop("items", "import", str(reports[0]), "--amazon-listings", "--json")
    assert preview.code == 2 and preview.data["new"] > 0
    assert shop("items", "import", str(reports[0]), "--amazon-listings", "--yes").code in (0, 80)
    assert len(shop.data("items", "list")) > 2


def test_a_file_that_is_no_listings_report_is_refused(shop: Zenv, tmp_path: Path) -> None:
    file = tmp_path / "items.csv"
    file.write_text(SHEET)
    assert shop("items", "import", str(file), "--amazon-listings").code == 65
    assert shop("items", "import", str(tmp_path / "none"), "--amazon-listings").code == 66
