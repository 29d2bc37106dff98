"""A fulfilment provider and its client, told in steps: two ledgers, real HTTPS between them, a simulated Amazon beside
the client. Only the clock is not real, as in the other demo."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from zenv import comparing, handover, joining, sync
from zenv.connectors.base import World
from zenv.demo.faces import Face
from zenv.demo.network_sides import Line, compare, readable_names
from zenv.demo.story import COMPANY, NAME, SEED, Clock, connect, new_book
from zenv.errors import Bug
from zenv.ledger import connections, inbounds, order_changes, orders, users, views
from zenv.ledger.book import Book
from zenv.ledger.buckets import LedgerBuckets
from zenv.ledger.zfn import clients, links, standing, taking
from zenv.simulators.amazon import AmazonSimulator, serve

PROVIDER, DEPOT = "Broad Shoulders Fulfilment", "Depot"
ITEMS, THERE, ORDERS = 30, 10, 12


@dataclass(frozen=True)
class NetworkEnding:
    """How it went: the closing table, the seconds it took, and an order that the provider shipped."""

    lines: list[Line]
    seconds: float
    order: str
    address: str


@dataclass
class Network:
    """What the steps share. `there` are the SKUs whose units the provider keeps."""

    provider: Book
    client: Book
    sim: AmazonSimulator
    clock: Clock
    face: Face
    tell: Callable[[str], None]
    chance: random.Random = field(default_factory=lambda: random.Random(SEED))
    there: list[str] = field(default_factory=list)
    order: str = ""

    @property
    def world(self) -> World:
        """The client's outside: the real one, but for the clock."""
        return World(self.clock.now, self.clock.sleep, LedgerBuckets(self.client.engine, self.clock.now), patience=3600)

    def at_client(self, operation: Callable[..., Any], *given: Any, **named: Any) -> Any:
        """One operation in the client's ledger; the provider is told at once what it has to know."""
        with self.client.transaction() as t:
            done = operation(t, *given, **named)
        handover.at_once(self.client, self.world)
        return done

    def at_provider(self, operation: Callable[..., Any], *given: Any, **named: Any) -> Any:
        """One operation in the provider's ledger."""
        with self.provider.transaction() as t:
            return operation(t, *given, **named)

    def run(self, connection: str, task: str) -> sync.RunResult:
        """Run a task of the client; anything but a clean run ends the demo."""
        result = sync.run(self.client, connection, task, self.world)
        if result.outcome != "ok":
            raise result.error or Bug(f"The task {task} of the demo ended {result.outcome}: {result.note}")
        handover.at_once(self.client, self.world)
        return result


def play(home: Path, tell: Callable[[str], None]) -> NetworkEnding:
    """Play it in two new ledgers in `home`, `provider` and `client`, telling each step. The client's account at Amazon
    is left disabled: its Amazon is gone afterwards."""
    clock, began = Clock(), time.monotonic()
    sim = AmazonSimulator(SEED, clock.now)
    sim.fill(ITEMS, SEED)
    with ExitStack() as stack:
        provider = stack.enter_context(new_book(_folder(home, "provider"), PROVIDER, clock, "provider"))
        client = stack.enter_context(new_book(_folder(home, "client"), COMPANY, clock, "client"))
        face = Face(provider)
        stack.callback(face.stop)
        net = Network(provider, client, sim, clock, face, tell)
        connect(client, sim, stack.enter_context(serve(sim)), net.world)
        for step in STEPS:
            step(net)
        lines = compare(provider.home, client.home, sim)
        differing = len(comparing.compare_provider(client, DEPOT, net.world))
        net.at_client(connections.disable, NAME)
    lines += [Line("differences that zenv zfn compare finds", differing, 0, None),
              readable_names(provider.home, client.home, sim)]  # fmt: skip
    return NetworkEnding(lines, time.monotonic() - began, net.order, face.address)


def _folder(home: Path, name: str) -> Path:
    folder = home / name
    folder.mkdir(mode=0o700)
    return folder


# ---- the steps -------------------------------------------------------------------------------------------


def _become_a_provider(net: Network) -> None:
    net.at_provider(users.begin)
    net.at_provider(standing.choose_plan, "enterprise")
    net.at_provider(standing.enable)
    net.at_provider(standing.grant)
    net.at_provider(standing.edit, address=net.face.address)
    net.face.start()
    net.tell(f"{PROVIDER} is a provider; its company code is {standing.invite(net.provider)}")


def _sell_on_amazon(net: Network) -> None:
    net.at_client(users.begin)
    found = net.run(NAME, "items").items
    units = views.counts(net.client.home)["units_on_hand"]
    net.tell(f"{COMPANY} sells {found} items on Amazon and has {units} units of them on its own shelves.")


