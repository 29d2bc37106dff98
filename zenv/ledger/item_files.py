"""Item files become a sheet: good lines beside the problems of the bad ones, each with its line number.

Reading books nothing and looks nothing up; what a sheet would change is worked out by `zenv.ledger.catalog`.
A cell that is empty says nothing, so a file with two columns changes two columns.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

from zenv.errors import BadInput, NotFound
from zenv.facts import BadRecord, ListingFact
from zenv.ledger.gtin import is_gtin, read_gtin
from zenv.ledger.stock import MOST_UNITS
from zenv.money import minor_digits
from zenv.privacy import strip_control

COLUMNS = ("sku", "gtin", "name", "parent", "attributes", "unit_cost", "weight", "active", "quantity")
ATTRIBUTE = "attribute:"
HEAVIEST_GRAMS = 100_000_000
DEAREST_MINOR = 10**15
"""A hundred tonnes, and ten trillion of a currency with cents: beyond that it is a slip of the keyboard."""


@dataclass(frozen=True)
class ItemLine:
    """What one line says of one item. `values` holds only what it says, under the names of `catalog.NewItem`;
    attributes are added to those the item has. `quantity` is the first stock of an item that is new."""

    line_number: int
    sku: str
    values: Mapping[str, Any]
    quantity: int | None = None


@dataclass(frozen=True)
class LineProblem:
    """Why a line, or a part of it, is not booked. The header is line 1, as in an editor."""

    line_number: int
    reason: str


@dataclass(frozen=True)
class Sheet:
    """A file that was read."""

    lines: list[ItemLine] = field(default_factory=list)
    problems: list[LineProblem] = field(default_factory=list)


def read_items_csv(path: Path, currency: str) -> Sheet:
    """Read a file of items: columns by name, `sku` required, separated by comma, semicolon or tab.

    The columns are those of COLUMNS, and `attribute:NAME` for one attribute each. `attributes` reads
    `color=red;size=L`, `unit_cost` is an amount of `currency`, `weight` is in grams unless it names kg, g,
    lb or oz. Raises NotFound for a file that cannot be read, BadInput for one that is no such file at all.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise NotFound(f"{path} cannot be read: {error.strerror}.") from None
    return _Reader(currency).read(_decode(content, path.name))


def sheet_from_listings(facts: Iterable[ListingFact | BadRecord]) -> Sheet:
    """Amazon's own "All Listings" file as a sheet, from its rows in their order.

    Stock of merchant listings becomes the first stock of new items; Amazon keeps the stock of its own. A
    GTIN with a wrong digit is left out and said so; the item comes without it.
    """
    sheet, seen = Sheet(), _Seen()
    for line_number, fact in enumerate(facts, start=2):
        if isinstance(fact, BadRecord):
            sheet.problems.append(LineProblem(line_number, f"{fact.remote_id}: {fact.reason}".strip(": ")))
        elif fact.status != "deleted":
            _add_listing(sheet, seen, line_number, fact)
    return sheet


def _add_listing(sheet: Sheet, seen: _Seen, line_number: int, fact: ListingFact) -> None:
    sku = trimmed(fact.sku)
    problem = seen.problem(sku, line_number)
    if problem:
        sheet.problems.append(LineProblem(line_number, problem))
        return
    values = {"name": plain(fact.name)} if plain(fact.name) else {}
    if is_gtin(fact.gtin):
        values["gtin"] = read_gtin(fact.gtin)
    elif fact.gtin:
        reason = f"{sku}: {plain(fact.gtin)!r} is not a GTIN; the item is taken without it"
        sheet.problems.append(LineProblem(line_number, reason))
    quantity = fact.quantity if fact.fulfilled_by == "merchant" else None
    sheet.lines.append(ItemLine(line_number, sku, values, quantity))


def plain(text: str) -> str:
    """Words as they enter the books: no control characters, runs of spaces squeezed, none at the ends."""
    return " ".join(strip_control(text).split())


