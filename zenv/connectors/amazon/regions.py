"""Where Amazon is: three regions with one endpoint each, and the national shops in them.

Marketplaces that are not in this table exist (such as the channel for orders from outside Amazon, for which
`searchOrders` answers 403: selling-partner-api-models#5295); they are named in a warning and never asked for.
Sources: https://developer-docs.amazon.com/sp-api/docs/sp-api-endpoints and .../docs/marketplace-ids
"""

from __future__ import annotations

from dataclasses import dataclass

from zenv.errors import BadInput

LOGIN_HOST = "https://api.amazon.com"


@dataclass(frozen=True)
class Shop:
    """A marketplace: Amazon's id, country, region and currency, where its sellers consent, its domain."""

    id: str
    country: str
    region: str
    currency: str
    consent_host: str
    domain: str


_SHOPS = """
A2EUQ1WTGCTBG2 CA NA CAD sellercentral.amazon.ca amazon.ca
ATVPDKIKX0DER US NA USD sellercentral.amazon.com amazon.com
A1AM78C64UM0Y8 MX NA MXN sellercentral.amazon.com.mx amazon.com.mx
A2Q3Y263D00KWC BR NA BRL sellercentral.amazon.com.br amazon.com.br
A1RKKUPIHCS9HS ES EU EUR sellercentral-europe.amazon.com amazon.es
A1F83G8C2ARO7P GB EU GBP sellercentral-europe.amazon.com amazon.co.uk
A13V1IB3VIYZZH FR EU EUR sellercentral-europe.amazon.com amazon.fr
A1PA6795UKMFR9 DE EU EUR sellercentral-europe.amazon.com amazon.de
APJ6JRA9NG5V4 IT EU EUR sellercentral-europe.amazon.com amazon.it
A1805IZSGTT6HS NL EU EUR sellercentral.amazon.nl amazon.nl
A2NODRKZP88ZB9 SE EU SEK sellercentral.amazon.se amazon.se
A1C3SOZRARQ6R3 PL EU PLN sellercentral.amazon.pl amazon.pl
AMEN7PMS3EDWL BE EU EUR sellercentral.amazon.com.be amazon.com.be
A28R8C7NBKEWEA IE EU EUR sellercentral.amazon.ie amazon.ie
A33AVAJ2PDY3EV TR EU TRY sellercentral.amazon.com.tr amazon.com.tr
A2VIGQ35RCS4UG AE EU AED sellercentral.amazon.ae amazon.ae
A17E79C6D8DWNP SA EU SAR sellercentral.amazon.sa amazon.sa
ARBP9OOSHTCHU EG EU EGP sellercentral.amazon.eg amazon.eg
A21TJRUUN4KGV IN EU INR sellercentral.amazon.in amazon.in
AE08WJ6YKNBMC ZA EU ZAR sellercentral.amazon.co.za amazon.co.za
A19VAU5U5O7RUS SG FE SGD sellercentral.amazon.sg amazon.sg
A39IBJ37TRP1C6 AU FE AUD sellercentral.amazon.com.au amazon.com.au
A1VC38T7YXB528 JP FE JPY sellercentral.amazon.co.jp amazon.co.jp
"""

SHOPS = {shop.id: shop for shop in (Shop(*row.split()) for row in _SHOPS.split("\n") if row)}
REGIONS = ("NA", "EU", "FE")


def endpoint(region: str, *, sandbox: bool = False) -> str:
    """The address of the API for a region (NA, EU, FE). Raises BadInput for another word."""
    if region not in REGIONS:
        raise BadInput(f"Amazon has no region {region!r}; there are: {', '.join(REGIONS)}.")
    return f"https://{'sandbox.' if sandbox else ''}sellingpartnerapi-{region.lower()}.amazon.com"


def shop_of_country(country: str) -> Shop:
    """The marketplace of a country (GB, DE, US ...). Raises BadInput."""
    for shop in SHOPS.values():
        if shop.country == country.upper():
            return shop
    known = ", ".join(sorted(shop.country for shop in SHOPS.values()))
    raise BadInput(f"Amazon has no marketplace in {country!r}; there are: {known}.")


def shop_of_domain(domain: str) -> Shop | None:
    """The marketplace that a report calls "Amazon.co.uk"; None for a channel outside Amazon's shops."""
    return next((shop for shop in SHOPS.values() if shop.domain == domain.strip().lower()), None)
