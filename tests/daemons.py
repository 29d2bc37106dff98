"""The real daemon as a process of its own, a simulated Amazon in this one, and a stand-in for systemd's socket."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Condition, Thread
from typing import Any

from tests import books
from tests.year.company import connect, new_books
from zenv.ledger import book as ledger
from zenv.ledger import connections, schedule
from zenv.ledger.transaction import utcnow
from zenv.simulators.amazon import AmazonSimulator, serve

ROOT = Path(__file__).resolve().parents[1]
CEILING_S = 120.0
"""Only so that what hangs ends; no test depends on being faster."""
QUICK = {"WATCHDOG_USEC": "400000"}
"""A supervisor that wants a sign of life within 0.4 s: then the daemon ticks five times a second."""

TASKS = {"orders", "items", "cancellations", "shipments", "stock", "verify"}


class Supervisor:
    """The socket of systemd: collects every datagram."""

    def __init__(self, folder: str) -> None:
        self.address = f"{folder}/notify"
        self.told: list[list[str]] = []
        self._news = Condition()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        self._thread = Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while words := self._socket.recv(65536):
            with self._news:
                self.told.append(words.decode().split("\n"))
                self._news.notify_all()

    def lines(self) -> list[str]:
        with self._news:
            return [line for words in self.told for line in words]

    def wait(self, start: str, count: int = 1) -> str:
        """The `count`-th line that starts so, when it has come."""
        found: list[str] = []

        def there() -> bool:
            found[:] = [line for words in self.told for line in words if line.startswith(start)]
            return len(found) >= count

        with self._news:
            assert self._news.wait_for(there, CEILING_S), f"{start} never came: {self.told[-5:]}"
        return found[count - 1]

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self.address)  # an empty datagram ends the listening
        self._thread.join()
        self._socket.close()


@dataclass
class Daemon:
    """A running `zenv daemon run`."""

    process: subprocess.Popen[bytes]
    supervisor: Supervisor
    log_file: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def log(self) -> str:
        return self.log_file.read_text("utf-8")

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end: the exit code."""
        self.send(number)
        return self.wait()

    def wait(self) -> int:
        return self.process.wait(CEILING_S)

    def until(self, what: Callable[[], Any]) -> Any:
        """Wait until something holds, as long as the daemon lives; what it was."""
        return until(what, lambda: self.process.poll() is None, lambda: self.log)

    def wait_for_log(self, text: str, count: int = 1) -> None:
        self.until(lambda: self.log.count(text) >= count)


def until(what: Callable[[], Any], go_on: Callable[[], bool] = lambda: True, tell: Callable[[], str] = str) -> Any:
    end = time.monotonic() + CEILING_S
    while not (found := what()):
        assert go_on() and time.monotonic() < end, f"it never came to that:\n{tell()}"
        time.sleep(0.02)
    return found


@dataclass
class House:
    """The home of a company with connection `a` to a simulated Amazon, and the daemons started on it."""

    home: Path
    folder: Path
    sim: AmazonSimulator
    url: str
    key: Path
    clock: Callable[[], datetime]
    stack: ExitStack
    daemons: list[Daemon] = field(default_factory=list)

    def start(self, ready: bool = True, **environment: str) -> Daemon:
        """Start the daemon; its supervisor is a short folder away, for a socket's path may not be long."""
        folder = self.stack.enter_context(tempfile.TemporaryDirectory(prefix="zd-"))
        supervisor = Supervisor(folder)
        self.stack.callback(supervisor.close)
        log = self.folder / f"log-{len(self.daemons)}"
        log.touch()
        told = {"NOTIFY_SOCKET": supervisor.address, **QUICK, **journal(environment, log)}
        with log.open("ab") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "zenv", "--home", str(self.home), "daemon", "run"], cwd=ROOT,
                env={**os.environ, **told}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr,
            )  # fmt: skip
        daemon = Daemon(process, supervisor, log)
        self.daemons.append(daemon)
        self.stack.callback(_put_down, daemon)
        if ready:
            daemon.until(lambda: "READY=1" in supervisor.lines())
        return daemon

    @contextmanager
    def book(self) -> Iterator[ledger.Book]:
        with ledger.open_book(self.home, "tester", self.clock) as found:
            yield found

    def rows(self, query: str, *values: Any) -> list[Any]:
        with self.book() as book, book.reading() as sql:
            return list(sql.exec_driver_sql(query, values))

    def write(self, query: str, *values: Any) -> None:
        with self.book() as book, book.engine.begin() as sql:
            sql.exec_driver_sql(query, values)

    def hurry(self, task: str) -> None:
        """A task of the connection is due now."""
        with self.book() as book, book.transaction() as t:
            schedule.hurry(t, connections.find(t.sql, "a").id, task)

    def runs(self, task: str | None = None) -> list[tuple[str, str]]:
        """Task and outcome of each run of the connection, in the order they began."""
        found = self.rows("SELECT task, outcome FROM run WHERE connection_id IS NOT NULL ORDER BY id")
        return [(one, outcome) for one, outcome in found if task in (None, one)]

    def all_ran(self) -> bool:
        """Whether every task of the connection and of the house has gone well at least once."""
        return not self.rows("SELECT 1 FROM scheduled_task WHERE last_ok_at IS NULL") and self.planned() >= TASKS

    def planned(self) -> set[str]:
        return {task for (task,) in self.rows("SELECT task FROM scheduled_task WHERE connection_id IS NOT NULL")}

    def orders(self) -> set[str]:
        return {number for (number,) in self.rows("SELECT remote_id FROM customer_order")}

    def asked(self, operation: str) -> int:
        """How often Amazon was asked for something."""
        return sum(seen.operation == operation for seen in self.sim.requests)


def journal(environment: Mapping[str, str], log: Path) -> dict[str, str]:
    """The environment; JOURNAL_STREAM=yes names the daemon's own stderr, as journald does."""
    told = dict(environment)
    if told.get("JOURNAL_STREAM") == "yes":
        told["JOURNAL_STREAM"] = f"{log.stat().st_dev}:{log.stat().st_ino}"
    return told


def _put_down(daemon: Daemon) -> None:
    if daemon.process.poll() is None:
        daemon.process.kill()
    daemon.process.wait()


@contextmanager
def house(folder: Path, clock: Callable[[], datetime] = utcnow) -> Iterator[House]:
    """An enabled connection `a` to a seller with one listing. What the daemons did is audited at the end."""
    sim = AmazonSimulator(7, clock, report_seconds=0.1, feed_seconds=0.1)
    sim.add_listing("POT", name="A pot", quantity=50)
    home = new_books(folder, clock, ("Main",))
    with ExitStack() as stack:
        url = stack.enter_context(serve(sim))
        made = House(home, folder, sim, url, folder / "zenv.key", clock, stack)
        with made.book() as book:
            connect(book, "a", sim, url, adopt_new=True)
        yield made
        with made.book() as book:
            assert books.findings(book) == []
