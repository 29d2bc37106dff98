"""Who we are at Amazon, and whether this account and application can do what zenv does.

`getAccount` also answers with the names and addresses of people: only the selling plan is read from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from zenv.connectors.amazon.api import Api
from zenv.connectors.amazon.listings import search
from zenv.connectors.amazon.operations import (
    GET_ACCOUNT,
    GET_PARTICIPATIONS,
    LISTINGS_ROLE,
    ORDERS_ROLE,
    RECIPIENT_ROLE,
)
from zenv.connectors.amazon.order_lookup import get_order
from zenv.connectors.amazon.reading import part, rows, text
from zenv.connectors.amazon.regions import SHOPS
from zenv.errors import BadInput, BadReply, NotFound, Refused
from zenv.facts import Account, Marketplace

NO_ORDER = "000-0000000-0000000"
"""A well-formed order id that belongs to nobody: asking for it shows whether asking is allowed."""


def check_account(api: Api) -> Account:
    """The account. Raises Refused for a plan that is not PROFESSIONAL, no marketplace, or a seller id that is not
    the one of the credentials."""
    if not api.terms.seller_id:
        raise BadInput("The seller id is missing; Amazon shows it as Merchant token under Account Info.")
    plan = text(api.call(GET_ACCOUNT), "payload", "sellingPlan")
    if plan != "PROFESSIONAL":
        message = f"Amazon's API serves Professional selling accounts only; this one is {plan or 'of no plan'}."
        raise Refused(message, "Upgrade the selling plan in Seller Central under Account Info, then connect again.")
    entries = rows(api.call(GET_PARTICIPATIONS), "payload")
    shops = tuple(shop for entry in entries if (shop := _marketplace(entry)))
    if not any(shop.participating for shop in shops):
        raise Refused("The account takes part in none of Amazon's marketplaces of this region.")
    _check_seller(api, shops)
    roles = (LISTINGS_ROLE, *_order_roles(api))
    warnings = (*_shop_warnings(api, entries, shops), *_role_warnings(roles))
    return Account(api.terms.seller_id, plan, api.terms.region, shops, roles, warnings)


def _marketplace(entry: Mapping[str, Any]) -> Marketplace | None:
    shop = SHOPS.get(text(entry, "marketplace", "id"))
    if shop is None:
        return None
    return Marketplace(
        shop.id,
        text(entry, "marketplace", "countryCode") or shop.country,
        text(entry, "marketplace", "defaultCurrencyCode") or shop.currency,
        text(entry, "marketplace", "name") or shop.domain,
        part(entry, "participation", "isParticipating") is True,
    )


def _check_seller(api: Api, shops: tuple[Marketplace, ...]) -> None:
    """The seller id stands in no answer of Amazon's, so it is tried."""
    home = api.terms.home_marketplace or next(shop.id for shop in shops if shop.participating)
    try:
        search(api, marketplaceIds=home, pageSize="1", includedData="summaries")
    except (Refused, NotFound, BadReply) as error:
        message = f"Amazon does not let these credentials read the listings of seller {api.terms.seller_id}."
        hint = f'Compare the Merchant token under Account Info, and the role "{LISTINGS_ROLE}" of the application.'
        raise Refused(message, hint) from error


def _order_roles(api: Api) -> Iterator[str]:
    if _may_ask(api, "FULFILLMENT"):
        yield ORDERS_ROLE
        if _may_ask(api, "RECIPIENT"):
            yield RECIPIENT_ROLE


def _may_ask(api: Api, datasets: str) -> bool:
    try:
        get_order(api, NO_ORDER, datasets)
    except Refused:
        return False
    except (NotFound, BadReply):
        return True  # we were let in and told that there is no such order
    return True


def _role_warnings(roles: tuple[str, ...]) -> Iterator[str]:
    if ORDERS_ROLE not in roles:
        yield f'The application lacks the role "{ORDERS_ROLE}": orders cannot be read.'
    elif RECIPIENT_ROLE not in roles:
        yield f'The application lacks the role "{RECIPIENT_ROLE}": delivery addresses cannot be read.'


def _shop_warnings(api: Api, entries: list[Mapping[str, Any]], shops: tuple[Marketplace, ...]) -> Iterator[str]:
    for entry in entries:
        shop = text(entry, "marketplace", "id")
        if shop not in SHOPS:
            yield f"Marketplace {shop} is not one of Amazon's shops zenv knows; it is left out."
        elif part(entry, "participation", "hasSuspendedListings") is True:
            yield f"Amazon has suspended listings in {text(entry, 'marketplace', 'name') or shop}."
    for wanted in api.terms.marketplaces:
        if wanted not in {shop.id for shop in shops if shop.participating}:
            yield f"The account does not take part in marketplace {wanted}."
