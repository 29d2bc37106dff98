"""A day of a fulfilment provider and its client, from the invitation to the parting and back: two homes, two processes,
real HTTPS between them and a simulated Amazon beside the client; nothing but command lines.

One story in steps, each of which goes on where the last one ended; once a step fails, the later ones are skipped.
"""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from tests.zfn.processes import Day, Person, two_companies, write
from zenv.errors import BadInput, NeedsAttention, NotFound, Unreachable
from zenv.simulators.amazon import AmazonSimulator

ACCEPT = ("zfn", "accept")
REQUEST = ("zfn", "request", "--warehouse", "Depot", "--code")


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    sim = AmazonSimulator(7, lambda: datetime.now(UTC), limits=False)
    sim.add_listing("POT", name="A pot", quantity=20)
    sim.add_listing("CUP", name="A cup", quantity=8)
    with two_companies(tmp_path_factory.mktemp("day"), sim) as found:
        found.sync("amazon")
        yield found


def step(test: Callable[[Day], None]) -> Callable[[Day], None]:
    """A step of the story: skipped where an earlier one did not come to its end."""

    @functools.wraps(test)
    def told(day: Day) -> None:
        if day.broken:
            pytest.skip(f"the day broke off in {day.broken}")
        day.broken = test.__name__
        test(day)
        day.broken = ""

    return told


# ---- becoming a provider ---------------------------------------------------------------------------------


@step
def test_Z2_Z3_Z4_Z8_only_enterprise_asks_and_an_administrator_grants_and_each_refusal_says_whom_to_ask(
    day: Day,
) -> None:
    said = day.wendy.refused("zfn", "enable")
    assert "plan enterprise" in said and "Depot Ltd" not in said and "Ask paula" in said
    day.paula.good("zfn", "settings", "--support-contact", "the front desk, 555-0100")
    assert "Ask the front desk, 555-0100" in day.wendy.refused("zfn", "invite")
    assert "Ask paula" in day.wendy.refused("zfn", "plan", "enterprise")
    day.paula.good("zfn", "plan", "enterprise")
    assert "zenv zfn grant" in day.wendy.good("zfn", "enable").out
    assert "requested but not granted" in day.wendy.refused("zfn", "invite")
    assert "Ask paula" in day.wendy.refused("zfn", "grant")
    assert "Depot Ltd" in day.wendy.refused("serve")
    day.paula.good("zfn", "grant")
    trail = {(row["actor"], row["action"]) for row in day.paula.data("audit", "list")}
    assert {("wendy", "asked for the provider function"), ("paula", "granted the provider function")} <= trail


@step
def test_Z5_Z10_Z11_an_invitation_is_the_bare_code_the_same_at_every_call_and_makes_nothing(day: Day) -> None:
    day.paula.good("zfn", "settings", "--address", day.face.address)
    bare = day.wendy.good("zfn", "invite").out
    day.code = bare.rstrip("\n")
    assert bare == f"{day.code}\n" and day.code.startswith(f"zfn:{day.face.address}/")
    assert day.wendy.data("zfn", "invite")["code"] == day.code
    assert day.wendy.data("zfn", "clients")["clients"] == [] == day.requests()
    assert day.face.start() == f"listening on {day.face.address}; company code {day.code}\n"


# ---- asking ----------------------------------------------------------------------------------------------


@step
def test_Z12_to_Z15_a_provider_warehouse_is_saved_by_its_kind_and_holds_nothing_before_it_is_connected(
    day: Day,
) -> None:
    assert "zfn, fba, zfs, house" in day.carl.refused("warehouses", "add", "Depot", "--provider", "x", code=65)
    day.carl.refused(*REQUEST, day.code, code=NotFound.exit_code)
    day.carl.here.good("warehouses", "add", "Depot", "--provider", "zfn")
    day.carl.refused("stock", "receive", "POT", "1", "--warehouse", "Depot")
    assert "not connected" in day.carl.refused("zfn", "reimport", "Depot")
    assert "not connected" in day.carl.refused("zfn", "disconnect", "Depot")


