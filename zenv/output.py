"""The one place that shows: a command returns a value, and here it becomes a table, lines, or JSON.

At a terminal tables are drawn by rich (up to `DRAWN` rows: rich costs 0.3 ms a row) and times are the company's
own; in a pipe there are tab-separated lines under a header and times in UTC; `--json` is one document with a
version, for failures too. What a column means follows from its name, the same in every view. Text from outside is
data: never markup, and without control characters.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any, Literal

from zenv import failures
from zenv.errors import ZenvError
from zenv.money import amount

ENVELOPE = 1
"""The version of the JSON document; it rises when a script that reads it would break."""

DRAWN = 200
INTERRUPTED = failures.INTERRUPTED

MONEY = frozenset({"unit_cost", "price", "tax", "total"})
"""Columns in minor units of the row's `currency`."""

FLAGS = frozenset({"active", "sandbox", "with_fulfilled", "high_frequency", "adopt_new", "late", "here", "shared",
                   "administrator", "may_edit_picked"})  # fmt: skip
DOCUMENTS = frozenset({"attributes"})
PROSE = frozenset({"name", "text", "note", "reason", "term", "see", "command", "attributes", "city", "subject", "why"})
"""Columns that may be broken into lines when a table is wider than the terminal, as times may; identities may not."""

NARROWEST = 12
FEWEST = 3
TIME = re.compile(r"(^|_)at$|^(ship|deliver)_by$")

_CONTROL: dict[int, str | None] = {ord(character): " " for character in "\t\n\r"}
for _range in (range(9), range(11, 32), range(127, 160), range(0x202A, 0x202F), range(0x2066, 0x206A)):
    _CONTROL |= {code: None for code in _range if code not in _CONTROL}


@dataclass(frozen=True)
class Manner:
    """How to speak: a JSON document, silence when all is well, a person at a terminal."""

    json: bool = False
    quiet: bool = False
    terminal: bool = False

    @classmethod
    def now(cls, *, json: bool, quiet: bool) -> Manner:
        """The manner that was asked for, on the stdout that there is."""
        return cls(json, quiet, sys.stdout.isatty() and not json)


