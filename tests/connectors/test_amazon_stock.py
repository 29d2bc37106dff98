"""Telling Amazon stock by PATCH and by feed, judged by what the simulator saw."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.connectors.conftest import Connect
from tests.connectors.telling import asked, level, outcomes, pushed
from tests.shared_files import SPAPI, needs_spapi
from zenv.connectors.amazon import stock
from zenv.connectors.amazon.stock import MOST_BYTES, MOST_MESSAGES, feed_documents, read_listings_report
from zenv.errors import Bug, LoginNeeded, Refused, Throttled, Unanswered, Unreachable
from zenv.facts import StockLevel
from zenv.simulators.amazon import LISTING_ROLE, AmazonSimulator
from zenv.simulators.amazon.judge import Judge


def test_A6_A10_a_level_is_merged_with_its_handling_time(sim: AmazonSimulator, connect: Connect) -> None:
    sim.add_listing("MUG/1 %", quantity=5)
    assert outcomes(list(connect().push([level(1, "MUG/1 %", 3, handling_days=4)]))) == {1: "done"}
    listing = sim.listings["MUG/1 %"]
    assert (listing.quantity, listing.lead_time) == (3, 4)
    assert not sim.violations and not sim.handling_resets


def test_the_riskiest_levels_are_told_first(sim: AmazonSimulator, connect: Connect) -> None:
    for sku in "abc":
        sim.add_listing(sku)
    receipts = list(connect().push([level(1, "a", 90), level(2, "b", 0), level(3, "c", 1)]))
    assert [receipt.key for receipt in receipts] == [2, 3, 1]


@pytest.mark.parametrize("by", ["channel", "both"])
def test_C18_what_amazon_fulfils_is_never_told_a_quantity(sim: AmazonSimulator, connect: Connect, by: str) -> None:
    sim.add_listing("FBA-1", fulfillment_channel="AMAZON_NA")
    (receipt,) = connect().push([level(1, "FBA-1", 3, fulfilled_by=by)])
    assert receipt.outcome == "refused" and "merchant leg" in receipt.reason
    assert not sim.channel_accidents and not asked(sim, "patchListingsItem")


def test_an_invalid_level_is_refused_with_amazons_codes_and_the_others_go_on(
    sim: AmazonSimulator, connect: Connect
) -> None:
    sim.add_listing("a")
    receipts = list(connect().push([level(1, "gone", 0), level(2, "a", 4), level(3, "a", 5), level(4, "b", -1)]))
    assert outcomes(receipts) == {1: "refused", 2: "done", 3: "refused", 4: "refused"}
    assert "13013" in next(receipt.reason for receipt in receipts if receipt.key == 1)
    assert sim.listings["a"].quantity == 4


def test_a_lost_answer_is_unknown_and_found_by_reading_back(sim: AmazonSimulator, connect: Connect) -> None:
    sim.add_listing("a")
    sim.add_listing("b")
    sim.fault("lost_reply", "patchListingsItem")
    messages = [level(1, "a", 3), level(2, "b", 4)]
    assert outcomes(list(connect().push(messages))) == {1: "unknown", 2: "done"}
    assert connect().find(messages[0]).outcome == "done"
    assert connect().find(level(1, "a", 9)).outcome == "retry"
    assert connect().find(level(1, "gone", 9)).outcome == "refused"
    assert asked(sim, "patchListingsItem") == 2


def test_after_three_lost_answers_the_rest_waits(sim: AmazonSimulator, connect: Connect) -> None:
    sim.fill(10)
    messages = [level(index, sku, index) for index, sku in enumerate(sorted(sim.listings), start=1)]
    sim.fault("503_html", "patchListingsItem", times=100)
    receipts, error = pushed(connect(), messages)
    assert isinstance(error, Unanswered)
    assert Counter(outcomes(receipts).values()) == {"unknown": 3, "retry": len(messages) - 3}
    assert asked(sim, "patchListingsItem") == 3


def test_a_400_for_a_level_is_tried_again_later(sim: AmazonSimulator, connect: Connect) -> None:
    sim.add_listing("a")
    sim.fault("invalid_input", "patchListingsItem")
    (receipt,) = connect().push([level(1, "a", 3)])
    assert receipt.outcome == "retry" and receipt.wait > 60


def test_without_a_login_every_message_waits_and_the_login_is_asked_for(sim: AmazonSimulator, connect: Connect) -> None:
    sim.revoke()
    receipts, error = pushed(connect(), [level(1, "a", 3), level(2, "b", 3)])
    assert isinstance(error, LoginNeeded)
    assert outcomes(receipts) == {1: "retry", 2: "retry"}


def test_without_the_role_every_message_waits_and_the_role_is_named(sim: AmazonSimulator, connect: Connect) -> None:
    receipts, error = pushed(connect(seller_id="ASOMEBODYELSE"), [level(1, "a", 3), level(2, "b", 3)])
    assert isinstance(error, Refused) and LISTING_ROLE in error.message
    assert set(outcomes(receipts).values()) == {"retry"}


def test_an_expired_token_in_mid_run_is_renewed_and_nothing_is_told_twice(
    sim: AmazonSimulator, connect: Connect
) -> None:
    sim.fill(6)
    messages = [level(index, sku, 50 + index) for index, sku in enumerate(sorted(sim.listings), 1)]
    messages = [one for one in messages if not sim.listings[one.sku].is_parent]
    connector = connect()
    walk = connector.push(messages)
    first = next(walk)
    sim.tokens.clear()
    assert set(outcomes([first, *walk]).values()) == {"done"}
    assert all(sim.listings[one.sku].quantity == one.quantity for one in messages)


def test_many_levels_go_by_feed_and_the_urgent_ones_by_patch(
    sim: AmazonSimulator, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stock, "MOST_PATCHES", 10)
    monkeypatch.setattr(stock, "MOST_MESSAGES", 20)
    for index in range(60):
        sim.add_listing(f"S{index}", quantity=500, lead_time=5)
    messages = [level(index + 1, f"S{index}", index) for index in range(60)] + [level(61, "gone", 99)]
    receipts = list(connect().push(messages))
    assert Counter(outcomes(receipts).values()) == {"done": 3, "submitted": 58}
    refs = {receipt.remote_ref for receipt in receipts if receipt.remote_ref}
    assert len(refs) == 3 and asked(sim, "patchListingsItem") == 3
    by_patch = {change.sku for change in sim.quantity_changes if change.source == "patch"}
    assert by_patch == {"S0", "S1", "S2"}
    waiting = {ref: [m for m in messages for r in receipts if r.key == m.key and r.remote_ref == ref] for ref in refs}
    assert not [receipt for ref in refs for receipt in connect().follow(ref, waiting[ref])], "the feeds are still open"
    sim.wind(3600)
    ended = {r.key: r for ref in refs for r in connect().follow(ref, waiting[ref])}
    assert ended[61].outcome == "refused" and "13013" in ended[61].reason
    assert Counter(receipt.outcome for receipt in ended.values()) == {"done": 57, "refused": 1}
    assert all(sim.listings[f"S{index}"].quantity == index for index in range(60))
    assert not sim.handling_resets and not sim.violations


@pytest.fixture
def by_feed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stock, "MOST_PATCHES", 0)


@pytest.mark.usefixtures("by_feed")
def test_a_feed_whose_answer_is_lost_is_looked_for_not_made_again(sim: AmazonSimulator, connect: Connect) -> None:
    sim.add_listing("a")
    sim.fault("lost_reply", "createFeed")
    (receipt,) = connect().push([level(1, "a", 30)])
    assert receipt.outcome == "submitted"
    assert receipt.remote_ref.removeprefix("feed:") in sim.feeds and len(sim.feeds) == 1


@pytest.mark.usefixtures("by_feed")
def test_a_feed_that_was_surely_not_made_is_tried_again(sim: AmazonSimulator, connect: Connect) -> None:
    sim.add_listing("a")
    sim.fault("503_html", "createFeed")
    (receipt,) = connect().push([level(1, "a", 30)])
    assert receipt.outcome == "retry" and not sim.feeds


@pytest.mark.usefixtures("by_feed")
def test_an_upload_that_fails_makes_no_feed(sim: AmazonSimulator, connect: Connect) -> None:
    sim.add_listing("a")
    sim.fault("500", "uploadDocument", times=50)
    receipts, error = pushed(connect(), [level(1, "a", 30), level(2, "b", 31)])
    assert isinstance(error, Unreachable)
    assert set(outcomes(receipts).values()) == {"retry"} and not sim.feeds


@pytest.mark.usefixtures("by_feed")
def test_the_sixth_feed_in_five_minutes_waits(
    sim: AmazonSimulator, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stock, "MOST_MESSAGES", 1)
    messages = [level(index, f"S{index}", 30) for index in range(1, 9)]
    for message in messages:
        sim.add_listing(message.sku)
    receipts, error = pushed(connect(patience=30.0), messages)
    assert isinstance(error, Throttled)
    assert list(outcomes(receipts).values()) == ["submitted"] * 5 + ["retry"] * 3
    assert receipts[-1].wait > 30


@pytest.mark.usefixtures("by_feed")
def test_a_fatal_feed_may_have_been_carried_out_in_part(sim: AmazonSimulator, connect: Connect) -> None:
    for sku in "ab":
        sim.add_listing(sku)
    sim.fault("fatal_feed", applied=1)
    messages = [level(1, "a", 30), level(2, "b", 31)]
    (ref,) = {receipt.remote_ref for receipt in connect().push(messages)}
    sim.wind(3600)
    assert outcomes(list(connect().follow(ref, messages))) == {1: "unknown", 2: "unknown"}
    assert [connect().find(message).outcome for message in messages] == ["done", "retry"]


def test_a_feed_amazon_forgot_is_unknown_and_a_reference_of_somebody_else_is_a_bug(connect: Connect) -> None:
    (receipt,) = connect().follow("feed:404", [level(1, "a", 3)])
    assert receipt.outcome == "unknown"
    with pytest.raises(Bug):
        list(connect().follow("letter:1", [level(1, "a", 3)]))


LEVELS = st.lists(
    st.builds(
        level,
        key=st.integers(1, 2**31 - 1),
        sku=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40),
        quantity=st.integers(0, 10**6),
        handling_days=st.integers(0, 30),
    ),
    max_size=40,
    unique_by=lambda one: one.key,
)


@given(LEVELS)
@settings(max_examples=60)
def test_feed_documents_hold_every_level_once_and_stay_within_amazons_bounds(levels: list[StockLevel]) -> None:
    told = []
    for keys, content in feed_documents(levels, "A1"):
        document = json.loads(content.decode())
        assert len(content) <= MOST_BYTES and len(keys) <= MOST_MESSAGES
        assert document["header"] == {"sellerId": "A1", "version": "2.0", "issueLocale": "en_US"}
        assert [message["messageId"] for message in document["messages"]] == keys
        told += [(m["messageId"], m["sku"], m["patches"][0]["value"][0]["quantity"]) for m in document["messages"]]
        # `replace` would reset what we do not name
        assert {m["patches"][0]["op"] for m in document["messages"]} == {"merge"}
    assert told == [(one.key, one.sku, one.quantity) for one in levels]


def test_feed_documents_are_cut_at_10_MiB_also_when_skus_are_long() -> None:
    levels = [level(index, f"{index}-" + "ü" * 3000, 1) for index in range(1, 4001)]
    documents = list(feed_documents(levels, "A1"))
    assert len(documents) == 3 and all(len(content) < 10 * 2**20 for _, content in documents)
    assert sum(len(json.loads(content)["messages"]) for _, content in documents) == 4000


def test_a_key_that_cannot_number_a_message_is_a_bug() -> None:
    with pytest.raises(Bug):
        list(feed_documents([level(0, "a", 1)], "A1"))


@needs_spapi
def test_a_feed_document_is_what_amazons_schema_says() -> None:
    ((_, content),) = feed_documents([level(1, "a", 0), level(2, "ü", 5, product_type="SHOES")], "A1")
    assert Judge(SPAPI).document_problems("listings-feed-schema-v2", json.loads(content)) == []


def test_an_error_that_names_no_message_leaves_all_of_a_feed_unknown() -> None:
    issues = [{"severity": "ERROR", "code": "9", "message": "m"}, {"severity": "WARNING", "messageId": 1, "code": "w"}]
    report = json.dumps({"issues": [*issues, {"severity": "ERROR", "messageId": 2, "code": "7"}]}).encode()
    assert {r.key: r.outcome for r in read_listings_report(report, [1, 2])} == {1: "unknown", 2: "refused"}
