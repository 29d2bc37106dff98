"""Orders from a file, a command line or a person: words become new orders, problems keep their line numbers."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from zenv import commands
from zenv.errors import BadInput, NeedsAttention, NotFound, Refused, ZenvError
from zenv.facts import PERSONAL_FIELDS, RecipientFact
from zenv.ledger.item_files import LineProblem, plain, read_amount
from zenv.ledger.orders import NewLine, NewOrder, create_order
from zenv.output import Record, Rows

if TYPE_CHECKING:
    from zenv.ledger.book import Book
    from zenv.ledger.transaction import Transaction

PLACE_FIELDS = ("city", "region", "postcode", "country")
PERSON = (*PERSONAL_FIELDS, *PLACE_FIELDS)
REQUIRED = ("number", "sku", "quantity")
COLUMNS = (*REQUIRED, "price", "ship_by", *PERSON)


@dataclass
class OrderSheet:
    """A file that was read: orders with the line each begins on, and what is wrong with other lines."""

    orders: dict[str, tuple[int, NewOrder]] = field(default_factory=dict)
    problems: list[LineProblem] = field(default_factory=list)


class _RolledBack(Exception):
    """Ends the transaction of a preview, so that nothing of it is kept."""


def new_line(word: str, currency: str) -> NewLine:
    """`SKU=UNITS` or `SKU=UNITS@PRICE` as a line; the price is for the line, in the company's currency."""
    sku, sign, rest = word.rpartition("=")
    units, at, price = rest.partition("@")
    if not sign or not sku:
        raise BadInput(f"--line {word!r} is not SKU=UNITS or SKU=UNITS@PRICE.")
    return NewLine(sku, commands.whole(units, "--line"), read_amount(price, currency) if at else None)


def ask_recipient(order: str) -> RecipientFact:
    """The recipient from the person at the terminal, or from NAME=VALUE lines on stdin; never from arguments."""
    if not commands.at_terminal():
        return RecipientFact(order, **commands.stdin_fields(PERSON))
    return RecipientFact(order, **{name: commands.ask(name.replace("_", " "), default="") for name in PERSON})


# --- the file -------------------------------------------------------------------------------------------------


def read(path: Path, currency: str) -> OrderSheet:
    """Read a file of orders, separated by comma, semicolon or tab under a header. Raises NotFound, BadInput."""
    sheet = OrderSheet()
    broken: set[str] = set()
    for line_number, cells in _lines(sheet, _text(path)):
        number = cells["number"]
        try:
            _add(sheet, line_number, cells, currency)
        except BadInput as wrong:
            broken.add(number)
            sheet.problems.append(LineProblem(line_number, wrong.message))
    for number in broken & sheet.orders.keys():
        line_number, _ = sheet.orders.pop(number)
        sheet.problems.append(LineProblem(line_number, f"order {number} is left out, because a line of it is wrong"))
    sheet.problems.sort(key=lambda problem: problem.line_number)
    return sheet


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise NotFound(f"{path} cannot be read: {error.strerror}.") from None
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise BadInput(f"{path.name} is neither UTF-8 nor Windows-1252 text.", "Save the sheet as CSV (UTF-8).")


def _lines(sheet: OrderSheet, text: str) -> Iterator[tuple[int, dict[str, str]]]:
    """The cells of each record with the number of the line it begins on; broken ones become problems."""
    header, _, _ = text.lstrip("\r\n").partition("\n")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count), strict=True)
    columns = _columns(reader)
    while True:
        begins = reader.line_num + 1
        try:
            record = [plain(cell) for cell in next(reader)]
        except StopIteration:
            return
        except csv.Error as error:
            sheet.problems.append(LineProblem(begins, f"a quotation mark is out of place ({error})"))
            continue
        if len(record) > len(columns):
            said = f"it has {len(record)} cells where the header has {len(columns)}"
            sheet.problems.append(LineProblem(begins, said))
        elif any(record):
            cells = dict(zip(columns, record, strict=False))
            yield begins, {name: cells.get(name, "") for name in COLUMNS}


def _columns(reader: Iterator[list[str]]) -> list[str]:
    try:
        columns = [plain(cell).lower().replace(" ", "_") for cell in next(reader, [])]
    except csv.Error as error:
        raise BadInput(f"The first line of the file is not CSV ({error}).") from None
    missing = [name for name in REQUIRED if name not in columns]
    if missing:
        raise BadInput(f"The file has no column {', '.join(missing)}.", "Known columns: " + ", ".join(COLUMNS))
    return columns


def _add(sheet: OrderSheet, line_number: int, cells: dict[str, str], currency: str) -> None:
    number = cells["number"]
    if not number or not cells["sku"]:
        raise BadInput("the number or the SKU is empty")
    price = read_amount(cells["price"], currency) if cells["price"] else None
    line = NewLine(cells["sku"], commands.whole(cells["quantity"], "quantity"), price)
    if line.quantity <= 0:
        raise BadInput(f"{line.quantity} is not a sensible number of units")
    begun, order = sheet.orders.get(number) or (line_number, _new_order(number, cells, currency))
    lines = [*order.lines, line]
    sheet.orders[number] = (begun, NewOrder(lines, number, currency, order.ship_by, order.recipient))


def _new_order(number: str, cells: dict[str, str], currency: str) -> NewOrder:
    person = {name: cells[name] for name in PERSON if cells[name]}
    due = commands.moment(cells["ship_by"]) if cells["ship_by"] else None
    return NewOrder([], number, currency, due, RecipientFact(number, **person) if person else None)


# --- into the books -------------------------------------------------------------------------------------------


def outcome(book: Book, sheet: OrderSheet, *, keep: bool) -> Record:
    """Write the good orders in one transaction, or see what would come of it and take it all back."""
    problems = list(sheet.problems)
    counts = {"orders": 0, "units": 0, "already_there": 0}
    with suppress(_RolledBack), book.transaction() as t:
        for line_number, order in sheet.orders.values():
            _write(t, line_number, order if keep else replace(order, recipient=None), counts, problems)
        if not keep:
            raise _RolledBack
    rows = [(problem.line_number, problem.reason) for problem in sorted(problems, key=lambda p: p.line_number)]
    trouble = NeedsAttention(f"{commands.some(len(rows), 'line')} left out.", "Mend them and import the file again.")
    return Record(counts, {"problems": Rows(("line", "reason"), rows, "None.")}, trouble if rows and keep else None)


def _write(
    t: Transaction, line_number: int, order: NewOrder, counts: dict[str, int], problems: list[LineProblem]
) -> None:
    try:
        with t.sql.begin_nested():
            create_order(t, order)
    except Refused:
        counts["already_there"] += 1
    except ZenvError as wrong:
        problems.append(LineProblem(line_number, f"order {order.number}: {wrong.message}"))
    else:
        counts["orders"] += 1
        counts["units"] += sum(line.quantity for line in order.lines)
