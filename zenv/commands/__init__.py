"""What the commands share: the session, the ledger opened for one of them, questions to a person.

A command parses, calls one operation in one transaction and returns a value (`zenv.output`). Questions are asked
at a terminal only; anywhere else a missing answer is an error that names all of what is missing.
"""

from __future__ import annotations

import dataclasses
import getpass
import logging
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from pathlib import Path
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer
from typer.core import TyperGroup

from zenv import output
from zenv.errors import BadInput, UsageError, ZenvError
from zenv.ledger.home import LEDGER
from zenv.output import Done, Manner, Record, Rows, Value

if TYPE_CHECKING:
    from zenv.ledger.book import Book
    from zenv.ledger.transaction import Transaction
    from zenv.ledger.views import Table
    from zenv.sync import How

NUMBERS: dict[str, Any] = {"ignore_unknown_options": True}
"""For commands that take a quantity, so that -3 is read as a number and not as an option."""


@dataclass(frozen=True)
class Session:
    """One command line: where the ledger is, who acts, how to speak."""

    home: Path
    actor: str
    manner: Manner


_session: ContextVar[Session] = ContextVar("session")


def begin(home: Path, actor: str, manner: Manner, verbose: bool) -> None:
    """Remember the global options for the command that follows."""
    _session.set(Session(home.expanduser(), actor or getpass.getuser(), manner))
    # What is to be told of a run stands in its result; without this Python would print warnings as well.
    logging.getLogger("zenv").addHandler(logging.NullHandler())
    if verbose:
        from zenv import privacy

        privacy.quiet_libraries()
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(message)s"))
        logging.getLogger("zenv").addHandler(handler)
        logging.getLogger("zenv").setLevel(logging.INFO)


def home() -> Path:
    """The folder of the ledger."""
    return _session.get().home


def actor() -> str:
    """Who acts, for the history."""
    return _session.get().actor


def manner() -> Manner:
    """How this command line wants to be answered."""
    return _session.get().manner


class Noun(TyperGroup):
    """A noun whose help says the whole first sentence of each verb."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(verb, command.get_short_help_str(200)) for verb, command in self.commands.items()])


def noun(help: str) -> typer.Typer:
    """The app of a noun whose verbs follow."""
    app = typer.Typer(help=help, no_args_is_help=True, cls=Noun)
    app.callback()(_group)
    return app


def _group() -> None:
    pass  # a callback keeps a noun with a single verb a noun


# --- the ledger -----------------------------------------------------------------------------------------------


@contextmanager
def opened(wait: float | None = None) -> Iterator[Book]:
    """The ledger, open for as long as the command runs. It waits `wait` seconds for its lock, but at least one: a
    commit of somebody else is no reason to give up."""
    from zenv.ledger.book import open_book

    with open_book(home(), _session.get().actor, busy_seconds=LOCK_S if wait is None else max(1.0, wait)) as book:
        yield book


@contextmanager
def talking(title: str, wait: int | None) -> Iterator[tuple[Book, How]]:
    """The ledger, and how the runs of a command go: a bar shows them, SIGTERM stops them between two steps, and they
    wait so many seconds for whoever is busy with the same."""
    with stoppable() as stop, opened(wait) as book, output.progress(title, manner()) as follow:
        yield book, {"progress": follow, "stop": stop, "deadline": monotonic() + (wait or 0)}


Wait = Annotated[
    int | None, typer.Option("--wait", metavar="SECONDS", help="How long to wait for whoever is busy with the same.")
]

LOCK_S = 10.0
"""How long a command waits for the lock of the ledger, unless it was told."""


@contextmanager
def stoppable() -> Iterator[Event]:
    """An event that SIGTERM sets, for what ends between two steps then; a second SIGTERM interrupts like Ctrl-C."""
    stop = Event()

    def told(*_: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = signal.signal(signal.SIGTERM, told)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def writing() -> Iterator[Transaction]:
    """One transaction in the ledger: all that the command changes. What it made a provider be owed is told at once."""
    with opened() as book:
        with book.transaction() as t:
            yield t
        tell_providers(book)


def tell_providers(book: Book) -> None:
    """Tell what is owed to providers, if anything is; what has to wait is a remark, no failure of the command."""
    from zenv.ledger.zfn import links

    with book.reading() as sql:
        if not links.owing(sql):
            return
    from zenv import handover

    for waits in handover.at_once(book):
        if not manner().quiet:
            output.remark(handover.in_words(waits))


def shown(table: Table, empty: str, *without: str) -> Rows:
    """A table of the ledger as a value, without the columns named."""
    kept = [index for index, name in enumerate(table.columns) if name not in without]
    return Rows([table.columns[i] for i in kept], [[row[i] for i in kept] for row in table.rows], empty)


def rows_of(values: Sequence[Any], kind: type, empty: str) -> Rows:
    """Frozen values of one kind as rows, a column per field."""
    columns = [field.name for field in dataclasses.fields(kind)]
    return Rows(columns, [[getattr(value, name) for name in columns] for value in values], empty)


def quietly(value: Value) -> Value:
    """The value, or nothing to say where --quiet was asked for, all is well, and no script reads it."""
    return Done("") if manner().quiet and not manner().json and value.trouble is None else value


def company() -> dict[str, Any]:
    """Whose ledger it is: name, country, time_zone, currency."""
    from zenv.ledger import views

    return views.company(home())


def time_zone() -> tzinfo:
    """The company's time zone; UTC while there is no ledger."""
    if _session.get(None) is None or not (home() / LEDGER).exists():
        return UTC
    return ZoneInfo(str(company()["time_zone"]))


