"""Becoming a provider, being asked, deciding, and parting again (Z1 to Z43, the provider's side)."""

from __future__ import annotations

import pytest

from tests import books
from tests.books import Clock, do, inbox
from tests.zfn import companies
from tests.zfn.companies import accept, ask, link, request
from zenv.company_code import CompanyCode, fingerprint, read_code
from zenv.errors import BadInput, NotFound, Refused
from zenv.ledger import users
from zenv.ledger.book import Book
from zenv.ledger.zfn import clients, standing, tokens


def actions(book: Book) -> list[tuple[str, str]]:
    return [(who, what) for who, what in books.ask(book, "SELECT actor, action FROM audit_trail ORDER BY entry")]


# ---- becoming a provider ---------------------------------------------------------------------------------


def test_Z2_only_the_plan_enterprise_can_ask_for_the_function(book: Book) -> None:
    with pytest.raises(Refused, match="standard"):
        do(book, standing.enable)
    do(book, standing.choose_plan, "enterprise")
    assert do(book, standing.enable) == "requested"


def test_Z3_the_function_is_requested_and_then_granted_and_both_are_written_down(book: Book) -> None:
    do(book, standing.choose_plan, "enterprise")
    with pytest.raises(Refused, match="Nobody has asked"):
        do(book, standing.grant)
    do(book, standing.enable)
    with pytest.raises(Refused, match="not granted"):
        standing.invite(book)
    do(book, standing.grant)
    assert actions(book)[1:] == [
        ("tester", "asked for the provider function"), ("tester", "granted the provider function"),
    ]  # fmt: skip


def test_Z4_a_refusal_names_the_support_contact_or_else_the_administrators(book: Book) -> None:
    do(book, users.begin)
    with pytest.raises(Refused) as refused:
        do(book, standing.enable)
    assert refused.value.hint == "Ask tester.\nAn administrator runs: zenv zfn plan enterprise"
    do(book, standing.edit, support_contact="support, 480-530-2100")
    with pytest.raises(Refused) as refused:
        do(book, standing.enable)
    assert refused.value.hint.startswith("Ask support, 480-530-2100.\n")


@pytest.mark.parametrize("act", [
    lambda t: standing.choose_plan(t, "standard"), standing.grant, lambda t: standing.edit(t, address="a:1"),
    lambda t: users.add(t, "eve"), lambda t: users.deactivate(t, "tester"),
])  # fmt: skip
def test_Z3_only_administrators_decide(provider: Book, act: object) -> None:
    do(provider, users.add, "ben")
    with provider.transaction() as t:
        t.actor = "ben"
        with pytest.raises(Refused, match="Only an administrator") as refused:
            act(t)  # type: ignore[operator]
    assert refused.value.hint == "Ask tester."


def test_leaving_the_plan_takes_the_function_away(provider: Book) -> None:
    do(provider, standing.choose_plan, "standard")
    do(provider, standing.choose_plan, "enterprise")
    with pytest.raises(Refused, match="never requested"):
        standing.invite(provider)


def test_Z5_Z10_the_code_is_the_same_at_every_call_and_makes_nothing(provider: Book) -> None:
    first = standing.invite(provider)
    before = companies.content(provider)
    assert standing.invite(provider) == first
    assert companies.content(provider) == before
    assert read_code(f" {first}\n") == first


def test_the_code_keeps_its_pin_when_the_address_changes_and_the_certificate_follows(provider: Book) -> None:
    first = standing.invite(provider)
    standing.settings(provider, {"address": "zfn.example.com:443"})
    second = standing.invite(provider)
    assert (second.pin, second.company) == (first.pin, first.company)
    assert second.address == "zfn.example.com:443"
    with provider.reading() as sql:
        assert standing._hosts_in(standing.read(sql).certificate) == {"zfn.example.com", "localhost", "127.0.0.1"}


def test_a_code_for_a_public_certificate_says_so(provider: Book) -> None:
    do(provider, standing.edit, certificates="public")
    assert standing.invite(provider).pin == "public"


@pytest.mark.parametrize("text", [
    "", "zfn:", "zfn:host/company/public", "zfn:host:0/company/public", "zfn:host:99999/company/public",
    "zfn:host:1/company/short", "http://host:1/company/public", "zfn:a b:1/c/public", "zfn:h:1/c/d/public",
])  # fmt: skip
def test_Z18_what_is_no_code_is_refused_by_its_form(text: str) -> None:
    with pytest.raises(BadInput):
        read_code(text)


@pytest.mark.parametrize("address", ["zfn.example.com:8470", "10.0.0.7:1", "[2001:db8::1]:8470", "localhost:65535"])
def test_every_kind_of_address_fits_into_a_code(address: str) -> None:
    code = CompanyCode(address, "abc", "a" * 52)
    assert read_code(str(code)) == code


# ---- being asked -----------------------------------------------------------------------------------------


