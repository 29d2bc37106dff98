"""Proving it: the search for what must not be there, the certificate, and what became too old."""

from __future__ import annotations

import copy
import json
import os
import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import books
from tests.books import AMAZON, PERSON, line, order, record
from tests.year.mutants import change, changed
from zenv.errors import BadInput, Refused
from zenv.ledger import (
    audit,
    backup,
    certificate,
    customers,
    notices,
    papers,
    proof,
    proof_files,
    recipients,
    redaction,
    retention,
)
from zenv.ledger.book import Book


@pytest.fixture
def shop(book: Book) -> Book:
    """An order A-1 of a person, shipped, with a label; and A-2, still open."""
    books.add_items(book, "LAMP")
    books.receive(book, "LAMP", 50)
    books.connect(book)
    for number in ("A-1", "A-2"):
        record(book, AMAZON, order(number, line("LAMP", 1), payment="Paid"))
        books.do(book, recipients.record, AMAZON, [replace(PERSON, order=number, email=f"{number}@relay.example")])
    books.ship(book, "A-1")
    papers.keep(book, 1, None, "carrier_label", b"%PDF-1.7 a label")
    return book


def found(book: Book) -> list[tuple[str, str]]:
    return [(one.check, one.subject) for one in proof.verify(book).findings]


def redacted(book: Book) -> Book:
    redaction.redact(book, ["A-1"])
    return book


# ---- verify ----------------------------------------------------------------------------------------------


def test_C20_nothing_is_found_where_all_is_well_and_it_says_how_much_was_looked_at(shop: Book) -> None:
    backup.make(shop)
    before = [path.read_bytes() for path in (shop.home / "backups").iterdir()]
    told = proof.verify(redacted(shop))
    assert told.findings == []
    assert (told.people, told.people_kept) == (1, 1)
    assert told.files >= 3 and told.bytes > 100_000 and told.words >= 6
    assert [path.read_bytes() for path in (shop.home / "backups").iterdir()] == before


