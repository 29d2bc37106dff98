"""`zenv sync` for people and for cron: periods, reruns, silence, exit codes, waiting, and being told to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.cli_driver import ROOT, Zenv, a_shop, an_empty_home  # noqa: F401  # the fixtures shop and zenv
from tests.test_cli_connect import secret_lines, words
from zenv import commands
from zenv.commands import sync as sync_commands
from zenv.errors import LoginNeeded, NeedsAttention, Stopped, Throttled
from zenv.simulators.amazon import AmazonSimulator, serve
from zenv.sync import RunResult

CONNECTION = "amazon-us"


@pytest.fixture(name="sim")
def a_small_amazon() -> AmazonSimulator:
    """Its clock is half an hour behind ours, so that it can be wound."""
    sim = AmazonSimulator(seed=7, now=lambda: datetime.now(UTC) - timedelta(minutes=30))
    sim.add_listing("MUG", name="A mug", quantity=5)
    sim.add_listing("PLATE", name="A plate", quantity=3)
    return sim


@pytest.fixture(name="url")
def its_address(sim: AmazonSimulator) -> Iterator[str]:
    with serve(sim) as url:
        yield url


@pytest.fixture(name="connected")
def a_connected_shop(shop: Zenv, sim: AmazonSimulator, url: str) -> Zenv:
    shop.good(*words(sim, url, "--yes", "--enable"), stdin=secret_lines(sim))
    sim.requests.clear()
    return shop


def now(shop: Zenv, *more: str) -> Any:
    return shop("sync", "now", CONNECTION, *more)


def history(shop: Zenv) -> list[dict[str, Any]]:
    return list(shop.data("sync", "history"))


# --- a period -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("given", "missing"), [("--since", "--until"), ("--until", "--since")])
def test_H70_one_end_alone_is_refused_naming_the_other(
    connected: Zenv, sim: AmazonSimulator, given: str, missing: str
) -> None:
    answer = now(connected, "orders", given, "2026-01-01")
    assert answer.code == 2 and f"{missing} is missing" in answer.err
    assert sim.requests == [] and history(connected) == []


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (("orders", "--since", "2026-02-02", "--until", "2026-02-01"), "ends before it starts"),
        (("stock", "--since", "2026-02-01", "--until", "2026-02-02"), "orders and items; stock is not"),
        (("orders", "--since", "yesterday", "--until", "2026-02-02"), "is not a time"),
        (("orders", "--since", "2999-02-01", "--until", "2999-02-02"), "not begun"),
    ],
)
def test_H70_H71_a_period_that_makes_no_sense_is_refused_and_nothing_is_fetched(
    connected: Zenv, sim: AmazonSimulator, wrong: tuple[str, ...], why: str
) -> None:
    answer = now(connected, *wrong)
    assert answer.code == 65 and why in answer.err
    assert sim.requests == [] and history(connected) == []


def test_H70_a_day_alone_is_the_whole_day_in_the_companys_zone(connected: Zenv, sim: AmazonSimulator) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    day = (datetime.now(berlin) - timedelta(days=3)).date()
    begins = datetime(day.year, day.month, day.day, tzinfo=berlin).astimezone(UTC)
    ends = datetime(day.year, day.month, day.day, 23, 59, 59, tzinfo=berlin).astimezone(UTC)
    (ran,) = connected.data("sync", "now", CONNECTION, "orders", "--since", f"{day}", "--until", f"{day}")
    assert ran["note"].endswith(f"from {begins:%Y-%m-%d %H:%M:%S} to {ends:%Y-%m-%d %H:%M:%S} UTC")
    (asked,) = [seen.query for seen in sim.requests if seen.operation == "searchOrders"]
    assert asked["createdAfter"] == [f"{begins:%Y-%m-%dT%H:%M:%S}.000Z"]
    assert asked["createdBefore"] == [f"{ends:%Y-%m-%dT%H:%M:%S}.999Z"]


def test_H68_without_a_task_a_period_reads_orders_and_items(connected: Zenv, sim: AmazonSimulator) -> None:
    number = sim.place_order([("MUG", 2)])
    sim.wind(1800)
    day = datetime.now(UTC).date()
    ran = connected.data("sync", "now", CONNECTION, "--since", f"{day - timedelta(days=1)}", "--until", f"{day}T23:59Z")
    assert [(one["task"], one["outcome"], one["orders"], one["items"]) for one in ran] == [
        ("orders", "ok", 1, 0), ("items", "ok", 0, 2),
    ]  # fmt: skip
    assert [one["number"] for one in connected.data("orders", "list")] == [number]


def test_H70_the_help_says_what_a_period_is(zenv: Zenv) -> None:
    said = " ".join(zenv.good("sync", "now", "--help").out.split())
    for sentence in ("Orders of a period are chosen by when they were placed, items by when their listing was created",
                     "Both ends belong to the period", "A time without a zone is your company's"):  # fmt: skip
        assert sentence in said


@pytest.mark.parametrize(("text", "begins", "moment"), [
    ("2026-03-02", True, "2026-03-01T23:00:00"), ("2026-03-02", False, "2026-03-02T22:59:59.999999"),
    ("20260302", False, "2026-03-02T22:59:59.999999"), ("2026-03-02T10:00", True, "2026-03-02T09:00:00"),
    ("2026-03-02 10:00", False, "2026-03-02T09:00:00"), ("2026-03-02T10:00Z", False, "2026-03-02T10:00:00"),
    ("2026-07-02", True, "2026-07-01T22:00:00"),
])  # fmt: skip
def test_H70_a_time_without_a_zone_is_the_companys(shop: Zenv, text: str, begins: bool, moment: str) -> None:
    shop.good("warehouses", "list")  # a session, with the company's zone
    assert commands.moment(text, day_begins=begins) == datetime.fromisoformat(f"{moment}+00:00")


# --- the history, and again -----------------------------------------------------------------------------------


def test_H62_H63_H65_the_history_a_run_with_its_reasons_and_a_rerun(connected: Zenv, sim: AmazonSimulator) -> None:
    number, odd = sim.place_order([("MUG", 1)]), sim.place_order([("MUG", 1)])
    now(connected, "orders")
    sim.orders[odd].status = "ON_THE_MOON"
    sim.book.touch(sim.orders[odd], sim.now())
    sim.wind(1200)
    failed = now(connected, "orders")
    assert failed.code == 80 and "zenv sync show 2" in failed.err
    last, first = history(connected)
    assert (last["orders"], last["orders_failed"], last["items_failed"], last["outcome"]) == (0, 1, 0, "partial")
    assert (first["orders"], first["orders_failed"]) == (2, 0) and first["worker"].startswith("sync now ")
    shown = connected.data("sync", "show", "2")
    assert shown["set_aside"][0]["remote_id"] == odd and "ON_THE_MOON" in shown["set_aside"][0]["reason"]
    sim.orders[odd].status = "UNSHIPPED"
    again = connected.data("sync", "rerun", "2")
    assert (again[0]["run"], again[0]["outcome"], again[0]["orders"]) == (3, "ok", 1)
    assert connected.data("sync", "show", "3")["again"] == 2 and history(connected)[0]["again"] == 2
    assert {one["number"] for one in connected.data("orders", "list")} == {number, odd}
    assert connected.good("sync", "rerun", "1", "--quiet").out == ""
    assert connected("sync", "rerun", "99").code == 66
    connected.good("sync", "now", CONNECTION, "shipments")
    refused = connected("sync", "rerun", "5")
    assert refused.code == 79 and "brought no record" in refused.err


# --- for cron -------------------------------------------------------------------------------------------------


def test_quiet_says_nothing_when_all_is_well(connected: Zenv, sim: AmazonSimulator) -> None:
    sim.place_order([("MUG", 1)])
    for task in ("", "orders", "items"):
        answer = now(connected, *filter(None, [task]), "--quiet")
        assert (answer.code, answer.out, answer.err) == (0, "", "")
    day = f"{datetime.now(UTC).date()}"
    assert now(connected, "--since", day, "--until", day, "--quiet").out == ""
    assert [one["outcome"] for one in now(connected, "orders", "--quiet", "--json").data] == ["ok"]
    assert len(now(connected, "orders").rows) == 1


def test_quiet_is_no_silence_about_trouble(connected: Zenv, sim: AmazonSimulator) -> None:
    sim.add_listing("BAD\x07BELL", name="Unprintable", quantity=1)
    answer = now(connected, "items", "--quiet")
    assert answer.code == 80 and "partial" in answer.out and "set aside" in answer.err
    sim.revoke()
    answer = now(connected, "orders", "--quiet")
    assert answer.code == 77 and "failed" in answer.out


def test_an_account_that_cannot_be_reached_is_69(
    connected: Zenv, sim: AmazonSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zenv.sync._sleep", lambda *_: None)  # the pauses between attempts
    sim.fault("503_html", "searchOrders", times=100)
    assert now(connected, "orders", "--quiet").code == 69


def result(error: Any = None, failed: int = 0) -> RunResult:
    outcome = "partial" if failed or isinstance(error, (Throttled, Stopped)) else "failed" if error else "ok"
    return RunResult(4, "a", "orders", outcome, 0, 0, 0, 0, 0, failed, "", error)


LIMIT = Throttled("Amazon asks us to wait.", 180.0)


@pytest.mark.parametrize(
    ("results", "goes_on", "trouble"),
    [
        ([result()], True, None),
        ([result(LIMIT), result()], True, None),
        ([result(LIMIT)], False, Throttled),
        ([result(LIMIT), result(LoginNeeded("no"))], True, LoginNeeded),
        ([result(LIMIT, failed=1)], True, NeedsAttention),
        ([result(failed=2)], False, NeedsAttention),
        ([result(Stopped("told to"))], True, Stopped),
    ],
)
def test_a_rate_limit_is_trouble_only_where_no_next_run_goes_on_from_there(
    results: list[RunResult], goes_on: bool, trouble: type[Exception] | None
) -> None:
    found = sync_commands.trouble(results, goes_on)
    assert found is None if trouble is None else isinstance(found, trouble)


def test_without_the_key_the_reason_is_said_and_stands_in_the_history(connected: Zenv, sim: AmazonSimulator) -> None:
    (key,) = connected.home.parent.rglob("*.key")
    key.rename(key.with_suffix(".away"))
    answer = now(connected, "--quiet")
    assert answer.code in (75, 78) and "key" in answer.err
    (entry,) = history(connected)
    assert entry["outcome"] == "failed" and "key" in entry["note"] and sim.requests == []


# --- somebody else is at it -----------------------------------------------------------------------------------

HOLD = """
import sys
from pathlib import Path
from zenv.ledger import book, runs

