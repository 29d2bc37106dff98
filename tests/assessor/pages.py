"""What an SQLite file holds, page by page: every cell of every tree page put together from its overflow pages, also in
pages that are free, also in the frames of a WAL; and every value of every table."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from zenv.ledger import sqlite

MAGIC = b"SQLite format 3\0"
WAL_MAGICS = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")
LEAF_OF_A_TABLE, LEAF_OF_AN_INDEX, INSIDE_AN_INDEX = 0x0D, 0x0A, 0x02
Pages = Mapping[int, bytes]


def is_database(content: bytes) -> bool:
    return content.startswith(MAGIC)


def payloads(content: bytes, beside: bytes = b"") -> Iterator[bytes]:
    """Every cell of a database file, and of what lies in its WAL; after them chains of pages that are not trees."""
    size = int.from_bytes(content[16:18], "big")
    size = 65536 if size == 1 else size
    usable = size - content[20]
    pages = {1 + at // size: content[at : at + size] for at in range(0, len(content), size)}
    yield from _all_cells(pages, pages, usable)
    frames = dict(_frames(beside, size))
    yield from _all_cells(frames, pages | frames, usable)
    yield from _chains(pages | frames, usable)


def _frames(wal: bytes, size: int) -> Iterator[tuple[int, bytes]]:
    if wal[:4] in WAL_MAGICS:
        for at in range(32, len(wal) - size, size + 24):
            yield int.from_bytes(wal[at : at + 4], "big"), wal[at + 24 : at + 24 + size]


def _all_cells(wanted: Pages, pages: Pages, usable: int) -> Iterator[bytes]:
    for number, page in wanted.items():
        try:
            yield from _cells(page, 100 if number == 1 else 0, pages, usable)
        except IndexError:
            continue  # a free page, or one of another kind, that only begins like a tree's


def _cells(page: bytes, start: int, pages: Pages, usable: int) -> Iterator[bytes]:
    kind = page[start]
    if kind not in (LEAF_OF_A_TABLE, LEAF_OF_AN_INDEX, INSIDE_AN_INDEX):
        return
    count = int.from_bytes(page[start + 3 : start + 5], "big")
    first = start + (12 if kind == INSIDE_AN_INDEX else 8)
    for n in range(min(count, usable // 4)):
        at = int.from_bytes(page[first + 2 * n : first + 2 * n + 2], "big")
        yield _payload(page, at, kind, pages, usable)


def _payload(page: bytes, at: int, kind: int, pages: Pages, usable: int) -> bytes:
    at += 4 if kind == INSIDE_AN_INDEX else 0
    length, at = _varint(page, at)
    if kind == LEAF_OF_A_TABLE:
        _, at = _varint(page, at)
    local = _local(length, kind, usable)
    found = page[at : at + local]
    if local < length:
        found += _overflow(int.from_bytes(page[at + local : at + local + 4], "big"), length - local, pages, usable)
    return found


def _local(length: int, kind: int, usable: int) -> int:
    """How much of a payload stays in the cell (sqlite.org/fileformat2.html, 1.6)."""
    most = usable - 35 if kind == LEAF_OF_A_TABLE else (usable - 12) * 64 // 255 - 23
    if length <= most:
        return length
    least = (usable - 12) * 32 // 255 - 23
    kept = least + (length - least) % (usable - 4)
    return kept if kept <= most else least


def _overflow(number: int, left: int, pages: Pages, usable: int) -> bytes:
    found = b""
    while number in pages and left > 0 and len(found) < 2**24:
        page = pages[number]
        found += page[4 : min(usable, 4 + left)]
        left -= usable - 4
        number = int.from_bytes(page[:4], "big")
    return found


def _chains(pages: Pages, usable: int) -> Iterator[bytes]:
    """The seam between a page and the one it names as its next, whatever kind of page it was once."""
    for page in pages.values():
        after = pages.get(int.from_bytes(page[:4], "big"))
        if after is not None:
            yield page[usable - 400 : usable] + after[4:400]


def _varint(page: bytes, at: int) -> tuple[int, int]:
    value = 0
    for n in range(9):
        byte = page[at + n]
        if n == 8:
            return value << 8 | byte, at + 9
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + n + 1
    raise IndexError


def values(path: Path) -> Iterator[Any]:
    """Every value of every table, read from a copy with what lies beside it."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.db"
        for end in ("", "-wal", "-journal"):
            if (beside := path.with_name(path.name + end)).exists():
                shutil.copyfile(beside, copy.with_name(copy.name + end))
        connection = sqlite.module.connect(copy)
        connection.text_factory = bytes
        try:
            yield from _all_values(connection)
        except sqlite.module.DatabaseError:
            pass  # a copy that was torn in the making: its bytes are searched all the same
        finally:
            connection.close()


def _all_values(connection: Any) -> Iterator[Any]:
    tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    for (table,) in tables:
        for row in connection.execute(f'SELECT * FROM "{table.decode()}"'):
            yield from (cell for cell in row if cell is not None)
