"""Whose order it is, under a pseudonym; who did what; and forgetting by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from tests import books
from tests.books import AMAZON, PERSON, line, order, record
from tests.kills import killed_at
from zenv.errors import BadInput, NotFound, Refused
from zenv.ledger import audit, connections, customers, explaining, policy, recipients, redaction, sqlite, views
from zenv.ledger.book import Book
from zenv.ledger.invariants import append_only
from zenv.ledger.policy import AMAZON as AMAZONS
from zenv.ledger.policy import OWN
from zenv.privacy import KeyBook


@pytest.fixture
def shop(book: Book) -> Book:
    """A connected account with LAMPs on the shelf."""
    books.add_items(book, "LAMP")
    books.receive(book, "LAMP", 50)
    books.connect(book)
    return book


def buys(book: Book, number: str, email: str = PERSON.email, name: str = PERSON.name) -> str:
    """Somebody orders at the channel; whose order it is found to be."""
    record(book, AMAZON, order(number, line("LAMP", 1)))
    books.do(book, recipients.record, AMAZON, [replace(PERSON, order=number, email=email, name=name)])
    return whose(book, number)


def whose(book: Book, number: str) -> str:
    query = ("SELECT c.pseudonym FROM customer c JOIN order_customer oc ON oc.customer_id = c.id"
             " JOIN customer_order o ON o.id = oc.order_id WHERE o.number = ?")  # fmt: skip
    return "".join(row[0] for row in books.ask(book, query, number))


def entries(book: Book, action: str) -> list[tuple[Any, ...]]:
    return books.ask(book, "SELECT actor, subject, result, detail FROM audit_trail WHERE action = ?", action)


def person(book: Book, number: str) -> str:
    with book.reading() as sql:
        ((key,),) = books.ask(book, "SELECT id FROM customer_order WHERE number = ?", number)
        return recipients.recipient(sql, book.keys, int(key)).get("name", "")


# ---- customers -------------------------------------------------------------------------------------------


def test_F16_who_comes_back_is_recognised_by_the_address_whatever_its_case(shop: Book) -> None:
    assert buys(shop, "A-1") == "C-000001"
    assert buys(shop, "A-2", email=f"  {PERSON.email.upper()} ") == "C-000001"
    assert buys(shop, "A-3", email="other@relay.example") == "C-000002"


def test_1_8_i_nobody_is_recognised_by_a_name(shop: Book) -> None:
    assert buys(shop, "A-1", email="") == ""
    assert buys(shop, "A-2", email="other@relay.example") != buys(shop, "A-3", email="third@relay.example")


def test_A28_a_customer_is_recognised_until_their_last_order_is_redacted_and_then_is_somebody_new(shop: Book) -> None:
    buys(shop, "A-1")
    buys(shop, "A-2")
    redaction.redact(shop, ["A-1"])
    assert buys(shop, "A-3") == "C-000001"
    redaction.redact(shop, ["A-2", "A-3"])
    assert shop.keys.marked() == {}
    assert buys(shop, "A-4") == "C-000002"
    about, theirs = customers.shown(shop.home, "C-000001")
    assert about["forgotten_at"] is not None and {row[0] for row in theirs.rows} == {"A-1", "A-2", "A-3"}


def test_a_pseudonym_that_was_given_away_in_another_past_is_not_taken_for_the_same_person(shop: Book) -> None:
    """A restored ledger has forgotten C-000001; whoever gets it next must not inherit the mark."""
    (mark,) = shop.keys.marks([PERSON.email])
    shop.keys.remember({mark: ("C-000001", "2020-01-01 00:00:00.000000")})
    assert buys(shop, "A-1", email="other@relay.example") == "C-000001"
    assert buys(shop, "A-2", email="other@relay.example") == "C-000001"
    shop.keys.remember({mark: ("C-000001", "2020-01-01 00:00:00.000000")})  # and the newer past is restored again
    assert buys(shop, "A-3") == "C-000002"


def test_marks_are_made_with_a_key_that_is_wrapped_anew_with_the_others(shop: Book) -> None:
    buys(shop, "A-1")
    marks, new = shop.keys.marks([PERSON.email]), bytes(range(32))
    shop.keys.rewrap(new)
    assert KeyBook(shop.keys.path, lambda _: new).marks([PERSON.email]) == marks
    shop.keys.rewrap(shop.master_key())
    assert shop.keys.marks([PERSON.email]) == marks


def test_no_address_is_in_the_key_book_or_the_ledger(shop: Book) -> None:
    buys(shop, "A-1")
    shop.close()
    for path in shop.home.iterdir():
        assert PERSON.email.encode() not in path.read_bytes(), path.name


# ---- the policy ------------------------------------------------------------------------------------------


def test_A27_no_setting_passes_the_ceiling_and_a_shorter_term_is_kept(shop: Book, clock: books.Clock) -> None:
    with pytest.raises(Refused, match="30 days at most"):
        books.do(shop, policy.choose, AMAZONS, 31)
    buys(shop, "A-1")
    books.ship(shop, "A-1")
    books.do(shop, policy.choose, AMAZONS, 10)
    clock.later(days=8)
    assert redaction.redact_due(shop) == 0
    clock.later(seconds=1)
    assert redaction.redact_due(shop) == 1


def test_A27_a_longer_term_that_was_written_past_zenv_counts_for_nothing(shop: Book) -> None:
    with shop.transaction() as t:
        t.sql.exec_driver_sql("INSERT INTO privacy_term VALUES (?, 4000, '2026-01-01 00:00:00.000000')", (AMAZONS,))
    with shop.reading() as sql:
        assert policy.terms_of(sql)["amazon"].days == 30


def test_A29_own_orders_are_kept_until_the_owner_chooses(shop: Book, clock: books.Clock) -> None:
    number = books.make_order(shop, ("LAMP", 1), recipient=PERSON)
    books.ship(shop, number)
    clock.later(days=400)
    assert redaction.redact_due(shop) == 0
    assert explained(shop, number).due_at is None
    books.do(shop, policy.choose, OWN, 90)
    assert redaction.redact_due(shop) == 1


def test_what_cannot_be_set_says_so(shop: Book) -> None:
    with pytest.raises(BadInput, match="cannot be set by itself"):
        books.do(shop, policy.choose, "amazon-papers", 5)
    with pytest.raises(NotFound):
        books.do(shop, policy.choose, "tea", 5)
    with pytest.raises(BadInput, match="not possible"):
        books.do(shop, policy.choose, AMAZONS, -1)


def explained(book: Book, number: str) -> explaining.Explained:
    with book.reading() as sql:
        return explaining.explain(sql, number, book.clock())


def test_explain_and_the_list_of_what_is_due_say_the_same(shop: Book, clock: books.Clock) -> None:
    buys(shop, "A-1")
    assert "not ended" in explained(shop, "A-1").why
    books.ship(shop, "A-1")
    about = explained(shop, "A-1")
    assert about.due_at is not None and about.redacted_from is not None and about.customer == "C-000001"
    for moment, early, expected in ((about.redacted_from, True, 0), (about.due_at, False, 0)):
        clock.now = moment
        with shop.reading() as sql:
            assert len(redaction.due(sql, clock(), early=early)) == expected
            clock.later(seconds=1)
            assert len(redaction.due(sql, clock(), early=early)) == 1
    assert "past" in explained(shop, "A-1").why
    redaction.redact_due(shop)
    assert explained(shop, "A-1").person == "redacted"


# ---- by hand ---------------------------------------------------------------------------------------------


def test_an_order_a_customer_or_an_account_is_forgotten_by_hand(shop: Book) -> None:
    for number in ("A-1", "A-2", "A-3"):
        buys(shop, number, email=f"{number[-1] == '3'}@relay.example")
    assert redaction.redact(shop, ["A-1"]) == 1
    assert (person(shop, "A-1"), person(shop, "A-2")) == ("REDACTED", PERSON.name)
    with shop.reading() as sql:
        of_customer, of_account = customers.numbers_of(sql, "C-000002"), redaction.of_connection(sql, "amazon")
    assert (of_customer, sorted(of_account)) == (["A-3"], ["A-2", "A-3"])
    assert redaction.redact(shop, of_account) == 2
    assert redaction.redact(shop, ["A-1", "A-2", "A-3"]) == 0
    with pytest.raises(NotFound):
        redaction.redact(shop, ["A-1", "tea"])


def test_A27_of_an_order_that_was_forgotten_before_anybody_was_told_nobody_is_kept_later(shop: Book) -> None:
    record(shop, AMAZON, order("A-1", line("LAMP", 1)))
    assert redaction.redact(shop, ["A-1"]) == 1
    books.do(shop, recipients.record, AMAZON, [replace(PERSON, order="A-1")])
    assert person(shop, "A-1") == "REDACTED"


def test_a_kill_at_any_statement_of_forgetting_by_hand_ends_forgotten_or_untouched(
    shop: Book, clock: books.Clock
) -> None:
    statement = 0
    for statement in range(1, 200):
        number = f"A-{statement}"
        buys(shop, number, email=f"{statement}@relay.example")
        if not killed_at(statement, shop.home, partial(redaction.redact, numbers=[number])):
            break
        destroyed = person(shop, number) == "REDACTED"
        left_undone = destroyed and not entries_of(shop, number)
        assert redaction.redact_due(shop) == int(left_undone)
        assert (person(shop, number) == "REDACTED") == destroyed == bool(entries_of(shop, number))
        assert (f"C-{statement:06}" not in shop.keys.marked()) == destroyed
    assert statement > 10
    assert person(shop, f"A-{statement}") == "REDACTED"


def entries_of(book: Book, number: str) -> int:
    return sum(entry[1] == number for entry in entries(book, "redacted"))


def test_A40_every_view_and_every_report_is_byte_for_byte_the_same_before_and_after(
    shop: Book, clock: books.Clock
) -> None:
    for number in ("A-1", "A-2"):
        buys(shop, number)
    books.ship(shop, "A-1")
    before = everything(shop)
    redaction.redact(shop, ["A-1", "A-2"])
    assert everything(shop) == before


OF_PEOPLE = ("customers", "audit_trail", "papers")
"""These say who is known, and what was done: they are no reports, and change by redaction."""


def everything(book: Book) -> dict[str, str]:
    names = [row[0] for row in books.ask(book, "SELECT name FROM sqlite_master WHERE type = 'view'")]
    found = {name: books.ask(book, f"SELECT * FROM {name}") for name in names if name not in OF_PEOPLE}
    found["then"] = views.levels_as_of(book.home, "2026-03-02 09:00:00.000000").rows
    found["counts"] = list(views.counts(book.home).items())
    return {name: json.dumps(rows, default=str) for name, rows in found.items()}


# ---- the audit trail -------------------------------------------------------------------------------------


def test_each_redaction_stands_in_the_trail_once_with_fields_and_times_and_without_a_person(
    shop: Book, clock: books.Clock
) -> None:
    buys(shop, "A-1")
    books.ship(shop, "A-1")
    clock.later(days=29)
    redaction.redact_due(shop)
    redaction.redact_due(shop)
    ((actor, number, result, detail),) = entries(shop, "redacted")
    assert (actor, number, result) == ("tester", "A-1", "done")
    assert detail == (
        "fields=name,company,line1,line2,line3,phone,email,gift_message papers=0 source=amazon"
        " due=2026-04-01T08:00:00Z late=no why=term"
    )


def test_H84_the_trail_follows_what_must_be_answered_for(shop: Book) -> None:
    books.do(shop, connections.disable, "amazon")
    books.do(shop, policy.choose, AMAZONS, 20)
    books.do(shop, connections.remove, "amazon")
    found = [(row[3], row[4]) for row in reversed(audit.listed(shop.home, None, None, None, None, 50).rows)]
    assert found == [
        ("connected", "amazon"), ("enabled", "amazon"), ("disabled", "amazon"), ("set privacy term", AMAZONS),
        ("removed connection", "amazon"),
    ]  # fmt: skip


@pytest.fixture
def open_trail(shop: Book) -> Iterator[Any]:
    """A way past zenv to the trail of three entries; its triggers come back."""
    for action in ("one", "two", "three"):
        books.do(shop, audit.record, action)
    connection = sqlite.module.connect(shop.home / "ledger.db", isolation_level=None)
    for name, _ in append_only.triggers():
        connection.execute(f"DROP TRIGGER {name}")
    rows = connection.execute("SELECT * FROM audit").fetchall()
    yield connection
    connection.execute("DELETE FROM audit")
    connection.executemany("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
    for _, statement in append_only.triggers():
        connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE audit SET actor = 'nobody' WHERE action = 'two'", ["two"]),
        ("UPDATE audit SET at = '2020-01-01 00:00:00.000000' WHERE action = 'one'", ["one"]),
        ("DELETE FROM audit WHERE action = 'two'", ["three"]),
    ],
)
def test_H84_an_entry_that_was_changed_or_taken_out_is_named(
    shop: Book, open_trail: Any, statement: str, named: list[str]
) -> None:
    open_trail.execute(statement)
    assert any("audit entry" in finding for finding in books.findings(shop))  # the nightly check says so, too
    with shop.reading() as sql:
        broken = audit.broken(sql)
        assert [sql.exec_driver_sql(f"SELECT action FROM audit WHERE id = {one}").scalar() for one in broken] == named


def test_H84_a_head_that_was_kept_elsewhere_tells_that_the_end_was_cut_off(shop: Book, open_trail: Any) -> None:
    with shop.reading() as sql:
        head = audit.last(sql)
        assert audit.holds(sql, head)
    open_trail.execute("DELETE FROM audit WHERE action = 'three'")
    with shop.reading() as sql:
        assert audit.broken(sql) == [] and not audit.holds(sql, head)
