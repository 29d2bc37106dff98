"""The scenes of the kill sweep of the network: the books two companies find, what one of them does, and what must be
true when it was done again.

The oracle is the other side and the world outside: what the provider's books say of the client's, what the simulated
Amazon was told, and how many units there are in all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.kill_scenes import HOUR, Stage, read_everything, world_of
from tests.year.company import connect
from tests.zfn import companies, deeds
from tests.zfn.deeds import DEPOT, rows
from zenv import comparing, sync
from zenv.errors import Refused
from zenv.facts import RecipientFact
from zenv.ledger import inbounds, order_changes, orders, stock, users
from zenv.ledger.book import Book
from zenv.ledger.catalog import NewItem
from zenv.ledger.zfn import client_items, links, standing, taking

UNITS = 20
"""Of each of two items the provider receives so many."""


@dataclass
class Two:
    """Both books open, the client's Amazon, and the code that leads to the provider's face, which is served."""

    client: Book
    provider: Book
    stage: Stage
    code: str

    def do(self, deed: deeds.Deed) -> None:
        """The client does something."""
        deed(self.client, world_of(self.client, self.stage), self.code)

    def later(self, seconds: float) -> None:
        """Time goes by."""
        self.stage.clock.wind(seconds)

    def here(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask the client's ledger."""
        return rows(self.client, query, *values)

    def there(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask the provider's ledger."""
        return rows(self.provider, query, *values)


def nothing(_: Two) -> None:
    """Nothing to look at."""


Step = Callable[[Two], None]

# ---- books as a scene finds them -------------------------------------------------------------------------


def saved(two: Two) -> None:
    """The provider takes requests; the client sells on Amazon and has saved a warehouse."""
    read_everything(two.client, two.stage)
    assert sync.run(two.client, "a", "orders", world_of(two.client, two.stage)).outcome == "ok"
    with two.client.transaction() as t:
        users.begin(t)
        links.add_warehouse(t, DEPOT, "zfn", rank=500)


def asked(two: Two) -> None:
    """A request waits."""
    two.do(deeds.ask)


def accepted(two: Two) -> None:
    """The provider has accepted, and the client does not know yet."""
    deeds.accept(two.provider)


def linked(two: Two) -> None:
    """Goods of the client lie at the provider, which has something to tell besides: an item and an order."""
    two.do(deeds.hear)
    with two.provider.transaction() as t:
        for sku in ("POT", "MUG"):
            stock.receive(t, f"1-{sku}", "Main", UNITS)


def emptied(two: Two) -> None:
    """Linked, and nothing of the client lies there."""
    two.do(deeds.hear)
    two.later(1)


def stocked(two: Two) -> None:
    """The client knows what lies at the provider; three orders are to leave there: two of Amazon's, one by hand."""
    two.do(deeds.hear)
    for number in amazons(two):
        with two.client.transaction() as t:
            order_changes.edit(t, number, order_changes.Edit(ship_from=DEPOT))
    _by_hand(two, "M-1", 2)


def amazons(two: Two) -> list[str]:
    """The two orders that the provider ships."""
    query = ("SELECT number FROM customer_order"
             " WHERE connection_id = (SELECT id FROM connection WHERE name = 'a') ORDER BY number")  # fmt: skip
    return [str(number) for (number,) in two.here(query)][:2]


def _by_hand(two: Two, number: str, units: int) -> None:
    who = RecipientFact(order=number, name=f"Ann of {number}", line1="1 Main Street", city="Springfield", region="OR",
                        postcode="97477", country="US", phone="555-0100")  # fmt: skip
    with two.client.transaction() as t:
        orders.create_order(t, orders.NewOrder([orders.NewLine("POT", units)], number, recipient=who, ship_from=DEPOT))


def handed(two: Two) -> None:
    """The provider has the orders."""
    two.do(deeds.tell)


def shipped(two: Two) -> None:
    """The provider has shipped the orders, and has something to tell besides: an item, and an order it entered."""
    deeds.ship(two.provider)
    with two.provider.transaction() as t:
        client = str(two.there("SELECT name FROM client")[0][0])
        client_items.add(t, NewItem("GIFT", name="A gift"), client)
        taking.enter(t, client, orders.NewOrder([orders.NewLine("1-MUG", 1)], "P-1"))
    two.later(60)


def wished(two: Two) -> None:
    """Three more orders by hand were handed over. The client wants none of the first, less of the second, and none of
    the third, which is being picked."""
    for number in ("W-1", "W-2", "W-3"):
        _by_hand(two, number, 2)
    two.do(deeds.tell)
    with two.provider.transaction() as t:
        orders.pick(t, "CO-1-W-3")
    with two.client.transaction() as t:
        order_changes.cancel(t, "W-1", "no_stock")
        order_changes.edit(t, "W-2", order_changes.Edit(units={"POT": 1}))
        order_changes.cancel(t, "W-3", "no_stock")


def sent(two: Two) -> None:
    """Three units are on their way to the provider, which has not heard of it."""
    two.do(deeds.hear)
    with two.client.transaction() as t:
        number = inbounds.transfer(t, "Main", DEPOT, {"JUG": 3})
        inbounds.allocate(t, number)
        inbounds.pick(t, number)
        inbounds.ship(t, number)


def announced(two: Two) -> None:
    """The provider knows that they come."""
    two.do(deeds.tell)


def received(two: Two) -> None:
    """The provider has taken them in."""
    deeds.receive(two.provider)
    two.later(60)


STRANGERS = "strangers"
BOOKS: dict[str, tuple[str, Step]] = {
    "saved": (STRANGERS, saved), "asked": ("saved", asked), "accepted": ("asked", accepted),
    "linked": ("accepted", linked), "emptied": ("accepted", emptied), "stocked": ("linked", stocked),
    "handed": ("stocked", handed), "shipped": ("handed", shipped), "wished": ("handed", wished),
    "sent": ("emptied", sent), "announced": ("sent", announced), "received": ("announced", received),
}  # fmt: skip
"""Each from which others, and how."""


def begin(two_homes: tuple[Book, Book], stage: Stage, port: int) -> None:
    """Two companies that know nothing of each other."""
    client, provider = two_homes
    companies.make_provider(provider)
    with provider.transaction() as t:
        standing.edit(t, address=f"127.0.0.1:{port}")
    connect(client, "a", stage.sim, stage.url, adopt_new=True)


# ---- what must be true -----------------------------------------------------------------------------------


def at_rest(two: Two) -> None:
    """Both books agree, nothing is owed, and each unit is somewhere."""
    two.later(HOUR)
    two.do(deeds.hear)
    mirror_is_true(two)
    assert two.here("SELECT kind, state FROM message WHERE connection_id IN (SELECT connection_id FROM link)") == []
    assert two.there("SELECT kind, state FROM message") == []


def mirror_is_true(two: Two) -> None:
    """What the client's books say of the depot was so at the provider, right after what was read of its journal."""
    try:
        found = comparing.compare_provider(two.client, DEPOT, world_of(two.client, two.stage))
    except Refused:  # not linked (any more)
        return
    assert [f"{one.check} {one.subject}: {one.text}" for one in found] == []


def linked_once(two: Two) -> None:
    """One request, one client, one token, and the same digits on both sides (Z19, Z26)."""
    deeds.accept(two.provider)
    two.later(HOUR)
    two.do(deeds.hear)
    assert two.there("SELECT r.state, c.state, c.id FROM link_request r LEFT JOIN client c ON c.id = r.client_id") == [
        ("accepted", "linked", 1)
    ]
    assert two.there("SELECT COUNT(*) FROM connection WHERE kind = 'zfn_client'") == [(1,)]
    assert two.here("SELECT state, client_number FROM link") == [("linked", 1)]
    assert two.here("SELECT fingerprint FROM link") == two.there("SELECT fingerprint FROM client")
    assert two.there("SELECT client_id, scopes <> 'request', used_for = '' FROM link_token ORDER BY 2") == [
        (1, 0, 0), (1, 1, 1)]  # fmt: skip
    shared = two.there("SELECT l.sku, i.sku FROM listing l JOIN item i ON i.id = l.item_id ORDER BY 1")
    assert shared == [("JUG", "1-JUG"), ("MUG", "1-MUG"), ("POT", "1-POT")]
    at_rest(two)


def each_order_there_once(two: Two) -> None:
    """2.1.8, I14: whole, with its person, reserved at the provider and nowhere else."""
    numbers = [*amazons(two), "M-1"]
    assert two.there("SELECT number, state FROM customer_order ORDER BY number") == [
        (f"CO-1-{number}", "ready") for number in numbers
    ]
    assert two.here("SELECT o.number, f.state, f.told = f.version, f.wish FROM fulfilment f JOIN customer_order o"
                    " ON o.id = f.order_id ORDER BY o.number") == [
        (number, "handed", 1, "") for number in numbers]  # fmt: skip
    assert _units(two, "there", "quantity") == _units(two, "here", "quantity")
    assert _units(two, "there", "quantity - shipped - cancelled") == dict.fromkeys(numbers, 2)
    kept = two.there("SELECT p.key_id, p.sealed FROM personal p JOIN customer_order o ON o.id = p.order_id"
                     " WHERE o.number = 'CO-1-M-1'")  # fmt: skip
    assert [who["name"] for who in two.provider.keys.open_many(kept)] == ["Ann of M-1"]
    at_rest(two)


def _units(two: Two, side: str, what: str) -> dict[str, int]:
    """Units of the lines of each handed order, under the client's number; with something set aside for them."""
    query = (f"SELECT o.number, SUM({what}) FROM customer_order o JOIN order_line l ON l.order_id = o.id"
             " WHERE EXISTS (SELECT 1 FROM fulfilment f WHERE f.order_id = o.id) GROUP BY o.id")  # fmt: skip
    found = getattr(two, side)(query)
    return {number.removeprefix("CO-1-"): units for number, units in found}


def each_parcel_once(two: Two) -> None:
    """I14: each parcel is in the client's books once, and Amazon was told once, with the provider's tracking."""
    two.later(HOUR)
    two.do(deeds.hear_and_confirm)
    query = ("SELECT o.number, s.tracking, SUM(c.quantity) FROM shipment s JOIN customer_order o ON o.id = s.order_id"
             " JOIN shipment_line c ON c.shipment_id = s.id GROUP BY s.id ORDER BY 1, 2")  # fmt: skip
    ours = two.here(query)
    first, second = amazons(two)
    parcels = [(first, f"1Z-CO-1-{first}", 2), (second, f"1Z-CO-1-{second}-1", 1), (second, f"1Z-CO-1-{second}-2", 1)]
    assert ours == [*parcels, ("M-1", "1Z-CO-1-M-1-1", 1), ("M-1", "1Z-CO-1-M-1-2", 1)]
    told = [(said.order_id, said.tracking, sum(said.items.values())) for said in two.stage.sim.confirmations]
    assert sorted(told) == parcels
    assert two.here("SELECT number, state FROM customer_order WHERE remote_id = 'p:P-1'") != []
    assert two.here("SELECT COUNT(*) FROM listing WHERE sku = 'GIFT'") == [(1,)]
    at_rest(two)
    assert _left_at(two) == {"MUG": UNITS - _of(two, "MUG"), "POT": UNITS - _of(two, "POT")}


def _of(two: Two, sku: str) -> int:
    """Units of an item that left in parcels, as the provider's lines have it."""
    return int(two.there("SELECT COALESCE(SUM(shipped), 0) FROM order_line WHERE sku = ?", sku)[0][0])


def _left_at(two: Two) -> dict[str, int]:
    query = ("SELECT i.sku, l.on_hand + l.picked FROM level l JOIN item i ON i.id = l.item_id"
             " JOIN warehouse w ON w.id = l.warehouse_id WHERE w.name = ? AND l.on_hand + l.picked > 0")  # fmt: skip
    return dict(two.here(query, DEPOT))


def shipped_once(two: Two) -> None:
    """At the provider each order left once, and nothing is set aside for it any more."""
    assert two.there("SELECT state FROM customer_order") == [("shipped",)] * 3
    assert two.there("SELECT COUNT(*) FROM shipment") == [(5,)]
    assert two.there("SELECT COUNT(*) FROM reservation") == [(0,)]
    at_rest(two)


def wishes_answered(two: Two) -> None:
    """One is cancelled and one is smaller on both sides, one stands on both; no unit is free twice or lost."""
    at_rest(two)
    query = ("SELECT o.state, SUM(l.quantity - l.cancelled) FROM customer_order o JOIN order_line l"
             " ON l.order_id = o.id WHERE o.number = ? GROUP BY o.id")  # fmt: skip
    for number, wanted in (("W-1", ("cancelled", 0)), ("W-2", ("ready", 1)), ("W-3", ("ready", 2))):
        assert two.here(query, number) == [wanted], number
        assert two.there(query, f"CO-1-{number}") == [wanted], number
    assert two.here("SELECT number, cancelling FROM customer_order WHERE cancelling <> ''") == [("W-3", "refused")]
    assert two.here("SELECT COUNT(*) FROM fulfilment WHERE wish <> ''") == [(0,)]


def inbound_once(two: Two) -> None:
    """The provider expects the transfer, once."""
    assert two.there("SELECT b.number, b.state, l.quantity, l.sent FROM inbound b JOIN inbound_line l"
                     " ON l.inbound_id = b.id") == [("TO-1-1", "open", 3, 3)]  # fmt: skip
    at_rest(two)


def arrived_once(two: Two) -> None:
    """2.1.10, 2.1.13: the transfer is closed on both sides, and its three units are in the depot and nowhere else."""
    two.later(HOUR)
    two.do(deeds.hear)
    for side in (two.here, two.there):
        assert side("SELECT b.state, l.quantity, l.received FROM inbound b JOIN inbound_line l"
                    " ON l.inbound_id = b.id") == [("closed", 3, 3)]  # fmt: skip
    assert _left_at(two) == {"JUG": 3}
    jugs = ("SELECT SUM(l.on_hand), SUM(l.picked + l.in_transit) FROM level l JOIN item i ON i.id = l.item_id"
            " WHERE i.sku = ?")  # fmt: skip
    assert two.here(jugs, "JUG") == [(9, 0)]
    assert two.there(jugs, "1-JUG") == [(3, 0)]
    at_rest(two)


def token_lasts(two: Two) -> None:
    """The token is good, also when the overlap with the one before has passed."""
    two.do(deeds.hear)
    two.later(3 * deeds.A_DAY)
    at_rest(two)
    assert two.here("SELECT state FROM link") == [("linked",)]


def still_known(two: Two) -> None:
    """Nobody gave the command again: the client is let in all the same, and later too."""
    token_lasts(two)
    two.do(deeds.rotate)
    token_lasts(two)


def parted(two: Two) -> None:
    """Z39: on both sides, and no token is good for more than to see so."""
    assert two.here("SELECT state FROM link") == [("parted",)]
    assert two.there("SELECT state FROM client") == [("deactivated",)]
    assert two.here("SELECT active FROM warehouse WHERE name = ?", DEPOT) == [(0,)]
    assert two.there("SELECT DISTINCT scopes FROM link_token WHERE scopes <> 'request'") == [("link",)]
    assert two.here("SELECT COUNT(*) FROM message WHERE kind = 'link'") == [(0,)]


# ---- scenes ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scene:
    """On these books a deed breaks off. Right after that `at_once` must hold; then it is done again (`again`, if that
    is another deed), and `judge` must hold. `of` says whose deed it is. Whoever does it has at least so many
    `boundaries`, and the face that answers so many."""

    name: str
    books: str
    deed: str
    judge: Step
    boundaries: tuple[int, int]
    at_once: Step = mirror_is_true
    again: str = ""
    of: str = "client"


ASK = Scene("request", "saved", "ask", linked_once, (180, 24))
ACCEPT = Scene("accept", "asked", "accept", linked_once, (34, 0), of="provider")
EXCHANGE = Scene("exchange", "accepted", "hear", linked_once, (240, 90))
HANDOVER = Scene("hand-over", "stocked", "tell", each_order_there_once, (110, 90))
SHIP = Scene("ship", "handed", "ship", shipped_once, (300, 0), of="provider")
RETURN = Scene("shipment return", "shipped", "hear_and_confirm", each_parcel_once, (500, 100))
WISH = Scene("wish", "wished", "tell", wishes_answered, (200, 90))
ANNOUNCE = Scene("announcement", "sent", "tell", inbound_once, (120, 34))
RECEIVE = Scene("receipt", "announced", "receive", arrived_once, (40, 0), of="provider")
ARRIVE = Scene("receipt return", "received", "hear", arrived_once, (240, 90))
ROTATE = Scene("rotation", "emptied", "rotate", token_lasts, (55, 16))
ROTATED = Scene("rotation that is not repeated", "emptied", "rotate", still_known, (55, 16), again="hear")
PART = Scene("parting", "emptied", "part", parted, (320, 130))
ALL = (ASK, ACCEPT, EXCHANGE, HANDOVER, SHIP, RETURN, WISH, ANNOUNCE, RECEIVE, ARRIVE, ROTATE, ROTATED, PART)