def test_Z19_the_same_secret_asks_once_and_a_second_request_is_refused_while_one_waits(provider: Book) -> None:
    said = request()
    digits = ask(provider, said)
    assert ask(provider, said) == digits
    with pytest.raises(Refused, match="waits already"):
        ask(provider, request())
    ask(provider, request("other"))
    assert len(companies.book_requests(provider)) == 2


def test_both_sides_work_out_the_same_fingerprint(provider: Book) -> None:
    said = request()
    assert ask(provider, said) == fingerprint(standing.invite(provider), said.company_id, said.secret)
    assert len(ask(provider, said).replace(" ", "")) == 20


def test_the_secret_of_a_request_lies_in_the_ledger_as_a_keyed_hash_only(provider: Book) -> None:
    said = request()
    ask(provider, said)
    assert said.secret.encode() not in (provider.home / "ledger.db").read_bytes()
    assert said.secret not in repr(said)


def test_Z20_Z21_a_new_request_is_on_the_inbox_until_somebody_has_seen_it(provider: Book) -> None:
    ask(provider, request())
    assert ("link request", "1") in inbox(provider)
    (waiting,) = do(provider, clients.review)
    assert (waiting.company, waiting.user, waiting.warehouse, waiting.new) == ("Acme", "anna", "Depot", True)
    assert ("link request", "1") not in inbox(provider)
    assert [one.new for one in do(provider, clients.review)] == [False], "seen, but still to be decided"


def test_more_requests_than_anybody_reads_are_not_taken(provider: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "MOST_PENDING", 2)
    ask(provider, request("a"))
    ask(provider, request("b"))
    with pytest.raises(Refused, match="Too many"):
        ask(provider, request("c"))


def test_what_a_stranger_says_cannot_steer_a_terminal(provider: Book) -> None:
    ask(provider, request(company_name="Acme\x1b[31m\nLtd"))
    assert do(provider, clients.review)[0].company == "Acme[31m Ltd"


# ---- deciding --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("new", "client"), [(False, None), (True, "Acme")])
def test_Z26_neither_or_both_choices_are_refused(provider: Book, new: bool, client: str | None) -> None:
    ask(provider, request())
    before = companies.content(provider)
    with pytest.raises(BadInput, match="Choose one"):
        do(provider, clients.accept, 1, "tester", new, client)
    assert companies.content(provider) == before


def test_Z25_the_import_user_must_be_one_of_ours(provider: Book) -> None:
    ask(provider, request())
    before = companies.content(provider)
    with pytest.raises(NotFound, match="no active user"):
        do(provider, clients.accept, 1, "nobody", True, None)
    assert companies.content(provider) == before


def test_Z27_Z28_a_new_client_bears_its_companys_name(provider: Book) -> None:
    ask(provider, request())
    client = accept(provider, 1)
    assert (client.name, client.state, client.import_user) == ("Acme", "linked", "tester")
    assert books.ask(provider, "SELECT kind, status FROM connections") == [("zfn_client", "active")]
    decided = books.ask(provider, "SELECT state, client, decided_by FROM link_requests")
    assert decided == [("accepted", "Acme", "tester")]


def test_Z22_several_requests_are_decided_each_on_its_own(provider: Book) -> None:
    for company in ("a", "b", "c"):
        ask(provider, request(company))
    accept(provider, 2)
    do(provider, clients.deny, 3)
    assert [one.request for one in do(provider, clients.review)] == [1]
    with pytest.raises(Refused, match="already"):
        accept(provider, 3)
    with pytest.raises(NotFound):
        do(provider, clients.deny, 9)


def test_Z24_deny_makes_no_client_and_the_company_may_ask_again(provider: Book) -> None:
    ask(provider, request())
    do(provider, clients.deny, 1)
    assert books.ask(provider, "SELECT * FROM clients") == []
    ask(provider, request())
    assert len(companies.book_requests(provider)) == 2


def test_two_companies_of_one_name_become_two_clients(provider: Book) -> None:
    ask(provider, request("a", company_name="Same"))
    ask(provider, request("b", company_name="Same"))
    assert [accept(provider, number).name for number in (1, 2)] == ["Same", "Same (2)"]


# ---- parting and coming back -----------------------------------------------------------------------------


def with_goods(provider: Book) -> clients.AnyRow:
    client, _ = link(provider)
    companies.share(provider, client, "LAMP")
    companies.stock_of(provider, client, LAMP=3)
    return client


def test_Z37_Z38_a_client_with_goods_or_open_orders_cannot_disconnect(provider: Book, clock: Clock) -> None:
    client = with_goods(provider)
    companies.hand(provider, client, companies.order("7", ("LAMP", 1)))
    do(provider, books.orders.pick, f"CO-{client.id}-7")
    assert do(provider, clients.part, client, "disconnected") == [
        "LAMP: 2 on hand, 1 picked", f"order CO-{client.id}-7 is ready",
    ]  # fmt: skip
    books.ship(provider, f"CO-{client.id}-7")
    do(provider, books.stock.adjust, f"{client.id}-LAMP", "Main", -2, "sent back")
    assert do(provider, clients.part, client, "disconnected") == []
    assert state(provider) == "disconnected"


