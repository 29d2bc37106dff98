"""A simulated Amazon that tells of a person wherever it can: in every personal field, in fields nobody asked for, in
item customisation, in the text of every error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pytest

from tests.assessor.markers import Person
from zenv.simulators.amazon import AmazonSimulator, faults, order_json
from zenv.simulators.amazon.wire import Answer, Refusal


def seller(now: Callable[[], datetime]) -> AmazonSimulator:
    """A seller of mugs, without limits and quick with its reports."""
    sim = AmazonSimulator(7, now, limits=False, report_seconds=0.1, feed_seconds=0.1)
    sim.add_listing("MUG", name="A mug", quantity=90)
    return sim


def place(sim: AmazonSimulator, who: Person, **about: Any) -> str:
    """Somebody orders a mug."""
    return sim.place_order([("MUG", 1)], recipient=who.address, buyer=who.buyer, gift_message=who["gift_message"],
                           **about)  # fmt: skip


@contextmanager
def telling_of(sim: AmazonSimulator, who: Person) -> Iterator[None]:
    """What Amazon sends holds `who` in odd places too, for as long as the block runs."""
    with pytest.MonkeyPatch.context() as patch:
        _in_orders(patch, who)
        _in_errors(patch, who)
        yield


def _in_orders(patch: pytest.MonkeyPatch, who: Person) -> None:
    line, recipient = order_json._line, order_json._ORDER_DATASETS["RECIPIENT"]

    def told_line(*given: Any) -> dict[str, Any]:
        shown = line(*given)
        shown["product"]["customization"] = {"customizedUrl": f"https://zme.example/{who['customisation']}.zip",
                                             "text": who["customisation"]}  # fmt: skip
        return shown

    def told_recipient(order: Any) -> dict[str, Any]:
        shown = recipient(order)
        shown.setdefault("recipient", {})["deliveryPreference"] = {"addressInstruction": who["instruction"]}
        return shown

    patch.setattr(order_json, "_line", told_line)
    patch.setitem(order_json._ORDER_DATASETS, "RECIPIENT", told_recipient)
    # and this much of a person comes with every order, whatever is asked for
    patch.setitem(order_json._ORDER_DATASETS, "FULFILLMENT", _with_a_note(who, order_json._fulfillment))


def _with_a_note(who: Person, build: Callable[[Any], dict[str, Any]]) -> Callable[[Any], dict[str, Any]]:
    return lambda order: build(order) | {"orderNote": who["order_note"], "buyer": order.buyer,
                                         "recipient": {"deliveryAddress": order.recipient}}  # fmt: skip


def _in_errors(patch: pytest.MonkeyPatch, who: Person) -> None:
    before, said = faults.before_effect, who["error_body"]

    def spoiled(fault: Any, call: Any) -> Answer | None:
        if fault.name == "500":
            raise Refusal(500, "InternalFailure", f"{said} could not be served", said)
        if fault.name == "invalid_input":
            raise Refusal(400, "InvalidInput", f"{said} is not valid", said)
        if fault.name == "redirect":
            return Answer(302, None, "text/html", {"location": f"{call.base_url}/{who['file_name']}"})
        return before(fault, call)

    patch.setattr(faults, "before_effect", spoiled)
    patch.setattr(faults, "_MAINTENANCE", f"<html><body>{said} waits</body></html>".encode())
