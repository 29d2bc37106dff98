"""The person an order goes to, fetched one by one and only when an order is ready to ship.

Both datasets are gated by roles. What a missing role does is not documented, so a 403 is met by asking
for less, and a missing address is said, never taken for an address (amazon.md 4.3).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from zenv.connectors.amazon.api import Api
from zenv.connectors.amazon.operations import BUYER_ROLE, RECIPIENT_ROLE
from zenv.connectors.amazon.order_lookup import get_order
from zenv.connectors.amazon.orders import recipient_fact
from zenv.connectors.amazon.reading import Unreadable
from zenv.errors import NotFound, Refused
from zenv.facts import BadRecord, Page, RecipientFact

ASKED = ("RECIPIENT,BUYER,FULFILLMENT", "RECIPIENT,FULFILLMENT")
"""From all to less: without the buyer's role the order can still be shipped."""


def fetch_recipients(api: Api, ids: Sequence[str]) -> Iterator[Page]:
    """The recipient of each order, one page each; an order without one becomes a BadRecord that says why."""
    allowed = 0
    for index, order in enumerate(ids, start=1):
        fact, allowed = _recipient(api, order, allowed)
        yield Page([fact], None, index, len(ids))


def _recipient(api: Api, order: str, allowed: int) -> tuple[RecipientFact | BadRecord, int]:
    """The recipient, and which of `ASKED` Amazon allows, so that the next order is asked that at once."""
    for choice in range(allowed, len(ASKED)):
        try:
            return recipient_fact(get_order(api, order, ASKED[choice])), choice
        except Refused:
            continue
        except NotFound:
            return BadRecord("recipient", order, "Amazon does not know this order"), choice
        except Unreadable as error:
            return BadRecord("recipient", order, str(error)), choice
    reason = f'the application lacks the role "{RECIPIENT_ROLE}" (or "{BUYER_ROLE}" for the buyer)'
    return BadRecord("recipient", order, reason), allowed