def trimmed(text: str) -> str:
    """A SKU as it enters the books: like `plain`, but inside it every space counts."""
    return strip_control(text).strip()


class _Seen:
    """The SKUs of a file so far, to find empty ones and those that come twice."""

    def __init__(self) -> None:
        self._line_of: dict[str, int] = {}

    def problem(self, sku: str, line_number: int) -> str:
        if not sku:
            return "the SKU is empty"
        first = self._line_of.setdefault(sku, line_number)
        return f"{sku} was on line {first} already" if first != line_number else ""


# ---- the text of the file --------------------------------------------------------------------------------


def _decode(content: bytes, name: str) -> str:
    if b"\0" in content[:4096]:
        raise BadInput(f"{name} is not a text file.", "Save the sheet as CSV (UTF-8) and import that.")
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise BadInput(f"{name} is neither UTF-8 nor Windows-1252 text.", "Save the sheet as CSV (UTF-8).")


def _separator(text: str) -> str:
    """The separator under which the first line has a `sku`, and the most columns beside it."""
    first = text.lstrip("\r\n").partition("\n")[0]

    def columns(separator: str) -> int:
        names = [_column(cell) for cell in next(csv.reader([first], delimiter=separator), [])]
        return len(names) if "sku" in names else 0

    return max((",", ";", "\t"), key=columns)


