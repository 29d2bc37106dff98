"""Amazon's flat files: tab separated, one header line, columns by name in any order, no quoting.

The encoding is not reliable: the answer may name one, else a line is UTF-8 when it can be, Shift_JIS once
the file has shown Japanese script, and Windows-1252 otherwise. Lines are decoded one by one, so a file of
any size is read in constant memory; tab and line feed mean the same in all three encodings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from zenv.connectors.amazon.reading import clean

_KANA = re.compile("[\u3040-\u30ff]")
_CHARSET = re.compile(r"charset=[\"']?([A-Za-z0-9_.:-]+)", re.IGNORECASE)
_LONGEST_LINE = 2**20


@dataclass(frozen=True)
class Row:
    """A line of the file below the header. `cells` is None where the line has more cells than the header."""

    number: int
    cells: Mapping[str, str] | None


def charset_of(content_type: str) -> str:
    """The charset a Content-Type header names; "" without one."""
    found = _CHARSET.search(content_type)
    return found.group(1) if found else ""


def column_name(header: str) -> str:
    """A header in its plain form: `Seller SKU`, `seller_sku` and `seller-sku` are the same column."""
    return re.sub(r"[\s_-]+", "-", header.strip().strip('"').lower())


def read_table(chunks: Iterable[bytes], charset: str = "") -> tuple[tuple[str, ...], Iterator[Row]]:
    """The plain column names and the rows. Blank lines are skipped; a short row lacks its last cells."""
    lines = (line for line in _decoded(_lines(chunks), charset) if line.strip())
    header = tuple(column_name(name) for name in next(lines, "").split("\t"))
    return header, _rows(header, lines)


def _rows(header: tuple[str, ...], lines: Iterator[str]) -> Iterator[Row]:
    for number, line in enumerate(lines, start=2):
        cells = line.split("\t")
        surplus = any(cell.strip() for cell in cells[len(header) :])
        yield Row(number, None if surplus else dict(zip(header, cells, strict=False)))


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
        if len(rest) > _LONGEST_LINE:
            # no cell is that long: this is no table, and must not fill the memory
            yield rest[:_LONGEST_LINE]
            rest = b""
    if rest:
        yield rest


def _decoded(lines: Iterator[bytes], charset: str) -> Iterator[str]:
    japanese = False
    for index, line in enumerate(lines):
        raw = line.removeprefix(b"\xef\xbb\xbf") if index == 0 else line
        decoded = _as(raw, charset) if charset else None
        decoded = _as(raw, "utf-8") if decoded is None else decoded
        if decoded is None:
            guess = _as(raw, "cp932")
            japanese = japanese or (guess is not None and _KANA.search(guess) is not None)
            decoded = guess if japanese and guess is not None else raw.decode("cp1252", "replace")
        yield decoded.rstrip("\r")


def _as(raw: bytes, charset: str) -> str | None:
    try:
        return raw.decode(charset)
    except (UnicodeDecodeError, LookupError):
        return None


def cell(row: Mapping[str, str], *names: str) -> str:
    """The first of these columns that the row has a value for, without control characters."""
    return next((clean(row[name]).strip() for name in names if row.get(name, "").strip()), "")