@dataclass(frozen=True)
class Rows:
    """Rows under named columns. `empty` is what a person reads when there are none; in `grouped` rows the first
    column is a title that a person reads once."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    empty: str = "Nothing to show."
    trouble: ZenvError | None = None
    grouped: bool = False


@dataclass(frozen=True)
class Record:
    """One thing: its fields (a person may be among them), and the tables that belong to it under their titles."""

    fields: Mapping[str, Any] = field(repr=False)
    parts: Mapping[str, Rows] = field(default_factory=dict)
    trouble: ZenvError | None = None


@dataclass(frozen=True)
class Done:
    """Something was done: a sentence for people, fields for scripts."""

    sentence: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    trouble: ZenvError | None = None


@dataclass(frozen=True)
class Content:
    """A file for stdout, byte by byte; the command has seen to it that this is a pipe."""

    content: bytes = field(repr=False)
    trouble: ZenvError | None = None


Value = Rows | Record | Done | Content


def show(value: Value | None, manner: Manner, zone: Callable[[], tzinfo]) -> int:
    """Show what a command returned and give the exit code: that of its `trouble`, if any."""
    if value is None:
        return 0
    if isinstance(value, Content):
        sys.stdout.flush()
        sys.stdout.buffer.write(value.content)
        return 0
    if manner.json:
        _print_json(value)
    elif not (manner.quiet and _all_is_well(value)):
        for line in _lines(value, manner, zone() if manner.terminal else UTC):
            print(line)
    if value.trouble is None:
        return 0
    if not manner.json:
        _complain(value.trouble)
    return value.trouble.exit_code


def show_error(error: BaseException, manner: Manner, *, verbose: bool) -> int:
    """Say what went wrong (stderr, or the JSON document) and give the exit code."""
    if verbose and not isinstance(error, ZenvError):
        print("\n".join(failures.frames(error)), file=sys.stderr)
    plain = failures.plain(error)
    if plain is None:
        return INTERRUPTED
    if manner.json:
        print(json.dumps({"zenv": ENVELOPE, "ok": False, "error": _error_fields(plain)}, ensure_ascii=False))
    else:
        _complain(plain)
    return plain.exit_code


def _complain(error: ZenvError) -> None:
    print(f"zenv: {clean(error.message)}", file=sys.stderr)
    for line in error.hint.splitlines():
        print(f"      {clean(line)}", file=sys.stderr)


def _error_fields(error: ZenvError) -> dict[str, Any]:
    return {
        "kind": type(error).__name__,
        "message": clean(error.message),
        "hint": clean(error.hint),
        "exit_code": error.exit_code,
    }


def _all_is_well(value: Value) -> bool:
    """Whether --quiet has nothing to say: nothing went wrong and nothing was found."""
    if value.trouble is not None:
        return False
    return isinstance(value, Done) or (isinstance(value, Rows) and not value.rows)


# --- JSON -----------------------------------------------------------------------------------------------------


def _print_json(value: Value) -> None:
    document: dict[str, Any] = {"zenv": ENVELOPE, "ok": value.trouble is None, "data": _data(value)}
    if value.trouble is not None:
        document["error"] = _error_fields(value.trouble)
    print(json.dumps(document, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None))


def _data(value: Value) -> Any:
    match value:
        case Rows(columns=columns, rows=rows):
            return [{name: as_json(name, cell) for name, cell in zip(columns, row, strict=True)} for row in rows]
        case Record(fields=fields, parts=parts):
            told = {name: as_json(name, cell) for name, cell in fields.items()}
            return told | {title.replace(" ", "_"): _data(part) for title, part in parts.items()}
        case Done(sentence=sentence, fields=fields):
            return {"message": clean(sentence)} | {name: as_json(name, cell) for name, cell in fields.items()}


def as_json(column: str, cell: Any) -> Any:
    """A cell for a script: money stays in minor units, times are ISO 8601 in UTC, flags are booleans."""
    read = meaning(column, cell)
    if isinstance(read, datetime):
        return read.isoformat(timespec="seconds").replace("+00:00", "Z")
    if isinstance(read, Mapping):
        return {name: as_json(name, part) for name, part in read.items()}
    if isinstance(read, (list, tuple)):
        return [as_json("", part) for part in read]
    return read if read is None or isinstance(read, (bool, int, float)) else clean(str(read))


def meaning(column: str, cell: Any) -> Any:
    """The cell as what its column says it is; as it stands where it is not (anyone may name a column in SQL)."""
    if isinstance(cell, datetime) or (isinstance(cell, str) and TIME.search(column)):
        return _moment(cell)
    if column in FLAGS and cell in (0, 1):
        return bool(cell)
    if column in DOCUMENTS and isinstance(cell, str):
        return _document(cell)
    return cell


def _moment(cell: datetime | str) -> datetime | str:
    """An aware time: views keep UTC, and SQLite hands it over as text without a zone."""
    try:
        time = cell if isinstance(cell, datetime) else datetime.fromisoformat(cell)
    except ValueError:
        return cell if isinstance(cell, str) else ""
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


def _document(cell: str) -> Any:
    try:
        return json.loads(cell)
    except ValueError:
        return cell


# --- text -----------------------------------------------------------------------------------------------------


def _lines(value: Value, manner: Manner, zone: tzinfo) -> Iterator[str]:
    match value:
        case Done(sentence=""):
            return
        case Done(sentence=sentence):
            yield clean(sentence)
        case Rows():
            yield from _table(value, manner, zone)
        case Record(fields=fields, parts=parts):
            yield from _fields(fields, manner, zone)
            for title, part in parts.items():
                yield ""
                yield _bold(title, manner)
                yield from _table(part, manner, zone)


def _fields(fields: Mapping[str, Any], manner: Manner, zone: tzinfo) -> Iterator[str]:
    texts = {name: as_text(name, cell, fields.get("currency"), manner, zone) for name, cell in fields.items()}
    if not manner.terminal:
        yield from (f"{name}\t{text}" for name, text in texts.items())
        return
    beside = "currency" if MONEY & texts.keys() else None
    shown = {name.replace("_", " "): text for name, text in texts.items() if text and name != beside}
    width = max(map(len, shown), default=0)
    yield from (f"{_bold(name.ljust(width), manner)}  {text}" for name, text in shown.items())


def _table(value: Rows, manner: Manner, zone: tzinfo) -> Iterator[str]:
    if manner.terminal and not value.rows:
        yield clean(value.empty)
        return
    money = value.columns.index("currency") if "currency" in value.columns else None
    texts = [
        [
            as_text(name, cell, None if money is None else row[money], manner, zone)
            for name, cell in zip(value.columns, row, strict=True)
        ]
        for row in value.rows
    ]
    if not manner.terminal:
        yield "\t".join(value.columns)
        yield from ("\t".join(row) for row in texts)
        return
    yield from _aligned(value, texts) if len(texts) > DRAWN else _drawn(value, texts)


def _kept(value: Rows, texts: list[list[str]]) -> list[int]:
    """The columns worth a person's width: those with something in them. A currency stands beside its amounts."""
    beside = "currency" if MONEY & set(value.columns) else None
    filled = (index for index in range(len(value.columns)) if any(row[index] for row in texts))
    return [index for index in filled if value.columns[index] != beside]