@step
def test_Z17_Z18_a_stranger_an_unknown_code_and_a_provider_not_enabled_are_refused_before_anything_is_written(
    day: Day,
) -> None:
    head, company, pin = day.code.split("/")
    for code, code_of_exit in (
        ("nonsense", BadInput.exit_code),
        (f"{head}/{company[::-1]}/{pin}", 79),
        (f"{head}/{company}/{pin[::-1]}", 79),
        (f"zfn:127.0.0.1:1/{company}/{pin}", Unreachable.exit_code),
    ):
        day.carl.refused(*REQUEST, code, code=code_of_exit)
    day.paula.good("zfn", "plan", "standard")
    day.carl.refused(*REQUEST, day.code)
    for words in (("plan", "enterprise"), ("enable",), ("grant",)):
        day.paula.good("zfn", *words)
    assert "'nobody'" in day.carl.refused("--as", "nobody", *REQUEST, day.code, code=NotFound.exit_code)
    assert day.carl.sql("SELECT COUNT(*) FROM links") == [(0,)]
    assert day.requests() == []


@step
def test_Z16_Z19_a_request_waits_once_and_there_is_one_at_a_time(day: Day) -> None:
    fingerprint = day.ask()
    assert day.ask() == fingerprint
    day.carl.here.good("warehouses", "add", "Annex", "--provider", "zfn")
    assert "one at a time" in day.carl.refused("zfn", "request", "--warehouse", "Annex", "--code", day.code)
    assert day.wendy.data("zfn", "clients") == {"requests": 1, "new": 1, "clients": []}


@step
def test_Z9_Z20_Z21_a_new_request_lights_the_line_after_every_command_until_it_was_reviewed(day: Day) -> None:
    assert "1 thing waiting for you" in day.wendy.at_terminal("items", "list")
    assert "Polite Teapots asks to become a client (carl)" in day.wendy.at_terminal("inbox")
    seen = day.wendy.at_terminal("zfn", "requests")
    assert "Polite Teapots" in seen and "carl" in seen and "Depot" in seen
    assert "waiting for you" not in day.wendy.at_terminal("zfn", "clients")
    assert day.wendy.data("zfn", "clients") == {"requests": 1, "new": 0, "clients": []}


@step
def test_Z23_Z25_Z26_Z27_accepting_needs_a_user_and_exactly_one_choice_and_else_changes_nothing(day: Day) -> None:
    for words, code in (
        ((), 65), (("--new-client", "--client", "X"), 65), (("--client", "X"), 66),
    ):  # fmt: skip
        assert "zenv zfn" in day.wendy.refused(*ACCEPT, "1", "--import-user", "wendy", *words, code=code)
    day.wendy.refused(*ACCEPT, "1", "--import-user", "nobody", "--new-client", code=66)
    day.wendy.refused(*ACCEPT, "7", "--import-user", "wendy", "--new-client", code=66)
    assert day.wendy.data("zfn", "clients") == {"requests": 1, "new": 0, "clients": []}


@step
def test_Z24_a_denied_request_makes_nothing_is_seen_by_the_client_and_may_be_sent_again(day: Day) -> None:
    day.wendy.good("zfn", "deny", "1")
    day.sync()
    ((kind, text),) = day.carl.sql("SELECT kind, text FROM inbox")
    assert (kind, text) == ("link denied", "Depot Ltd denied the request of Depot")
    assert day.wendy.data("zfn", "clients")["clients"] == []
    assert "was denied already" in day.wendy.refused(*ACCEPT, "1", "--import-user", "wendy", "--new-client")
    day.fingerprints.append(day.ask())
    assert day.carl.look("inbox") == []


@step
def test_Z7_Z22_Z28_accepting_makes_a_client_of_the_companys_name_and_only_then_data_flow(day: Day) -> None:
    (waiting,) = day.requests()
    assert (waiting["company"], waiting["former"]) == ("Polite Teapots", "")
    assert [waiting["fingerprint"]] == day.fingerprints  # what two people would compare on the telephone
    assert day.wendy.data("items", "list") == []
    day.wendy.good(*ACCEPT, str(waiting["request"]), "--import-user", "wendy", "--new-client")
    day.sync()
    (client,) = day.wendy.data("zfn", "clients")["clients"]
    assert (client["client"], client["name"], client["state"], client["import_user"]) == (
        1, "Polite Teapots", "linked", "wendy")  # fmt: skip
    assert day.carl.sql("SELECT warehouse, provider, state, requested_by FROM links WHERE state = 'linked'") == [
        ("Depot", "Depot Ltd", "linked", "carl")
    ]


# ---- goods -----------------------------------------------------------------------------------------------