def wait():
    print("there", flush=True)
    sys.stdin.readline()

with book.open_book(Path(sys.argv[1])) as b:
    with b.transaction() as t:
        run = runs.begin(t, 1, "orders" if sys.argv[2] == "task" else "verify")
        if sys.argv[2] == "lock":
            wait()
    if sys.argv[2] == "task":
        wait()
    with b.transaction() as t:
        runs.end(t, run, "ok", runs.Tally())
"""


@contextmanager
def held(home: Any, what: str) -> Iterator[Callable[[], None]]:
    """Another process is running the task, or holds the ledger's lock, until it is told to let go."""
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(home), what], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True, cwd=ROOT)  # fmt: skip
    assert other.stdin is not None and other.stdout is not None
    assert other.stdout.readline() == "there\n"

    def let_go() -> None:
        if other.poll() is None:
            other.communicate("\n")

    try:
        yield let_go
    finally:
        let_go()
    assert other.returncode == 0


@pytest.mark.parametrize("wait", [(), ("--wait", "0"), ("--wait", "1")])
def test_a_task_that_is_running_elsewhere_is_75_and_nothing_is_asked(
    connected: Zenv, sim: AmazonSimulator, wait: tuple[str, ...]
) -> None:
    with held(connected.home, "task"):
        answer = now(connected, "orders", "--quiet", *wait)
        assert answer.code == 75 and "running already" in answer.err and sim.requests == []
        assert now(connected, "items", "--quiet").code == 0  # another task is free
    assert now(connected, "orders").code == 0


