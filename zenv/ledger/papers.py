"""Papers of orders: slips and labels, sealed under their order's own key, a file each in HOME/labels.

First the file, then the row that names it: what a kill leaves between the two is a file that nobody can find, and
`sweep` removes it. Names are made here; nothing a remote or a person calls a file ever becomes a path. Backups do not
hold the folder: a slip is made anew, and a carrier's label is printed before its package leaves.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Literal

from sqlalchemy import ColumnElement, Connection, and_, select

from zenv.errors import BadInput, DiskTrouble, NotFound, Refused, SettingsError
from zenv.ledger import recipients
from zenv.ledger.book import Book
from zenv.ledger.home import LABELS
from zenv.ledger.models import Paper, Personal
from zenv.ledger.transaction import AnyRow, Transaction, among, row, table
from zenv.privacy import give_to_owner_of, private_folder

papers, personal = table(Paper), table(Personal)

Kind = Literal["packing_slip", "address_label", "carrier_label"]
MOST_BYTES = 5 * 1024 * 1024
NO_DIGEST = bytes(32)
"""Stands before the content of a paper that was not made here."""

_SEALED = re.compile(r"[0-9a-f]{32}\.sealed")
_UNFINISHED = re.compile(r"\.[0-9a-f]{32}\.sealed")
_TYPES = ((b"%PDF-", "pdf"), (b"\x89PNG\r\n\x1a\n", "png"), (b"GIF87a", "gif"), (b"GIF89a", "gif"),
          (b"\xff\xd8\xff", "jpeg"))  # fmt: skip


def type_of(content: bytes) -> str:
    """What a file is by its first bytes, whatever it is called. BadInput for what is no label."""
    if not content:
        raise BadInput("The file is empty; nothing was kept.")
    if len(content) > MOST_BYTES:
        raise BadInput(f"The file is larger than {MOST_BYTES // 1024 // 1024} MiB; nothing was kept.")
    if content.lstrip().startswith(b"^XA"):  # text, which may begin with blank lines
        return "zpl"
    for mark, found in _TYPES:
        if content.startswith(mark):
            return found
    raise BadInput("The file is not a label: its content is neither PDF, PNG, GIF, JPEG nor ZPL; nothing was kept.")


def keep(book: Book, order: int, shipment: int | None, kind: Kind, content: bytes, made_of: bytes = NO_DIGEST) -> int:
    """Keep a paper of an order, or of one of its packages; its number. What zenv made before in its place goes.

    `made_of` is a digest of what it was made of. Refused when the order is redacted.
    """
    found, name = type_of(content), f"{os.urandom(16).hex()}.sealed"
    with book.transaction() as t:
        sealed = t.keys.seal_bytes(recipients.key_of(t, order), made_of + content, _place(name))
        with _folder(book) as folder:
            _write_whole(folder, name, sealed)
        before = [] if kind == "carrier_label" else _let_go(t, _in_place(order, shipment, kind))
        about = row(Paper, order_id=order, shipment_id=shipment, kind=kind, type=found, bytes=len(content), file=name,
                    made_at=t.now, made_by=t.actor)  # fmt: skip
        number = int(t.sql.execute(papers.insert().returning(papers.c.id), about).scalar_one())
    _unlink(book, before)
    return number


def open_paper(book: Book, paper: int) -> bytes:
    """What was kept. NotFound for a paper that never was, Refused for one that was destroyed."""
    return open_whole(book, paper)[1]


def open_whole(book: Book, paper: int) -> tuple[bytes, bytes]:
    """The digest of what a paper was made of, and the paper."""
    with book.reading() as sql:
        found = sql.execute(
            select(papers, personal.c.key_id)
            .join(personal, personal.c.order_id == papers.c.order_id)
            .where(papers.c.id == paper)
        ).one_or_none()
    if found is None:
        raise NotFound(f"There is no paper {paper}.", "zenv orders label list NUMBER")
    if not found.file:
        raise Refused(f"Paper {paper} was destroyed.", "zenv orders label list NUMBER")
    opened = book.keys.open_bytes(found.key_id, _read(book, found.file, paper), _place(found.file))
    return opened[: len(NO_DIGEST)], opened[len(NO_DIGEST) :]


def list_(sql: Connection, order: int) -> list[AnyRow]:
    """All papers an order ever had, oldest first; those that were destroyed have no file."""
    return list(sql.execute(select(papers).where(papers.c.order_id == order).order_by(papers.c.id)))


def newest(sql: Connection, order: int, shipment: int | None, kind: Kind) -> int | None:
    """The paper of this kind that was kept last and is there."""
    query = select(papers.c.id).where(_in_place(order, shipment, kind)).order_by(papers.c.id.desc()).limit(1)
    return sql.execute(query).scalar_one_or_none()


def digest(text: str) -> bytes:
    """What `made_of` is made with."""
    return hashlib.sha256(text.encode()).digest()


def destroy(book: Book, order_ids: Iterable[int]) -> int:
    """Remove the papers of orders whose key is gone; how many. A kill half-way leaves files that nobody can open, and
    `sweep` removes them."""
    with book.transaction() as t:
        files = _let_go(t, and_(among(papers.c.order_id, order_ids), papers.c.file != ""))
    _unlink(book, files)
    return len(files)


def sweep(book: Book) -> tuple[int, int]:
    """Remove files that no paper names, and say of papers without their file that they are gone; how many of each."""
    with book.transaction() as t:  # under the write lock nobody is between a file and its row
        named = set(t.sql.execute(select(papers.c.file).where(papers.c.file != "")).scalars())
        there = _all_files(book)
        orphans = [name for name in there if name not in named]
        _unlink(book, orphans)
        lost = _let_go(t, among(papers.c.file, named - set(there)))
    return len(orphans), len(lost)


def _let_go(t: Transaction, these: ColumnElement[bool]) -> list[str]:
    """Mark papers as destroyed; the names of their files."""
    files = list(t.sql.execute(select(papers.c.file).where(these)).scalars())
    t.sql.execute(papers.update().where(among(papers.c.file, files)).values(file="", destroyed_at=t.now))
    return files


def _in_place(order: int, shipment: int | None, kind: Kind) -> ColumnElement[bool]:
    package = papers.c.shipment_id.is_(None) if shipment is None else papers.c.shipment_id == shipment
    return and_(papers.c.order_id == order, package, papers.c.kind == kind, papers.c.file != "")


# --- files ----------------------------------------------------------------------------------------------------


@contextmanager
def _folder(book: Book) -> Iterator[int]:
    """The folder of papers, open: what is done in it is done there, whatever its path becomes meanwhile."""
    path = private_folder(book.home / LABELS)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise SettingsError(f"The folder {path} cannot be opened: {error.strerror}.") from None
    try:
        give_to_owner_of(book.home, descriptor)
        yield descriptor
    except OSError as error:
        why = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else error.strerror
        raise DiskTrouble(f"The folder {path} failed: {why}. Nothing was changed.", "Make room.") from None
    finally:
        os.close(descriptor)


def _write_whole(folder: int, name: str, content: bytes) -> None:
    """A file that is there whole or not at all, and on the disk before this returns."""
    unfinished = f".{name}"
    descriptor = os.open(
        unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder
    )
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        os.rename(unfinished, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        with suppress(FileNotFoundError):
            os.unlink(unfinished, dir_fd=folder)
        raise
    os.fsync(folder)


def _read(book: Book, name: str, paper: int) -> bytes:
    with _folder(book) as folder:
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        except FileNotFoundError:
            raise NotFound(f"The file of paper {paper} is gone.", "Attach the label again, or print it anew.") from None
        with open(descriptor, "rb") as file:
            return file.read()


def _all_files(book: Book) -> list[str]:
    """What lies in the folder and was named here."""
    if not (book.home / LABELS).is_dir():
        return []
    with _folder(book) as folder:
        return [name for name in os.listdir(folder) if _SEALED.fullmatch(name) or _UNFINISHED.fullmatch(name)]


def _unlink(book: Book, names: list[str]) -> None:
    if not names:
        return
    with _folder(book) as folder:
        for name in names:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=folder)
        os.fsync(folder)


def _place(name: str) -> str:
    return f"paper|{name}"
