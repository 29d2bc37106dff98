"""Recipients are fetched when they are needed, sealed at once, and readable nowhere."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from typing import Any

import httpx

from tests.sync.shop import calls, every_request, opened, run_all, sim_of
from tests.year.company import Clock, Company
from zenv.ledger import order_changes, orders, recipients, views
from zenv.simulators.amazon import AmazonSimulator

HOUR = 3600.0


def test_A31_a_recipient_is_fetched_only_when_the_order_is_ready_and_is_kept_sealed(shop: Company) -> None:
    sim = sim_of(shop)
    ready = sim.place_order([("MUG", 1)], recipient={"name": "Marker Nameson"})
    pending = sim.place_order([("MUG", 1)], "PENDING", recipient={"name": "Marker Laterson"})
    sim.place_order([("MUG", 1)], fulfilled_by="AMAZON")
    shop.clock.wind(60)
    shop.run("a", "orders")
    asked = [seen.path.split("/")[-1] for seen in calls(sim, "getOrder")]
    assert asked == [ready]
    assert person(shop, ready)["name"] == "Marker Nameson"
    assert person(shop, pending) == {}
    sim.pay(pending)
    shop.clock.wind(600)
    shop.run("a", "orders")
    assert person(shop, pending)["name"] == "Marker Laterson"
    assert len(calls(sim, "getOrder")) == 2  # whom we know already is not asked for again
    assert traces(shop, ["Marker Nameson", "Marker Laterson"]) == []


def person(shop: Company, number: str) -> dict[str, str]:
    with shop.book.reading() as sql:
        order = sql.exec_driver_sql("SELECT id FROM customer_order WHERE number = ?", (number,)).scalar_one()
        return recipients.recipient(sql, shop.book.keys, order)


def traces(shop: Company, markers: list[str], text: str = "") -> list[str]:
    """Which markers stand readable in which file of the home, or in a text."""
    places = {path.name: path.read_bytes() for path in shop.home.rglob("*") if path.is_file()}
    places["text"] = text.encode()
    return [f"{marker} in {name}" for name, content in places.items() for marker in markers
            if marker.encode() in content or marker.encode("utf-16-le") in content]  # fmt: skip


MARKED = {
    "name": "Zarquon Markerson", "companyName": "Markerworks Ltd", "addressLine1": "1 Marker Mews",
    "addressLine2": "Marker Annex", "addressLine3": "Marker Attic", "phone": "+1 555 987 0042",
}  # fmt: skip


def test_I13_no_person_and_no_secret_stands_readable_anywhere_after_everything_ran(
    sim: AmazonSimulator, clock: Clock, tmp_path: Any, caplog: Any, capfd: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = {sim.client_secret, sim.refresh_token}

    def collect(request: httpx.Request) -> None:
        secrets.update({request.headers.get("x-amz-access-token", sim.refresh_token), *sim.links})

    with opened(sim, clock, tmp_path) as shop, every_request(collect):
        said: list[str] = [repr(result) for result in everything(shop)]
        assert len(secrets) > 10  # access tokens and addresses of documents
        markers = [*MARKED.values(), "marked@buyer.example", "Marker Greetings", *secrets]
        order = next(iter(sim.orders))
        assert person(shop, order)["line3"] == "Marker Attic"  # it was all there to be told
        said.append(repr(shop.book.keys) + repr(views.order(shop.home, order)))
        out, err = capfd.readouterr()
        text = "\n".join([*said, out, err, caplog.text])
        assert traces(shop, markers, text) == []
        assert traces(shop, ["POT-1"], text) != []
        assert "operation=searchOrders" in caplog.text
    assert traces(shop, markers) == []  # nor in what closing the ledger leaves behind


def everything(shop: Company) -> Iterator[Any]:
    """Each task with and without trouble, a shipment, a cancellation, a login that is refused."""
    sim = sim_of(shop)
    buyer = {"buyerEmail": "marked@buyer.example", "buyerName": "Zarquon Markerson"}
    about: Any = {"recipient": MARKED, "buyer": buyer, "gift_message": "Marker Greetings"}
    first, second = (sim.place_order([("POT-1", 1)], **about) for _ in range(2))
    yield from run_all(shop)
    with shop.book.transaction() as t:
        orders.ship(t, first, [orders.NewPackage("UPS", "1Z1")])
        order_changes.cancel(t, second, "no_stock")
    for fault in ("500", "half_body", "lost_reply", "invalid_input", "truncated_json", "expired_token", "reset"):
        sim.fault(fault, times=1 if fault == "expired_token" else 2)
        sim.change_address(sim.place_order([("MUG", 1)], **about), MARKED)
        shop.clock.wind(2 * HOUR)
        for result in run_all(shop):
            yield result
            yield from traceback.format_exception(result.error) if result.error else ()
    sim.fault("500", "lwaToken", times=9)
    shop.clock.wind(2 * HOUR)
    yield from run_all(shop)
    sim.revoke()
    yield from run_all(shop)
