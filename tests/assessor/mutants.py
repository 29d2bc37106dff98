"""Leaks planted in the product: each must be found by the suite it is named for in the tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.year.mutants import Change, change, changed
from zenv import crew, failures
from zenv.commands import order_papers
from zenv.connectors import http
from zenv.connectors.amazon import orders as amazon_orders
from zenv.ledger import backup, papers, recipients, redaction, restore
from zenv.privacy import KeyBook

_KEYS_FOUND = "    key_of = _keys_of(t, list(recipients))\n"
_FOR_EACH = _KEYS_FOUND + "    for order, who in recipients.items():\n        "
_COMMENT = ("t.sql.exec_driver_sql('INSERT OR IGNORE INTO order_comment (order_id, at, text) VALUES (?, ?, ?)',"
            " (order, '2026-01-01 00:00:00', {}))\n")  # fmt: skip
_NO_ADDRESS = 'raise Unreadable("Amazon gave no delivery address")'
_SEALED = "    if not recipients:\n        return\n"
_DESTROYED = "    book.keys.destroy([held.key_id for held in found if held.key_id])\n"
_DELETED = 'connection.executemany("DELETE FROM order_key WHERE key_id = ?", [(k,) for k in these])'
_EMPTIED = "        t.many(_empty, row)\n"
_RENAMED = "        unfinished.rename(target)\n"
_REPLACED = "            replaced = _swap(home, workshop / LEDGER, clock())\n"
_SPARE = ("keys = book.home / 'keys.db'\n        keys.exists() and __import__('shutil').copyfile(keys, "
          "target.with_suffix('.keys'))\n")  # fmt: skip
_FIRST = "if any(task.task == scheduler.REDACTION and task.connection_id is None for task in found):"


def _noted(value: str) -> tuple[Change, ...]:
    """`value` is written under each order whose person is kept."""
    return (change(recipients.keep, (_KEYS_FOUND, _FOR_EACH + _COMMENT.format(value))),)


def _when_kept(deed: str) -> tuple[Change, ...]:
    return (change(recipients.keep, (_KEYS_FOUND, _FOR_EACH + deed + "\n")),)


MUTANTS: dict[str, tuple[Change, ...]] = {
    "the name is written under the order": _noted("who.name"),
    "the name is written under the order in base64": _noted(
        "__import__('base64').b64encode(b'to ' + who.name.encode()).decode()"
    ),
    "the phone number is written under the order in base64 of UTF-16": _noted(
        "__import__('base64').b64encode(who.phone.encode('utf-16-le')).decode()"
    ),
    "an unreadable payload is quoted": (
        change(amazon_orders.recipient_fact, (_NO_ADDRESS, "raise Unreadable(f'no address for {payload[\"buyer\"]}')")),
    ),
    "a file is named after the person": _when_kept("(t.keys.path.parent / (who.name.split()[-1] + '.txt')).touch()"),
    "a file in clear lies about for a moment": _when_kept(
        "f = __import__('pathlib').Path(__import__('tempfile').gettempdir()) / 'x'; f.write_text(who.line1); f.unlink()"
    ),
    "a paper is kept in clear": (
        change(papers.keep, ("_write_whole(folder, name, sealed)", "_write_whole(folder, name, content)")),
    ),
    "a paper in clear lies about for a moment": (
        change(
            papers.keep,
            (
                "            _write_whole(folder, name, sealed)\n",
                "            _write_whole(folder, name, content)\n            os.unlink(name, dir_fd=folder)\n"
                "            _write_whole(folder, name, sealed)\n",
            ),
        ),
    ),
    "the log of requests holds the answer": (
        change(
            http.Wire._judge,
            ("    note = RemoteNote(", "    log.info('answer=%s', answer.body)\n    note = RemoteNote("),
        ),
    ),
    "the log of a bug holds its text": (
        change(failures.frames, ("yield type(link).__name__", "yield repr(link)")),
        change(amazon_orders.recipient_fact, (_NO_ADDRESS, "raise KeyError(dict(payload))")),
    ),
    "an answer in JSON shows the person unasked": (
        change(order_papers.is_wanted, ("return manner.terminal and", "return (manner.terminal or manner.json) and")),
    ),
    "an order's key lies in the ledger": _noted("t.keys._keys([key_of[order]])[0].hex()"),
    "the master key lies in the ledger": _noted("__import__('base64').b64encode(t.keys._master_key('')).decode()"),
    "a digest of the e-mail address lies in the ledger": _noted(
        "__import__('hashlib').sha256(who.email.lower().encode()).hexdigest()"
    ),
    "redaction removes the bytes and lets the key be": (change(redaction._redact, (_DESTROYED, "")),),
    "redaction puts the key somewhere else": (
        change(
            KeyBook.destroy,
            (
                _DELETED,
                f"(connection.execute('CREATE TABLE IF NOT EXISTS old AS SELECT * FROM order_key'), {_DELETED})[1]",
            ),
        ),
    ),
    "redaction keeps a copy": (
        change(
            redaction._redact,
            (
                _DESTROYED,
                "    with book.transaction() as t:\n"
                "        for order in [held.id for held in found]:\n"
                "            who = __import__('zenv.ledger.recipients', fromlist=['x'])"
                ".recipient(t.sql, book.keys, order)\n            "
                + _COMMENT.format("str(who.get('name'))")
                + _DESTROYED,
            ),
        ),
    ),
    "a backup holds the keys": (change(backup.make, (_RENAMED, f"{_RENAMED}        {_SPARE}")),),
    "restoring brings the keys back": (
        change(backup.make, (_RENAMED, f"{_RENAMED}        {_SPARE}")),
        change(
            restore.restore,
            (
                _REPLACED,
                f"{_REPLACED}            file.with_suffix('.keys').exists() and "
                "__import__('shutil').copyfile(file.with_suffix('.keys'), home / 'keys.db')\n",
            ),
        ),
    ),
    "redaction comes after everything else": (
        change(
            crew.Crew.start_one,
            (_FIRST, "if False:"),
            (
                "self._due(until)",
                "sorted((one for one in self._due(until) if one.connection_id or not self.at_work()),"
                " key=lambda one: one.connection_id is None)",
            ),
        ),
    ),
    "redaction clears the city": (
        change(
            redaction._redact,
            (_EMPTIED, f"{_EMPTIED}        t.sql.exec_driver_sql(\"UPDATE customer_order SET city = ''\")\n"),
        ),
    ),
    "redaction removes an order's row of personal data": (
        change(redaction._redact, (_EMPTIED, _EMPTIED + "        t.sql.exec_driver_sql('DELETE FROM personal')\n")),
    ),
}

BUGS: dict[str, tuple[Change, ...]] = {
    "a bug that carries the payload": (
        change(
            amazon_orders.recipient_fact,
            ("    address = part(", "    raise KeyError(dict(payload))\n    address = part("),
        ),
    ),
    "an error of the database that carries the person": (
        change(
            recipients.keep,
            (
                _SEALED,
                _SEALED + "    t.sql.exec_driver_sql('SELECT ? FROM nowhere', "
                "tuple(who.name for who in recipients.values())[:1])\n",
            ),
        ),
    ),
}
"""Errors that hold a person in their text, as a library's may: what zenv makes of them must not."""

NO_PAUSE = "no pause between two tries"
QUICKER = {NO_PAUSE: (change(http.Wire.back_off, ("random.uniform(0, min(LONGEST_BACK_OFF, 2.0**tries))", "0.01")),)}
"""No leak and no bug: the same, only sooner."""


@contextmanager
def planted(name: str) -> Iterator[None]:
    """The product with this leak or bug; without a name, the product."""
    with changed(*((MUTANTS | BUGS | QUICKER)[name] if name else ())):
        yield