def remind(manner: Manner) -> None:
    """At a terminal, one line on stderr that says how much waits for a person."""
    if not manner.terminal or manner.quiet or not sys.stderr.isatty():
        return
    if _session.get(None) is None or not (home() / LEDGER).exists():
        return
    from zenv.ledger import views

    try:
        waiting = views.inbox_count(home())
    except ZenvError as trouble:  # the command itself went well, so its exit code stands
        output.remark(f"zenv: the inbox could not be read: {trouble.message}")
        return
    if waiting:
        output.remark(f"{some(waiting, 'thing')} waiting for you: zenv inbox")


# --- questions ------------------------------------------------------------------------------------------------


def at_terminal() -> bool:
    """Whether a person can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty() and not manner().json


def ask(question: str, default: str | None = None, *, hidden: bool = False) -> str:
    """A line from the person at the terminal; `hidden` does not show what is typed."""
    answer = typer.prompt(question, default=default, hide_input=hidden, err=True)
    return str(answer).strip()


def answers(given: Mapping[str, str | None], questions: Mapping[str, tuple[str, str | None]]) -> dict[str, str]:
    """The options given, and the answers to `questions` (option -> sentence, default) for those that are not.

    Without a terminal, all options that are still missing are named in one UsageError.
    """
    missing = [option for option in questions if not given.get(option)]
    if missing and not at_terminal():
        raise UsageError(f"Missing: {', '.join(missing)}.", "Give these options, or run the command at a terminal.")
    asked = {option: ask(*questions[option]) for option in missing}
    return {option: str(given.get(option) or asked[option]) for option in questions}


def confirmed(preview: Value, question: str, yes: bool) -> bool:
    """Whether to go on: --yes, or the person's answer after seeing the preview."""
    if yes:
        return True
    if not at_terminal():
        return False
    output.show(preview, manner(), time_zone)
    return typer.confirm(question, err=True)


def unconfirmed(preview: Value) -> Value:
    """The answer of a command that was not confirmed: a script learns it from the exit code."""
    if at_terminal():
        return Done("Nothing was booked.")
    return dataclasses.replace(preview, trouble=UsageError("Nothing was booked yet.", "Add --yes to book it."))


def stdin_fields(allowed: Mapping[str, str] | tuple[str, ...]) -> dict[str, str]:
    """`name=value` lines from stdin, for what must not stand on a command line (it shows in `ps` and histories)."""
    fields: dict[str, str] = {}
    for number, line in enumerate(sys.stdin.read().splitlines(), start=1):
        name, sign, value = line.partition("=")
        if not line.strip():
            continue
        if not sign or name.strip() not in allowed:  # the line itself is not repeated: it may hold a secret
            raise BadInput(f"Line {number} of stdin is not NAME=VALUE with one of: {', '.join(allowed)}.")
        fields[name.strip()] = value.strip()
    return fields


def some(count: int, what: str) -> str:
    """A count with its noun: 1 line, 2 lines."""
    return f"{count} {what}{'' if count == 1 else 's'}"


# --- values from words ----------------------------------------------------------------------------------------


def pairs(words: list[str] | None, what: str) -> dict[str, str]:
    """`NAME=VALUE` words as a mapping; `what` names the option in an error."""
    found: dict[str, str] = {}
    for word in words or ():
        name, sign, value = word.partition("=")
        if not sign or not name.strip():
            raise BadInput(f"{what} {word!r} is not NAME=VALUE.")
        found[name.strip()] = value.strip()
    return found


def quantities(words: list[str] | None, what: str) -> dict[str, int] | None:
    """`SKU=QUANTITY` words (a SKU may hold a =); None when there are none, which means everything."""
    found: dict[str, int] = {}
    for word in words or ():
        sku, sign, count = word.rpartition("=")
        if not sign or not sku:
            raise BadInput(f"{what} {word!r} is not SKU=QUANTITY.")
        found[sku] = found.get(sku, 0) + whole(count, what)
    return found or None


def whole(text: str, what: str) -> int:
    """A whole number from text; raises BadInput naming `what`."""
    try:
        return int(text)
    except ValueError:
        raise BadInput(f"{what}: {text!r} is not a whole number.") from None


def length_of_time(text: str) -> timedelta:
    """A length of time from text such as 90s, 5m, 2h or 1d. Raises BadInput."""
    units = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
    number, unit = text[:-1], text[-1:]
    if unit not in units or not number.isdecimal() or len(number) > 6:
        raise BadInput(f"{text!r} is not a length of time such as 90s, 5m or 2h.")
    return timedelta(**{units[unit]: int(number)})


def moment(text: str, day_begins: bool = False) -> datetime:
    """An aware time from ISO 8601 text. Without a zone it is the company's; a day alone is its last moment, or its
    first."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise BadInput(f"{text!r} is not a time such as 2026-11-22 or 2026-11-22T14:30.") from None
    if not {"T", "t", " ", ":"} & set(text.strip()):
        when = datetime.combine(when.date(), time.min if day_begins else time.max)
    zone = when.tzinfo or time_zone()
    return when.replace(tzinfo=zone).astimezone(UTC)


__all__ = ["Done", "Record", "Rows", "Value"]
