"""Amazon's marketplaces as the Sellers API describes them (docs: marketplace-ids)."""

from __future__ import annotations

from typing import NamedTuple


class Marketplace(NamedTuple):
    """One Amazon store."""

    id: str
    country: str
    region: str
    currency: str
    language: str
    domain: str
    channel: str

    @property
    def name(self) -> str:
        """The store's name, as orders show it."""
        return self.domain.removeprefix("www.").capitalize()


_ROWS = """
ATVPDKIKX0DER US NA USD en_US www.amazon.com AMAZON_NA
A2EUQ1WTGCTBG2 CA NA CAD en_CA www.amazon.ca AMAZON_NA
A1AM78C64UM0Y8 MX NA MXN es_MX www.amazon.com.mx AMAZON_NA
A2Q3Y263D00KWC BR NA BRL pt_BR www.amazon.com.br AMAZON_NA
A1RKKUPIHCS9HS ES EU EUR es_ES www.amazon.es AMAZON_EU
A1F83G8C2ARO7P GB EU GBP en_GB www.amazon.co.uk AMAZON_EU
A13V1IB3VIYZZH FR EU EUR fr_FR www.amazon.fr AMAZON_EU
A1PA6795UKMFR9 DE EU EUR de_DE www.amazon.de AMAZON_EU
APJ6JRA9NG5V4 IT EU EUR it_IT www.amazon.it AMAZON_EU
A1805IZSGTT6HS NL EU EUR nl_NL www.amazon.nl AMAZON_EU
A2NODRKZP88ZB9 SE EU SEK sv_SE www.amazon.se AMAZON_EU
A1C3SOZRARQ6R3 PL EU PLN pl_PL www.amazon.pl AMAZON_EU
AMEN7PMS3EDWL BE EU EUR fr_BE www.amazon.com.be AMAZON_EU
A28R8C7NBKEWEA IE EU EUR en_IE www.amazon.ie AMAZON_EU
A33AVAJ2PDY3EV TR EU TRY tr_TR www.amazon.com.tr AMAZON_EU
A2VIGQ35RCS4UG AE EU AED en_AE www.amazon.ae AMAZON_EU
A17E79C6D8DWNP SA EU SAR ar_AE www.amazon.sa AMAZON_EU
ARBP9OOSHTCHU EG EU EGP ar_AE www.amazon.eg AMAZON_EU
A21TJRUUN4KGV IN EU INR en_IN www.amazon.in AMAZON_IN
AE08WJ6YKNBMC ZA EU ZAR en_ZA www.amazon.co.za AMAZON_EU
A19VAU5U5O7RUS SG FE SGD en_SG www.amazon.sg AMAZON_SG
A39IBJ37TRP1C6 AU FE AUD en_AU www.amazon.com.au AMAZON_AU
A1VC38T7YXB528 JP FE JPY ja_JP www.amazon.co.jp AMAZON_JP
"""

MARKETPLACES = {row.split()[0]: Marketplace(*row.split()) for row in _ROWS.strip().splitlines()}
US = "ATVPDKIKX0DER"