def _link(net: Network) -> None:
    net.at_client(links.add_warehouse, DEPOT, "zfn")
    asked = joining.request(net.client, DEPOT, str(standing.invite(net.provider)), net.world)
    (waiting,) = net.at_provider(clients.review)
    if waiting.fingerprint != asked.fingerprint:
        raise Bug("The fingerprints of the two sides differ.")
    net.tell(f"It asks to become a client; both sides show the fingerprint {asked.fingerprint}.")
    client = net.at_provider(clients.accept, waiting.request, net.provider.actor, True, None)
    shared = net.run(DEPOT, "provider").sent
    net.tell(f"The provider accepts it as client {client.id}, and knows its {shared} items, without their prices.")


def _send_goods(net: Network) -> None:
    first = "SELECT sku, on_hand FROM levels WHERE on_hand > 1 ORDER BY sku LIMIT ?"
    units = {str(sku): int(count) for sku, count in views.rows(net.client.home, first, (THERE,)).rows}
    net.there = list(units)
    number = net.at_client(inbounds.transfer, "Main", DEPOT, units)
    for stage in (inbounds.allocate, inbounds.pick, inbounds.ship):
        net.at_client(stage, number)
    bought = net.at_client(inbounds.order, DEPOT, {net.there[0]: 12}, supplier="The Potter")
    came = [net.at_provider(inbounds.receive, there) for (there,) in
            views.rows(net.provider.home, "SELECT number FROM inbounds ORDER BY number DESC").rows]  # fmt: skip
    net.run(DEPOT, "provider")
    net.tell(f"{number} from its shelves and {bought} from a supplier arrive there: {came[0]} and {came[1]} units.")


def _sell(net: Network) -> None:
    net.at_client(connections.edit, NAME, warehouses=("Main", DEPOT))
    for _ in range(ORDERS):
        _buyers_order(net, net.chance.choice(_on_sale(net)))
    came, there = net.run(NAME, "orders").orders, len(_waiting(net))
    net.tell(f"{came} orders come in from Amazon; the {there} of goods that are there are handed over at once.")


def _on_sale(net: Network) -> list[str]:
    return [sku for sku, listing in net.sim.listings.items() if (listing.quantity or 0) > 1]


def _buyers_order(net: Network, sku: str) -> None:
    net.sim.place_order([(sku, 1)])
    net.clock.sleep(net.chance.randint(5, 90))


def _waiting(net: Network) -> list[str]:
    """The client's orders that the provider is to ship, as the provider calls them."""
    return [str(number) for (number,) in views.rows(net.provider.home, "SELECT number FROM orders WHERE state = 'ready'"
                                                                       " ORDER BY number").rows]  # fmt: skip


def _pick(net: Network) -> None:
    for number in _waiting(net):
        net.at_provider(orders.pick, number)
    net.order = _waiting(net)[0].split("-", 2)[2]
    later = net.clock.now() + timedelta(days=3)
    net.at_client(order_changes.edit, net.order, order_changes.Edit(ship_by=later))
    state = views.handover(net.client.home, net.order)
    if state is None or not state["refused"]:
        raise Bug("An order that is being picked was changed.")
    net.tell(f"They are being picked: a change of {net.order} is refused at once, although nothing was synced since.")


def _ship(net: Network) -> None:
    shipped = _ship_all(net)
    net.run(DEPOT, "provider")
    net.run(NAME, "shipments")
    net.tell(f"The {shipped} orders leave, and Amazon is told the provider's tracking numbers by the client.")


def _ship_all(net: Network) -> int:
    waiting = _waiting(net)
    for number in waiting:
        tracking = f"1Z999AA1{net.chance.randint(1, 10**10 - 1):010}"
        net.at_provider(orders.ship, number, [orders.NewPackage("UPS", tracking)])
    return len(waiting)


def _go_away(net: Network) -> None:
    net.face.stop()
    _buyers_order(net, next(sku for sku in net.there if net.sim.listings[sku].quantity))
    net.run(NAME, "orders")
    (waits,) = handover.at_once(net.client, net.world)
    net.face.start()
    net.run(DEPOT, "provider")
    net.tell(f"The provider is away for a while: {waits.owed} order waits for it, and is told once it is back.")


def _enter_an_order(net: Network) -> None:
    line = orders.NewLine(f"1-{net.there[0]}", 5)
    number = net.at_provider(taking.enter, COMPANY, orders.NewOrder([line], number="WHOLESALE-1"))
    shipped = _ship_all(net)
    net.run(DEPOT, "provider")
    net.run(NAME, "shipments")
    net.tell(f"It enters {number} for the client, ships {shipped} orders, and both appear in the client's books.")


def _tell_stock(net: Network) -> None:
    sent = net.run(NAME, "stock").sent
    net.run(NAME, "verify")
    net.tell(f"{sent} stock levels went to Amazon: what is on the client's shelves and the provider's, together.")


STEPS = (_become_a_provider, _sell_on_amazon, _link, _send_goods, _sell, _pick, _ship, _go_away, _enter_an_order,
         _tell_stock)  # fmt: skip
