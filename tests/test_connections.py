"""Connections: nothing half saved, nothing running unasked, secrets unreadable, and everything kept when it ends."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests import books
from tests.books import line, offers, order, record
from zenv.errors import BadInput, NotFound, Refused
from zenv.ledger import connections, listings, views
from zenv.ledger.book import Book
from zenv.ledger.connections import NewConnection

NEW = NewConnection(
    name="amazon", kind="amazon", external_id="SELLER", region="eu", marketplaces=(books.MARKETPLACE,),
    home_marketplace=books.MARKETPLACE, warehouses=("Main",), consent_scope="orders, listings",
)  # fmt: skip
SECRETS = {"client_id": "marker-client-id", "client_secret": "marker-client-secret", "refresh_token": "marker-token"}


def add(book: Book, new: NewConnection = NEW, **secrets: str) -> int:
    with book.transaction() as t:
        return connections.add(t, new, secrets or SECRETS, book.master_key())


def shown(book: Book, name: str = "amazon") -> dict[str, object]:
    return views.connection(book.home, name)


# ---- connecting ------------------------------------------------------------------------------------------


def test_A24_a_new_connection_is_saved_and_not_enabled(book: Book) -> None:
    add(book)
    assert shown(book)["status"] == "saved"
    assert (shown(book)["handling_days"], shown(book)["stock_from"]) == (2, "Main")


def test_H4_when_and_to_what_the_seller_consented_is_kept(book: Book) -> None:
    add(book)
    assert shown(book)["consent_scope"] == "orders, listings"
    assert shown(book)["consent_at"] == "2026-03-02 08:00:00.000000"


def test_A22_A25_everything_that_is_missing_is_named_at_once(book: Book) -> None:
    bare = replace(NEW, name="", external_id="", warehouses=(), consent_scope="")
    with pytest.raises(BadInput) as refused:
        add(book, bare, client_id="", client_secret="x")
    for missing in ("name", "seller id", "stock warehouse", "consent", "client_id"):
        assert missing in refused.value.message
    assert views.connections(book.home).rows == []


@pytest.mark.parametrize("wrong", [{"handling_days": 31}, {"handling_days": -1}, {"buffer": -1}, {"buffer": 10**7}])
def test_a_setting_out_of_range_is_refused_and_nothing_is_stored(book: Book, wrong: dict[str, int]) -> None:
    with pytest.raises(BadInput):
        add(book, replace(NEW, **wrong))
    assert views.connections(book.home).rows == []


def test_a_warehouse_that_is_none_of_ours_sends_no_stock(book: Book) -> None:
    with pytest.raises(NotFound, match="Attic"):
        add(book, replace(NEW, warehouses=("Main", "Attic")))
    assert views.connections(book.home).rows == []


def test_A19_several_sellers_stand_side_by_side_but_no_account_twice(book: Book) -> None:
    add(book)
    add(book, replace(NEW, name="second", external_id="OTHER"))
    add(book, replace(NEW, name="third", region="na"))
    with pytest.raises(Refused, match="this account, already"):
        add(book, replace(NEW, name="fourth"))
    with pytest.raises(Refused, match="amazon"):
        add(book, replace(NEW, external_id="YET ANOTHER"))
    assert len(views.connections(book.home).rows) == 3


def test_H4_secrets_lie_sealed_and_open_with_the_master_key_alone(book: Book) -> None:
    add(book)
    with book.reading() as sql:
        assert connections.open_secrets(sql, "amazon", book.master_key) == SECRETS
    files = [file.read_bytes() for file in book.home.rglob("*") if file.is_file()]
    for value in SECRETS.values():
        assert not any(value.encode() in content for content in files)
    with book.reading() as sql, pytest.raises(Exception) as wrong:
        connections.open_secrets(sql, "amazon", lambda: bytes(32))
    assert not any(value in str(wrong.value) for value in SECRETS.values())


# ---- settings --------------------------------------------------------------------------------------------


def test_settings_are_changed_by_name_and_others_refused(book: Book) -> None:
    add(book)
    with book.transaction() as t:
        connections.edit(t, "amazon", handling_days=4, high_frequency=True)
    assert (shown(book)["handling_days"], shown(book)["high_frequency"]) == (4, 1)
    for wrong in ({"status": "active"}, {"external_id": "X"}, {"handling_days": 99}, {"buffer": -2}):
        with pytest.raises(BadInput), book.transaction() as t:
            connections.edit(t, "amazon", **wrong)
    with pytest.raises(BadInput, match="at least one warehouse"), book.transaction() as t:
        connections.edit(t, "amazon", warehouses=())
    with pytest.raises(NotFound), book.transaction() as t:
        connections.edit(t, "nobody", buffer=1)


def test_H76_the_order_preference_is_one_for_all_connections(book: Book) -> None:
    add(book)
    add(book, replace(NEW, name="second", external_id="OTHER"))
    with book.transaction() as t:
        connections.edit(t, "amazon", with_fulfilled=True)
    assert shown(book, "second")["with_fulfilled"] == 1


def test_H58_other_warehouses_hold_for_orders_from_then_on(book: Book, clock: books.Clock) -> None:
    books.add_items(book, "LAMP")
    books.receive(book, "LAMP", 5)
    books.receive(book, "LAMP", 5, "Side")
    amazon = books.connect(book)
    clock.later(minutes=1)
    record(book, amazon, order("A-1", line("LAMP", 1), at=clock.now))
    with book.transaction() as t:
        connections.edit(t, "amazon", warehouses=("Side",))
    record(book, amazon, order("A-2", line("LAMP", 1), at=clock.now))
    assert [row[1] for number in ("A-1", "A-2") for row in books.held(book, number)] == ["Main", "Side"]


# ---- on and off ------------------------------------------------------------------------------------------


def test_H82_H83_off_and_on_again_keeps_settings_links_and_cursors(book: Book) -> None:
    books.add_items(book, "LAMP")
    amazon = books.connect(book, handling_days=5)
    books.list_(book, amazon, "LAMP")
    with book.transaction() as t:
        connections.move_cursor(t, amazon, "orders", '{"since": "2026-03-01"}')
    with book.transaction() as t:
        connections.disable(t, "amazon")
    assert shown(book)["status"] == "inactive"
    with book.transaction() as t:
        connections.enable(t, "amazon")
    assert (shown(book)["status"], shown(book)["handling_days"]) == ("active", 5)
    with book.reading() as sql:
        assert connections.cursor(sql, amazon, "orders") == '{"since": "2026-03-01"}'
        assert listings.find_listing(sql, "LAMP", "amazon").item == "LAMP"


def test_a_refused_login_is_on_the_inbox_until_new_secrets_are_given(book: Book) -> None:
    amazon = add(book)
    with book.transaction() as t:
        connections.needs_login(t, amazon)
    assert shown(book)["status"] == "saved"  # it never ran, so there is nothing to log in again for
    with book.transaction() as t:
        connections.enable(t, "amazon")
        connections.needs_login(t, amazon)
    assert ("login", "amazon") in books.inbox(book)
    with book.transaction() as t:
        connections.replace_secrets(t, "amazon", {"refresh_token": "new"}, book.master_key())
    assert shown(book)["status"] == "active"
    with book.reading() as sql:
        assert connections.open_secrets(sql, "amazon", book.master_key) == SECRETS | {"refresh_token": "new"}


def test_the_client_secrets_180_days_count_from_when_it_was_replaced(book: Book, clock: books.Clock) -> None:
    add(book)
    clock.later(days=170)
    with book.transaction() as t:
        connections.replace_secrets(t, "amazon", {"refresh_token": "new"}, book.master_key())
    ((since,),) = books.ask(book, "SELECT secret_set_at FROM connection")
    assert since.startswith("2026-03-02")
    with book.transaction() as t:
        connections.replace_secrets(t, "amazon", {"client_secret": "new"}, book.master_key())
    ((since,),) = books.ask(book, "SELECT secret_set_at FROM connection")
    assert since.startswith("2026-08-19")


def test_new_secrets_for_an_inactive_connection_do_not_switch_it_on(book: Book) -> None:
    add(book)
    with book.transaction() as t:
        connections.disable(t, "amazon")
        connections.replace_secrets(t, "amazon", {"refresh_token": "new"}, book.master_key())
    assert shown(book)["status"] == "inactive"


# ---- the end ---------------------------------------------------------------------------------------------


def test_a_removed_connection_leaves_its_orders_and_no_secret(book: Book) -> None:
    books.add_items(book, "LAMP")
    books.receive(book, "LAMP", 5)
    amazon = books.connect(book)
    record(book, amazon, order("A-1", line("LAMP", 1)))
    with book.transaction() as t:
        connections.remove(t, "amazon")
    assert shown(book)["status"] == "removed"
    assert books.ask(book, "SELECT COUNT(*) FROM secret") == [(0,)]
    assert books.state(book, "A-1") == "ready"


@pytest.mark.parametrize("operation", ["enable", "disable", "edit", "replace_secrets", "remove"])
def test_a_removed_connection_comes_back_only_by_connecting_again(book: Book, operation: str) -> None:
    add(book)
    with book.transaction() as t:
        connections.remove(t, "amazon")
    calls = {
        "edit": lambda t: connections.edit(t, "amazon", buffer=1),
        "replace_secrets": lambda t: connections.replace_secrets(t, "amazon", {"client_id": "x"}, bytes(32)),
    }
    with pytest.raises(Refused, match="removed"), book.transaction() as t:
        calls.get(operation, lambda t: getattr(connections, operation)(t, "amazon"))(t)
    assert shown(book)["status"] == "removed"


def test_an_account_that_is_connected_again_finds_its_orders_and_links(book: Book) -> None:
    books.add_items(book, "LAMP")
    books.receive(book, "LAMP", 5)
    amazon = books.connect(book, external_id="SELLER")
    books.list_(book, amazon, "LAMP")
    books.send(book, amazon)
    record(book, amazon, order("A-1", line("LAMP", 1)))
    with book.transaction() as t:
        connections.remove(t, "amazon")
    again = add(book, replace(NEW, name="amazon de"))
    assert again == amazon
    assert shown(book, "amazon de")["status"] == "saved"
    assert record(book, amazon, order("A-1", line("LAMP", 1))) == 0
    with book.transaction() as t:
        connections.enable(t, "amazon de")
    assert offers(book, amazon) == {"LAMP": 4}


def test_an_account_does_not_come_back_under_the_name_of_another(book: Book) -> None:
    add(book)
    add(book, replace(NEW, name="second", external_id="OTHER"))
    with book.transaction() as t:
        connections.remove(t, "amazon")
    with pytest.raises(Refused, match="second"):
        add(book, replace(NEW, name="second"))


def test_a_cursor_is_unknown_at_the_very_first_time_and_then_what_was_said_last(book: Book) -> None:
    amazon = add(book)
    with book.reading() as sql:
        assert connections.cursor(sql, amazon, "orders") is None
    for position in ("1", "2"):
        with book.transaction() as t:
            connections.move_cursor(t, amazon, "orders", position)
    with book.reading() as sql:
        assert connections.cursor(sql, amazon, "orders") == "2"