@step
def test_N2_N4_the_catalogue_is_shared_and_an_item_the_provider_makes_appears_at_the_client(day: Day) -> None:
    assert day.wendy.sql("SELECT sku, client FROM items ORDER BY sku") == [
        ("1-CUP", "Polite Teapots"), ("1-POT", "Polite Teapots")]  # fmt: skip
    day.carl.good("items", "add", "LID", "--name", "A lid", "--unit-cost", "1.50")
    assert day.wendy.sql("SELECT name, unit_cost FROM items WHERE sku = '1-LID'") == [("A lid", None)]
    day.wendy.good("items", "add", "BOX", "--name", "A box", "--client", "Polite Teapots")
    day.sync()
    assert day.carl.sql("SELECT name FROM items WHERE sku = 'BOX'") == [("A box",)]


@step
def test_N10_N12_a_purchase_order_is_the_providers_PO_and_its_receipt_comes_back(day: Day) -> None:
    day.carl.good("inbound", "order", "--line", "POT=10", "--line", "LID=4", "--warehouse", "Depot", "--number", "77",
                  "--supplier", "Potter")  # fmt: skip
    assert day.wendy.sql("SELECT kind, state FROM inbounds WHERE number = 'PO-1-77'") == [("purchase", "open")]
    day.carl.refused("inbound", "receive", "PO-77")
    day.wendy.good("inbound", "receive", "PO-1-77", "--line", "1-POT=10")
    day.wendy.good("inbound", "complete", "PO-1-77")
    day.sync()
    assert day.carl.sql("SELECT state, received FROM inbounds WHERE number = 'PO-77'") == [("closed", 10)]
    assert day.carl.units("Depot") == {"POT": (10, 0)}
    ((text,),) = day.carl.sql("SELECT text FROM inbox")
    assert text == "the provider received 0 of 4 x LID of PO-77, and closed it"
    day.carl.here.good("inbox", "settle", "short receipt", "PO-77/LID")


@step
def test_N13_a_transfer_goes_allocate_pick_ship_receive_or_is_closed_by_the_providers_earlier_receipt(
    day: Day,
) -> None:
    transfer = ("inbound", "transfer", "--from", "Main", "--to", "Depot", "--line")
    first = day.carl.data(*transfer, "CUP=2")["number"]
    for verb in ("allocate", "pick", "ship"):
        day.carl.here.good("inbound", verb, first)
    day.wendy.good("inbound", "receive", f"TO-1-{first.removeprefix('TO-')}")
    second = day.carl.data(*transfer, "CUP=3")["number"]
    day.carl.here.good("inbound", "allocate", second)
    day.wendy.good("inbound", "receive", f"TO-1-{second.removeprefix('TO-')}")
    day.sync()
    assert [state for (state,) in day.carl.sql("SELECT state FROM inbounds WHERE kind = 'transfer'")] == ["closed"] * 2
    assert (day.carl.units("Main")["CUP"], day.carl.units("Depot")["CUP"]) == ((3, 0), (5, 0))
    assert day.wendy.units("Main") == {"1-CUP": (5, 0), "1-POT": (10, 0)}
    day.carl.refused("inbound", "transfer", "--from", "Depot", "--to", "Main", "--line", "CUP=1")


# ---- orders ----------------------------------------------------------------------------------------------


@step
def test_Z25_N3_N8_an_amazon_order_is_handed_over_at_once_whole_and_carries_the_import_user(day: Day) -> None:
    day.carl.here.good("connections", "edit", "amazon", "--warehouse", "Main", "--warehouse", "Depot")
    day.carl.here.good("stock", "adjust", "POT", "-20", "--why", "sold at the fair", "--warehouse", "Main")
    day.order = day.amazon.place_order([("POT", 3)])
    day.sync("amazon", "orders")
    assert day.carl.sql(f"SELECT ship_from FROM orders WHERE number = '{day.order}'") == [("Depot",)]
    there = day.wendy.data("orders", "show", f"CO-1-{day.order}")
    assert (there["state"], there["units"], there["entered_by"]) == ("ready", 3, "wendy")
    assert (there["total"], [line["price"] for line in there["lines"]]) == (None, [None])


