"""A provider that went back to a backup has forgotten what it heard since: all that is open is told again."""

from __future__ import annotations

from zenv.facts import LinkFact
from zenv.ledger import inbounds
from zenv.ledger.notices import notice
from zenv.ledger.transaction import Transaction
from zenv.ledger.zfn import handing, links, sharing


def heed(t: Transaction, connection: int, fact: LinkFact) -> None:
    """Look whether the provider has gone back to a backup since we last asked; to be called before the link follows
    what is said of it. What the provider did since that backup, a person has to look at."""
    link = links.of_connection(t.sql, connection)
    if link is None or (link.state, fact.state.state) != ("linked", "linked") or link.restores == fact.state.restores:
        return
    sharing.share_all(t, connection)
    handing.tell_again(t, connection)
    inbounds.tell_again(t, connection)
    name = links.warehouse_name(t.sql, link)
    said = f"{link.provider} went back to a backup; all that is open was told again: see where the books differ now"
    notice(t, "provider restored", name, said, f"zenv zfn compare '{name}'")
