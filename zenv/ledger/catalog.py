"""Items: the things we count, made by hand, from a file, or from a listing.

A variation is an item with a parent; parents form no circle. What a sheet (`item_files`) would do is worked
out against the books first, as a value: the same value is shown as the preview and booked by `apply`, so that
the preview cannot lie.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict, Unpack

from sqlalchemy import Connection, Row, bindparam, select

from zenv.errors import BadInput, NotFound, Refused
from zenv.ledger import linking
from zenv.ledger.gtin import read_gtin
from zenv.ledger.item_files import DEAREST_MINOR, HEAVIEST_GRAMS, ItemLine, LineProblem, Sheet, plain, trimmed
from zenv.ledger.models import OUTSIDE, Item
from zenv.ledger.stock import Move, move, own_warehouse
from zenv.ledger.transaction import Transaction, in_chunks, row, table
from zenv.ledger.zfn import sharing

items = table(Item)
parents = items.alias("parent")

FIELDS = ("name", "gtin", "parent", "attributes", "unit_cost", "weight_grams", "active")


@dataclass(frozen=True)
class NewItem:
    """An item to be. `parent` is a SKU, `unit_cost` is in minor units of the company's currency."""

    sku: str
    name: str = ""
    gtin: str = ""
    parent: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    unit_cost: int | None = None
    weight_grams: int | None = None
    active: bool = True


class ItemChanges(TypedDict, total=False):
    """What may be changed of an item; "" and None clear a field, attributes are replaced as a whole."""

    sku: str
    name: str
    gtin: str
    parent: str
    attributes: Mapping[str, str]
    unit_cost: int | None
    weight_grams: int | None
    active: bool


def add_item(t: Transaction, item: NewItem, client: int | None = None) -> int:
    """Make an item, our own or a client's (by id); listings that were waiting for its SKU or GTIN are linked. Its id.

    Raises BadInput for a value that cannot be, Refused when the SKU is taken, NotFound for an unknown parent.
    """
    values = _checked({name: getattr(item, name) for name in ("sku", *FIELDS)})
    if find_ids(t.sql, [values["sku"]]):
        raise Refused(f"There is an item {values['sku']} already.", f"zenv items edit {values['sku']}")
    parent = _parent_id(t.sql, values.pop("parent"), values["sku"])
    new_row = row(Item, **values, parent_id=parent, created_at=t.now, client_id=client)
    made = int(t.sql.execute(items.insert().returning(items.c.id), new_row).scalar_one())
    linking.link_waiting(t, [made])
    sharing.changed(t, [made])
    return made


def edit_item(t: Transaction, sku: str, /, **changes: Unpack[ItemChanges]) -> None:
    """Change what is known of an item. Raises as `add_item`, and NotFound when there is no such item."""
    if not changes:
        raise BadInput("Nothing to change was given.", "zenv items edit --help")
    item = find_ids(t.sql, [sku]).get(sku)
    if item is None:
        raise NotFound(f"There is no item {plain(sku)!r}.", "zenv items list")
    values = _checked(dict(changes))
    if values.get("sku", sku) != sku and find_ids(t.sql, [values["sku"]]):
        raise Refused(f"There is an item {values['sku']} already.", f"zenv items show {values['sku']}")
    if "parent" in values:
        values["parent_id"] = _parent_id(t.sql, values.pop("parent"), sku)
    t.sql.execute(items.update().where(items.c.id == item).values(**values))
    if {"sku", "gtin"} & values.keys():
        linking.link_waiting(t, [item])
    sharing.changed(t, [item])
    t.touch(item)


def find_ids(sql: Connection, skus: Iterable[str]) -> dict[str, int]:
    """SKU -> id of the items there are."""
    found: dict[str, int] = {}
    for chunk in in_chunks(set(skus)):
        rows = sql.execute(select(items.c.sku, items.c.id).where(items.c.sku.in_(chunk)))
        found.update({sku: item for sku, item in rows})
    return found


