"""`zenv inbound`: every verb by command, what is shown, and what is refused."""

from __future__ import annotations

import pytest

from tests.cli_driver import Zenv, a_shop, an_empty_home  # noqa: F401  # the fixtures shop and zenv


@pytest.fixture
def north(shop: Zenv) -> Zenv:
    """A second warehouse, and 10 MUG in Main."""
    shop.good("warehouses", "add", "North")
    shop.good("stock", "receive", "MUG", "10", "--warehouse", "Main")
    return shop


def on_hand(shop: Zenv, sku: str = "MUG") -> dict[str, int]:
    return {row["warehouse"]: row["on_hand"] for row in shop.data("stock", "levels", sku)}


def test_a_purchase_order_is_ordered_received_and_completed(shop: Zenv) -> None:
    ordered = shop.good("inbound", "order", "--line", "MUG=5", "--line", "CUP=2", "--supplier", "Mugs Ltd",
                        "--expected", "2026-12-24")  # fmt: skip
    assert "zenv inbound receive PO-1" in ordered.out
    (row,) = shop.data("inbound", "list")
    assert (row["number"], row["kind"], row["supplier"], row["units"]) == ("PO-1", "purchase", "Mugs Ltd", 7)
    assert shop.data("inbound", "receive", "PO-1", "--line", "MUG=3")["units"] == 3
    assert "4 units short" in shop.good("inbound", "complete", "PO-1").out
    shown = shop.data("inbound", "show", "PO-1")
    assert shown["state"] == "closed"
    assert [(line["sku"], line["received"], line["difference"]) for line in shown["lines"]] == [
        ("MUG", 3, -2), ("CUP", 0, -2),
    ]  # fmt: skip
    assert shop.data("inbound", "list") == [] and len(shop.data("inbound", "list", "--state", "closed")) == 1
    assert on_hand(shop) == {"Main": 3}


def test_a_transfer_goes_stage_by_stage(north: Zenv) -> None:
    begun = north.good("inbound", "transfer", "--from", "Main", "--to", "North", "--line", "MUG=4")
    assert "zenv inbound allocate TO-1" in begun.out
    for stage in ("allocate", "pick", "ship", "receive"):
        assert "4 units" in north.good("inbound", stage, "TO-1").out
    assert on_hand(north) == {"Main": 6, "North": 4}


def test_a_request_waits_on_the_inbox_with_the_command_that_accepts_it(north: Zenv) -> None:
    north.good("--as", "mia", "inbound", "request", "--from", "Main", "--to", "North", "--line", "MUG=4")
    (waiting,) = [row for row in north.data("inbox") if row["kind"] == "transfer request"]
    assert waiting["text"].startswith("mia asks for 4 units from Main to North")
    north.good(*waiting["command"].split()[1:])
    assert [row for row in north.data("inbox") if row["kind"] == "transfer request"] == []
    north.good("inbound", "cancel", "TO-1")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("order", "--line", "NOPE=1"), 66, "NOPE"),
        (("order", "--line", "MUG"), 65, "SKU=QUANTITY"),
        (("order", "--line", "MUG=0"), 65, "sensible"),
        (("order", "--line", "MUG=-3"), 65, "sensible"),
        (("order", "--line", "MUG=1", "--warehouse", "Nowhere"), 66, "Nowhere"),
        (("order",), 2, "--line"),
        (("transfer", "--from", "Main", "--to", "Main", "--line", "MUG=1"), 65, "two different"),
        (("show", "PO-9"), 66, "PO-9"),
        (("receive", "PO-9"), 66, "PO-9"),
        (("allocate", "PO-1"), 79, "no transfer"),
        (("receive", "PO-1", "--line", "CUP=1"), 65, "brings no CUP"),
        (("cancel", "PO-9"), 66, "PO-9"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(shop: Zenv, words: tuple[str, ...], code: int, said: str) -> None:
    shop.good("inbound", "order", "--line", "MUG=5")
    answer = shop("inbound", *words)
    assert answer.code == code and said in answer.err, answer
    assert len(shop.data("inbound", "list")) == 1 and on_hand(shop) == {}


def test_a_private_warehouse_is_for_its_keeper(north: Zenv) -> None:
    north.good("--as", "mia", "warehouses", "add", "Attic", "--private")
    (attic,) = [row for row in north.data("warehouses", "list") if row["warehouse"] == "Attic"]
    assert attic["shared"] is False
    north.good("warehouses", "edit", "Attic", "--shared")


def test_an_item_for_a_client_there_is_not_is_refused(shop: Zenv) -> None:
    answer = shop("items", "add", "FAN", "--client", "Nobody")
    assert answer.code == 66 and "no client" in answer.err
    assert shop("items", "show", "FAN").code == 66