def state(provider: Book) -> str:
    return str(books.ask(provider, "SELECT state FROM clients")[0][0])


def test_Z39_the_warehouse_is_closed_only_after_the_connection(provider: Book) -> None:
    client, _ = link(provider)
    assert do(provider, clients.part, client, "deactivated") != []
    assert do(provider, clients.part, client, "disconnected") == []
    assert do(provider, clients.part, current(provider), "disconnected") == [], "said twice, done once"
    assert do(provider, clients.part, current(provider), "deactivated") == []
    assert state(provider) == "deactivated"


def current(provider: Book) -> clients.AnyRow:
    with provider.reading() as sql:
        return clients.by_id(sql, 1)


def test_Z35_Z40_a_client_is_deleted_only_after_it_has_parted(provider: Book) -> None:
    client = with_goods(provider)
    with pytest.raises(Refused) as refused:
        do(provider, clients.delete, "Acme")
    for step in ("LAMP: 3 on hand", "client's side, delete the connection", "client's side, deactivate the warehouse"):
        assert step in refused.value.message
    do(provider, books.stock.adjust, f"{client.id}-LAMP", "Main", -3, "sent back")
    do(provider, clients.part, client, "disconnected")
    with pytest.raises(Refused, match="deactivate the warehouse"):
        do(provider, clients.delete, "Acme")
    do(provider, clients.part, current(provider), "deactivated")
    do(provider, clients.delete, "Acme")
    assert state(provider) == "deleted"


@pytest.mark.parametrize("deleted", [False, True])
def test_Z43_a_company_that_comes_back_is_offered_its_former_client_and_keeps_its_history(
    provider: Book, deleted: bool
) -> None:
    client = with_goods(provider)
    companies.hand(provider, client, companies.order("7", ("LAMP", 3)))
    books.ship(provider, f"CO-{client.id}-7")
    for stage in ("disconnected", "deactivated"):
        do(provider, clients.part, current(provider), stage)
    if deleted:
        do(provider, clients.delete, "Acme")
    ask(provider, request())
    assert [one.former for one in do(provider, clients.review)] == ["Acme"]
    again = accept(provider, 2, "Acme")
    assert (again.id, again.connection_id, again.state) == (client.id, client.connection_id, "linked")
    assert books.state(provider, f"CO-{client.id}-7") == "shipped"
    assert books.ask(provider, "SELECT status FROM connections") == [("active",)]


def test_Z43_a_linked_client_cannot_be_chosen(provider: Book) -> None:
    link(provider)
    ask(provider, request("other"))
    with pytest.raises(Refused, match="linked already"):
        accept(provider, 2, "Acme")


def test_Z42_the_tokens_of_the_old_link_are_dead_after_a_new_one(provider: Book) -> None:
    client, token = link(provider)
    do(provider, clients.part, client, "disconnected")
    ask(provider, request())
    accept(provider, 2, "Acme")
    with provider.reading() as sql:
        assert tokens.check(sql, companies.PEPPER, token, provider.clock()) is None


def test_a_provider_whose_client_was_deleted_may_link_the_company_anew(provider: Book) -> None:
    client, _ = link(provider)
    for stage in ("disconnected", "deactivated"):
        do(provider, clients.part, current(provider), stage)
    do(provider, clients.delete, "Acme")
    ask(provider, request())
    assert accept(provider, 2).name == "Acme (2)"
    assert client.name == "Acme"


# ---- users -----------------------------------------------------------------------------------------------


def test_whoever_acts_in_a_ledger_that_knows_nobody_is_its_first_administrator(book: Book) -> None:
    do(book, users.add, "ben")
    assert books.ask(book, "SELECT user, administrator FROM users ORDER BY user") == [("ben", 0), ("tester", 1)]


def test_the_last_administrator_stays(book: Book) -> None:
    do(book, users.add, "ben")
    with pytest.raises(Refused, match="only administrator"):
        do(book, users.deactivate, "tester")
    do(book, users.add, "ben", True)
    do(book, users.deactivate, "tester")
    with pytest.raises(NotFound):
        _require(book, "tester")


def _require(book: Book, name: str) -> None:
    with book.reading() as sql:
        users.require(sql, name)


def test_Z6_nobody_becomes_a_client_who_has_not_asked(provider: Book) -> None:
    with pytest.raises(NotFound, match="no request 1"):
        do(provider, clients.accept, 1, "petra", True, None)
    assert books.ask(provider, "SELECT COUNT(*) FROM clients") == [(0,)]
