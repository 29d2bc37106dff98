"""The control face and the foreground server of `zenv sim amazon`."""

from __future__ import annotations

import itertools
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.simulators.client import Api
from zenv.simulators.amazon import AmazonSimulator, serve
from zenv.simulators.amazon.control import VERBS


def tell(api: Api, verb: str, **arguments: Any) -> httpx.Response:
    """POST a verb."""
    return api.post(f"/control/{verb}", json=arguments)


def test_a_whole_story_can_be_told_over_http(sim: AmazonSimulator, api: Api) -> None:
    tell(api, "add_listing", sku="MUG", quantity=5).raise_for_status()
    tell(api, "change_quantity", sku="MUG", quantity=9).raise_for_status()
    order_id = tell(api, "place_order", lines=[["MUG", 2]], status="PENDING").json()["result"]
    tell(api, "pay", order_id=order_id).raise_for_status()
    tell(api, "request_cancel", order_id=order_id, reason="Oops").raise_for_status()
    tell(api, "change_address", order_id=order_id).raise_for_status()
    tell(api, "ship_elsewhere", order_id=order_id).raise_for_status()
    other = tell(api, "place_order", lines=[["MUG", 1]]).json()["result"]
    tell(api, "cancel", order_id=other).raise_for_status()
    tell(api, "wind", seconds=60).raise_for_status()
    tell(api, "fault", name="500", operation="getOrder", times=2).raise_for_status()
    state = api.get("/control/state").json()
    assert state["orders"] == {"CANCELLED": 1, "SHIPPED": 1}
    assert (state["listings"], state["cancellations"], state["faults"]) == (1, 1, {"500": 2})
    assert state["now"].startswith("2026-09-01T12:01:00")
    tell(api, "revoke").raise_for_status()
    assert api.orders().status_code == 403


def test_what_cannot_be_done_is_said(sim: AmazonSimulator, api: Api) -> None:
    sim.add_listing("MUG", quantity=1)
    sold_out = tell(api, "place_order", lines=[["MUG", 2]])
    assert (sold_out.status_code, "SoldOut" in sold_out.json()["error"]) == (400, True)
    assert tell(api, "pay", order_id="none").status_code == 400
    assert tell(api, "fault", name="typo").status_code == 400
    assert tell(api, "wind", seconds=-1).status_code == 400
    assert api.get("/control/wind").status_code == 404
    assert "pay" in tell(api, "__init__").json()["error"]


def test_every_verb_is_a_deed_of_the_simulator(sim: AmazonSimulator) -> None:
    assert [verb for verb in VERBS if not callable(getattr(sim, verb, None))] == []


def test_two_simulators_can_be_served_at_once() -> None:
    one, two = AmazonSimulator(seed=1), AmazonSimulator(seed=2)
    with serve(one) as first, serve(two) as second:
        assert first != second
        one.add_listing("MUG")
        states = [httpx.get(f"{url}/control/state", verify=False).json() for url in (first, second)]
    assert [state["listings"] for state in states] == [1, 0]


@pytest.fixture
def foreground() -> Iterator[subprocess.Popen[str]]:
    """`run` in a process of its own."""
    code = "from zenv.simulators.amazon import run; run(0, items=30, orders=5, seed=3)"
    command = [sys.executable, "-u", "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def test_the_foreground_server_says_how_to_connect_and_stops_on_interrupt(
    foreground: subprocess.Popen[str],
) -> None:
    assert foreground.stdout is not None
    said = list(itertools.takewhile(lambda line: "place_order" not in line, foreground.stdout))
    known = dict(re.findall(r"^  (\w[\w ]+?)  +(\S+)$", "".join(said), re.MULTILINE))
    form = {"grant_type": "refresh_token", "client_id": known["Client id"]}
    form |= {"client_secret": known["Client secret"], "refresh_token": known["Refresh token"]}
    answer = httpx.post(known["Login endpoint"], data=form, verify=False)
    state = httpx.get(f"{known['API endpoint']}/control/state", verify=False).json()
    foreground.send_signal(signal.SIGINT)
    foreground.wait(timeout=20)
    assert answer.json()["token_type"] == "bearer"
    assert sum(state["orders"].values()) == 5
    assert state["listings"] >= 30
    assert known["Merchant token"] == AmazonSimulator(seed=3).seller_id