def _records(text: str) -> Iterator[tuple[int, list[str] | csv.Error]]:
    """The records with the number of the line each begins on; a broken one as its error."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_separator(text), strict=True)
    while True:
        begins = reader.line_num + 1
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield begins, error
        else:
            if any(cell.strip() for cell in record):
                yield begins, record


def _column(header: str) -> str:
    name = plain(header).lower()
    if name.startswith(ATTRIBUTE):
        return ATTRIBUTE + plain(header)[len(ATTRIBUTE) :].strip()
    name = re.sub(r"[ -]", "_", name)
    return "weight" if name == "weight_grams" else name


# ---- cells -----------------------------------------------------------------------------------------------

_GRAMS = {"g": Decimal(1), "kg": Decimal(1000), "lb": Decimal("453.59237"), "oz": Decimal("28.349523125")}
_ACTIVE = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


def read_amount(text: str, currency: str) -> int:
    """An amount such as `12.50` or `12,5` in minor units. A thousands separator is refused, not guessed."""
    digits = minor_digits(currency)
    fraction = rf"(?:[.,](\d{{1,{digits}}}))?" if digits else "()"
    found = re.fullmatch(rf"(\d{{1,15}}){fraction}", text.strip(), re.ASCII)
    if not found:
        example = "12" + ("." + "50"[:digits].ljust(digits, "0") if digits else "")
        raise BadInput(f"{text!r} is not an amount in {currency} such as {example}")
    minor = int(found[1] + (found[2] or "").ljust(digits, "0"))
    if minor > DEAREST_MINOR:
        raise BadInput(f"{text!r} is more than any item costs")
    return minor


def read_weight(text: str) -> int:
    """A weight in whole grams from `350`, `1.2 kg`, `4 oz` or `2 lb`."""
    found = re.fullmatch(r"(\d{1,9}(?:[.,]\d{1,6})?)\s*(g|kg|lb|oz)?", text.strip().lower(), re.ASCII)
    if not found:
        raise BadInput(f"{text!r} is not a weight in grams, or with one of kg, g, lb, oz")
    grams = Decimal(found[1].replace(",", ".")) * _GRAMS[found[2] or "g"]
    if grams > HEAVIEST_GRAMS:
        raise BadInput(f"{text!r} is more than any item weighs")
    return int(grams.quantize(Decimal(1), ROUND_HALF_UP))


def read_attributes(text: str) -> dict[str, str]:
    """`color=red;size=L` as a mapping; any number of attributes (F4)."""
    attributes: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not (name and equals and value):
            raise BadInput(f"{part!r} is not an attribute such as color=red")
        if name in attributes:
            raise BadInput(f"the attribute {name} is there twice")
        attributes[name] = value
    return attributes


def _read_active(text: str) -> bool:
    if text.lower() not in _ACTIVE:
        raise BadInput(f"active is yes or no, not {text!r}")
    return _ACTIVE[text.lower()]


def _read_quantity(text: str) -> int:
    if not re.fullmatch(r"\d{1,10}", text, re.ASCII) or int(text) > MOST_UNITS:
        raise BadInput(f"the quantity {text!r} is not a whole number from 0 to {MOST_UNITS}")
    return int(text)


class _Reader:
    """Reads one file: the meaning of its columns, and the SKUs seen so far."""

    def __init__(self, currency: str) -> None:
        self.seen = _Seen()
        self.columns: list[str] = []
        self.cells: Mapping[str, Callable[[str], Any]] = {
            "gtin": read_gtin,
            "name": plain,
            "parent": str,
            "attributes": read_attributes,
            "unit_cost": lambda text: read_amount(text, currency),
            "weight": read_weight,
            "active": _read_active,
            "quantity": _read_quantity,
        }

    def read(self, text: str) -> Sheet:
        sheet, records = Sheet(), _records(text)
        self._read_header(next(records, None), sheet)
        for line_number, record in records:
            if isinstance(record, csv.Error):
                reason = f"a quotation mark is out of place ({record})"
                sheet.problems.append(LineProblem(line_number, reason))
                continue
            line, problems = self._read_line(line_number, [trimmed(cell) for cell in record])
            if problems:
                sheet.problems.append(LineProblem(line_number, "; ".join(problems)))
            else:
                sheet.lines.append(line)
        return sheet

    def _read_header(self, first: tuple[int, list[str] | csv.Error] | None, sheet: Sheet) -> None:
        if first is None:
            raise BadInput("The file is empty.", "Its first line names the columns: " + ",".join(COLUMNS))
        line_number, record = first
        self.columns = [] if isinstance(record, csv.Error) else [_column(cell) for cell in record]
        if "sku" not in self.columns:
            has = ", ".join(filter(None, self.columns)) or "none that can be read"
            raise BadInput(f"The file has no column sku; its columns are: {has}.")
        named = [name for name in self.columns if name]
        twice = sorted({name for name in named if named.count(name) > 1})
        if twice:
            raise BadInput(f"The file has the column {twice[0]} twice.")
        for name in named:
            if name not in COLUMNS and not name.startswith(ATTRIBUTE):
                reason = f"the column {name} is not known and left out"
                sheet.problems.append(LineProblem(line_number, reason))

    def _read_line(self, line_number: int, cells: list[str]) -> tuple[ItemLine, list[str]]:
        said = {name: cell for name, cell in zip(self.columns, cells, strict=False) if cell}
        sku = said.get("sku", "")
        twice = self.seen.problem(sku, line_number)
        problems = [twice] if twice else []
        if any(cells[len(self.columns) :]):
            problems.append(f"it has {len(cells)} cells where the header has {len(self.columns)}")
        if sku and said.get("parent") == sku:
            problems.append(f"{sku} is its own parent")
        values: dict[str, Any] = {}
        for name, read in self.cells.items():
            try:
                values |= {name: read(said[name])} if name in said else {}
            except BadInput as wrong:
                problems.append(wrong.message.rstrip("."))
        quantity = values.pop("quantity", None)
        return ItemLine(line_number, sku, _named(values, said), quantity), problems


def _named(values: dict[str, Any], said: Mapping[str, str]) -> dict[str, Any]:
    """The values under the names of an item's fields, the attributes of both kinds of column together."""
    single = {name[len(ATTRIBUTE) :]: cell for name, cell in said.items() if name.startswith(ATTRIBUTE)}
    attributes = values.pop("attributes", {}) | {name: value for name, value in single.items() if name}
    if attributes:
        values["attributes"] = attributes
    if "weight" in values:
        values["weight_grams"] = values.pop("weight")
    return values