@step
def test_N9_a_change_of_an_order_being_picked_is_the_providers_to_decide_although_the_client_has_not_run(
    day: Day,
) -> None:
    day.wendy.good("orders", "pick", f"CO-1-{day.order}")
    later = ("orders", "edit", day.order, "--ship-by", "2031-01-01")
    answer = day.carl(*later)
    assert answer.code == 79 and answer.out == ""
    assert "Depot Ltd did not agree" in answer.err and "(being picked)" in answer.err
    assert day.carl.units("Depot")["POT"] == (10, 0)  # the pick itself is not known here yet
    day.paula.good("zfn", "settings", "--allow-edit-picked")
    assert day.carl.good(*later).out == f"Order {day.order} is changed.\n"
    assert day.wendy.sql(f"SELECT ship_by > '2031' FROM orders WHERE number = 'CO-1-{day.order}'") == [(1,)]
    day.paula.good("zfn", "settings", "--no-allow-edit-picked")


@step
def test_N7_what_the_provider_ships_is_confirmed_to_amazon_with_the_providers_tracking_number(day: Day) -> None:
    day.wendy.good("orders", "ship", f"CO-1-{day.order}", "--carrier", "UPS", "--tracking", "1Z999AA10123456784")
    day.sync()
    day.sync("amazon", "shipments")
    (told,) = day.amazon.confirmations
    assert (told.order_id, told.carrier, told.tracking) == (day.order, "UPS", "1Z999AA10123456784")
    assert day.carl.sql("SELECT told FROM shipments") == [("confirmed",)]
    assert day.carl.units("Depot")["POT"] == (7, 0)


@step
def test_a_provider_that_is_away_is_told_later_and_no_command_fails_for_it(day: Day) -> None:
    assert day.face.stop() == 0
    made = day.order_by_hand("1001", "POT=2")
    assert "1 thing waits for Depot; told when it answers" in made.err
    assert day.carl.look("orders", "show", "1001")["handed_over"] == "waits for the provider"
    assert "cannot be reached" in day.carl.refused("sync", "now", "Depot", code=Unreachable.exit_code)
    day.face.start()
    day.sync()
    assert day.wendy.sql("SELECT state, units FROM orders WHERE number = 'CO-1-1001'") == [("ready", 2)]
    assert day.carl.good("orders", "edit", "1001", "--units", "POT=1").err == ""
    assert day.wendy.sql("SELECT units FROM orders WHERE number = 'CO-1-1001'") == [(1,)]
    assert day.carl.good("orders", "cancel", "1001", "--reason", "buyer_request").out == "Order 1001 is cancelled.\n"
    assert day.wendy.sql("SELECT state FROM orders WHERE number = 'CO-1-1001'") == [("cancelled",)]


@step
def test_N5_an_order_that_the_provider_enters_for_the_client_appears_there(day: Day) -> None:
    day.wendy.good("orders", "create", "--client", "Polite Teapots", "--line", "1-POT=1", "--number", "W1")
    day.sync()
    assert day.carl.sql("SELECT connection, state, units FROM orders WHERE number = 'W1'") == [("Depot", "ready", 1)]
    day.wendy.good("orders", "ship", "W1", "--carrier", "DHL", "--tracking", "JJD1")
    day.sync()
    assert day.carl.sql("SELECT state FROM orders WHERE number = 'W1'") == [("shipped",)]


@step
def test_Z29_to_Z33_a_reimport_links_all_items_makes_none_and_refreshes_quantities_in_the_same_run(day: Day) -> None:
    day.wendy.good("items", "add", "SAW", "--client", "Polite Teapots")
    day.wendy.good("stock", "receive", "1-CUP", "2")
    before = day.carl.look("items", "list")
    for _ in range(2):
        done = day.carl.data("zfn", "reimport", "Depot")
        assert done["without_an_item"] == [{"connection": "Depot", "listing": "SAW"}]
        assert day.carl.units("Depot")["CUP"] == (7, 0)
    assert [row["sku"] for row in day.carl.look("items", "list")] == [row["sku"] for row in before]
    assert [row["command"] for row in day.carl.look("inbox")] == ["zenv items unconfirmed"]
    day.carl.here.good("items", "confirm", "SAW")
    assert day.carl.look("inbox") == []


@step
def test_compare_finds_a_planted_difference_and_names_the_first_entry(day: Day) -> None:
    assert day.carl.here.good("zfn", "compare", "Depot").rows == []
    copy = day.carl.home.with_name("copy")
    shutil.copytree(day.carl.home, copy)
    ((entry, movement),) = day.carl.sql(
        "SELECT entry, movement_id FROM mirrored JOIN movement m ON m.id = movement_id WHERE m.quantity = 10"
    )
    write(copy, "DROP TRIGGER movement_is_never_changed")
    write(copy, f"UPDATE movement SET quantity = 9 WHERE id = {movement}")
    write(copy, "UPDATE level SET on_hand = 5 WHERE on_hand = 6")
    found = Person(copy, "carl")("zfn", "compare", "Depot")
    assert found.code == NeedsAttention.exit_code
    ((subject, text),) = [(row["subject"], row["text"]) for row in found.rows]
    assert (subject, text) == (
        "POT",
        "Depot Ltd has 6 on hand and 0 picked, here are 5 on hand and 0 picked; "
        f"first at entry {entry}: 10 received for PO-77 (supplier to on_hand) there, +9 on hand here",
    )


