"""`zenv users` and the provider's half of `zenv zfn`, as people type it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli_driver import Zenv, a_shop, an_empty_home  # noqa: F401  # the fixtures shop and zenv
from tests.zfn.companies import request
from zenv.ledger.book import open_book
from zenv.ledger.zfn import clients, standing


@pytest.fixture
def provider(shop: Zenv) -> Zenv:
    for words in (("plan", "enterprise"), ("enable",), ("grant",), ("settings", "--address", "127.0.0.1:8470")):
        shop.good("zfn", *words)
    return shop


def asks(zenv: Zenv, company: str = "acme") -> None:
    """A company asks, as the face writes it down."""
    with open_book(zenv.home, "tester") as book:
        code, pepper = standing.invite(book), standing.opened(book).pepper
        with book.transaction() as t:
            clients.ask(t, pepper, code, request(company))


def test_init_makes_whoever_does_it_the_first_administrator(shop: Zenv) -> None:
    assert [(row["administrator"], row["active"]) for row in shop.good("users", "list").rows] == [("yes", "yes")]
    assert shop.good("users", "list").rows[0]["user"] == actor(shop)


def actor(zenv: Zenv) -> str:
    return str(zenv.data("audit", "list")[-1]["actor"])


def test_users_are_added_and_deactivated(shop: Zenv) -> None:
    shop.good("users", "add", "ben")
    assert shop("--as", "ben", "users", "add", "eve").code == 79
    shop.good("users", "deactivate", "ben")
    assert {row["user"]: row["active"] for row in shop.good("users", "list").rows}["ben"] == "no"
    assert shop("users", "deactivate", "ben").code == 66


def test_Z2_Z3_Z4_the_way_to_the_provider_function(shop: Zenv) -> None:
    refused = shop("zfn", "invite")
    assert refused.code == 79 and "plan standard" in refused.err and f"Ask {actor(shop)}." in refused.err
    assert shop("zfn", "enable").code == 79
    shop.good("zfn", "plan", "enterprise")
    assert f"Ask {actor(shop)}." in shop.good("zfn", "enable").out
    assert shop("zfn", "invite").code == 79
    shop.good("zfn", "grant")
    refused = shop("zfn", "invite")
    assert refused.code == 79 and "zenv zfn settings --address" in refused.err
    shop.good("zfn", "settings", "--address", "zfn.example.com:443")
    assert shop.good("zfn", "invite").out.startswith("zfn:zfn.example.com:443/")


def test_settings_are_shown_and_changed_one_by_one(provider: Zenv) -> None:
    shown = provider.data("zfn", "settings")
    assert (shown["plan"], shown["provider"], shown["may_edit_picked"]) == ("enterprise", "granted", False)
    changed = provider.data("zfn", "settings", "--allow-edit-picked", "--support-contact", "480-530-2100")
    assert (changed["may_edit_picked"], changed["support_contact"]) == (True, "480-530-2100")
    assert changed["address"] == shown["address"]
    assert provider("zfn", "settings", "--address", "nonsense").code == 65
    assert provider("zfn", "settings", "--certificates", "stolen").code == 2


def test_Z9_Z20_clients_is_home(provider: Zenv) -> None:
    assert provider.data("zfn", "clients") | {"requests": 0, "new": 0} == provider.data("zfn", "clients")
    asks(provider, "acme")
    asks(provider, "other")
    home = provider.data("zfn", "clients")
    assert (home["requests"], home["new"]) == (2, 2)
    assert len([row for row in provider.data("inbox") if row["kind"] == "link request"]) == 2
    assert [row["company"] for row in provider.data("zfn", "requests")] == ["Acme", "Other"]
    assert provider.data("zfn", "clients")["new"] == 0
    made = provider.data("zfn", "accept", "1", "--import-user", actor(provider), "--new-client")
    assert made["name"] == "Acme"
    provider.good("zfn", "deny", "2")
    (client,) = provider.data("zfn", "clients")["clients"]
    assert (client["name"], client["state"], client["next"]) == ("Acme", "linked", "")
    assert provider("zfn", "delete", "Acme").code == 79


@pytest.mark.parametrize(("words", "code"), [
    (("accept", "1", "--import-user", "ben"), 65),
    (("accept", "1", "--import-user", "ben", "--new-client", "--client", "Acme"), 65),
    (("accept", "1", "--new-client"), 2),
    (("accept", "1", "--import-user", "ghost", "--new-client"), 66),
    (("accept", "7", "--import-user", "ben", "--new-client"), 66),
    (("accept", "1", "--import-user", "ben", "--client", "Nobody"), 66),
    (("accept",), 2), (("deny",), 2), (("deny", "7"), 66), (("delete", "Nobody"), 66),
])  # fmt: skip
def test_Z23_Z25_Z26_what_is_missing_or_wrong_is_refused_and_changes_nothing(
    provider: Zenv, words: tuple[str, ...], code: int
) -> None:
    provider.good("users", "add", "ben")
    asks(provider)
    before: Any = provider.data("zfn", "clients")
    assert provider("zfn", *words).code == code
    assert provider.data("zfn", "clients") == before
