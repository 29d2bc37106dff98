"""Telling Amazon of shipments and cancellations, each once, judged by what the simulator saw."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.connectors.conftest import Connect
from tests.connectors.telling import asked, outcomes
from zenv.connectors.amazon.cancellations import read_cancel_report
from zenv.connectors.amazon.reading import Unreadable
from zenv.connectors.base import Connector
from zenv.facts import CANCEL_REASONS, Cancellation, OrderFact, ShipmentNotice
from zenv.simulators.amazon import AmazonSimulator


@pytest.fixture
def order(sim: AmazonSimulator, connect: Connect) -> OrderFact:
    """An order of three mugs and a pot, ready to ship."""
    sim.add_listing("MUG", quantity=50)
    sim.add_listing("POT", quantity=50)
    return fetched(connect(), sim.place_order([("MUG", 3), ("POT", 1)]))


def fetched(connector: Connector, order_id: str) -> OrderFact:
    (page,) = connector.fetch("order", [order_id])
    (fact,) = page.facts
    assert isinstance(fact, OrderFact)
    return fact


def notice(order: OrderFact, key: int = 1, reference: str = "1", **more: object) -> ShipmentNotice:
    said = {
        "carrier": "UPS",
        "service": "Ground",
        "tracking": f"TR{key}",
        "shipped_at": order.placed_at,
        "lines": tuple((line.remote_id, line.quantity) for line in order.lines),
    } | more
    return ShipmentNotice(key, order.remote_id, order.marketplace, reference, placed_at=order.placed_at, **said)  # type: ignore[arg-type]


def test_A7_a_shipment_carries_carrier_tracking_date_and_lines(
    sim: AmazonSimulator, connect: Connect, order: OrderFact
) -> None:
    assert outcomes(list(connect().push([notice(order)]))) == {1: "done"}
    (seen,) = sim.confirmations
    assert (seen.carrier, seen.tracking, seen.reference) == ("UPS", "TR1", "1")
    assert seen.items == {line.remote_id: line.quantity for line in order.lines}
    assert fetched(connect(), order.remote_id).state == "shipped"
    assert not sim.violations


def test_F21_every_package_of_an_order_is_told(sim: AmazonSimulator, connect: Connect, order: OrderFact) -> None:
    mug, pot = order.lines
    first = notice(order, 1, "1", lines=((mug.remote_id, 2),))
    second = notice(order, 2, "2", lines=((mug.remote_id, 1), (pot.remote_id, 1)), carrier="Pigeon Post")
    assert outcomes(list(connect().push([first]))) == {1: "done"}
    assert fetched(connect(), order.remote_id).state == "part_shipped"
    assert outcomes(list(connect().push([second]))) == {2: "done"}
    shown = fetched(connect(), order.remote_id)
    assert shown.state == "shipped"
    assert [(package.reference, package.carrier, package.tracking) for package in shown.packages] == [
        ("1", "UPS", "TR1"),
        ("2", "Pigeon Post", "TR2"),
    ]


@pytest.mark.parametrize("hours", [-72, 0, 72])
def test_a_ship_date_lies_between_the_purchase_and_now(
    sim: AmazonSimulator, connect: Connect, order: OrderFact, hours: int
) -> None:
    sim.wind(3600)
    assert outcomes(list(connect().push([notice(order, shipped_at=sim.now() + timedelta(hours=hours))]))) == {1: "done"}
    shipped_at = fetched(connect(), order.remote_id).packages[0].shipped_at
    assert shipped_at is not None and order.placed_at <= shipped_at <= sim.now()


@pytest.mark.parametrize("fault", ["lost_reply", "503_html", "empty_200"])
def test_a_shipment_whose_answer_is_lost_is_looked_up_and_told_once(
    sim: AmazonSimulator, connect: Connect, order: OrderFact, fault: str
) -> None:
    sim.fault(fault, "confirmShipment")
    message = notice(order)
    (receipt,) = connect().push([message])
    assert receipt.outcome == "unknown"
    took_effect = fault != "503_html"
    assert connect().find(message).outcome == ("done" if took_effect else "retry")
    if not took_effect:
        assert outcomes(list(connect().push([message]))) == {1: "done"}
    assert len(sim.confirmations) == 1


def test_a_refusal_of_a_package_amazon_already_shows_is_done(
    sim: AmazonSimulator, connect: Connect, order: OrderFact
) -> None:
    sim.ship_elsewhere(order.remote_id, tracking="tr 1")
    assert outcomes(list(connect().push([notice(order, reference="7")]))) == {1: "done"}


def test_units_shipped_with_another_tracking_number_are_refused_with_the_code(
    sim: AmazonSimulator, connect: Connect, order: OrderFact
) -> None:
    sim.ship_elsewhere(order.remote_id, tracking="OTHER")
    (receipt,) = connect().push([notice(order, reference="7")])
    assert receipt.outcome == "refused" and "PackageToUpdateNotFound" in receipt.reason


def test_what_amazon_cannot_take_is_refused_before_it_is_sent(
    sim: AmazonSimulator, connect: Connect, order: OrderFact
) -> None:
    wrong = [
        notice(order, 1, "A1"),
        notice(order, 2, "0"),
        notice(order, 3, "\u0663"),
        notice(order, 4, tracking=" "),
        notice(order, 5, carrier=""),
        notice(order, 6, lines=()),
    ]
    receipts = list(connect().push(wrong))
    assert set(outcomes(receipts).values()) == {"refused"} and all(receipt.reason for receipt in receipts)
    assert not asked(sim, "confirmShipment")


def test_one_refused_shipment_does_not_stop_the_others(
    sim: AmazonSimulator, connect: Connect, order: OrderFact
) -> None:
    gone = replace(notice(order, 1), order="111-1111111-1111111")
    cancelled = fetched(connect(), sim.place_order([("MUG", 1)]))
    sim.cancel(cancelled.remote_id)
    receipts = list(connect().push([gone, notice(cancelled, 2), notice(order, 3)]))
    assert outcomes(receipts) == {1: "refused", 2: "refused", 3: "done"}
    assert connect().find(notice(cancelled, 2)).outcome == "refused"
    assert connect().find(gone).outcome == "refused"


# ---- cancellations


def cancellation(order: OrderFact, key: int, reason: str = "no_stock") -> Cancellation:
    return Cancellation(key, order.remote_id, tuple(line.remote_id for line in order.lines), reason)


def test_A8_A13_cancellations_go_in_one_feed_and_are_answered_later(
    sim: AmazonSimulator, connect: Connect, order: OrderFact
) -> None:
    orders = [order, *(fetched(connect(), sim.place_order([("MUG", 1)])) for _ in CANCEL_REASONS[1:])]
    messages = [
        cancellation(one, key, why) for key, (one, why) in enumerate(zip(orders, CANCEL_REASONS, strict=True), 11)
    ]
    sim.ship_elsewhere(orders[-1].remote_id)
    receipts = list(connect().push(messages))
    (ref,) = {receipt.remote_ref for receipt in receipts}
    assert set(outcomes(receipts).values()) == {"submitted"} and ref.startswith("cancel-feed:")
    assert list(connect().follow(ref, messages)) == []
    assert connect().find(messages[0]).outcome == "unknown"
    sim.wind(3600)
    assert outcomes(list(connect().follow(ref, messages))) == {
        11: "done",
        12: "done",
        13: "done",
        14: "done",
        15: "refused",
    }
    assert {entry.order_id for entry in sim.cancellations} == {one.remote_id for one in orders[:-1]}
    assert [connect().find(message).outcome for message in messages] == ["done"] * 4 + ["refused"]
    assert len(sim.feeds) == 1 and not sim.violations


def test_a_cancellation_whose_answer_is_lost_is_found_again(
    sim: AmazonSimulator, connect: Connect, order: OrderFact
) -> None:
    sim.fault("lost_reply", "createFeed")
    assert outcomes(list(connect().push([cancellation(order, 1)]))) == {1: "submitted"}
    assert len(sim.feeds) == 1


def test_a_cancellation_nobody_can_tell_of_is_unknown_and_then_tried_again(
    sim: AmazonSimulator, connect: Connect, order: OrderFact
) -> None:
    sim.fault("503_html", "createFeed")
    message = cancellation(order, 1)
    assert outcomes(list(connect().push([message]))) == {1: "unknown"}
    assert connect().find(message).outcome == "retry"


def test_a_cancellation_without_lines_or_reason_is_refused(connect: Connect, order: OrderFact) -> None:
    receipts = list(connect().push([cancellation(order, 1, "whim"), replace(cancellation(order, 2), lines=())]))
    assert set(outcomes(receipts).values()) == {"refused"}


def test_a_cancel_report_is_read_by_message_and_a_strange_one_is_not_believed() -> None:
    code = "<ResultCode>Error</ResultCode><ResultMessageCode>18028</ResultMessageCode>"
    result = f"<Result><MessageID>2</MessageID>{code}</Result>"
    warning = "<Result><MessageID>1</MessageID><ResultCode>Warning</ResultCode></Result>"
    report = f"<E><Message><ProcessingReport>{result}{warning}</ProcessingReport></Message></E>".encode()
    assert {r.key: r.outcome for r in read_cancel_report(report, [1, 2])} == {1: "done", 2: "refused"}
    for strange in (b"", b"<html/>", b'<!DOCTYPE x [<!ENTITY a "b">]><ProcessingReport/>', b"\xff\xfe"):
        with pytest.raises(Unreadable):
            list(read_cancel_report(strange, [1]))


def test_nothing_to_tell_is_nothing_sent(sim: AmazonSimulator, connect: Connect) -> None:
    assert list(connect().push([])) == [] and not sim.requests
