"""A client's commands, as people type them, with a provider that is really there."""

from __future__ import annotations

import pytest

from tests import books
from tests.cli_driver import Zenv, a_shop, an_empty_home  # noqa: F401  fixtures
from tests.zfn.provider_face import DEPOT, Provider, receive
from zenv.errors import BadInput, NeedsAttention, NotFound, Refused
from zenv.ledger import stock


@pytest.fixture
def asked(shop: Zenv, served: Provider) -> Zenv:
    """The warehouse is saved and its connection asked for."""
    shop.good("warehouses", "add", DEPOT, "--provider", "zfn")
    shop.good("zfn", "request", "--warehouse", DEPOT, "--code", served.code)
    return shop


@pytest.fixture
def linked(asked: Zenv, served: Provider) -> Zenv:
    """Accepted, and heard of."""
    served.accept()
    asked.good("sync", "now", DEPOT)
    return asked


def test_a_request_prints_the_fingerprint_that_the_provider_sees(shop: Zenv, served: Provider) -> None:
    shop.good("warehouses", "add", DEPOT, "--provider", "zfn")
    said = shop.data("zfn", "request", "--warehouse", DEPOT, "--code", served.code)
    ((fingerprint,),) = books.ask(served.book, "SELECT fingerprint FROM link_request")
    assert (said["provider"], said["fingerprint"], said["told"]) == ("Lamp Shop", fingerprint, True)


def test_Z17_the_user_is_the_one_given_with_as(shop: Zenv, served: Provider) -> None:
    shop.good("warehouses", "add", DEPOT, "--provider", "zfn")
    stranger = shop("--as", "stranger", "zfn", "request", "--warehouse", DEPOT, "--code", served.code)
    assert stranger.code == NotFound.exit_code and "stranger" in stranger.err


def test_Z12_Z14_an_unknown_provider_shows_the_list(shop: Zenv) -> None:
    unknown = shop("warehouses", "add", "X", "--provider", "acme")
    assert unknown.code == BadInput.exit_code and "zfn, fba, zfs, house" in unknown.err
    assert shop("warehouses", "add", "X", "--provider", "fba").code == Refused.exit_code


def test_the_whole_way_from_the_request_to_the_parting(linked: Zenv, served: Provider) -> None:
    receive(served, "MUG", 4)
    again = linked.data("zfn", "reimport", DEPOT)
    assert again["accounts"][0]["outcome"] == "ok"
    assert [row["on_hand"] for row in linked.data("stock", "levels", "MUG")] == [4]
    assert linked.good("zfn", "compare", DEPOT).rows == []
    refused = linked("zfn", "disconnect", DEPOT)
    assert refused.code == Refused.exit_code and "MUG: 4 on hand" in refused.err
    assert linked("warehouses", "deactivate", DEPOT).code == Refused.exit_code
    books.do(served.book, stock.adjust, "1-MUG", "Main", -4, "sent back")
    linked.good("zfn", "disconnect", DEPOT)
    linked.good("warehouses", "deactivate", DEPOT)
    assert books.ask(served.book, "SELECT state FROM client") == [("deactivated",)]
    assert linked.data("sql", "SELECT state FROM links") == [{"state": "parted"}]


def test_compare_ends_with_80_where_something_differs(linked: Zenv, served: Provider) -> None:
    receive(served, "MUG", 4)
    linked.good("sync", "now", DEPOT)
    assert linked.good("zfn", "compare", DEPOT, "--quiet").out == ""
    with books.opened(linked.home, books.Clock()) as book, book.transaction() as t:
        here = t.place(stock.warehouse_id(t.sql, DEPOT), "on_hand")
        stock.move(t, [stock.Move(stock.item_id(t.sql, "MUG"), here, 3, 1, "adjusted")])
    differs = linked("zfn", "compare", DEPOT)
    assert differs.code == NeedsAttention.exit_code and differs.rows[0]["command"] == f"zenv zfn reimport '{DEPOT}'"


def test_a_token_is_rotated(linked: Zenv) -> None:
    assert "new token" in linked.good("zfn", "rotate", DEPOT).out
    linked.good("sync", "now", DEPOT)


def test_a_command_tells_the_provider_at_once_and_says_what_waits(linked: Zenv, served: Provider) -> None:
    linked.good("items", "add", "PLATE")
    assert books.ask(served.book, "SELECT COUNT(*) FROM items WHERE sku = '1-PLATE'") == [(1,)]
    served.stop()
    added = linked.good("items", "add", "BOWL")
    assert f"1 thing waits for {DEPOT}" in added.err
    assert "waits" not in linked.good("items", "add", "JUG", "--quiet").err


def test_Z41_reactivating_is_an_administrators_act(linked: Zenv, served: Provider) -> None:
    linked.good("zfn", "disconnect", DEPOT)
    linked.good("warehouses", "deactivate", DEPOT)
    linked.good("users", "add", "worker")
    assert linked("--as", "worker", "warehouses", "reactivate", DEPOT).code == Refused.exit_code
    linked.good("warehouses", "reactivate", DEPOT)
    actions = [row["action"] for row in linked.data("audit", "list")]
    assert "reactivated warehouse" in actions and "parted" in actions


def test_a_connection_to_a_provider_is_not_simply_removed(linked: Zenv) -> None:
    refused = linked("connections", "remove", DEPOT, "--yes")
    assert refused.code == Refused.exit_code and "zenv zfn disconnect" in refused.err
    login = linked("connections", "login", DEPOT, "--secret-stdin", stdin="client_id=x\n")
    assert login.code == Refused.exit_code and "zenv zfn rotate" in login.err