# ---- parting and coming back -----------------------------------------------------------------------------


@step
def test_Z35_to_Z38_nobody_parts_while_goods_or_orders_are_left_and_each_refusal_lists_them(day: Day) -> None:
    day.order_by_hand("1002", "POT=1")
    day.wendy.good("orders", "pick", "CO-1-1002")
    said = day.wendy.refused("zfn", "delete", "Polite Teapots")
    for part in ("POT: 5 on hand, 1 picked", "CUP: 7 on hand", "order CO-1-1002 is ready", "on the client's side"):
        assert part in said
    said = day.carl.refused("zfn", "disconnect", "Depot")
    for part in ("CUP: 7 on hand", "POT: 5 on hand, 1 picked", "orders 1002"):
        assert part in said
    assert "zenv zfn disconnect" in day.carl.refused("warehouses", "deactivate", "Depot")


@step
def test_Z36_Z39_Z40_the_client_disconnects_then_closes_the_warehouse_and_only_then_is_it_deleted(day: Day) -> None:
    day.wendy.good("orders", "ship", "CO-1-1002", "--carrier", "UPS", "--tracking", "1Z2")
    day.wendy.good("stock", "adjust", "1-POT", "-5", "--why", "sent back")
    day.wendy.good("stock", "adjust", "1-CUP", "-7", "--why", "sent back")
    day.carl.here.good("connections", "edit", "amazon", "--warehouse", "Main")
    day.carl.good("zfn", "disconnect", "Depot")
    assert "deactivate the warehouse" in day.wendy.refused("zfn", "delete", "Polite Teapots")
    day.carl.good("warehouses", "deactivate", "Depot")
    day.wendy.good("zfn", "delete", "Polite Teapots")
    assert day.wendy.sql("SELECT state FROM clients") == [("deleted",)]
    assert day.carl.sql("SELECT state FROM orders WHERE number IN ('1002', 'W1')") == [("shipped",)] * 2
    day.carl.refused("zfn", "reimport", "Depot")


@step
def test_Z41_Z42_Z43_coming_back_is_an_administrators_act_then_the_whole_request_and_the_history_is_there(
    day: Day,
) -> None:
    assert "Ask carl" in day.cleo.refused("warehouses", "reactivate", "Depot")
    day.carl.good("warehouses", "reactivate", "Depot")
    day.carl.refused("sync", "now", "Depot")
    day.ask()
    (waiting,) = day.requests()
    assert waiting["former"] == "Polite Teapots"
    day.wendy.good(*ACCEPT, str(waiting["request"]), "--import-user", "wendy", "--client", "Polite Teapots")
    day.sync()
    (client,) = day.wendy.data("zfn", "clients")["clients"]
    assert (client["client"], client["state"]) == (1, "linked")
    assert day.wendy.sql("SELECT COUNT(*) FROM orders WHERE connection = 'Polite Teapots'") == [(4,)]
    day.carl.good("inbound", "order", "--line", "POT=2", "--warehouse", "Depot", "--number", "78")
    day.wendy.good("inbound", "receive", "PO-1-78")
    day.sync()
    assert day.carl.units("Depot")["POT"] == (2, 0)


@step
def test_both_ledgers_are_sound_and_agree_and_each_order_left_once(day: Day) -> None:
    assert day.carl.here.good("doctor").rows == day.wendy.good("doctor").rows == []
    assert day.carl.good("zfn", "compare", "Depot").rows == []
    assert len(day.amazon.confirmations) == 1 and not day.amazon.violations
    assert day.carl.sql("SELECT number FROM shipments ORDER BY number") == [("1002",), (day.order,), ("W1",)]
    for secret in (*day.carl.home.rglob("*"), *day.wendy.home.rglob("*"), day.face.log):
        assert not secret.is_file() or b"Ann Example" not in secret.read_bytes()
    assert day.face.stop() == 0
