"""(f) The daemon with five connections and nothing to do, beside a bare APScheduler process; and runs that find
nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from bench import amazons, ledgers
from bench.measure import compare, heading, in_turn, say, timed
from zenv import crew, sync
from zenv.connectors.base import World
from zenv.ledger import connections
from zenv.ledger.book import Book, open_book

CONNECTIONS = 5
TICKS = os.sysconf("SC_CLK_TCK")

BARE = """
import signal
from datetime import UTC
from apscheduler.schedulers.background import BackgroundScheduler
scheduler = BackgroundScheduler(timezone=UTC)
scheduler.add_job(lambda: None, "interval", seconds=5)
scheduler.start()
signal.pause()
"""


def run(quick: bool) -> None:
    """Idle first, then runs with nothing to do."""
    window, runs = (5.0, 20) if quick else (120.0, 1000)
    with amazons.sellers(CONNECTIONS, 20) as sellers, ledgers.scratch() as folder:
        home = _home(folder / "home", sellers)
        heading(f"(f) an idle daemon with {CONNECTIONS} connections, {window:.0f} s beside a bare APScheduler process")
        _idle(home, window)
        heading(f"(f) {runs:,} runs of one task with nothing to do")
        _nothing_to_do(home, runs)


def _home(home: Path, sellers: list[tuple[str, str, dict[str, str]]]) -> Path:
    """A ledger with a connection per seller, everything read."""
    first, *others = sellers
    ledgers.new_book(home, datetime.now(UTC), first[0], first[1], first[2]).close()
    with open_book(home) as book:
        for number, (url, seller, secrets) in enumerate(others, start=2):
            _connect(book, number, url, seller, secrets)
        results = crew.run_due(book)
    assert len(results) == 6 * CONNECTIONS and {one.outcome for one in results} == {"ok"}, results
    return home


def _connect(book: Book, number: int, url: str, seller: str, secrets: Mapping[str, str]) -> None:
    name = f"{ledgers.CONNECTION}-{number}"
    about = connections.NewConnection(
        name=name, kind="amazon", external_id=seller, region="NA", marketplaces=(ledgers.SHOP,), endpoint=url,
        home_marketplace=ledgers.SHOP, warehouses=("Main",), consent_scope="bench", adopt_new=True,
    )  # fmt: skip
    with book.transaction() as t:
        connections.add(t, about, secrets, book.master_key())
        connections.enable(t, name)


# ---- idle ------------------------------------------------------------------------------------------------


def _idle(home: Path, window: float) -> None:
    with _process("-m", "zenv", "--home", str(home), "daemon", "run") as daemon, _process("-c", BARE) as bare:
        time.sleep(4.0 if window < 60 else 15.0)  # both have started, the daemon has looked at everything once
        before = {pid: _seconds(pid) for pid in (daemon, bare)}
        time.sleep(window)
        used = {pid: (_seconds(pid) - before[pid]) * 3600 / window for pid in (daemon, bare)}
        memory = {pid: _megabytes(pid) for pid in (daemon, bare)}
    say("memory (PSS) of the bare process", f"{memory[bare]:.0f} MB")
    say("memory (PSS) of the daemon", f"{memory[daemon]:.0f} MB", f"{memory[daemon] / memory[bare]:5.2f} x")
    say("CPU of the bare process", f"{used[bare]:.1f} s/h")
    say("CPU of the daemon", f"{used[daemon]:.1f} s/h", f"{used[daemon] / 36:.2f} % of a core")


@contextmanager
def _process(*words: str) -> Iterator[int]:
    """A Python process; it is ended afterwards."""
    silent = subprocess.DEVNULL
    process = subprocess.Popen([sys.executable, *words], stdin=silent, stdout=silent, stderr=silent)
    try:
        yield process.pid
        assert process.poll() is None, f"{words} ended by itself"
    finally:
        process.terminate()
        process.wait()


def _seconds(pid: int) -> float:
    """CPU seconds a process has used so far (proc_pid_stat(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _megabytes(pid: int) -> float:
    """What a process has in memory, its share of what is shared included."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in rollup if line.startswith("Pss:")) / 1024


# ---- nothing to do ---------------------------------------------------------------------------------------


class NoLimits:
    """Buckets that never empty: what is measured is the work, not Amazon's rate limits."""

    def take(self, key: str, rate: float, burst: int) -> float:
        """There is always a token."""
        return 0.0

    def learned(self, key: str, rate: float) -> None:
        """Nothing is kept."""

    def drained(self, key: str, wait: float) -> None:
        """The simulator's limits are off, so this would spoil the measurement."""
        raise AssertionError("the simulator asked to wait")


def _nothing_to_do(home: Path, count: int) -> None:
    with open_book(home) as book:
        world = World(book.clock, lambda _: None, NoLimits())

        def task(name: str) -> float:
            return timed(lambda: [_one(book, name, world) for _ in range(count)])

        medians = in_turn(
            {
                "the same requests and commits, by hand": lambda: timed(lambda: _by_hand(book, world, count)),
                "orders: ask, find nothing, write the record": lambda: task("orders"),
                "shipments: nothing is owed": lambda: task("shipments"),
            },
            rounds=1 if count < 100 else 3,
        )
    compare(medians, "the same requests and commits, by hand", {})
    for name, seconds in medians.items():
        say(f"one run: {name}", f"{seconds / count * 1000:.1f} ms")


def _one(book: Book, task: str, world: World) -> None:
    result = sync.run(book, ledgers.CONNECTION, task, world)
    assert (result.outcome, result.orders, result.sent) == ("ok", 0, 0), result


def _by_hand(book: Book, world: World, count: int) -> None:
    """What no run can do without: log in, ask once, and three commits (begin, page, end)."""
    with book.reading() as sql:
        found = connections.find(sql, ledgers.CONNECTION)
        position = connections.cursor(sql, found.id, "orders")
    for _ in range(count):
        connector = sync.open_connector(book, ledgers.CONNECTION, world)
        assert [len(page.facts) for page in connector.pull("orders", position)] == [0]
        connector.close()
        for _ in range(3):
            with book.engine.begin() as sql:
                sql.exec_driver_sql("UPDATE connection SET buffer = buffer WHERE id = 1")
