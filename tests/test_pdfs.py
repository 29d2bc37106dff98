"""Slips and labels, read back with tools that had no part in making them: Chrome's PDF engine, poppler, a scanner."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
import unicodedata
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from zenv.errors import Refused
from zenv.pdf import Address, Label, Slip, SlipLine, code128, label, sheet, slip

NOT_INSTALLED = "it is not installed; pip install -e '.[test]' brings it"
pdfium = pytest.importorskip("pypdfium2", reason=NOT_INSTALLED)
scanner = pytest.importorskip("zxingcpp", reason=NOT_INSTALLED)
poppler = pytest.mark.skipif(shutil.which("pdftotext") is None, reason="needs Debian's poppler-utils")

TO = Address("Marker Nameson", "Marker GmbH", "Marker Street 1", "Floor 2", "Door 3", "Berlin", "BE", "10115", "DE")
LINES = [SlipLine("LAMP-01", "A lamp of brass", 2), SlipLine("MUG", "A mug", 13)]
NUMBER = "305-1234567-1234567"
SLIP = Slip("Lamp Shop GmbH", "DE", NUMBER, date(2026, 3, 2), "1", TO, LINES, "Marker Greetings")
LABEL = Label("Lamp Shop GmbH", NUMBER, date(2026, 3, 2), "1", TO)
NAMES = ["Zażółć Gęślą", "Søren Ångström", "山田太郎", "Ελένη Παπαδοπούλου", "Иван Їжак", "Nguyễn Thị Ánh", "김철수",
         "Ștefan Țurcanu", "İpek Çağlar", "Þórður Æsir", "Ödön Őszi", "Müller-Lüdenscheidt ß",
         "王小明", "かずこ カタカナ"]  # fmt: skip


def pages_of(pdf: bytes) -> list[str]:
    """The text of each page."""
    with pdfium.PdfDocument(pdf) as document:
        return [page.get_textpage().get_text_bounded() for page in document]


def read(pdf: bytes) -> str:
    """All text of a PDF, blanks and line breaks as one blank."""
    return re.sub(r"\s+", " ", " ".join(pages_of(pdf)))


def scanned(pdf: bytes) -> list[str]:
    """The barcodes on the first page as a label printer of 203 dots per inch prints it."""
    with pdfium.PdfDocument(pdf) as document:
        return [found.text for found in scanner.read_barcodes(document[0].render(scale=203 / 72).to_pil())]


def squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


def test_a_slip_says_what_is_in_the_package_and_for_whom() -> None:
    text = read(slip.draw(SLIP))
    for part in ("Lamp Shop GmbH", NUMBER, "2026-03-02", "LAMP-01", "A lamp of brass", "MUG", "A mug", "13",
                 "Marker Nameson", "Marker GmbH", "Marker Street 1", "Floor 2", "Door 3", "10115 Berlin", "DE",
                 "Marker Greetings", "page 1 of 1", "15"):  # fmt: skip
        assert part in text, part
    assert "MESSAGE" not in read(slip.draw(replace(SLIP, gift_message="")))


def test_a_label_says_whom_it_goes_to_on_102_by_152_millimetres() -> None:
    made = label.draw(LABEL)
    with pdfium.PdfDocument(made) as document:
        assert [round(side / 72 * 25.4) for side in document[0].get_size()] == [102, 152] and len(document) == 1
    for _, line in TO.lines():
        assert line in read(made)
    assert NUMBER in read(made) and "Package 1" in read(made) and "Marker Greetings" not in read(made)


def test_a_sender_with_a_long_name_stays_above_the_line() -> None:
    text = read(label.draw(replace(LABEL, company="Lampenschirmmanufaktur und Leuchtenhandel " * 9)))
    assert "Leuchtenhandel Lam" in text and "…" in text and "Marker Nameson" in text


def test_an_address_is_written_as_its_country_does() -> None:
    assert ("city", "10115 Berlin") in TO.lines()
    american = replace(TO, city="Portland", region="OR", postcode="97201", country="US")
    assert ("city", "Portland, OR 97201") in american.lines()
    assert Address().lines() == []


@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_anywhere_is_printed_whole(name: str, caplog: pytest.LogCaptureFixture) -> None:
    for made in (slip.draw(replace(SLIP, to=replace(TO, name=name))), label.draw(replace(LABEL, to=Address(name)))):
        assert squeezed(name) in squeezed(read(made))
    assert caplog.records == []  # the library names letters it cannot draw in a log line


def test_a_name_whose_accents_are_letters_of_their_own_is_drawn_composed() -> None:
    apart = unicodedata.normalize("NFD", "Zażółć Ánh")
    assert apart != "Zażółć Ánh" and "Zażółć Ánh" in read(label.draw(replace(LABEL, to=Address(apart))))


@poppler
def test_another_reader_reads_the_same(tmp_path: Path) -> None:
    file = tmp_path / "slip.pdf"
    file.write_bytes(slip.draw(replace(SLIP, to=replace(TO, name=" ".join(NAMES)))))
    done = subprocess.run(["pdftotext", str(file), "-"], capture_output=True, text=True, check=True)
    assert done.stderr == "" and squeezed("".join(NAMES)) in squeezed(done.stdout)


@pytest.mark.parametrize("name", ["محمد علي", "שלום", "สมชาย", "राहुल", "Mohammed محمد"])
def test_a_name_that_no_font_draws_is_refused_by_its_script_never_half_printed(name: str) -> None:
    for draw in (
        lambda: slip.draw(replace(SLIP, to=Address(name))),
        lambda: label.draw(replace(LABEL, to=Address(name))),
    ):
        with pytest.raises(Refused, match=r"recipient's name is written in (Arabic|Hebrew|Thai|Devanagari)") as refused:
            draw()
        assert not set(name) & set(refused.value.message) - set(map(chr, range(128)))


def test_without_the_font_of_the_far_east_its_names_are_refused_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, sheet.FAR_EAST, None)
    monkeypatch.setattr(sheet, "find_spec", lambda _: None)  # as on a machine where it was not installed
    with pytest.raises(Refused, match="CJK") as refused:
        label.draw(replace(LABEL, to=Address("山田太郎")))
    assert refused.value.hint == "pip install 'zenv[cjk]'"
    assert "Søren" in read(label.draw(replace(LABEL, to=Address("Søren"))))


def test_a_picture_in_a_message_is_printed_by_its_name() -> None:
    assert "Love (birthday cake)" in read(slip.draw(replace(SLIP, gift_message="Love \U0001f382\ufe0f")))


def test_the_same_content_gives_the_same_bytes_at_any_time() -> None:
    first = slip.draw(SLIP), label.draw(LABEL)
    time.sleep(1.1)  # a PDF and its fonts count seconds
    assert (slip.draw(SLIP), label.draw(LABEL)) == first
    assert slip.draw(replace(SLIP, package="2")) != first[0]


def test_a_long_slip_goes_on_over_pages_that_say_how_many_they_are() -> None:
    many = [SlipLine(f"SKU-{number:03}", f"Item {number}", number) for number in range(1, 101)]
    made = slip.draw(replace(SLIP, lines=many))
    pages = pages_of(made)
    assert len(pages) > 2 and all(f"page {n} of {len(pages)}" in page for n, page in enumerate(pages, 1))
    assert all(f"SKU-{number:03}" in read(made) for number in range(1, 101))


@pytest.mark.parametrize("letters", [60, 200, 3000])
def test_a_long_address_is_printed_smaller_or_refused_never_cut(letters: int) -> None:
    to = replace(TO, line1=("Lange Strasse " * 300)[:letters].strip())
    for draw in (lambda: slip.draw(replace(SLIP, to=to)), lambda: label.draw(replace(LABEL, to=to))):
        try:
            made = draw()
        except Refused as refused:
            assert letters == 3000 and "too long" in refused.message
        else:
            assert squeezed(to.line1) in squeezed(read(made))
            assert "Berlin" in read(made)


TEXT = some.text(some.characters(codec="utf-8"), max_size=120)


@given(TEXT, TEXT, TEXT)
def test_any_text_is_drawn_or_refused_without_being_repeated(name: str, item: str, gift: str) -> None:
    content = replace(SLIP, to=replace(TO, name=name), lines=[SlipLine("S", item, 1)], gift_message=gift)
    try:
        assert slip.draw(content).startswith(b"%PDF-")
    except Refused as refused:
        odd = {letter for letter in name + gift if ord(letter) > 127}
        assert not odd & set(refused.message)


# --- the barcode ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [NUMBER, "M-1", "A/7", "~Order {9}|"])
def test_the_barcode_of_a_paper_is_read_by_a_scanner(number: str) -> None:
    assert scanned(label.draw(replace(LABEL, number=number))) == [number]
    assert scanned(slip.draw(replace(SLIP, number=number))) == [number]


@given(some.text(some.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=40))
def test_a_barcode_has_eleven_modules_a_letter(text: str) -> None:
    bars = code128.widths(text)
    assert sum(bars) == 11 * (len(text) + 2) + 13 and all(1 <= width <= 4 for width in bars) and len(bars) % 2


def test_a_number_that_has_no_barcode_is_printed_without_one() -> None:
    assert code128.widths("Ä-1") == code128.widths("") == []
    assert "Ä-1" in read(label.draw(replace(LABEL, number="Ä-1")))
    assert squeezed("9" * 80) in squeezed(read(label.draw(replace(LABEL, number="9" * 80))))