def test_a_locked_ledger_is_75_after_the_time_that_was_told(connected: Zenv, sim: AmazonSimulator) -> None:
    with held(connected.home, "lock"):
        answer = now(connected, "orders", "--quiet", "--wait", "1")
        assert answer.code == 75 and "writing to the ledger" in answer.err
    assert sim.requests == []
    assert now(connected, "orders").code == 0


@pytest.mark.parametrize("what", ["task", "lock"])
def test_with_time_to_wait_it_runs_once_the_other_has_ended(connected: Zenv, sim: AmazonSimulator, what: str) -> None:
    with held(connected.home, what) as let_go:
        waiting = start(connected, "sync", "now", CONNECTION, "orders", "--wait", "500", "--quiet")
        time.sleep(1.5)  # it has come to the lock; were it slower, there would be nothing to wait for
        assert waiting.poll() is None and sim.requests == []
        let_go()
        said = waiting.communicate(timeout=60)
        assert (waiting.returncode, said) == (0, ("", ""))
    assert [one["outcome"] for one in history(connected)] == ["ok", "ok"]


def test_a_ledger_that_is_locked_in_mid_run_is_waited_for_too(connected: Zenv, sim: AmazonSimulator) -> None:
    with sim.lock:  # Amazon does not answer for a while
        process = start(connected, "sync", "now", CONNECTION, "orders", "--wait", "500", "--quiet")
        until_running(connected)
        holding = held(connected.home, "lock")
        let_go = holding.__enter__()
    time.sleep(1)  # it has come to what Amazon answered
    let_go()
    holding.__exit__(None, None, None)
    said = process.communicate(timeout=60)
    assert (process.returncode, said) == (0, ("", ""))


