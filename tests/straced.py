"""zenv under strace, which kills it or fails its system calls; and the days of a seller whose zenv is treated so.

strace counts system calls for each thread apart; so does what is said here of the n-th.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

from tests.cli_account import ago, change
from tests.cli_driver import ROOT, Answer, Zenv
from zenv.simulators.amazon import AmazonSimulator

CALLS = ("pwrite64", "fsync", "fdatasync", "sendto")
TOLD = "shipmentConfirmation"
OF_AN_ACCOUNT = "connection_id IS NOT NULL"
"""A backup of the same second as the last would be refused."""


@cache
def works() -> str:
    """Why strace cannot be used here; nothing if it can."""
    if shutil.which("strace") is None:
        return "the Debian package strace is not installed"
    tried = subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, check=False)
    return "" if tried.returncode == 0 else "strace is not allowed to trace here"


needs_strace = pytest.mark.skipif(bool(works()), reason=works())


@dataclass
class Days:
    """One account and its Amazon, day after day: each has a new order, a package and a new count."""

    zenv: Zenv
    sim: AmazonSimulator
    log: Path
    day: int = 0
    packed: dict[str, str] = field(default_factory=dict)
    counted: int = 0
    usual: dict[tuple[str, ...], Counter[str]] = field(default_factory=dict)

    def morning(self) -> None:
        """A package is to be told, a quantity too, and an order waits to be read. Everything is due."""
        self.day += 1
        number = self.sim.place_order([("MUG", 1)])
        self.time_passes()
        self.zenv.good("sync", "now", "a", "orders")
        self.packed[f"1Z{self.day}"] = number
        self.zenv.good("orders", "ship", number, "--carrier", "UPS", "--tracking", f"1Z{self.day}")
        self.counted = 50 + self.day
        self.zenv.good("stock", "count", "MUG", str(self.counted), "--warehouse", "Main", "--yes")
        self.sim.place_order([("MUG", 1)])
        self.time_passes()

    def time_passes(self) -> None:
        """Hours: whatever an account has planned is due, and no lease holds any longer."""
        change(self.zenv.home, f"UPDATE scheduled_task SET next_at = ? WHERE {OF_AN_ACCOUNT}", ago(minutes=1))
        change(self.zenv.home, "UPDATE run SET lease_until = ? WHERE outcome = 'running'", ago(minutes=1))
        change(self.zenv.home, "UPDATE message SET lease_until = ? WHERE state = 'sending'", ago(minutes=1))
        change(self.zenv.home, "UPDATE message SET not_before = NULL")
        change(self.zenv.home, "UPDATE breaker SET open_until = NULL")
        change(self.zenv.home, "UPDATE rate_bucket SET tokens = 20, closed_until = 0")

    def run(self, *words: str, inject: Sequence[str] = (), bug: str = "") -> Answer:
        """A command line under strace."""
        options = [option for one in inject for option in ("-e", f"inject={one}")]
        program = ["-m", "tests.broken_zenv", bug] if bug else ["-m", "zenv"]
        done = subprocess.run(
            ["strace", "-f", "-qq", "-s", "200", "-o", str(self.log), "-e", f"trace={','.join(CALLS)}", *options,
             sys.executable, *program, *words],
            capture_output=True, text=True, cwd=ROOT, timeout=120, check=False,
            env={**os.environ, "ZENV_HOME": str(self.zenv.home)},
        )  # fmt: skip
        return Answer(done.returncode, done.stdout, done.stderr)

    def calls(self) -> list[tuple[str, str, str]]:
        """(thread, system call, the rest of the line) of the last run."""
        found = re.findall(r"^(\d+) +(\w+)\((.*)$", self.log.read_text("utf-8", "replace"), re.MULTILINE)
        return [tuple(one) for one in found]

    def most(self, *words: str) -> Counter[str]:
        """How many of each system call the busiest thread of an unharmed run makes."""
        if words not in self.usual:
            self.morning()
            assert self.run(*words).code == 0
            self.usual[words] = self._busiest()
            self.evening()
        return self.usual[words]

    def _busiest(self) -> Counter[str]:
        busiest: Counter[str] = Counter()
        for (_, call), count in Counter((thread, call) for thread, call, _ in self.calls()).items():
            busiest[call] = max(busiest[call], count)
        return busiest

    def first_write_after_a_package_was_told(self) -> int:
        """Which pwrite64 of its thread that was in the last run."""
        writes: Counter[str] = Counter()
        for thread, call, rest in self.calls():
            writes[thread] += call == "pwrite64"
            if TOLD in rest:
                return writes[thread] + 1
        raise AssertionError("no package was told")

    def evening(self) -> None:
        """Everything runs unharmed; then the books are sound, and Amazon has heard of everything once."""
        for _ in range(2):
            self.time_passes()
            answer = self.zenv("sync", "due")
            assert answer.code == 0, answer
        self.zenv.good("doctor")
        said = Counter((one.tracking, one.order_id, one.edit) for one in self.sim.confirmations)
        assert said == Counter((tracking, number, False) for tracking, number in self.packed.items())
        assert {row["number"] for row in self.zenv.data("orders", "list", "--limit", "1000")} == set(self.sim.orders)
        waiting = sum(order.status == "UNSHIPPED" for order in self.sim.orders.values())
        assert self.sim.listings["MUG"].quantity == self.counted - waiting
        assert self.sim.violations == []
