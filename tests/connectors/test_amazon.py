"""The Amazon connector keeps the contract, against the simulator over real HTTP."""

from __future__ import annotations

import pytest

from tests.connectors.conftest import Connect
from tests.connectors.contract import ConnectorContract, FarSide
from tests.connectors.test_http import Server, answer, wire
from tests.connectors.world import HandClock
from zenv.connectors import KINDS, load
from zenv.connectors.amazon.api import Api
from zenv.connectors.amazon.check import check_account
from zenv.connectors.amazon.connector import AmazonConnector
from zenv.connectors.base import Connector, Terms
from zenv.errors import Bug, NotFound, Refused
from zenv.facts import ShipmentNotice, StockLevel
from zenv.simulators.amazon import DELIVERY_ROLE, ORDERS_ROLE, AmazonSimulator

FAULTS = {
    "throttled": "429",
    "server_error": "500",
    "html_error": "503_html",
    "half_body": "half_body",
    "truncated": "truncated_json",
    "wrong_type": "wrong_content_type",
    "reset": "reset",
    "lost": "lost_reply",
    "redirect": "redirect",
    "empty": "empty_200",
    "odd_400": "invalid_input",
    "expired": "expired_token",
}
PERSONS = ("Marker-Name", "Marker-Street", "Marker-Phone", "marker-mail", "Marker-Gift", "Owner-Marker")
ADDRESS = {"name": PERSONS[0], "addressLine1": PERSONS[1], "phone": PERSONS[2]}
BUYER = {"buyerName": PERSONS[0], "buyerEmail": f"{PERSONS[3]}@marketplace.example"}


class TestAmazon(ConnectorContract):
    """Faults strike the requests of the stream of orders; two pages and a bit of orders wait in it."""

    @pytest.fixture
    def sim(self) -> AmazonSimulator:
        """Not judged by the models: that is done elsewhere, and here it would take most of the time."""
        start = HandClock().present
        return AmazonSimulator(seed=7, now=lambda: start)

    @pytest.fixture
    def far_side(self, sim: AmazonSimulator, connect: Connect) -> FarSide:
        sku = sim.add_listing("MUG-1", quantity=100_000).sku
        orders: list[str] = []
        for seconds in (0, 1, *[0] * 207, 1):
            sim.wind(seconds)
            orders.append(sim.place_order([(sku, 1)], recipient=ADDRESS, buyer=BUYER, gift_message=PERSONS[4]))
        dates = sim.orders[orders[0]].created, sim.orders[orders[-1]].created
        sim.wind(600)  # Amazon tells the orders of a period two minutes after they were placed

        def fault(name: str, times: int) -> None:
            sim.faults.clear()
            if times:
                sim.fault(FAULTS[name], "searchOrders", times)

        def take_role() -> str:
            sim.roles.discard(ORDERS_ROLE)
            return ORDERS_ROLE

        def spoil_record() -> None:
            sim.orders[orders[10]].status = "TELEPORTED"

        def push(connector: Connector) -> None:
            now = sim.now()
            list(connector.push([StockLevel(1, sku, "", 5, 2, None, "merchant")]))
            list(connector.push([ShipmentNotice(2, orders[0], "", "1", "UPS", "", "TR", now, now, (("1", 1),))]))

        secrets = (sim.client_id, sim.client_secret, sim.refresh_token, "Atza|", "X-Amz-Signature")
        return FarSide(
            # 429 for ever must end somewhere: the patience of a real run
            connect=lambda: connect(patience=600.0 if sim.faults else 100_000.0),
            stream="orders",
            fault=fault,
            revoke=sim.revoke,
            take_role=take_role,
            spoil_record=spoil_record,
            refs=tuple(orders[:2]),
            secrets=secrets,
            persons=PERSONS,
            push=push,
            period=dates,
            later_cursor='{"since": "2026-08-31T00:00:00Z"}',
        )


def test_the_registry_loads_a_connector_by_its_kind_and_names_the_kinds_there_are() -> None:
    assert load("amazon") is AmazonConnector
    assert all(load(kind).kind == kind for kind in KINDS)
    with pytest.raises(NotFound, match="amazon"):
        load("ebay")


