"""The daemon, `sync due` and `sync now` as real processes on one ledger at the same time: nothing is done twice. The
oracle is the simulated Amazon, which counts effects, and the history of runs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter

from tests.cli_account import a_seller as a_seller
from tests.cli_account import ago, change
from tests.cli_account import an_account as an_account
from tests.cli_driver import ROOT, Zenv
from tests.cli_driver import a_shop as a_shop
from tests.cli_driver import an_empty_home as an_empty_home
from zenv.ledger import sqlite
from zenv.simulators.amazon import AmazonSimulator

ROUNDS = 4
LONGEST_S = 120.0
"""Far more than it takes; a hang must not last for ever."""


def start(zenv: Zenv, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "zenv", *words],
        cwd=ROOT, env={**os.environ, "ZENV_HOME": str(zenv.home)}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


def wait_until_it_keeps_the_schedule(zenv: Zenv) -> None:
    """Until the daemon has signed the attendance: only then does it hear signals."""
    end = time.monotonic() + LONGEST_S
    while not any(row["who"] == "daemon" for row in zenv.data("status")["schedule_kept_by"]):
        assert time.monotonic() < end, "the daemon never came to work"
        time.sleep(0.1)


def overlapping_runs(zenv: Zenv) -> list[object]:
    """Pairs of runs of one task of one connection that were at it at the same time."""
    connection = sqlite.read_only(zenv.home / "ledger.db")
    found = connection.execute(
        "SELECT a.id, b.id FROM run a JOIN run b ON a.id < b.id AND a.task = b.task"
        " AND a.connection_id IS b.connection_id"
        " WHERE a.started_at < COALESCE(b.ended_at, '9') AND b.started_at < COALESCE(a.ended_at, '9')"
    ).fetchall()
    connection.close()
    return list(found)


def test_daemon_cron_and_people_at_once_do_nothing_twice(connected: Zenv, sim: AmazonSimulator) -> None:
    connected.good("stock", "receive", "MUG", "50")
    numbers = [sim.place_order([("MUG", 1)]) for _ in range(ROUNDS)]
    connected.good("sync", "due")
    shipped: dict[str, str] = {}
    daemon = start(connected, "daemon", "run")
    try:
        wait_until_it_keeps_the_schedule(connected)
        for round_, number in enumerate(numbers):
            shipped[number] = f"1Z{round_}"
            connected.good("orders", "ship", number, "--carrier", "UPS", "--tracking", shipped[number])
            change(connected.home, "UPDATE scheduled_task SET next_at = ?", ago(seconds=1))
            errands = (("due",), ("due",), ("now", "a"), ("now", "a", "shipments"))
            crowd = [start(connected, "sync", *errand) for errand in errands]
            codes = Counter(process.wait(timeout=LONGEST_S) for process in crowd)
            said = [process.communicate()[1].decode() for process in crowd]
            assert codes.keys() <= {0, 75}, said
        assert connected("sync", "now", "a", "shipments", "--wait", "60").code == 0
    finally:
        daemon.terminate()
        said_by_daemon = daemon.communicate(timeout=LONGEST_S)[1].decode()
    assert daemon.returncode == 0, said_by_daemon
    assert overlapping_runs(connected) == []
    told = [(said.order_id, said.tracking, said.edit) for said in sim.confirmations]
    assert sorted(told) == sorted((number, tracking, False) for number, tracking in shipped.items())
    assert len(connected.data("orders", "list")) == ROUNDS + 1
    assert connected.good("doctor").code == 0
