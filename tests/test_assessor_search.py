"""The search of the assessor finds a person in every form and in every corner of a file."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.assessor.markers import FIELDS, ODD, Person, found_in
from tests.assessor.search import traces
from zenv.ledger.sqlite import module

WHO = Person("she")
FORMS: dict[str, Callable[[str], bytes]] = {
    "as it is": str.encode,
    "in capitals": lambda text: text.upper().encode(),
    "in small letters": lambda text: text.lower().encode(),
    "percent-encoded": lambda text: quote(text).encode(),
    "percent-encoded to the last letter": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()).encode(),
    "JSON": lambda text: json.dumps({"x": text}).encode(),
    "escaped JSON": lambda text: "".join(f"\\u{ord(letter):04x}" for letter in text).encode(),
    "UTF-16": lambda text: text.encode("utf-16-le"),
    "UTF-16, the other way round": lambda text: text.encode("utf-16-be"),
    "hex": lambda text: text.encode().hex().upper().encode(),
    "base64": lambda text: base64.b64encode(text.encode()),
    "base64, one on": lambda text: base64.b64encode(b"x" + text.encode()),
    "base64, two on": lambda text: base64.b64encode(b"xx" + text.encode()),
    "base64 of UTF-16": lambda text: base64.b64encode(text.encode("utf-16-le")),
    "base64url": lambda text: base64.urlsafe_b64encode(b"\xff\xfe" + text.encode()),
    "deflated": lambda text: b"head" + zlib.compress(text.encode() * 3),
    "gzip": lambda text: b"head" + gzip.compress(text.encode() * 3),
    "HTML": lambda text: "".join(f"&#{ord(letter)};" for letter in text).encode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_person_is_found_in_every_field_and_form(form: str) -> None:
    for of in (*FIELDS, *ODD):
        assert found_in(b"before" + FORMS[form](WHO[of]) + b"after", WHO) == [f"she's {of}"]


def test_what_is_cut_short_is_found_and_what_is_nobody_is_not() -> None:
    assert found_in(WHO["name"][:-3].encode(), WHO) == ["a marker, cut short"]
    assert found_in(b"Zo\xc3\xab Somebody, 1 Street" * 100, WHO) == []


def a_database(path: Path, encoding: str = "UTF-8") -> None:
    with closing(module.connect(path)) as sql:
        sql.execute(f"PRAGMA encoding = '{encoding}'")
        sql.execute("PRAGMA journal_mode = WAL")
        sql.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, x)")
        sql.execute("CREATE INDEX i ON t (x)")
        sql.executemany("INSERT INTO t (x) VALUES (?)", [("y" * 3000,)] * 40)
        sql.commit()


@pytest.mark.parametrize("before", range(3930, 4110, 6))
def test_a_name_that_lies_across_two_pages_is_found(tmp_path: Path, before: int) -> None:
    a_database(tmp_path / "a.db")
    with closing(module.connect(tmp_path / "a.db")) as sql:
        sql.execute("INSERT INTO t (x) VALUES (?)", ("-" * before + WHO["name"] + "-" * 9000,))
        sql.commit()
    assert traces(tmp_path, WHO) == ["she's name in a.db"]


def test_a_deleted_row_is_found_in_free_pages_and_in_what_lies_beside_the_file(tmp_path: Path) -> None:
    a_database(tmp_path / "a.db")
    with closing(module.connect(tmp_path / "a.db")) as sql:
        sql.execute("INSERT INTO t (x) VALUES (?)", (WHO["line1"] * 900,))
        sql.commit()
        sql.execute("DELETE FROM t WHERE x LIKE '7%'")
        sql.commit()
        assert "she's line1 in a.db-wal" in traces(tmp_path, WHO)
    assert "she's line1 in a.db" in traces(tmp_path, WHO)


def test_a_database_in_utf_16_and_a_file_by_its_name_are_found(tmp_path: Path) -> None:
    a_database(tmp_path / "a.db", "UTF-16be")
    with closing(module.connect(tmp_path / "a.db")) as sql:
        sql.execute("INSERT INTO t (x) VALUES (?)", (WHO["email"],))
        sql.commit()
    (tmp_path / f"label of {WHO['file_name']}.pdf").touch()
    assert traces(tmp_path, WHO) == ["she's email in a.db",
                                     f"she's file_name in label of {WHO['file_name']}.pdf"]  # fmt: skip