def insert_items(t: Transaction, new: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Insert items in one go, from values as they are stored; SKU -> id."""
    blank = row(Item, sku="", created_at=t.now)
    t.insert(Item, [blank | dict(values) for values in new])
    return find_ids(t.sql, [values["sku"] for values in new])


def attributes_text(attributes: Mapping[str, str]) -> str:
    """Attributes as they are stored: a JSON object with its names in order."""
    return json.dumps(dict(attributes), ensure_ascii=False, sort_keys=True)


def _checked(values: dict[str, Any]) -> dict[str, Any]:
    """The values as they are stored (the parent still a SKU). Raises BadInput."""
    for name, read in (("sku", trimmed), ("name", plain), ("parent", trimmed)):
        if name in values:
            values[name] = read(values[name])
    if values.get("sku") == "":
        raise BadInput("An item needs a SKU.")
    if "gtin" in values:
        values["gtin"] = read_gtin(values["gtin"]) or None
    if "attributes" in values:
        pairs = {plain(name): plain(value) for name, value in values["attributes"].items()}
        values["attributes"] = attributes_text(pairs)
    for name, most in (("unit_cost", DEAREST_MINOR), ("weight_grams", HEAVIEST_GRAMS)):
        value = values.get(name)
        if value is not None and not 0 <= value <= most:
            raise BadInput(f"{name} is a number from 0 to {most}, not {value}.")
    return values


def _parent_id(sql: Connection, parent: str, child: str) -> int | None:
    """The id of the parent; raises NotFound, and Refused when child would be its own ancestor."""
    if not parent:
        return None
    found = find_ids(sql, [parent]).get(parent)
    if found is None:
        raise NotFound(f"There is no item {parent!r} to be the parent.", f"zenv items add {parent}")
    if child in _chain(parent, parents_of(sql, [parent])):
        raise Refused(f"{child} would be its own ancestor; nothing was changed.", f"zenv items show {parent}")
    return found


def parents_of(sql: Connection, skus: Iterable[str]) -> dict[str, str]:
    """SKU -> SKU of the parent ("" for none), of these items and all their ancestors."""
    found: dict[str, str] = {}
    wanted = set(skus)
    while wanted:
        for chunk in in_chunks(wanted):
            query = select(items.c.sku, parents.c.sku.label("parent")).outerjoin(
                parents, parents.c.id == items.c.parent_id
            )
            rows = sql.execute(query.where(items.c.sku.in_(chunk)))
            found.update({sku: parent or "" for sku, parent in rows})
        wanted = {found[sku] for sku in wanted if found.get(sku)} - found.keys()
    return found


def _chain(sku: str, parent_of: Mapping[str, str]) -> list[str]:
    """The SKU and its ancestors; the last one is the one that comes again, if they form a circle."""
    chain = [sku]
    while (parent := parent_of.get(chain[-1], "")) and parent not in chain:
        chain.append(parent)
    return chain if not parent else [*chain, parent]


# ---- sheets ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FieldChange:
    """A field of an existing item that the sheet would change; values as they are stored."""

    field: str
    old: Any
    new: Any


@dataclass(frozen=True)
class Changed:
    """An existing item that the sheet would change."""

    line: ItemLine
    fields: tuple[FieldChange, ...]


@dataclass(frozen=True)
class Preview:
    """What a sheet would do: new and changed items, how many stay the same, and what cannot be booked.

    `quantities_left_out` counts lines whose quantity is not booked because the item is known already: the
    ledger is master of its stock.
    """

    new: list[ItemLine]
    changed: list[Changed]
    same: int
    problems: list[LineProblem]
    quantities_left_out: int = 0

    @property
    def opening_units(self) -> int:
        """Units that would become first stock."""
        return sum(line.quantity or 0 for line in self.new)


def preview(sql: Connection, sheet: Sheet) -> Preview:
    """What `apply` would do now. Books nothing."""
    stored = _stored(sql, [line.sku for line in sheet.lines])
    good, problems = _with_possible_parents(sql, sheet.lines, stored)
    new = [line for line in good if line.sku not in stored]
    known = [line for line in good if line.sku in stored]
    changed = [Changed(line, fields) for line in known if (fields := _differences(line, stored[line.sku]))]
    return Preview(
        new, changed, len(known) - len(changed),
        sorted([*sheet.problems, *problems], key=lambda problem: problem.line_number),
        sum(1 for line in known if line.quantity is not None),
    )  # fmt: skip


def apply(t: Transaction, sheet: Sheet, warehouse: str | None = None) -> Preview:
    """Book the good lines of a sheet; quantities of new items become opening stock in `warehouse`.

    What was booked. Raises BadInput when there are quantities and the warehouse is not clear.
    """
    booked = preview(t.sql, sheet)
    shelf = own_warehouse(t.sql, warehouse) if booked.opening_units else None
    insert_items(t, [_checked({"sku": line.sku} | _without_parent(line.values)) for line in booked.new])
    lines = [*booked.new, *(change.line for change in booked.changed)]
    ids = find_ids(t.sql, [sku for line in lines for sku in (line.sku, line.values.get("parent")) if sku])
    _update(t, booked.changed, ids)
    families = [(line.sku, line.values["parent"]) for line in lines if "parent" in line.values]
    set_parents(t, [(ids[child], ids[parent]) for child, parent in families])
    if shelf is not None:
        open_many(t, shelf, [(ids[line.sku], line.quantity or 0) for line in booked.new], "import")
    linking.link_waiting(t, [ids[line.sku] for line in lines])
    sharing.changed(t, [ids[line.sku] for line in lines])
    t.touch(*(ids[change.line.sku] for change in booked.changed))
    return booked


def open_many(t: Transaction, warehouse: int, opened: Iterable[tuple[int, int]], reference: str) -> None:
    """The first stock of many items (id, units) in one go; 0 books nothing."""
    shelf = t.place(warehouse, "on_hand")
    move(t, [Move(item, OUTSIDE["opening"], shelf, units, "opening", reference)
             for item, units in opened if units])  # fmt: skip


def _stored(sql: Connection, skus: Iterable[str]) -> dict[str, Row[Any]]:
    found: dict[str, Row[Any]] = {}
    query = select(items, parents.c.sku.label("parent")).outerjoin(parents, parents.c.id == items.c.parent_id)
    for chunk in in_chunks(skus):
        found.update({known.sku: known for known in sql.execute(query.where(items.c.sku.in_(chunk)))})
    return found


def _differences(line: ItemLine, known: Row[Any]) -> tuple[FieldChange, ...]:
    old = dict(known._mapping)
    said = _said(line, old["attributes"])
    named = [FieldChange(name, old[name], said[name]) for name in FIELDS if name in said]
    return tuple(change for change in named if change.old != change.new)


def _said(line: ItemLine, attributes: str) -> dict[str, Any]:
    """What the line says, as it would be stored; its attributes are added to those there are."""
    said = dict(line.values)
    if "attributes" in said:
        said["attributes"] = attributes_text(json.loads(attributes) | dict(said["attributes"]))
    return said


def _without_parent(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name != "parent"}


def _update(t: Transaction, changed: Sequence[Changed], ids: Mapping[str, int]) -> None:
    """One statement per set of columns, each for many items."""
    by_columns: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for change in changed:
        values = {c.field: c.new for c in change.fields if c.field != "parent"}
        if values:
            now = {f"now_{name}": value for name, value in values.items()}
            by_columns.setdefault(tuple(values), []).append({"item": ids[change.line.sku]} | now)
    for columns, rows in by_columns.items():
        update = items.update().where(items.c.id == bindparam("item"))
        t.sql.execute(update.values(**{name: bindparam(f"now_{name}") for name in columns}), rows)


def set_parents(t: Transaction, pairs: Sequence[tuple[int, int]]) -> None:
    """Give items (child, parent) their parents. The caller has seen to it that there is no circle."""
    if pairs:
        children = items.update().where(items.c.id == bindparam("item"))
        t.sql.execute(
            children.values(parent_id=bindparam("now_parent")),
            [{"item": child, "now_parent": parent} for child, parent in pairs],
        )


# ---- parents inside a sheet ------------------------------------------------------------------------------


def _with_possible_parents(
    sql: Connection, lines: Sequence[ItemLine], stored: Mapping[str, Row[Any]]
) -> tuple[list[ItemLine], list[LineProblem]]:
    """Lines whose parents exist, in the books or in the sheet (in any order), and form no circle.

    A line that falls out may have been the parent of another one, so it is asked again until none falls out.
    """
    if not any("parent" in line.values for line in lines):
        return list(lines), []
    in_books = parents_of(sql, {line.values.get("parent", line.sku) for line in lines} | stored.keys())
    good, problems = list(lines), list[LineProblem]()
    while True:
        parent_of = {line.sku: line.values.get("parent", in_books.get(line.sku, "")) for line in good}
        parent_of = in_books | parent_of
        bad = _impossible(good, parent_of)
        if not bad:
            return good, problems
        problems += [LineProblem(line.line_number, bad[line.sku]) for line in good if line.sku in bad]
        good = [line for line in good if line.sku not in bad]


def _impossible(lines: Sequence[ItemLine], parent_of: Mapping[str, str]) -> dict[str, str]:
    """SKU -> why its parent cannot be."""
    bad: dict[str, str] = {}
    sound: set[str] = set()
    for line in lines:
        parent = line.values.get("parent", "")
        if parent and parent not in parent_of:
            bad[line.sku] = f"there is no item {parent} to be the parent of {line.sku}"
        elif parent and parent not in sound:
            chain = _chain(line.sku, parent_of)
            if chain[-1] == line.sku:
                bad[line.sku] = f"{line.sku} would be its own ancestor: {' < '.join(chain)}"
            elif chain.index(chain[-1]) == len(chain) - 1:
                sound.update(chain)
    return bad