def test_C20_a_person_in_the_clear_is_found_in_ledger_backups_labels_and_temporary_files(
    shop: Book, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    private = shop.home / "backups"
    private.mkdir(mode=0o700, exist_ok=True)
    left = [private / "notes.txt", shop.home / "labels" / "slip.txt", tmp_path / "zenv-left"]
    for path in left:
        path.write_bytes(b"x" * 20_000_000 + PERSON.line1.encode())
        path.chmod(0o600)
    with shop.transaction() as t:
        t.sql.exec_driver_sql("UPDATE customer_order SET hold = ?", (PERSON.phone,))
    clear = {subject for check, subject in found(shop) if check == "clear"}
    assert clear >= {"backups/notes.txt", "labels/slip.txt", str(tmp_path / "zenv-left")}
    assert any(name.startswith("ledger.db") for name in clear)
    told = proof.verify(shop).findings
    assert not any(value in f"{one}" for one in told for value in (PERSON.name, PERSON.line1, PERSON.phone))
    with shop.transaction() as t:
        t.sql.exec_driver_sql("UPDATE customer_order SET hold = ''")


def test_a_word_that_lies_across_two_parts_of_a_file_is_found(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(b"x" * 65_530 + b"Marker Street 1" + b"x" * 5)
    assert proof_files._read([path], [b"Marker Street 1"]) == ([(0, 0)], [])


@settings(max_examples=5)
@given(st.binary(max_size=9), st.lists(st.binary(min_size=6, max_size=20), min_size=30, max_size=40, unique=True))
def test_every_word_is_found_wherever_it_lies_and_no_other(before: bytes, words: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(before + b"".join(words[::2]))
        there = {number for number, word in enumerate(words) if word in path.read_bytes()}
        assert proof_files._read([path], words) == ([(0, number) for number in sorted(there)], [])


def test_what_a_redaction_should_have_taken_is_found(shop: Book) -> None:
    ((key, sealed),) = books.ask(shop, "SELECT key_id, sealed FROM personal WHERE order_id = 1")
    wrapped = shop.keys.kept()[key]
    redacted(shop)
    with shop.keys._connection() as keys:
        keys.execute("INSERT INTO order_key VALUES (?, ?, '')", (key, wrapped))
    assert ("keys", "A-1") in found(shop)
    with shop.transaction() as t:
        t.sql.exec_driver_sql("UPDATE personal SET sealed = ? WHERE order_id = 1", (sealed,))
    assert ("bytes", "A-1") in found(shop)
    redaction.redact_due(shop)
    assert found(shop) == []


def test_a_key_in_a_backup_a_key_of_no_order_a_stale_mark_and_a_nameless_file_are_found(shop: Book) -> None:
    made = backup.make(shop)
    Path(made.path).write_bytes(next(iter(shop.keys.kept().values())))
    shop.keys.new_key()
    shop.keys.remember({b"mark": ("C-000099", "2026-01-01 00:00:00.000000")})
    nameless = shop.home / "labels" / f"{'a' * 32}.sealed"
    nameless.write_bytes(b"sealed")
    nameless.chmod(0o600)
    where = Path(made.path).relative_to(shop.home)
    assert {("keys", str(where)), ("keys", "keys.db"), ("marks", "C-000099")} <= set(found(shop))
    assert ("papers", f"labels/{nameless.name}") in found(shop)
    assert proof.clear(shop) == proof.Cleared(1, 1, 0)
    redaction.redact_due(shop)
    Path(made.path).unlink()
    assert found(shop) == []


def test_an_address_in_a_sentence_is_found_and_taken_out_and_the_number_of_an_order_is_none(shop: Book) -> None:
    books.do(shop, notices.notice, "call", "A-1", "ring +49 555 0100 42 or write to someone@shop.example")
    books.do(shop, notices.notice, "look", "A-2@amazon", "A-2@amazon waits")
    assert [check for check, _ in found(shop)] == ["text"]
    assert proof.clear(shop).texts == 1
    assert ("ring REDACTED or write to REDACTED",) in books.ask(shop, "SELECT text FROM notice")
    assert found(shop) == []


def test_a_file_that_others_can_open_and_a_half_made_one_are_found(shop: Book) -> None:
    label = next((shop.home / "labels").iterdir())
    label.chmod(0o644)
    half = shop.home / "backups" / ".ledger-x.db.0a"
    half.parent.mkdir(mode=0o700, exist_ok=True)
    half.touch(mode=0o600)
    os.utime(half, (1, 1))
    assert {("files", f"labels/{label.name}"), ("files", half.name)} <= set(found(shop))
    label.chmod(0o600)


def test_A35_the_label_of_a_redacted_order_is_gone(shop: Book) -> None:
    assert len(list((shop.home / "labels").iterdir())) == 1
    redacted(shop)
    assert list((shop.home / "labels").iterdir()) == []
    assert books.ask(shop, "SELECT file, destroyed_at IS NULL FROM paper") == [("", 0)]


@pytest.mark.parametrize(
    ("function", "left_out", "noticed"),
    [
        (redaction._redact, "book.keys.destroy([held.key_id for held in found if held.key_id])", ("keys", "A-1")),
        (redaction._redact, "t.many(_empty, row)", ("bytes", "A-1")),
        (redaction._redact, "papers.destroy(book, [held.id for held in found if held.papers])", ("papers", "A-1")),
        (customers.forget, "t.keys.forget([one.pseudonym for one in found])", ("marks", "C-000001")),
    ],
)
def test_a_step_of_redaction_that_were_left_out_would_be_noticed(
    shop: Book, function: Any, left_out: str, noticed: tuple[str, str]
) -> None:
    with changed(change(function, (left_out, "pass"))):
        redacted(shop)
        assert noticed in found(shop)
    redaction.redact(shop, ["A-1"])
    redaction.redact_due(shop)
    proof.clear(shop)
    assert found(shop) == []


def test_C20_an_old_backup_that_is_put_back_ends_redacted(shop: Book, tmp_path: Path) -> None:
    from zenv.ledger import restore

    made = backup.make(shop)
    redacted(shop)
    shop.close()
    restore.restore(shop.home, Path(made.path), shop.clock)
    assert ("bytes", "A-1") in found(shop)
    assert redaction.redact_due(shop) == 1
    assert found(shop) == []


# ---- the certificate -------------------------------------------------------------------------------------


def issued(book: Book) -> dict[str, object]:
    return certificate.issue(book, book.company.created_at, book.clock())


def test_the_certificate_names_orders_and_times_and_a_third_party_can_check_it(shop: Book, clock: books.Clock) -> None:
    clock.later(days=29)
    redaction.redact_due(shop)
    made = json.loads(json.dumps(issued(shop)))
    told = certificate.check(made, certificate.public_key(shop))
    assert (told.orders, told.late, told.overdue) == (1, 0, 0)
    (one,) = made["orders"]
    assert (one["number"], one["papers"], one["due"], one["done"], one["late"]) == (
        "A-1", 1, "2026-04-01T08:00:00Z", "2026-03-31T08:00:00Z", "no",
    )  # fmt: skip
    assert one["fields"][:3] == ["name", "company", "line1"]
    assert not any(value in json.dumps(made) for value in PERSON.personal().values())
    with shop.reading() as sql:
        assert made["audit_head"] == audit.last(sql).hex()


def test_a_certificate_that_was_changed_or_signed_by_somebody_else_does_not_pass(shop: Book) -> None:
    made = issued(redacted(shop))
    for forged in (made | {"company": "Other"}, made | {"counts": {}}, {"tea": 1}, made | {"signature": "zz"}):
        with pytest.raises(BadInput):
            certificate.check(copy.deepcopy(forged))
    with pytest.raises(BadInput, match="another key"):
        certificate.check(made, "00" * 32)


def test_A30_a_late_redaction_and_one_that_is_overdue_stand_in_the_certificate(shop: Book, clock: books.Clock) -> None:
    clock.later(days=31)
    assert issued(shop)["counts"] == {"orders": 0, "late": 0, "overdue": 1}
    redaction.redact_due(shop)
    assert issued(shop)["counts"] == {"orders": 1, "late": 1, "overdue": 0}


# ---- what became too old ---------------------------------------------------------------------------------


def test_orders_older_than_18_months_are_archived_and_stock_is_untouched(
    shop: Book, clock: books.Clock, tmp_path: Path
) -> None:
    books.send(shop, AMAZON, "shipment")
    clock.later(days=549)
    with shop.reading() as sql:
        assert retention.look(sql, clock()).held_back == 1  # somebody is still kept of it
    redaction.redact_due(shop)
    stock = [books.ask(shop, f"SELECT * FROM {view}") for view in ("levels", "movements", "items", "listings")]
    done = retention.remove(shop, tmp_path / "old.jsonl")
    assert (done.orders, done.lines, done.packages, done.comments, done.held_back) == (1, 1, 1, 1, 0)
    assert [books.ask(shop, f"SELECT * FROM {view}") for view in ("levels", "movements", "items", "listings")] == stock
    (kept,) = [json.loads(text) for text in (tmp_path / "old.jsonl").read_text().splitlines()]
    assert (kept["number"], kept["lines"][0]["sku"], kept["packages"][0]["tracking"]) == ("A-1", "LAMP", "T1")
    assert (tmp_path / "old.jsonl").stat().st_mode & 0o777 == 0o600
    assert books.ask(shop, "SELECT number FROM orders") == [("A-2",)]
    shipped = order("A-1", line("LAMP", 1, shipped=1), state="shipped", channel_status="SHIPPED")
    assert record(shop, AMAZON, shipped) == 0
    assert books.ask(shop, "SELECT * FROM levels") == stock[0]  # read again, it does not leave the shelf again
    with pytest.raises(Refused, match="nothing was removed"):
        retention.remove(shop, tmp_path / "old.jsonl")


def test_an_order_of_which_something_is_still_owed_stays(shop: Book, clock: books.Clock) -> None:
    redacted(shop)
    clock.later(days=549)
    with shop.reading() as sql:
        told = retention.look(sql, clock())
    assert (told.orders, told.held_back) == (0, 1)  # the channel was never told of its package
    assert retention.remove(shop, None).orders == 0
    assert books.state(shop, "A-1") == "shipped"


def test_an_own_order_is_never_too_old(book: Book, clock: books.Clock) -> None:
    books.add_items(book, "LAMP")
    books.receive(book, "LAMP", 5)
    books.ship(book, books.make_order(book, ("LAMP", 1)))
    clock.later(days=4000)
    with book.reading() as sql:
        assert retention.look(sql, clock()) == retention.Old(clock() - timedelta(days=548), 0, 0, 0, 0, 0)
