"""A client's link to a provider: asked for, accepted or denied, ended again; over real HTTPS."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests import books
from tests.zfn.provider_face import DEPOT, Provider, link, receive, request, run, save, state, world
from zenv import joining, sync, wire
from zenv.company_code import read_code
from zenv.connectors.zfn.connector import show_new_token
from zenv.errors import BadInput, NotFound, Refused, Unreachable
from zenv.ledger import connections, orders, stock, users
from zenv.ledger.book import Book
from zenv.ledger.settle import read_sources
from zenv.ledger.zfn import clients, links, standing, tokens


def asked(served: Provider) -> list[tuple[str, str, str]]:
    return books.ask(served.book, "SELECT company_name, user_name, warehouse FROM link_request")


def test_Z16_Z17_Z19_a_request_is_made_once_and_both_sides_show_the_same_fingerprint(
    book: Book, served: Provider
) -> None:
    save(book)
    first, again = request(book, served), request(book, served)
    assert first == again and first.told
    assert asked(served) == [("Lamp Shop", "tester", DEPOT)]
    assert books.ask(served.book, "SELECT fingerprint FROM link_request") == [(first.fingerprint,)]
    assert state(book) == [(DEPOT, "requested")]


def test_Z7_nothing_flows_before_the_provider_has_accepted(book: Book, served: Provider) -> None:
    books.add_items(book, "LAMP")
    save(book)
    request(book, served)
    result = run(book)
    assert result.outcome == "ok" and "has not decided" in result.note
    assert books.ask(served.book, "SELECT COUNT(*) FROM item") == [(0,)]


def test_an_accepted_request_links_and_the_secret_of_the_request_is_gone(book: Book, served: Provider) -> None:
    found = link(book, served)
    assert (found.state, found.client_number, found.provider) == ("linked", 1, "Lamp Shop")
    with book.reading() as sql:
        assert set(connections.open_secrets(sql, DEPOT, book.master_key)) == {"token"}
        assert read_sources(sql).kept == {found.warehouse_id}


def test_Z24_a_denied_request_is_seen_here_and_may_be_sent_again(book: Book, served: Provider) -> None:
    save(book)
    request(book, served)
    served.deny()
    assert [one.outcome for one in sync.run_all(book, DEPOT, world(book))] == ["ok"]
    assert state(book) == [(DEPOT, "denied")]
    assert ("link denied", DEPOT) in books.inbox(book)
    assert request(book, served).told
    assert state(book) == [(DEPOT, "requested")] and ("link denied", DEPOT) not in books.inbox(book)
    served.accept()
    run(book)
    assert state(book) == [(DEPOT, "linked")]


def test_a_request_that_the_provider_does_not_take_is_denied_and_says_so(
    book: Book, served: Provider, blank_home: Path, tmp_path: Path, clock: books.Clock
) -> None:
    """Another ledger of the same company, as after going back to a backup, has a request there already."""
    with books.opened(books.home_like(blank_home, tmp_path / "again"), clock) as again:
        save(again)
        request(again, served)
    save(book)
    with pytest.raises(Refused, match="did not take the request"):
        request(book, served)
    assert state(book) == [(DEPOT, "denied")] and books.owed(book) == set()
    assert [row for row in asked(served)] == [("Lamp Shop", "tester", DEPOT)]


def test_a_request_that_was_written_and_not_told_is_told_by_the_next_run(
    book: Book, served: Provider, clock: books.Clock
) -> None:
    save(book)
    at = read_code(served.code)
    asking = links.Ask(DEPOT, at, "Lamp Shop", "1", joining.new_token(), joining.new_token())
    books.do(book, links.request, asking, book.master_key())  # and killed before it was told
    assert "***" in repr(asking) and asking.secret not in repr(asking)
    assert run(book).outcome == "ok"
    assert asked(served) == [("Lamp Shop", "tester", DEPOT)]


def test_Z19_one_request_at_a_time(book: Book, served: Provider) -> None:
    save(book)
    save(book, "Second")
    request(book, served)
    with pytest.raises(Refused, match="one at a time"):
        request(book, served, "Second")
    assert len(asked(served)) == 1


def test_Z18_a_code_of_nobody_is_refused_before_anything_is_written(book: Book, served: Provider) -> None:
    save(book)
    stranger = served.code.replace(served.code.split("/")[1], "somebody")
    with pytest.raises(Refused, match="nobody with this company code"):
        joining.request(book, DEPOT, stranger, world(book))
    with pytest.raises(BadInput):
        joining.request(book, DEPOT, "zfn:nonsense", world(book))
    assert state(book) == [] and books.ask(book, "SELECT COUNT(*) FROM connection") == [(0,)]


def test_a_provider_that_cannot_be_reached_is_asked_nothing_and_nothing_is_written(
    book: Book, served: Provider
) -> None:
    save(book)
    served.stop()
    with pytest.raises(Unreachable):
        request(book, served)
    assert state(book) == []


def test_Z17_only_a_user_of_the_company_asks(book: Book, served: Provider) -> None:
    save(book)
    book.actor = "stranger"
    with pytest.raises(NotFound, match="stranger"):
        request(book, served)
    assert state(book) == [] and asked(served) == []


def test_Z12_Z14_providers_are_a_list_of_which_zfn_works(book: Book) -> None:
    with book.transaction() as t:
        with pytest.raises(BadInput) as unknown:
            links.add_warehouse(t, "X", "acme")
        with pytest.raises(Refused, match="Amazon's own warehouses"):
            links.add_warehouse(t, "X", "fba")
    assert unknown.value.hint == "give one of: zfn, fba, zfs, house"


def test_Z15_a_saved_warehouse_that_is_not_connected_holds_no_stock(book: Book) -> None:
    books.add_items(book, "LAMP")
    save(book)
    with pytest.raises(Refused):
        books.receive(book, "LAMP", 1, DEPOT)
    with pytest.raises(Refused, match="no live connection"), book.reading() as sql:
        links.demand_linked(sql, DEPOT)


def test_Z44_a_warehouse_that_is_not_open_to_all_users_is_not_connected(book: Book, served: Provider) -> None:
    save(book)
    books.do(book, stock.edit_warehouse, DEPOT, shared=False)
    with pytest.raises(Refused) as refused:
        request(book, served)
    assert refused.value.hint == "zenv warehouses edit Depot --shared"
    books.do(book, stock.edit_warehouse, DEPOT, shared=True)


def test_an_ordinary_warehouse_is_never_asked_for(book: Book, served: Provider) -> None:
    books.do(book, users.begin)
    with pytest.raises(Refused, match="no warehouse that a provider keeps"):
        request(book, served, "Main")


# ---- parting ---------------------------------------------------------------------------------------------


def test_Z37_Z38_units_and_orders_there_are_listed_and_keep_it_connected(book: Book, served: Provider) -> None:
    books.add_items(book, "LAMP")
    link(book, served)
    receive(served, "LAMP", 5)
    with pytest.raises(Refused, match="LAMP: 5 on hand, 0 picked") as refused:
        joining.disconnect(book, DEPOT, world(book))
    assert "zenv stock levels" in refused.value.hint
    assert state(book) == [(DEPOT, "linked")]
    with served.book.transaction() as t:
        stock.adjust(t, "1-LAMP", "Main", -5, "sent back")
    assert joining.disconnect(book, DEPOT, world(book)) == "Lamp Shop"
    assert state(book) == [(DEPOT, "disconnected")]


def test_Z38_orders_that_the_provider_has_are_named(book: Book, served: Provider) -> None:
    books.add_items(book, "LAMP")
    link(book, served)
    receive(served, "LAMP", 5)
    run(book)
    person = orders.NewOrder([orders.NewLine("LAMP", 5)], "1001", recipient=books.PERSON, ship_from=DEPOT)
    books.do(book, orders.create_order, person)
    run(book, "handover")
    with served.book.transaction() as t:
        orders.pick(t, "CO-1-1001")
    with pytest.raises(Refused, match=r"LAMP: 0 on hand, 5 picked.*orders 1001"):
        joining.disconnect(book, DEPOT, world(book))


def test_Z39_Z41_Z42_parting_and_coming_back(book: Book, served: Provider) -> None:
    books.add_items(book, "LAMP")
    link(book, served)
    with pytest.raises(Refused) as refused:
        books.do(book, links.deactivate_warehouse, DEPOT)
    assert refused.value.hint == "zenv zfn disconnect 'Depot'"
    joining.disconnect(book, DEPOT, world(book))
    books.do(book, links.deactivate_warehouse, DEPOT)
    assert state(book) == [(DEPOT, "deactivated")]
    run(book, "handover")
    assert state(book) == [(DEPOT, "parted")]
    assert books.ask(served.book, "SELECT state FROM client") == [("deactivated",)]

    books.do(book, users.add, "worker")
    book.actor = "worker"
    with pytest.raises(Refused, match="Only an administrator"):
        books.do(book, links.reactivate_warehouse, DEPOT)
    book.actor = "tester"
    books.do(book, links.reactivate_warehouse, DEPOT)
    assert request(book, served).told
    served.accept("Lamp Shop")
    run(book)
    assert state(book) == [(DEPOT, "linked")]
    with book.reading() as sql:
        assert links.demand_linked(sql, DEPOT).client_number == 1


def test_a_former_client_reads_on_where_it_was_and_a_new_one_from_the_beginning(book: Book, served: Provider) -> None:
    books.add_items(book, "LAMP")
    link(book, served)
    receive(served, "LAMP", 5)
    books.do(served.book, stock.adjust, "1-LAMP", "Main", -5, "sent back")
    joining.disconnect(book, DEPOT, world(book))
    books.do(book, links.deactivate_warehouse, DEPOT)
    run(book, "handover")
    books.do(book, links.reactivate_warehouse, DEPOT)
    request(book, served)
    served.accept("Lamp Shop")
    before = books.movements(book, "LAMP")
    receive(served, "LAMP", 3)
    run(book)
    assert books.shelf(book, "LAMP", DEPOT) == (3, 0, 0)
    assert books.movements(book, "LAMP") == [*before, ("received", 3)]


def test_what_could_not_be_told_a_moment_ago_is_told_as_soon_as_the_provider_answers(
    book: Book, served: Provider
) -> None:
    books.add_items(book, "LAMP")
    link(book, served)
    served.stop()
    books.add_items(book, "BULB")
    assert run(book, "handover").outcome == "failed"
    served.start()
    assert run(book, "handover").sent == 0  # it waits for its time ...
    assert run(book).sent == 1  # ... unless the provider was heard meanwhile


def test_a_last_farewell_waits_while_the_provider_is_away(book: Book, served: Provider, clock: books.Clock) -> None:
    link(book, served)
    joining.disconnect(book, DEPOT, world(book))
    served.stop()
    books.do(book, links.deactivate_warehouse, DEPOT)
    assert run(book, "handover").outcome == "failed"
    assert state(book) == [(DEPOT, "deactivated")]
    served.start()
    clock.later(minutes=2)
    run(book, "handover")
    assert state(book) == [(DEPOT, "parted")]


def test_a_disconnection_whose_answer_was_lost_is_heard_of_with_the_next_run(book: Book, served: Provider) -> None:
    link(book, served)
    with served.book.transaction() as t:
        clients.part(t, clients.by_id(t.sql, 1), "disconnected")
    run(book)
    assert state(book) == [(DEPOT, "disconnected")]


# ---- tokens ----------------------------------------------------------------------------------------------


def test_a_rotated_token_takes_the_place_of_the_old_one(book: Book, served: Provider) -> None:
    link(book, served)
    with book.reading() as sql:
        before = connections.open_secrets(sql, DEPOT, book.master_key)
    assert joining.rotate(book, DEPOT, world(book)) == "Lamp Shop"
    with book.reading() as sql:
        after = connections.open_secrets(sql, DEPOT, book.master_key)
    assert set(after) == {"token"} and after != before
    assert run(book).outcome == "ok"


def test_a_rotation_that_was_killed_uses_the_new_token_once_the_old_one_is_refused(
    book: Book, served: Provider, clock: books.Clock
) -> None:
    found = link(book, served)
    token = joining.new_token()
    with book.transaction() as t:
        connections.keep_secrets(t, found.connection_id, {"next_token": token}, book.master_key())
    with book.reading() as sql:
        terms = sync.terms_of(connections.find(sql, DEPOT))
        kept = connections.open_secrets(sql, DEPOT, book.master_key)
    show_new_token(terms, kept, world(book), token)  # and killed before that was written down
    clock.later(days=2)
    assert run(book).outcome == "ok"
    joining.rotate(book, DEPOT, world(book))
    with book.reading() as sql:
        assert connections.open_secrets(sql, DEPOT, book.master_key) == {"token": token}


def test_a_rotation_that_broke_off_is_ended_with_the_same_token(
    book: Book, served: Provider, clock: books.Clock
) -> None:
    link(book, served)
    served.stop()
    with pytest.raises(Unreachable):
        joining.rotate(book, DEPOT, world(book))
    served.start()
    with book.reading() as sql:
        sealed = connections.open_secrets(sql, DEPOT, book.master_key)
    assert set(sealed) == {"token", "next_token"}
    joining.rotate(book, DEPOT, world(book))  # the same new token is shown again
    with book.reading() as sql:
        assert connections.open_secrets(sql, DEPOT, book.master_key) == {"token": sealed["next_token"]}
    clock.later(days=2)
    assert run(book).outcome == "ok"


def test_a_token_that_soon_ends_is_on_the_inbox(book: Book, served: Provider) -> None:
    found = link(book, served)
    soon = datetime.now(UTC) + timedelta(days=10, hours=1)
    books.do(book, links.rotated, found.connection_id, "made-up", soon, book.master_key())
    assert ("token", f"the token for {DEPOT} at Lamp Shop is good for 10 more days") in {
        (kind, text) for kind, text in books.ask(book, "SELECT kind, text FROM inbox")
    }


def test_a_client_whose_token_is_not_taken_any_more_asks_for_another_and_stays_the_same_client(
    book: Book, served: Provider
) -> None:
    books.add_items(book, "LAMP")
    link(book, served)
    receive(served, "LAMP", 3)
    assert run(book).outcome == "ok"
    with served.book.transaction() as t:
        tokens.revoke(t, 1)
    assert run(book).outcome == "failed" and ("login", DEPOT) in books.inbox(book)
    again = request(book, served)
    assert again.told and run(book).outcome == "ok", "it waits for the provider"
    served.accept("Lamp Shop")
    receive(served, "LAMP", 4)
    assert run(book).outcome == "ok" and run(book).outcome == "ok"
    assert books.shelf(book, "LAMP", DEPOT) == (7, 0, 0)
    assert books.ask(served.book, "SELECT COUNT(*) FROM client") == [(1,)]
    with book.reading() as sql:
        assert set(connections.open_secrets(sql, DEPOT, book.master_key)) == {"token"}


def test_a_link_that_works_is_not_asked_for_again(book: Book, served: Provider) -> None:
    link(book, served)
    with pytest.raises(Refused, match="is linked"):
        request(book, served)


def test_nobody_else_is_accepted_as_a_client_that_is_linked(book: Book, served: Provider) -> None:
    link(book, served)
    with served.book.transaction() as t:
        said = wire.Request(
            company_id="another", company_name="Other", user="eve", warehouse="X", secret=joining.new_token()
        )
        clients.ask(t, b"pepper", standing.code(t.sql), said)
    with pytest.raises(Refused, match="is linked already"):
        served.accept("Lamp Shop")


def test_Z13_the_client_names_its_warehouse_as_it_likes(book: Book, served: Provider) -> None:
    name = "Lager Süd (ruhig)"
    save(book, name)
    assert request(book, served, name).told
    assert asked(served) == [("Lamp Shop", "tester", name)]
    served.accept()
    assert run(book, name=name).outcome == "ok" and state(book) == [(name, "linked")]
