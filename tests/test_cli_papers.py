"""`zenv orders show`, `slip` and `label`: who sees a recipient, where papers go, and that it is written down."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from tests.cli_driver import ROOT, Zenv, a_shop, an_empty_home  # noqa: F401  # the fixtures shop and zenv

JANE = "name=Jane Markerova\nline1=1 Marker Street\ncity=Berlin\npostcode=10115\ncountry=DE\ngift_message=Marker Hugs\n"
PDF = b"%PDF-1.4 Marker label"


@pytest.fixture(name="sold")
def a_shop_with_an_order(shop: Zenv) -> Zenv:
    shop.good("stock", "receive", "MUG", "10")
    shop.good("orders", "create", "--line", "MUG=2", "--line", "CUP=1", "--recipient", stdin=JANE)
    return shop


def piped(shop: Zenv, *words: str) -> tuple[int, bytes, str]:
    """A command whose stdout is a pipe: exit code, bytes, stderr."""
    done = subprocess.run([sys.executable, "-m", "zenv", *words], capture_output=True, cwd=ROOT, timeout=60,
                          env={**os.environ, "ZENV_HOME": str(shop.home)})  # fmt: skip
    return done.returncode, done.stdout, done.stderr.decode()


def looks(shop: Zenv) -> list[str]:
    query = "SELECT detail FROM audit WHERE action = 'looked at recipient' AND subject = 'M-1' ORDER BY id"
    return [row["detail"] for row in shop.data("sql", query)]


# --- show -----------------------------------------------------------------------------------------------------


def test_at_a_terminal_the_recipient_is_opened_and_who_looked_is_written_down(sold: Zenv) -> None:
    shown = sold.at_terminal("--as", "packer", "orders", "show", "M-1").out
    assert "Jane Markerova" in shown and "1 Marker Street" in shown
    assert looks(sold) == ["order shown"]
    assert sold.data("sql", "SELECT actor FROM audit WHERE subject = 'M-1'") == [{"actor": "packer"}]
    hidden = sold.at_terminal("orders", "show", "M-1", "--without-personal-data").out
    assert "Marker" not in hidden and "Berlin" in hidden and len(looks(sold)) == 1
    assert "Marker" not in sold.at_terminal("orders", "show", "M-1", "--quiet").out and len(looks(sold)) == 1


def test_in_a_pipe_and_for_scripts_the_recipient_stays_closed_unless_asked_for(sold: Zenv) -> None:
    for words in ((), ("--json",), ("--quiet",), ("--without-personal-data", "--json")):
        answer = sold.good("orders", "show", "M-1", *words)
        assert "Marker" not in answer.out + answer.err
    assert "Marker" not in sold.at_terminal("orders", "show", "M-1", "--json").out
    assert looks(sold) == []
    assert sold.data("orders", "show", "M-1", "--with-personal-data")["recipient"]["gift_message"] == "Marker Hugs"
    assert "Jane Markerova" in sold.good("orders", "show", "M-1", "--with-personal-data").out
    assert looks(sold) == ["order shown"] * 2


def test_lists_and_sql_cannot_show_a_person(sold: Zenv) -> None:
    for words in (("orders", "list"), ("sql", "SELECT * FROM personal"), ("sql", "SELECT * FROM orders"),
                  ("orders", "label", "list", "M-1"), ("sql", "SELECT * FROM audit")):  # fmt: skip
        assert "Marker" not in sold.good(*words).out + sold.good(*words, "--json").out


def test_an_order_is_shown_all_the_same_when_its_recipient_cannot_be_opened(sold: Zenv) -> None:
    (sold.home / "master.key").unlink()
    answer = sold("orders", "show", "M-1", "--with-personal-data", "--json")
    assert answer.code == 78 and answer.data["state"] == "ready" and "recipient" not in answer.data
    assert sold.good("orders", "show", "M-1").code == 0 and looks(sold) == []


# --- slips and labels -------------------------------------------------------------------------------------------


def test_a_slip_goes_to_a_pipe_or_to_a_new_file_of_its_owner(sold: Zenv, tmp_path: Path) -> None:
    file = tmp_path / "slip.pdf"
    code, out, err = piped(sold, "orders", "slip", "M-1")
    assert code == 0 and out.startswith(b"%PDF-") and err == ""
    done = sold.good("orders", "slip", "M-1", "--output", str(file))
    assert str(file) in done.out and file.read_bytes() == out
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert looks(sold) == ["packing slip of package 1"] * 2
    assert [one["kind"] for one in sold.data("orders", "label", "list", "M-1")] == ["packing_slip"]


@pytest.mark.parametrize("words", [("orders", "slip", "M-1"), ("orders", "label", "print", "M-1")])
def test_a_paper_is_not_thrown_at_a_terminal_nor_into_json(sold: Zenv, words: tuple[str, ...]) -> None:
    answer = sold.at_terminal(*words)
    assert answer.code == 2 and "--output FILE" in answer.out and "%PDF" not in answer.out
    assert sold(*words, "--json").code == 2
    assert looks(sold) == [] and sold.data("orders", "label", "list", "M-1") == []


@pytest.mark.parametrize("there", ["a file", "a link", "a link to nothing", "a folder"])
def test_what_is_there_already_is_left_as_it_is_and_nobody_looked(sold: Zenv, tmp_path: Path, there: str) -> None:
    target, other = tmp_path / "out.pdf", tmp_path / "other"
    other.write_text("mine")
    if there == "a file":
        target.write_text("mine")
    elif there == "a folder":
        target.mkdir()
    else:
        target.symlink_to(other if there == "a link" else tmp_path / "nothing")
    answer = sold("orders", "slip", "M-1", "--output", str(target))
    assert answer.code == 79 and "left as it is" in answer.err
    assert other.read_text() == "mine" and not (tmp_path / "nothing").exists() and looks(sold) == []


def test_a_print_that_fails_leaves_no_file(sold: Zenv, tmp_path: Path) -> None:
    for words, code in ((("slip", "M-9"), 66), (("slip", "M-1", "--package", "7"), 66),
                        (("label", "print", "M-1", "--paper", "9"), 66)):  # fmt: skip
        assert sold("orders", *words, "--output", str(tmp_path / "out.pdf")).code == code
    assert sold("orders", "slip", "M-1", "--output", str(tmp_path / "no" / "out.pdf")).code == 65
    assert list(tmp_path.glob("*.pdf")) == []


def test_a_carriers_label_is_attached_listed_and_printed_byte_by_byte(sold: Zenv, tmp_path: Path) -> None:
    file = tmp_path / "Jane Markerova ..\\..\n.PNG"  # neither its name nor its ending plays a part
    file.write_bytes(PDF)
    kept = sold.good("orders", "label", "attach", "M-1", str(file), "--json").data
    (listed,) = sold.data("orders", "label", "list", "M-1")
    assert (listed["paper"], listed["type"], listed["kind"]) == (kept["paper"], "pdf", "carrier_label")
    assert piped(sold, "orders", "label", "print", "M-1") == (0, PDF, "")
    sold.good("orders", "ship", "M-1", "--line", "MUG=2")
    assert piped(sold, "orders", "label", "print", "M-1", "--package", "1")[1].startswith(b"%PDF-1.3")
    sold.good("orders", "label", "attach", "M-1", str(file), "--package", "1")
    assert piped(sold, "orders", "label", "print", "M-1", "--package", "1")[1] == PDF
    assert [one["package"] for one in sold.data("orders", "label", "list", "M-1")] == [None, "1", "1"]


def test_what_is_not_a_label_is_not_attached(sold: Zenv, tmp_path: Path) -> None:
    big, empty, page = tmp_path / "big.pdf", tmp_path / "empty.pdf", tmp_path / "page.pdf"
    big.write_bytes(b"%PDF-" + bytes(5 * 1024 * 1024))
    empty.touch()
    page.write_text("<html>Jane Markerova</html>")
    os.mkfifo(tmp_path / "pipe.pdf")
    for file, code in ((big, 65), (empty, 65), (page, 65), (tmp_path, 65), (tmp_path / "pipe.pdf", 65),
                       (tmp_path / "none.pdf", 66), (Path("/dev/zero"), 65)):  # fmt: skip
        answer = sold("orders", "label", "attach", "M-1", str(file))
        assert answer.code == code and "Marker" not in answer.err, answer
    assert sold.data("orders", "label", "list", "M-1") == [] and not (sold.home / "labels").exists()


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some.sampled_from([b"", b"%PDF-", b"^XA", b"GIF89a", b"\x89PNG\r\n\x1a\n"]), some.binary(max_size=200))
def test_any_file_is_kept_whole_or_refused_with_a_sentence(
    sold: Zenv, tmp_path: Path, start: bytes, rest: bytes
) -> None:
    file = tmp_path / "any"
    file.write_bytes(start + rest)
    before = len(sold.data("orders", "label", "list", "M-1"))
    answer = sold("orders", "label", "attach", "M-1", str(file))
    assert answer.code in (0, 65) and "Traceback" not in answer.err
    assert len(sold.data("orders", "label", "list", "M-1")) == before + (answer.code == 0)
    if answer.code == 0:
        out = tmp_path / "out"
        sold.good("orders", "label", "print", "M-1", "--output", str(out))
        assert out.read_bytes() == start + rest
        out.unlink()


def test_no_person_is_in_any_file_log_message_or_argument_after_all_of_it(sold: Zenv, tmp_path: Path) -> None:
    file = tmp_path / "label.pdf"
    file.write_bytes(PDF)
    said = ""
    for words in (("orders", "show", "M-1"), ("orders", "slip", "M-1", "--output", str(tmp_path / "a.pdf")),
                  ("orders", "label", "print", "M-1", "--output", str(tmp_path / "b.pdf")),
                  ("orders", "label", "attach", "M-1", str(file)), ("orders", "label", "list", "M-1"),
                  ("orders", "slip", "M-1", "--output", str(tmp_path / "a.pdf")), ("backup",),
                  ("doctor",)):  # fmt: skip
        answer = sold.process("--verbose", *words)
        said += answer.out + answer.err
    assert sold.good("doctor", "--quiet").out == ""
    for path in sold.home.rglob("*"):
        assert path.is_dir() or not any(mark in path.read_bytes() for mark in (b"Marker", b"%PDF")), path
        assert path.is_dir() or not path.lstat().st_mode & 0o077
    assert "Marker" not in said and "Jane" not in said and "Marker" not in json.dumps(sold.data("inbox"))
