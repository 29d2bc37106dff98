"""Papers of orders: sealed under their order's key, never half there, gone with the order's person."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tests import books, kills
from tests.books import MORNING, PERSON, line, order, record
from tests.test_recipients import MARKERS
from zenv.errors import BadInput, DiskTrouble, KeyUnavailable, NotFound, Refused, SettingsError, ZenvError
from zenv.ledger import backup, packing, papers, recipients, views
from zenv.ledger.book import Book
from zenv.ledger.orders import find_order

PDF = b"%PDF-1.4 Marker Label of Marker Nameson"
PNG = b"\x89PNG\r\n\x1a\n Marker pixels"


@pytest.fixture
def shop(book: Book) -> Book:
    """A-1 and A-2 of a channel with their recipients, and M-1 by hand without one."""
    books.add_items(book, "LAMP", "MUG")
    books.receive(book, "LAMP", 10)
    books.receive(book, "MUG", 10)
    amazon = books.connect(book)
    due = MORNING + timedelta(days=2)
    record(book, amazon, order("A-1", line("LAMP", 2), line("MUG", 1, 2), ship_by=due),
           order("A-2", line("LAMP", 1), ship_by=due))  # fmt: skip
    tell(book, replace(PERSON, order="A-1"), replace(PERSON, order="A-2"))
    books.make_order(book, ("LAMP", 1))
    return book


def tell(book: Book, *people: recipients.RecipientFact) -> None:
    with book.transaction() as t:
        recipients.record(t, books.AMAZON, people)


def number_of(book: Book, number: str) -> int:
    with book.reading() as sql:
        return int(find_order(sql, number).id)


def keep(book: Book, number: str, content: bytes = PDF, kind: papers.Kind = "carrier_label") -> int:
    return papers.keep(book, number_of(book, number), None, kind, content)


def files(book: Book) -> list[Path]:
    return sorted((book.home / "labels").glob("*"))


def forget(book: Book, *numbers: str) -> list[int]:
    """What redaction does: the key first."""
    ids = [number_of(book, number) for number in numbers]
    keys = books.ask(book, f"SELECT key_id FROM personal WHERE order_id IN ({', '.join(map(str, ids))})")
    book.keys.destroy([key for (key,) in keys])
    return ids


def listed(book: Book, number: str) -> list[SimpleNamespace]:
    return [SimpleNamespace(**one) for one in books.dicts(views.papers(book.home, number))]


# --- the store ------------------------------------------------------------------------------------------------


def test_a_paper_is_read_back_as_it_was_kept(shop: Book) -> None:
    first, second = keep(shop, "A-1"), keep(shop, "A-1", PNG)
    assert papers.open_paper(shop, first) == PDF and papers.open_paper(shop, second) == PNG
    assert [(one.type, one.bytes) for one in listed(shop, "A-1")] == [("pdf", len(PDF)), ("png", len(PNG))]


def test_a_paper_is_a_file_of_its_owner_alone_under_a_name_that_says_nothing(shop: Book) -> None:
    keep(shop, "A-1")
    (file,) = files(shop)
    assert len(file.stem) == 32 and file.suffix == ".sealed"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_A31_A35_nothing_of_a_paper_is_readable_in_any_file(shop: Book) -> None:
    keep(shop, "A-1")
    packing.slip(shop, "A-1")
    packing.label(shop, "A-2")
    packing.recipient(shop, "A-1", "order shown")
    shop.close()
    found = {file: file.read_bytes() for file in shop.home.rglob("*") if file.is_file()}
    assert len(files(shop)) == 3 and any(b"Berlin" in content for content in found.values())
    for marker in (*MARKERS, "Marker", "%PDF-"):
        for text in (marker.encode(), marker.encode("utf-16-le"), marker.encode().hex().encode()):
            assert not [file for file, content in found.items() if text in content], marker


def test_a_paper_of_one_order_does_not_open_in_the_place_of_another(shop: Book) -> None:
    mine, other = keep(shop, "A-1"), keep(shop, "A-1", PNG)
    by_number = dict(books.ask(shop, "SELECT id, file FROM paper"))
    a, b = shop.home / "labels" / by_number[mine], shop.home / "labels" / by_number[other]
    b.write_bytes(a.read_bytes())
    with pytest.raises(KeyUnavailable):
        papers.open_paper(shop, other)


def test_an_order_without_a_recipient_gets_a_key_with_its_first_paper_and_none_twice(shop: Book) -> None:
    keep(shop, "M-1")
    keep(shop, "M-1")
    assert len(files(shop)) == 2
    assert packing.recipient(shop, "M-1", "order shown") == {}
    assert books.ask(shop, "SELECT COUNT(DISTINCT key_id), COUNT(*) FROM personal") == [(3, 3)]


def test_C8_a_label_kept_early_does_not_keep_the_recipient_from_being_fetched(shop: Book) -> None:
    record(shop, books.AMAZON, order("A-3", line("LAMP", 1), ship_by=MORNING))
    assert views.recipient_is_missing(shop.home, "A-3")
    keep(shop, "A-3")
    assert views.recipient_is_missing(shop.home, "A-3")
    with shop.reading() as sql:
        assert recipients.wanted(sql, books.AMAZON, 9) == ["A-3"]
    tell(shop, replace(PERSON, order="A-3"))
    assert not views.recipient_is_missing(shop.home, "A-3")
    with shop.reading() as sql:
        assert recipients.wanted(sql, books.AMAZON, 9) == []
    assert packing.recipient(shop, "A-3", "order shown")["name"] == PERSON.name


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "empty"), (b"GIF", "neither"), (b"<html>", "neither"), (b"MZ%PDF-", "neither"), (b"\x89PNX", "neither"),
     (b"%PDF-" + bytes(papers.MOST_BYTES), "larger")],
)  # fmt: skip
def test_what_is_no_label_by_its_content_is_refused(shop: Book, content: bytes, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        keep(shop, "A-1", content)
    assert files(shop) == [] and listed(shop, "A-1") == []


@pytest.mark.parametrize(
    ("content", "kind"),
    [(b"%PDF-1.7", "pdf"), (b"\x89PNG\r\n\x1a\nx", "png"), (b"GIF87a..", "gif"), (b"GIF89a..", "gif"),
     (b"\xff\xd8\xff\xe0JFIF", "jpeg"), (b"^XA^FO50^XZ", "zpl"), (b"\r\n ^XA^XZ", "zpl"),
     (b"%PDF-".ljust(papers.MOST_BYTES, b" "), "pdf")],
)  # fmt: skip
def test_a_label_is_known_by_its_content(content: bytes, kind: str) -> None:
    assert papers.type_of(content) == kind


STARTS = some.sampled_from([b"", b"%PDF-", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\xff\xd8\xff", b"^XA", b" ^XA", b"<svg"])


@given(STARTS, some.binary(max_size=300))
def test_any_bytes_are_kept_as_they_are_or_refused_with_nothing_kept(start: bytes, rest: bytes) -> None:
    content = start + rest
    try:
        kind = papers.type_of(content)
    except BadInput as refused:
        assert "nothing was kept" in refused.message
    else:
        assert kind in ("pdf", "png", "gif", "jpeg", "zpl") and content.strip()


# --- going --------------------------------------------------------------------------------------------------


def test_A35_the_papers_of_a_redacted_order_are_destroyed_with_its_key(shop: Book) -> None:
    paper, other = keep(shop, "A-1"), keep(shop, "A-2")
    ids = forget(shop, "A-1")
    with pytest.raises(Refused):
        papers.open_paper(shop, paper)  # the key is enough, before any file is touched
    assert papers.destroy(shop, ids) == 1 and papers.destroy(shop, ids) == 0
    assert len(files(shop)) == 1 and papers.open_paper(shop, other) == PDF
    (gone,) = listed(shop, "A-1")
    assert gone.destroyed_at.startswith(str(MORNING)[:19])
    for print_ in (packing.slip, packing.label):
        with pytest.raises(Refused, match="forgotten"):
            print_(shop, "A-1")
    with pytest.raises(Refused, match="forgotten"):
        packing.attach(shop, "A-1", PDF)
    with pytest.raises(Refused, match="destroyed"):
        packing.label(shop, "A-1", paper=paper)


def test_a_sweep_removes_what_is_nobodys_and_says_what_is_lost(shop: Book) -> None:
    kept, lost = keep(shop, "A-1"), keep(shop, "A-2")
    before = dict(books.ask(shop, "SELECT id, file FROM paper"))
    folder = shop.home / "labels"
    (folder / before[lost]).unlink()
    (folder / ("0" * 32 + ".sealed")).write_bytes(b"x")
    (folder / ("." + "1" * 32 + ".sealed")).write_bytes(b"x")
    (folder / "notes.txt").write_text("mine")
    (folder / "notes.txt").chmod(0o600)  # doctor would find it otherwise
    assert papers.sweep(shop) == (2, 1) and papers.sweep(shop) == (0, 0)
    assert {file.name for file in files(shop)} == {before[kept], "notes.txt"}
    with pytest.raises(Refused):
        papers.open_paper(shop, lost)
    assert papers.open_paper(shop, kept) == PDF


def test_a_kill_anywhere_leaves_a_paper_whole_or_not_at_all(shop: Book) -> None:
    number = number_of(shop, "A-1")
    shop.close()
    statement, orphans = 1, 0
    while kills.killed_at(statement, shop.home, lambda book: papers.keep(book, number, None, "carrier_label", PDF)):
        statement += 1
        with books.opened_any(shop.home) as book:
            assert listed(book, "A-1") == []
            orphans += papers.sweep(book)[0]
            assert files(book) == []
    assert statement > 5 and orphans  # some died between the file and its row
    with books.opened_any(shop.home) as book:
        (kept,) = listed(book, "A-1")
        assert papers.open_paper(book, kept.paper) == PDF


def test_a_kill_while_papers_are_destroyed_leaves_nothing_that_opens(shop: Book) -> None:
    paper = keep(shop, "A-1")
    ids = forget(shop, "A-1")
    shop.close()
    statement = 1
    while kills.killed_at(statement, shop.home, lambda book: papers.destroy(book, ids)):
        statement += 1
        with books.opened_any(shop.home) as book, pytest.raises(Refused):
            papers.open_paper(book, paper)
    with books.opened_any(shop.home) as book:
        papers.sweep(book)
        assert files(book) == []


def test_a_paper_made_anew_takes_the_place_of_the_one_before(shop: Book) -> None:
    first = packing.slip(shop, "A-1")
    assert packing.slip(shop, "A-1") == first and len(listed(shop, "A-1")) == 1
    tell(shop, replace(PERSON, order="A-1", line1="Elsewhere 2"))
    assert packing.slip(shop, "A-1") != first
    assert [bool(one.destroyed_at) for one in listed(shop, "A-1")] == [True, False] and len(files(shop)) == 1
    files(shop)[0].unlink()
    assert packing.slip(shop, "A-1") != first  # what is lost is made anew


def test_a_backup_holds_no_paper(shop: Book) -> None:
    keep(shop, "A-1")
    made = Path(backup.make(shop).path)
    assert [path.name for path in made.parent.iterdir()] == [made.name] and PDF not in made.read_bytes()


def test_a_folder_that_is_not_ours_is_refused(shop: Book, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (shop.home / "labels").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SettingsError):
        keep(shop, "A-1")
    assert os.listdir(tmp_path / "elsewhere") == [] and listed(shop, "A-1") == []
    (shop.home / "labels").unlink()


def test_a_file_that_was_replaced_by_a_link_is_not_followed(shop: Book, tmp_path: Path) -> None:
    paper = keep(shop, "A-1")
    (file,) = files(shop)
    file.rename(tmp_path / "moved")
    file.symlink_to(tmp_path / "moved")
    with pytest.raises(DiskTrouble):
        papers.open_paper(shop, paper)


# --- which package, and who looked -----------------------------------------------------------------------------


def looks(book: Book) -> list[tuple[object, ...]]:
    return books.ask(book, "SELECT actor, subject, result, detail FROM audit WHERE action = 'looked at recipient'")


def test_every_look_is_written_down_without_the_person(shop: Book) -> None:
    packing.recipient(shop, "A-1", "order shown")
    packing.slip(shop, "A-1")
    packing.slip(shop, "A-1")
    packing.label(shop, "A-2")
    packing.attach(shop, "A-2", PDF)
    packing.label(shop, "A-2")
    packing.recipient(shop, "M-1", "order shown")
    slip = ("tester", "A-1", "done", "packing slip of package 1")
    assert looks(shop) == [("tester", "A-1", "done", "order shown"), slip, slip,
                           ("tester", "A-2", "done", "address label of package 1"),
                           ("tester", "A-2", "done", "paper 3")]  # fmt: skip


def test_what_was_refused_or_could_not_be_written_down_is_not_shown(shop: Book) -> None:
    forget(shop, "A-1")
    assert set(packing.recipient(shop, "A-1", "order shown").values()) == {"REDACTED"}
    with pytest.raises(Refused):
        packing.slip(shop, "A-1")
    assert looks(shop) == []
    with shop.engine.begin() as sql:
        sql.exec_driver_sql("CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no'); END")
    for look in (lambda: packing.recipient(shop, "A-2", "order shown"), lambda: packing.label(shop, "A-2")):
        with pytest.raises(Exception, match="no"):
            look()
    with shop.engine.begin() as sql:
        sql.exec_driver_sql("DROP TRIGGER full")


def test_a_slip_is_of_the_package_named_else_of_what_is_to_leave_else_of_the_only_one(shop: Book) -> None:
    whole = packing.slip(shop, "A-1")
    books.ship(shop, "A-1", {"LAMP": 2}, tracking="T1")
    rest = packing.slip(shop, "A-1")
    assert len({whole, rest, packing.slip(shop, "A-1", "1")}) == 3
    books.ship(shop, "A-1", tracking="T2")
    with pytest.raises(BadInput, match="1, 2"):
        packing.slip(shop, "A-1")
    assert packing.slip(shop, "A-1", "2") == rest  # it is the same package, made anew once it has left
    with pytest.raises(NotFound):
        packing.slip(shop, "A-1", "3")
    books.ship(shop, "A-2")
    assert packing.slip(shop, "A-2") == packing.slip(shop, "A-2", "1")


def test_C8_an_order_whose_recipient_is_not_known_prints_nothing(shop: Book) -> None:
    record(shop, books.AMAZON, order("A-3", line("LAMP", 1), ship_by=MORNING))
    for print_ in (packing.slip, packing.label):
        with pytest.raises(Refused, match="do not ship"):
            print_(shop, "A-3")
    tell(shop, recipients.RecipientFact("A-3", city="Berlin"))  # a remote that told no more than the place
    with pytest.raises(Refused, match="do not ship"):
        packing.label(shop, "A-3")
    assert packing.slip(shop, "M-1").startswith(b"%PDF-")
    with pytest.raises(Refused, match="no recipient"):
        packing.label(shop, "M-1")


def test_the_label_that_is_printed_is_the_one_named_else_the_carriers_else_the_address(shop: Book) -> None:
    address = packing.label(shop, "A-1")
    assert address.startswith(b"%PDF-")
    packing.attach(shop, "A-1", PNG)
    newest = packing.attach(shop, "A-1", PDF)
    assert packing.label(shop, "A-1") == PDF
    assert packing.label(shop, "A-1", paper=newest - 1) == PNG
    assert packing.label(shop, "A-1", paper=newest - 2) == address
    with pytest.raises(NotFound):
        packing.label(shop, "A-2", paper=newest)


def test_nothing_of_a_person_shows_in_a_repr_or_an_error(shop: Book) -> None:
    from zenv.output import Record
    from zenv.pdf import Address, Label, Slip

    to = Address(PERSON.name, PERSON.company, PERSON.line1)
    day = MORNING.date()
    values = [to, Label("Us", "A-1", day, "1", to), Slip("Us", "DE", "A-1", day, "1", to, [], PERSON.gift_message),
              Record({"recipient": PERSON.personal()})]  # fmt: skip
    said = [repr(value) for value in values] + [str(value) for value in values]
    tell(shop, replace(PERSON, order="A-1", name="Marker Nameson محمد", line1="Marker Street שלום"))
    for print_ in (packing.slip, packing.label):
        with pytest.raises(ZenvError) as wrong:
            print_(shop, "A-1")
        said.append(f"{wrong.value!r} {wrong.value.hint}")
    assert all(marker not in text for marker in (*MARKERS, "Marker", "محمد", "م") for text in said)
