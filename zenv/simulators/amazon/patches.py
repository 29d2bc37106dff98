"""What a submission does to a listing, from a PATCH or from a feed message (docs: merge-a-listing).

`merge` changes the named sub-fields and leaves the others; `replace` and `add` put the whole attribute
in place of the old one, which resets a handling time that is not repeated; a DEFAULT quantity on a SKU
in Amazon's warehouses opens a second, merchant-fulfilled channel. All of it is live only after
`publish_seconds`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from .catalogue import Catalogue
from .records import Listing, ListingAccident

AVAILABILITY = "fulfillment_availability"
_OPS = ("add", "replace", "merge", "delete")
Patch = dict[str, Any]


class Origin(NamedTuple):
    """Where a submission came from: `source` patch or feed, `reference` the submission or feed id."""

    source: str
    reference: str


def _issue(code: str, message: str, attribute: str = AVAILABILITY) -> dict[str, Any]:
    kept = {"code": code, "message": message, "severity": "ERROR", "categories": ["INVALID_ATTRIBUTE"]}
    return kept | {"attributeNames": [attribute]}


def issues_of(sim: Catalogue, sku: str, patches: list[Patch]) -> list[dict[str, Any]]:
    """What is wrong with a submission; an ERROR keeps all of it from being applied."""
    listing = sim.listings.get(sku)
    if listing is None:
        return [_issue("13013", f"The SKU {sku} does not exist in the Amazon catalog.", "sku")]
    return [issue for patch in patches for issue in _patch_issues(sim, listing, patch)]


def _patch_issues(sim: Catalogue, listing: Listing, patch: Patch) -> list[dict[str, Any]]:
    path = str(patch.get("path", ""))
    parts = path.split("/")
    if patch.get("op") not in _OPS or len(parts) != 3 or parts[:2] != ["", "attributes"]:
        return [_issue("4000001", f"Only top-level attributes can be patched, not {path!r}.", path or "path")]
    value = patch.get("value", [])
    if not isinstance(value, list) or (not value and patch["op"] != "delete"):
        return [_issue("4000002", "The value must be a non-empty list.", parts[2])]
    if parts[2] != AVAILABILITY:
        return []
    return [issue for entry in value for issue in _entry_issues(sim, listing, patch["op"], entry)]


def _entry_issues(sim: Catalogue, listing: Listing, op: str, entry: dict[str, Any]) -> list[dict[str, Any]]:
    code = entry.get("fulfillment_channel_code")
    if not code or code not in ("DEFAULT", *map(sim.channel_of, sim.marketplaces)):
        return [_issue("90000900", f"fulfillment_channel_code {code!r} is not valid.")]
    if listing.is_parent:
        return [_issue("90220", "A parent item cannot be bought and takes no availability.")]
    if op == "delete":
        return []
    return _number_issues(sim, code, entry)


def _number_issues(sim: Catalogue, code: str, entry: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    quantity, lead_time = entry.get("quantity"), entry.get("lead_time_to_ship_max_days")
    if code != "DEFAULT":
        return [_issue("90244", "Amazon counts the stock in its own warehouses.")] if "quantity" in entry else []
    if quantity is None:
        # staff, models#4841: a lead time cannot be updated without a quantity
        found.append(_issue("90220", "quantity is required."))
    elif type(quantity) is not int or not 0 <= quantity <= 1_000_000_000:
        found.append(_issue("90244", f"quantity {quantity!r} is not a whole number from 0."))
    if lead_time is not None and (type(lead_time) is not int or not 0 <= lead_time <= sim.max_lead_time):
        found.append(_issue("90244", f"lead_time_to_ship_max_days must be 0 to {sim.max_lead_time}."))
    return found


def submit(sim: Catalogue, sku: str, patches: list[Patch], origin: Origin, at: datetime) -> None:
    """Take in a valid submission: `attributes` show it at once, the shop after `publish_seconds`."""
    listing = sim.listings[sku]
    for patch in patches:
        name = patch["path"].split("/")[2]
        if name == AVAILABILITY:
            _submit_availability(sim, listing, patch, origin, at)
        else:
            _submit_attribute(listing, name, patch)
    listing.updated = at


def _submit_attribute(listing: Listing, name: str, patch: Patch) -> None:
    if patch["op"] == "delete":
        listing.attributes.pop(name, None)
    elif patch["op"] == "merge" and name in listing.attributes:
        kept, new = listing.attributes[name], patch["value"]
        listing.attributes[name] = [old | entry for old, entry in zip(kept, new, strict=False)] + new[len(kept) :]
    else:
        listing.attributes[name] = list(patch["value"])


def _submit_availability(sim: Catalogue, listing: Listing, patch: Patch, origin: Origin, at: datetime) -> None:
    entries = [dict(entry) for entry in patch.get("value", [])]
    op = patch["op"]
    if op == "merge":
        listing.submitted = _merged(listing.submitted, entries)
    elif op == "delete":
        gone = {entry["fulfillment_channel_code"] for entry in entries} or set(listing.channels)
        listing.submitted = [e for e in listing.submitted if e["fulfillment_channel_code"] not in gone]
    else:
        listing.submitted = entries

    def publish(moment: datetime) -> None:
        _publish(sim, listing, op, entries, origin, moment)

    due = at + timedelta(seconds=sim.publish_seconds)
    if due <= at:
        publish(at)
    else:
        sim.clock.at(due, publish)


def _merged(kept: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[dict[str, Any]]:
    by_code = {entry["fulfillment_channel_code"]: dict(entry) for entry in kept}
    for entry in new:
        by_code.setdefault(entry["fulfillment_channel_code"], {}).update(entry)
    return list(by_code.values())


def _publish(
    sim: Catalogue,
    listing: Listing,
    op: str,
    entries: list[dict[str, Any]],
    origin: Origin,
    at: datetime,
) -> None:
    codes = [entry["fulfillment_channel_code"] for entry in entries]
    if op == "delete":
        if not entries or "DEFAULT" in codes:
            sim.set_quantity(listing, None, at, *origin)
        return
    for entry in entries:
        if entry["fulfillment_channel_code"] == "DEFAULT":
            _publish_merchant(sim, listing, op, entry, origin, at)
        else:
            listing.channels[entry["fulfillment_channel_code"]] = None
    if op != "merge" and "DEFAULT" not in codes and "DEFAULT" in listing.channels:
        sim.set_quantity(listing, None, at, *origin)


def _publish_merchant(
    sim: Catalogue,
    listing: Listing,
    op: str,
    entry: dict[str, Any],
    origin: Origin,
    at: datetime,
) -> None:
    def mishap(what: str) -> ListingAccident:
        return ListingAccident(listing.sku, at, *origin, what)

    if listing.by_amazon and "DEFAULT" not in listing.channels:
        sim.channel_accidents.append(mishap("a merchant-fulfilled channel was opened beside Amazon's"))
    lead_time = entry.get("lead_time_to_ship_max_days")
    if lead_time is not None:
        listing.lead_time = lead_time
    elif op != "merge" and listing.lead_time is not None:
        listing.lead_time = None
        sim.handling_resets.append(mishap("the handling time fell back to the default"))
    sim.set_quantity(listing, entry["quantity"], at, *origin)