def start(shop: Zenv, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-m", "zenv", *arguments], cwd=ROOT, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            env={**os.environ, "ZENV_HOME": str(shop.home)})  # fmt: skip


# --- told to stop ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "code", "said"), [(signal.SIGTERM, 75, "told to stop"), (signal.SIGINT, 130, "interrupted")]
)
def test_a_process_that_is_told_to_stop_writes_down_its_run_and_leaves_the_task_free(
    connected: Zenv, sim: AmazonSimulator, number: int, code: int, said: str
) -> None:
    placed = sim.place_order([("MUG", 1)])
    with sim.lock:  # Amazon does not answer for a while
        process = start(connected, "sync", "now", CONNECTION)
        until_running(connected)
        process.send_signal(number)
        if number == signal.SIGINT:
            process.wait(timeout=60)  # it does not wait for the answer
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    (entry,) = history(connected)
    assert (entry["task"], entry["outcome"]) == ("orders", "partial") and said in entry["note"]
    assert now(connected, "orders").code == 0
    assert [one["number"] for one in connected.data("orders", "list")] == [placed]


def until_running(shop: Zenv) -> None:
    while not [one for one in history(shop) if one["outcome"] == "running"]:
        time.sleep(0.05)
    time.sleep(0.5)  # and its request has left


# --- the account ----------------------------------------------------------------------------------------------


def test_H60_an_account_is_shown_with_all_that_belongs_to_it(connected: Zenv, sim: AmazonSimulator) -> None:
    now(connected, "orders")
    shown = connected.data("connections", "show", CONNECTION)
    assert {"status", "marketplaces", "handling_days", "buffer", "with_fulfilled", "consent_at"} <= shown.keys()
    assert shown["history_kept"].startswith("31 days for runs that went well, 62 for others")
    bounds = {one["task"]: one["bound"] for one in shown["synced"]}
    assert bounds == {"orders": "15 min", "items": "4 h", "cancellations": "1 h", "shipments": "1 h",
                      "stock": "at midnight", "verify": "24 h"}  # fmt: skip
    assert shown["synced"][4] == {"task": "stock", "reads": "orders", "tells": "stock level", "bound": "at midnight"}
    assert isinstance(shown["schedule"], list) and shown["owed_messages"] == []
    assert [(one["task"], one["outcome"]) for one in shown["last_runs"]] == [("orders", "ok")]
    connected.good("connections", "edit", CONNECTION, "--high-frequency")
    assert connected.data("connections", "show", CONNECTION)["synced"][4]["bound"] == "10 min"


def test_H76_a_setting_of_all_accounts_is_announced_before_it_is_changed(
    connected: Zenv, sim: AmazonSimulator, url: str
) -> None:
    connected.good("connections", "edit", CONNECTION, "--with-fulfilled")  # the only one: nothing to announce
    sim.seller_id = "A2NDSELLER0000"
    connected.good(*words(sim, url, "--yes", "--name", "two"), stdin=secret_lines(sim))

    def settings() -> dict[str, bool]:
        return {name: connected.data("connections", "show", name)["with_fulfilled"] for name in (CONNECTION, "two")}

    before = settings()
    answer = connected("connections", "edit", "two", "--open-only", "--json")
    assert answer.code == 2 and {one["connection"] for one in answer.data} == {CONNECTION, "two"}
    assert settings() == before
    asked = connected.at_terminal("connections", "edit", "two", "--open-only", typed=("n",))
    assert "one for all accounts" in asked.out and settings() == before
    connected.good("connections", "edit", "two", "--buffer", "3")  # its own setting is its own affair
    connected.good("connections", "edit", "two", "--with-fulfilled", "--yes")
    assert settings() == {CONNECTION: True, "two": True}
    connected.good("connections", "edit", CONNECTION, "--open-only", "--yes")
    assert settings() == {CONNECTION: False, "two": False}


def test_Z29_Z34_reimporting_items_by_command(connected: Zenv, sim: AmazonSimulator) -> None:
    before = connected.data("items", "list")
    done = connected.data("warehouses", "reimport-items", "Main")
    assert (done["accounts"][0]["read"], done["accounts"][0]["linked"], done["accounts"][0]["outcome"]) == (2, 0, "ok")
    assert done["without_an_item"] == [{"connection": CONNECTION, "listing": "PLATE"}]
    after = connected.data("items", "list")
    assert [one["sku"] for one in after] == [one["sku"] for one in before] == ["CUP", "MUG"]
    answer = connected("warehouses", "reimport-items", "Main", "--quiet")
    assert (answer.code, answer.out, answer.err) == (0, "", "")
    assert [one["task"] for one in history(connected)] == ["reimport", "reimport"]
    connected.good("warehouses", "add", "Side")
    refused = connected("warehouses", "reimport-items", "Side", "--quiet")
    assert refused.code == 79 and "zenv connect amazon" in refused.err
    assert connected("warehouses", "reimport-items", "Nowhere").code == 66
    sim.revoke()
    assert connected("warehouses", "reimport-items", "Main", "--quiet").code == 77
