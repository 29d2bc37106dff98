"""`zenv stock` and `zenv warehouses`: every change by command, and what is refused."""

from __future__ import annotations

import pytest

from tests.cli_driver import Zenv, a_shop, an_empty_home  # noqa: F401  # the fixtures shop and zenv


def on_hand(shop: Zenv, sku: str = "MUG") -> dict[str, int]:
    return {row["warehouse"]: row["on_hand"] for row in shop.data("stock", "levels", sku)}


def test_stock_is_received_adjusted_counted_and_explained(shop: Zenv) -> None:
    shop.good("stock", "receive", "MUG", "10", "--reference", "DN-7")
    shop.good("stock", "adjust", "MUG", "-3", "--why", "broken")
    counted = shop("stock", "count", "MUG", "9", "--json")
    assert counted.code == 2 and counted.data["difference"] == 2 and on_hand(shop) == {"Main": 7}
    shop.good("stock", "count", "MUG", "9", "--yes")
    assert on_hand(shop) == {"Main": 9}
    shop.good("stock", "count", "MUG", "9")
    terms = shop.data("stock", "why", "MUG")
    for number in {row["number"] for row in terms}:
        *parts, total = [row["units"] for row in terms if row["number"] == number]
        assert sum(parts) == total == 9
    reasons = [row["reason"] for row in shop.data("stock", "history", "MUG")]
    assert reasons == ["counted", "adjusted", "received"]


def test_a_transfer_is_under_way_until_it_arrives(shop: Zenv) -> None:
    shop.good("warehouses", "add", "North")
    shop.good("stock", "receive", "MUG", "10", "--warehouse", "Main")
    shop.good("stock", "transfer", "MUG", "4", "--from", "Main", "--to", "North")
    (sent,) = shop.data("stock", "transfers")
    shop.good("stock", "arrive", str(sent["transfer"]), "--quantity", "1")
    assert on_hand(shop) == {"Main": 6, "North": 1}
    shop.good("stock", "arrive", str(sent["transfer"]))
    shop.good("stock", "transfer", "MUG", "2", "--from", "North", "--to", "Main", "--arrives-now")
    assert on_hand(shop) == {"Main": 8, "North": 2} and shop.data("stock", "transfers") == []


def test_levels_are_shown_as_they_were(shop: Zenv) -> None:
    shop.good("stock", "receive", "MUG", "10")
    assert shop.data("stock", "levels", "--as-of", "2001-01-01") == []
    assert shop.data("stock", "levels", "--as-of", "2999-01-01T00:00+02:00")[0]["on_hand"] == 10
    assert shop("stock", "levels", "--as-of", "yesterday").code == 65


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("receive", "NOPE", "1"), 66, "NOPE"),
        (("receive", "MUG", "-5"), 65, "-5"),
        (("receive", "MUG", "0"), 65, "0"),
        (("receive", "MUG", "99999999999999999999999999"), 65, "sensible"),
        (("receive", "MUG", "ten"), 2, "whole number"),
        (("receive", "MUG", "1.5"), 2, "whole number"),
        (("receive", "MUG"), 2, "QUANTITY"),
        (("receive", "MUG", "1", "--warehouse", "Nowhere"), 66, "Nowhere"),
        (("adjust", "MUG", "-1"), 65, "reason"),
        (("adjust", "MUG", "-99", "--why", "lost"), 79, "not that many"),
        (("count", "MUG", "-1", "--yes"), 65, "-1"),
        (("transfer", "MUG", "1", "--from", "Main", "--to", "Main"), 65, "two different"),
        (("arrive", "77"), 66, "77"),
        (("levels", "NOPE"), 66, "NOPE"),
        (("history", "NOPE"), 66, "NOPE"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(shop: Zenv, words: tuple[str, ...], code: int, said: str) -> None:
    shop.good("stock", "receive", "MUG", "5")
    answer = shop("stock", *words)
    assert answer.code == code and said in answer.err, answer
    assert on_hand(shop) == {"Main": 5}


def test_with_two_warehouses_one_has_to_be_named(shop: Zenv) -> None:
    shop.good("warehouses", "add", "North", "--rank", "5")
    answer = shop("stock", "receive", "MUG", "1")
    assert answer.code == 65 and "North" in answer.err and "--warehouse" in answer.err


def test_a_warehouse_is_renamed_closed_and_opened(shop: Zenv) -> None:
    shop.good("warehouses", "add", "North")
    shop.good("warehouses", "edit", "North", "--name", "Nord", "--rank", "1")
    shop.good("warehouses", "deactivate", "Nord")
    assert [row["active"] for row in shop.data("warehouses", "list")] == [False, True]
    shop.good("warehouses", "reactivate", "Nord")
    shop.good("stock", "receive", "MUG", "1", "--warehouse", "Nord")
    assert shop("warehouses", "deactivate", "Nord").code == 79
    assert shop("warehouses", "add", "Nord").code == 79
    assert shop("warehouses", "edit", "Nope", "--rank", "1").code == 66


def test_at_a_terminal_a_count_asks_before_it_books(shop: Zenv) -> None:
    shop.good("stock", "receive", "MUG", "5")
    answer = shop.at_terminal("stock", "count", "MUG", "4", typed=("y",))
    assert "difference" in answer.out and "Book the difference?" in answer.out and on_hand(shop) == {"Main": 4}