def test_A12_to_A16_the_tasks_name_the_documented_longest_intervals() -> None:
    minutes = {task.name: task.longest.total_seconds() / 60 for task in AmazonConnector.tasks}
    midnight = [task.name for task in AmazonConnector.tasks if task.at_midnight]
    assert minutes == {
        "orders": 15,
        "items": 240,
        "cancellations": 60,
        "shipments": 60,
        "stock": 1440,
        "verify": 1440,
    }
    assert midnight == ["stock"]


def test_A1_an_individual_selling_plan_is_refused_with_the_reason(sim: AmazonSimulator, connect: Connect) -> None:
    sim.selling_plan = "INDIVIDUAL"
    with pytest.raises(Refused, match="INDIVIDUAL"):
        connect().check()


def test_check_leaves_out_marketplaces_that_are_no_shops_of_amazon(sim: AmazonSimulator, connect: Connect) -> None:
    account = connect().check()
    assert [shop.id for shop in account.marketplaces] == sim.marketplaces
    assert "A2ZV50J4W1RKNI" in account.warnings[0]
    assert "Owner" not in repr(account)
    assert not sim.violations


def test_check_refuses_a_seller_id_that_is_not_the_one_of_the_credentials(connect: Connect) -> None:
    with pytest.raises(Refused, match="ASOMEBODYELSE"):
        connect(seller_id="ASOMEBODYELSE").check()


def test_check_tells_which_roles_the_application_has(sim: AmazonSimulator, connect: Connect) -> None:
    assert DELIVERY_ROLE in connect().check().roles
    sim.roles.discard(DELIVERY_ROLE)
    without = connect().check()
    assert DELIVERY_ROLE not in without.roles
    assert any(DELIVERY_ROLE in warning for warning in without.warnings)


def test_check_warns_of_a_marketplace_the_account_does_not_take_part_in(connect: Connect) -> None:
    account = connect(marketplaces=("ATVPDKIKX0DER", "A2EUQ1WTGCTBG2")).check()
    assert any("A2EUQ1WTGCTBG2" in warning for warning in account.warnings)


def test_check_can_be_asked_before_any_marketplace_is_chosen(sim: AmazonSimulator, connect: Connect) -> None:
    account = connect(marketplaces=(), home_marketplace="").check()
    assert [shop.id for shop in account.marketplaces] == sim.marketplaces


def shop(shop_id: str, *, takes_part: bool = True, suspended: bool = False) -> dict[str, object]:
    """One entry of getMarketplaceParticipations."""
    participation = {"isParticipating": takes_part, "hasSuspendedListings": suspended}
    return {"marketplace": {"id": shop_id}, "participation": participation}


def answers_of_an_account(*shops: dict[str, object]) -> Api:
    """An account with these marketplaces, and nothing for sale."""
    server = Server(
        answer(200, {"payload": {"sellingPlan": "PROFESSIONAL"}}),
        answer(200, {"payload": list(shops)}),
        answer(200, {"numberOfResults": 0, "items": []}),
        answer(404, {"errors": [{"code": "NotFound", "message": "no such order"}]}),
    )
    plain = wire(server, HandClock())
    return Api(plain, Terms("teapots", "EU", "A1", (), ""), plain.world)


def test_an_account_that_takes_part_in_no_marketplace_of_amazon_is_refused() -> None:
    with pytest.raises(Refused, match="none of Amazon's marketplaces"):
        check_account(answers_of_an_account(shop("A1F83G8C2ARO7P", takes_part=False), shop("A2ZV50J4W1RKNI")))


def test_suspended_listings_are_warned_of() -> None:
    account = check_account(answers_of_an_account(shop("A1F83G8C2ARO7P", suspended=True)))
    assert any("suspended" in warning for warning in account.warnings)
    assert account.marketplaces[0].currency == "GBP"


def test_a_stream_nobody_has_is_a_bug(connect: Connect) -> None:
    with pytest.raises(Bug, match="orders"):
        connect().pull("dreams", None)
