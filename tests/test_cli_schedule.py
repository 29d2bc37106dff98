"""`zenv schedule`, `zenv sync due` and what `status` and the inbox say of them, as a person meets them."""

from __future__ import annotations

import pytest

from tests.cli_account import TASKS, ago, change
from tests.cli_account import a_seller as a_seller
from tests.cli_account import an_account as an_account
from tests.cli_driver import Zenv
from tests.cli_driver import a_shop as a_shop
from tests.cli_driver import an_empty_home as an_empty_home
from zenv.simulators.amazon import AmazonSimulator


def test_F5_once_enabled_everything_is_planned_and_due(connected: Zenv) -> None:
    rows = connected.data("schedule")
    assert [row["task"] for row in rows if row["connection"] == "a"] == TASKS
    assert {row["connection"] for row in rows} == {"a", "housekeeping"}
    assert {row["why"] for row in rows} == {"no daemon yet"}
    bounds = {row["task"]: row["bound"] for row in rows}
    assert (bounds["orders"], bounds["items"], bounds["stock"]) == ("15 min", "4 h", "midnight")


def test_sync_due_runs_everything_then_has_nothing_to_do_and_is_quiet(connected: Zenv) -> None:
    first = connected.data("sync", "due")
    assert [row["task"] for row in first] == TASKS
    assert connected.good("sync", "due", "--quiet").out == ""
    rows = connected.data("schedule")
    assert {row["why"] for row in rows} == {""}
    assert not any(row["late"] for row in rows)
    assert connected.data("status")["late_tasks"] == []


def test_A11_a_late_task_is_in_status_inbox_and_schedule_with_the_reason_and_the_command(connected: Zenv) -> None:
    connected.good("sync", "due")
    change(connected.home, "UPDATE scheduled_task SET next_at = ?1, late_at = ?1 WHERE task = 'orders'", ago(minutes=1))
    change(connected.home, "UPDATE attendance SET seen_at = ?", ago(hours=2))
    (late,) = [row for row in connected.data("schedule") if row["late"]]
    assert late["task"] == "orders" and late["why"].startswith("daemon off since ")
    assert [row["task"] for row in connected.data("status")["late_tasks"]] == ["orders"]
    (entry,) = [row for row in connected.data("inbox") if row["kind"] == "late"]
    assert entry["text"].startswith("orders of a is late: daemon off since") and entry["command"] == "zenv sync due"
    connected.good(*entry["command"].split()[1:])
    assert [row for row in connected.data("inbox") if row["kind"] == "late"] == []


@pytest.mark.parametrize(
    ("statement", "why", "command"),
    [
        ("UPDATE scheduled_task SET waits = 'throttled'", "throttled", "zenv schedule"),
        ("UPDATE scheduled_task SET waits = 'failed', failures = 3", "failed 3 times in a row", "zenv sync now a"),
        ("INSERT INTO breaker VALUES (1, 7, '2026-01-01', '2999-01-01', 'away')", "breaker open after 7 failed runs",
         "zenv sync now a"),
    ],
)  # fmt: skip
def test_why_a_task_is_late_is_said_with_until_when(connected: Zenv, statement: str, why: str, command: str) -> None:
    connected.good("sync", "due")
    change(connected.home, statement)
    change(connected.home, "UPDATE scheduled_task SET late_at = ?, next_at = '2999-01-01' WHERE connection_id = 1",
           ago(minutes=1))  # fmt: skip
    orders = next(row for row in connected.data("schedule") if row["task"] == "orders")
    assert orders["late"] and orders["why"] == why and orders["until_at"] == "2999-01-01T00:00:00Z"
    (entry,) = [row for row in connected.data("inbox") if row["kind"] == "late"]
    assert why in entry["text"] and entry["command"] == command


def test_a_login_that_is_needed_is_said_once(connected: Zenv, sim: AmazonSimulator) -> None:
    sim.revoke()
    assert connected("sync", "due").code == 77
    change(connected.home, "UPDATE scheduled_task SET late_at = ?", ago(minutes=1))
    assert {row["why"] for row in connected.data("schedule") if row["connection"] == "a"} == {"waiting for a login"}
    assert not any(row["late"] for row in connected.data("schedule") if row["connection"] == "a")
    assert [row["kind"] for row in connected.data("inbox") if row["subject"] == "a"] == ["login"]


def test_disabled_tasks_are_shown_as_such_and_are_not_late(connected: Zenv) -> None:
    connected.good("connections", "disable", "a")
    change(connected.home, "UPDATE scheduled_task SET late_at = ?", ago(minutes=1))
    assert {(row["why"], row["late"]) for row in connected.data("schedule") if row["connection"] == "a"} == {
        ("disabled", False)
    }
    assert connected.good("sync", "due", "--quiet").out == ""
    connected.good("connections", "enable", "a")
    assert [row["task"] for row in connected.data("sync", "due")] == TASKS


def test_an_own_interval_is_taken_when_shorter_and_refused_when_longer(connected: Zenv) -> None:
    connected.good("schedule", "every", "a", "orders", "5m")
    assert [row["every"] for row in connected.data("schedule") if row["task"] == "orders"] == ["5 min"]
    refused = connected("schedule", "every", "a", "orders", "20m")
    assert refused.code == 65 and "at least every 15 min" in refused.err
    assert connected("schedule", "every", "a", "orders", "soon").code == 65
    assert connected("schedule", "every", "a", "tea", "5m").code == 66
    assert connected("schedule", "every", "nobody", "orders", "5m").code == 66
    connected.good("schedule", "every", "a", "orders", "default")
    assert [row["every"] for row in connected.data("schedule") if row["task"] == "orders"] == [""]


def test_sync_due_without_a_connection_does_the_housekeeping(shop: Zenv) -> None:
    assert shop.good("sync", "due", "--quiet").out == ""
    assert {row["connection"] for row in shop.data("schedule")} == {"housekeeping"}
    assert all(row["last_ok_at"] if "last_ok_at" in row else row["last_at"] for row in shop.data("schedule"))


def test_doctor_compares_with_the_channel_and_needs_a_day_to_begin(connected: Zenv, sim: AmazonSimulator) -> None:
    connected.good("sync", "due")
    day = ago(days=1)[:10]
    assert connected.data("doctor", "compare", "a", "--since", day) == []
    assert connected("doctor", "compare", "a").code == 2
    read_until = '{"since": "2999-01-01T00:00:00Z"}'
    change(connected.home, "UPDATE cursor SET position = ? WHERE stream = 'orders'", read_until)
    change(connected.home, "UPDATE customer_order SET remote_id = 'another'")
    found = connected("doctor", "compare", "a", "--since", day)
    assert found.code == 80 and "lost" in found.out
