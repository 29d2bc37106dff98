"""Recording what a remote says of its listings, a page at a time.

A report tells of a listing in short, a later look at it in full. The digest therefore has two halves, one per
kind of news, so that a page that says nothing new changes no row. What is older than what is stored is ignored,
except that details complete a row that still lacks them. The remote's quantity is kept beside ours and never
becomes ours (F12), save as the opening stock of an item that is new (F6).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import blake2b
from typing import Any

from sqlalchemy import Row, bindparam, case, func, select

from zenv.facts import BadRecord, ListingFact
from zenv.ledger import adoption, linking
from zenv.ledger.catalog import attributes_text
from zenv.ledger.gtin import is_gtin, read_gtin
from zenv.ledger.item_files import plain, trimmed
from zenv.ledger.models import Connection, Listing
from zenv.ledger.transaction import Transaction, in_chunks, row, table

listings, connections = table(Listing), table(Connection)

_NEVER = datetime.min
_BLANK = row(Listing, connection_id=0, sku="", first_seen_at=_NEVER)
_NO_DETAIL = bytes(8)


@dataclass(frozen=True)
class Recorded:
    """What became of a page: listings that were new or had changed, and facts set aside with the reason."""

    items: int
    failures: tuple[BadRecord, ...] = ()


@dataclass
class Page:
    """What a page changes: rows to write, and the listings whose item is to be looked for or completed."""

    new: list[dict[str, Any]] = field(default_factory=list)
    short: list[dict[str, Any]] = field(default_factory=list)
    full: list[dict[str, Any]] = field(default_factory=list)
    quantities: list[dict[str, Any]] = field(default_factory=list)
    deleted: list[int] = field(default_factory=list)
    seen: dict[datetime, list[int]] = field(default_factory=dict)
    looking: list[linking.Candidate] = field(default_factory=list)
    detailed: list[int] = field(default_factory=list)
    touched: set[int | None] = field(default_factory=set)

    def changes(self) -> int:
        """How many listings are new, or say something new (when they were seen is no news)."""
        written = (*self.short, *self.full, *self.quantities)
        return len(self.new) + len({values["listing"] for values in written} | set(self.deleted))


def record_listings(
    t: Transaction, connection: int, facts: Sequence[ListingFact], items_stay: bool = False
) -> Recorded:
    """Bring the books up to these facts of one connection: new listings are linked to the item with their SKU
    or GTIN, or become items where the connection adopts what is new; else they wait on the inbox.

    With `items_stay` no item is made or completed, whatever the connection does else (Z31).
    """
    owner = t.sql.execute(select(connections).where(connections.c.id == connection)).one()
    newest, failures = _newest(facts)
    known = _known(t, connection, newest)
    # At a provider a listing "lacks its detail" until its levels were taken (linking.join): not what is told here.
    later = items_stay or owner.kind == "zfn"
    page = Page()
    for fact in newest.values():
        if (stored := known.get(fact.sku)) is not None:
            _compare(page, _detail_left(fact, stored) if later else fact, stored)
        elif fact.status != "deleted":
            page.new.append(_new_row(t, connection, fact))
    _write(t, page)
    if items_stay:
        linking.link_equal(t, _looking(t, owner, page))
    else:
        _find_items(t, owner, page)
    return Recorded(page.changes(), failures)


def _detail_left(fact: ListingFact, stored: Row[Any]) -> ListingFact:
    """Details an item still waits for are left to the run that completes it with them."""
    return replace(fact, needs_detail=True) if stored.needs_detail and stored.item_id is not None else fact


def _newest(facts: Iterable[ListingFact]) -> tuple[dict[str, ListingFact], tuple[BadRecord, ...]]:
    """One fact per SKU, the last one said; a SKU that cannot be kept as it is written is set aside."""
    newest: dict[str, ListingFact] = {}
    failures = []
    for fact in facts:
        if not fact.sku or trimmed(fact.sku) != fact.sku:
            failures.append(BadRecord("listing", trimmed(fact.sku), "its SKU is empty or unprintable"))
        else:
            newest[fact.sku] = fact
    return newest, tuple(failures)


def _known(t: Transaction, connection: int, skus: Iterable[str]) -> dict[str, Row[Any]]:
    c = listings.c
    columns = (c.sku, c.id, c.item_id, c.fulfilled_by, c.status, c.is_parent, c.needs_detail, c.digest, c.observed_at,
               c.channel_quantity, c.submitted, c.submitted_at, c.applied_at)  # fmt: skip
    found: dict[str, Row[Any]] = {}
    for chunk in in_chunks(skus):
        query = select(*columns).where(c.connection_id == connection, c.sku.in_(chunk))
        found.update({stored.sku: stored for stored in t.sql.execute(query)})
    return found


# ---- comparing -------------------------------------------------------------------------------------------


def digest(fact: ListingFact) -> bytes:
    """8 bytes over what any fact says, 8 over the details (zeros where they are still missing)."""
    price = (fact.price.minor, fact.price.currency) if fact.price else None
    short = (fact.name, fact.asin, fact.fulfilled_by, fact.status, price)
    if fact.needs_detail:
        return _hash(short) + _NO_DETAIL
    detail = (fact.gtin, fact.product_type, fact.parent_sku, fact.is_parent, sorted(fact.attributes.items()))
    return _hash(short) + _hash(detail)


def _hash(content: tuple[Any, ...]) -> bytes:
    return blake2b(repr(content).encode(), digest_size=8).digest()


def _compare(page: Page, fact: ListingFact, stored: Row[Any]) -> None:
    older = fact.observed_at is not None and stored.observed_at is not None and fact.observed_at < stored.observed_at
    if older and not (stored.needs_detail and not fact.needs_detail):
        return
    if fact.status == "deleted":
        if stored.status != "deleted":
            page.deleted.append(stored.id)
            page.touched.add(stored.item_id)
        return
    _compare_content(page, fact, stored)
    if not older:
        _compare_quantity(page, fact, stored)


def _compare_content(page: Page, fact: ListingFact, stored: Row[Any]) -> None:
    now = digest(fact)
    # A row without a digest was made for an order line or a child: whatever is said of it is all new.
    never_shown = not stored.digest
    new_detail = never_shown or (not fact.needs_detail and now[8:] != stored.digest[8:])
    if new_detail:
        page.full.append(_full_values(fact, now) | {"listing": stored.id})
        page.detailed.append(stored.id)
        if stored.item_id is None:
            page.looking.append(_candidate(stored.id, fact))
    elif now[:8] != stored.digest[:8]:
        page.short.append(_short_values(fact, now[:8] + stored.digest[8:]) | {"listing": stored.id})
    if (fact.fulfilled_by, fact.status) != (stored.fulfilled_by, stored.status) or new_detail:
        page.touched.add(stored.item_id)


def _compare_quantity(page: Page, fact: ListingFact, stored: Row[Any]) -> None:
    if fact.quantity is None:
        if stored.channel_quantity is None:
            _compare_time(page, fact, stored)
        return
    waits = stored.submitted is not None and stored.applied_at is None
    if fact.quantity != stored.channel_quantity or waits:
        applied = waits and fact.quantity == stored.submitted and _not_before(fact.observed_at, stored.submitted_at)
        if fact.quantity != stored.channel_quantity or applied or fact.observed_at != stored.observed_at:
            page.quantities.append({"listing": stored.id, "now_live": fact.quantity,
                                    "now_seen": fact.observed_at or stored.observed_at,
                                    "now_applied": fact.observed_at if applied else stored.applied_at})  # fmt: skip
    else:
        _compare_time(page, fact, stored)


def _compare_time(page: Page, fact: ListingFact, stored: Row[Any]) -> None:
    """Seen again and the same: one statement for the whole page."""
    if fact.observed_at is not None and fact.observed_at != stored.observed_at:
        page.seen.setdefault(fact.observed_at, []).append(stored.id)


def _not_before(at: datetime | None, since: datetime | None) -> bool:
    return at is not None and since is not None and at >= since


# ---- rows ------------------------------------------------------------------------------------------------


def _short_values(fact: ListingFact, mark: bytes) -> dict[str, Any]:
    return {
        "now_name": plain(fact.name), "now_asin": plain(fact.asin), "now_fulfilled_by": fact.fulfilled_by,
        "now_status": fact.status, "now_price": fact.price.minor if fact.price else None,
        "now_currency": fact.price.currency if fact.price else "", "now_digest": mark,
    }  # fmt: skip


def _full_values(fact: ListingFact, mark: bytes) -> dict[str, Any]:
    return _short_values(fact, mark) | {
        "now_gtin": _gtin(fact), "now_product_type": plain(fact.product_type), "now_is_parent": fact.is_parent,
        "now_parent_sku": trimmed(fact.parent_sku), "now_needs_detail": fact.needs_detail,
        "now_attributes": attributes_text({plain(name): plain(v) for name, v in fact.attributes.items()}),
    }  # fmt: skip


def _new_row(t: Transaction, connection: int, fact: ListingFact) -> dict[str, Any]:
    said = {name.removeprefix("now_"): value for name, value in _full_values(fact, digest(fact)).items()}
    return _BLANK | said | {
        "connection_id": connection, "sku": fact.sku, "channel_quantity": fact.quantity,
        "observed_at": fact.observed_at, "first_seen_at": t.now,
    }  # fmt: skip


def _gtin(fact: ListingFact) -> str:
    """A GTIN that can be compared; what the remote calls one and is none is kept to be looked at."""
    return read_gtin(fact.gtin) if is_gtin(fact.gtin) else plain(fact.gtin)


def _candidate(listing: int, fact: ListingFact) -> linking.Candidate:
    return linking.Candidate(listing, fact.sku, "" if fact.is_parent else _gtin(fact))


def _said_or_kept(*names: str) -> dict[str, Any]:
    """Empty means that the remote does not say: what is known stays."""
    return {
        name: case((bindparam(f"now_{name}") != "", bindparam(f"now_{name}")), else_=listings.c[name]) for name in names
    }


_this = listings.c.id == bindparam("listing")
_short = _said_or_kept("name", "asin", "currency") | {
    "price": func.coalesce(bindparam("now_price", type_=listings.c.price.type), listings.c.price),
    "fulfilled_by": bindparam("now_fulfilled_by"), "status": bindparam("now_status"),
    "digest": bindparam("now_digest"),
}  # fmt: skip
_full = (
    _short
    | _said_or_kept("gtin", "product_type")
    | {name: bindparam(f"now_{name}") for name in ("parent_sku", "is_parent", "attributes", "needs_detail")}
)
_set_short = listings.update().where(_this).values(_short)
_set_full = listings.update().where(_this).values(_full)
_set_quantity = listings.update().where(_this).values(
    channel_quantity=bindparam("now_live"), observed_at=bindparam("now_seen"), applied_at=bindparam("now_applied")
)  # fmt: skip


def _write(t: Transaction, page: Page) -> None:
    t.insert(Listing, page.new)
    t.many(_set_short, page.short)
    t.many(_set_full, page.full)
    t.many(_set_quantity, page.quantities)
    for at, ids in page.seen.items():
        for chunk in in_chunks(ids):
            t.sql.execute(listings.update().where(listings.c.id.in_(chunk)).values(observed_at=at))
    for chunk in in_chunks(page.deleted):
        gone = listings.update().where(listings.c.id.in_(chunk))
        t.sql.execute(gone.values(status="deleted", digest=b""))
    t.touch(*page.touched)


# ---- items -----------------------------------------------------------------------------------------------


def _find_items(t: Transaction, owner: Row[Any], page: Page) -> None:
    """Link what matches, adopt the rest if the connection does so, complete items whose details came late."""
    # What a provider lists brings no opening stock, and so needs no shelf.
    adopts = owner.adopt_new and (owner.kind == "zfn" or adoption.first_shelf(t, owner.id) is not None)
    first_import = adopts and owner.opened_at is None and not _any_linked(t, owner.id)
    looking = _looking(t, owner, page)
    linked = linking.link_equal(t, looking)
    if adopts:
        left = [one.listing for one in looking if one.listing not in linked]
        adoption.adopt(t, owner.id, _settled_enough(t, left))
    if first_import:
        _mark_opened(t, owner.id)
    adoption.complete(t, owner.id, page.detailed, with_parents=adopts)


def _looking(t: Transaction, owner: Row[Any], page: Page) -> list[linking.Candidate]:
    """The listings of a page that may have an item and are not linked."""
    ids = {stored.sku: stored.id for stored in _known(t, owner.id, [new["sku"] for new in page.new]).values()}
    return page.looking + [
        linking.Candidate(ids[new["sku"]], new["sku"], "" if new["is_parent"] else new["gtin"]) for new in page.new
    ]


def _settled_enough(t: Transaction, listing_ids: Iterable[int]) -> list[int]:
    """Without those that show no quantity and lack their details: it may be a variation parent, stock of the
    channel's own, or a listing too young to say. Nothing is opened with a 0 that may be wrong."""
    unclear = (listings.c.needs_detail, listings.c.is_parent.is_(False), listings.c.channel_quantity.is_(None))
    found: list[int] = []
    for chunk in in_chunks(listing_ids):
        held_back = set(t.sql.execute(select(listings.c.id).where(listings.c.id.in_(chunk), *unclear)).scalars())
        found += [listing for listing in chunk if listing not in held_back]
    return found


def _any_linked(t: Transaction, connection: int) -> bool:
    linked = select(listings.c.id).where(listings.c.connection_id == connection, listings.c.item_id.is_not(None))
    return t.sql.execute(linked.limit(1)).first() is not None


def _mark_opened(t: Transaction, connection: int) -> None:
    """The connection's first stock was taken: what left the shelf before is history."""
    first = select(func.min(listings.c.opened_at)).where(listings.c.connection_id == connection)
    this = connections.update().where(connections.c.id == connection)
    t.sql.execute(this.values(opened_at=first.scalar_subquery()))