def _right(value: Rows, index: int) -> bool:
    """Whether a column is numbers, and so stands at the right."""
    numbers = all(isinstance(row[index], (int, float)) or row[index] is None for row in value.rows)
    return numbers and value.columns[index] not in FLAGS


def _aligned(value: Rows, texts: list[list[str]]) -> Iterator[str]:
    kept = _kept(value, texts)
    widths = {index: max(len(value.columns[index]), *(len(row[index]) for row in texts)) for index in kept}
    right = {index: _right(value, index) for index in kept}
    for row in ([name.replace("_", " ") for name in value.columns], *texts):
        cells = (row[i].rjust(widths[i]) if right[i] else row[i].ljust(widths[i]) for i in kept)
        yield "  ".join(cells).rstrip()


def _drawn(value: Rows, texts: list[list[str]]) -> Iterator[str]:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    console = Console(highlight=False, markup=False, emoji=False)
    kept, left_out = _fitting(value, texts, console.width)
    roomy = _needed(value, texts, kept) <= console.width
    for index in kept:
        name = value.columns[index]
        whole = roomy and not _may_break(name)
        justify: Literal["right", "left"] = "right" if _right(value, index) else "left"
        table.add_column(Text(name.replace("_", " ")), justify=justify, overflow="fold", no_wrap=whole)
    for row in _said_once(texts) if value.grouped else texts:
        table.add_row(*(Text(row[index]) for index in kept))
    with console.capture() as drawn:
        console.print(table)
    yield drawn.get().rstrip("\n")
    if left_out:
        yield f"(a wider terminal also shows: {', '.join(value.columns[index] for index in left_out)})"


def _fitting(value: Rows, texts: list[list[str]], width: int) -> tuple[list[int], list[int]]:
    """The columns that fit a terminal, and those left out: from the right, because the left ones matter most."""
    kept = _kept(value, texts)
    count = len(kept)
    while count > FEWEST and _needed(value, texts, kept[:count]) > width:
        count -= 1
    return kept[:count], kept[count:]


def _needed(value: Rows, texts: list[list[str]], kept: list[int]) -> int:
    """The width of a table whose prose is broken as short as it may be."""
    widest = {index: max(len(value.columns[index]), *(len(row[index]) for row in texts)) for index in kept}
    broken = {index for index in kept if _may_break(value.columns[index])}
    return sum(min(NARROWEST, width) if index in broken else width for index, width in widest.items()) + 2 * len(kept)


def _may_break(column: str) -> bool:
    return column in PROSE or bool(TIME.search(column))


def _said_once(texts: list[list[str]]) -> Iterator[list[str]]:
    title = None
    for first, *rest in texts:
        yield ["" if first == title else first, *rest]
        title = first


def _bold(text: str, manner: Manner) -> str:
    return f"\x1b[1m{text}\x1b[0m" if manner.terminal and colours() else text


def colours() -> bool:
    """Whether a terminal may be coloured (no-color.org)."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def as_text(column: str, cell: Any, currency: Any, manner: Manner, zone: tzinfo) -> str:
    """A cell for the eye, and for a spreadsheet when it is not a terminal."""
    read = meaning(column, cell)
    if read is None or isinstance(read, bool):
        return {None: "", True: "yes", False: "no"}[read]
    if isinstance(read, datetime):
        return f"{read.astimezone(zone):%Y-%m-%d %H:%M}" if manner.terminal else str(as_json(column, read))
    if column in MONEY and isinstance(read, int) and currency:
        return f"{amount(read, currency)} {currency}" if manner.terminal else amount(read, currency)
    if isinstance(read, Mapping):
        return ", ".join(clean(f"{name}={part}") for name, part in read.items())
    if isinstance(read, (list, tuple)):
        return ", ".join(clean(str(part)) for part in read)
    return clean(str(read))


def clean(text: str) -> str:
    """The text without what could move the cursor, change colours, or turn the reading direction."""
    return text.translate(_CONTROL)


# --- beside the answer ----------------------------------------------------------------------------------------


def remark(sentence: str) -> None:
    """One line on stderr, in the colour of things that wait."""
    text = clean(sentence)
    coloured = colours() and sys.stderr.isatty()
    print(f"\x1b[38;5;208m{text}\x1b[0m" if coloured else text, file=sys.stderr)


@contextmanager
def progress(title: str, manner: Manner) -> Iterator[Callable[[str, int, int | None], None] | None]:
    """A bar on stderr that follows (what, done, of how many), or None when nobody watches."""
    if not (manner.terminal and sys.stderr.isatty()) or manner.quiet:
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(clean(title), total=None)

        def follow(what: str, done: int, total: int | None) -> None:
            if what != bar.tasks[0].description:
                bar.reset(task, description=clean(what), total=None)
            bar.tasks[0].total = total  # `update` would keep the total of what came before
            bar.update(task, completed=done)

        yield follow
