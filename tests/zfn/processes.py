"""A provider and a client, each at its own command line. `zenv serve` is a process, and so is each command by which the
client changes something; what the provider's people type, what only looks and what is refused runs in this one."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.cli_driver import ROOT, Answer, Zenv
from tests.daemons import CEILING_S
from tests.zfn.faces import free_port
from zenv.ledger import sqlite
from zenv.simulators.amazon import AmazonSimulator, serve

BOOKS = ("--country", "US", "--time-zone", "America/New_York", "--currency", "USD", "--key-store", "file")
SECRETS = ("client_id", "client_secret", "refresh_token")
ANN = "name=Ann Example\nline1=1 Main Street\ncity=Springfield\npostcode=97477\ncountry=US\nphone=555-0100\n"
"""Whom an order made by hand goes to, as `--recipient` reads it."""
PLAIN = {"NO_COLOR": "1"}


@dataclass(frozen=True)
class Person:
    """Somebody at the command line of a company: `paula("zfn", "grant")`; `apart`, each command is a process."""

    home: Path
    name: str
    apart: bool = False

    def __call__(self, *words: str, stdin: str = "") -> Answer:
        """Run a command, whatever becomes of it."""
        zenv = Zenv(self.home)
        return (zenv.process if self.apart else zenv)("--as", self.name, *words, stdin=stdin)

    @property
    def here(self) -> Person:
        """The same person, with commands that run in this process: they take a tenth of the time."""
        return replace(self, apart=False)

    def good(self, *words: str, stdin: str = "") -> Answer:
        """Run a command that must succeed."""
        answer = self(*words, stdin=stdin)
        assert answer.code == 0, (words, answer)
        return answer

    def refused(self, *words: str, code: int = 79) -> str:
        """Run a command that must be refused; what was said."""
        answer = self.here(*words)
        assert answer.code == code, (words, answer)
        return answer.err

    def data(self, *words: str) -> Any:
        """What a command answers to a script."""
        return self.good("--json", *words).data

    def look(self, *words: str) -> Any:
        """What a command that only reads answers to a script."""
        return self.here.data(*words)

    def sql(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a question to the ledger."""
        return [tuple(row.values()) for row in self.look("sql", query)]

    def at_terminal(self, *words: str) -> str:
        """What a person sees; every space run as one."""
        answer = Zenv(self.home).at_terminal("--as", self.name, *words, **PLAIN)
        assert answer.code == 0, answer
        return re.sub(r"\s+", " ", answer.out)

    def units(self, warehouse: str) -> dict[str, tuple[int, int]]:
        """SKU -> units on hand and picked there, of what it holds or held."""
        rows = self.sql(f"SELECT sku, on_hand, picked FROM levels WHERE warehouse = '{warehouse}' ORDER BY sku")
        return {sku: (on_hand, picked) for sku, on_hand, picked in rows}


@dataclass
class Face:
    """The provider's `zenv serve`, on the port its company code names."""

    home: Path
    address: str
    log: Path
    process: subprocess.Popen[str] | None = None

    def start(self) -> str:
        """Begin to serve; what it said once it listened."""
        words = [sys.executable, "-m", "zenv", "serve", "--listen", self.address]
        env = {**os.environ, "ZENV_HOME": str(self.home), "PYTHONUNBUFFERED": "1"}
        with self.log.open("a") as log:
            self.process = subprocess.Popen(words, cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE, stderr=log)
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def stop(self, number: int = signal.SIGTERM) -> int | None:
        """End it: its exit code."""
        if self.process is None or self.process.stdout is None:
            return None
        self.process.send_signal(number)
        code = self.process.wait(CEILING_S)
        self.process.stdout.close()
        self.process = None
        return code


@dataclass
class Day:
    """A provider (paula administers, wendy works there) and its client (carl administers, cleo works there), who sells
    on a simulated Amazon. `broken` is the step that did not come to its end: what follows it would prove nothing."""

    paula: Person
    wendy: Person
    carl: Person
    cleo: Person
    face: Face
    amazon: AmazonSimulator
    broken: str = ""
    code: str = ""
    order: str = ""
    fingerprints: list[str] = field(default_factory=list)

    def ask(self, warehouse: str = "Depot") -> str:
        """The client asks; the fingerprint it is shown."""
        said = self.carl.data("zfn", "request", "--warehouse", warehouse, "--code", self.code)
        return str(said["fingerprint"])

    def requests(self) -> list[dict[str, Any]]:
        """What the provider sees waiting."""
        return list(self.wendy.data("zfn", "requests"))

    def sync(self, *words: str) -> Answer:
        """The client hears what is new at the provider."""
        return self.carl.good("sync", "now", *(words or ("Depot",)))

    def order_by_hand(self, number: str, *lines: str) -> Answer:
        """The client enters an order that is to leave from the provider."""
        wanted = [word for line in lines for word in ("--line", line)]
        return self.carl.good("orders", "create", *wanted, "--ship-from", "Depot", "--number", number, "--recipient",
                              stdin=ANN)  # fmt: skip


def init(home: Path, company: str, user: str, colleague: str, apart: bool) -> tuple[Person, Person]:
    """The books of a company, and two of its people."""
    first = Person(home, user, apart)
    first.here.good("init", "--company", company, *BOOKS)
    first.here.good("users", "add", colleague)
    return first, Person(home, colleague, apart)


def connect(person: Person, sim: AmazonSimulator, url: str) -> None:
    """Connect a company to its Amazon account, called `amazon`."""
    secrets = "".join(f"{name}={getattr(sim, name)}\n" for name in SECRETS)
    person.here.good("connect", "amazon", "--country", "US", "--seller-id", sim.seller_id, "--endpoint", url, "--name",
                "amazon", "--consent", "--adopt-new", "--enable", "--yes", "--secret-stdin", stdin=secrets)  # fmt: skip


@contextmanager
def two_companies(folder: Path, sim: AmazonSimulator) -> Iterator[Day]:
    """Two homes, a simulated Amazon, and a face that is not served yet."""
    paula, wendy = init(folder / "provider", "Depot Ltd", "paula", "wendy", apart=False)
    carl, cleo = init(folder / "client", "Polite Teapots", "carl", "cleo", apart=True)
    face = Face(paula.home, f"127.0.0.1:{free_port()}", folder / "serve.log")
    with ExitStack() as stack:
        connect(carl, sim, stack.enter_context(serve(sim)))
        stack.callback(face.stop, signal.SIGKILL)
        yield Day(paula, wendy, carl, cleo, face, sim)


def write(home: Path, statement: str) -> None:
    """Plant something in a ledger that no command does."""
    connection: sqlite3.Connection = sqlite.module.connect(home / "ledger.db")
    connection.execute(statement)
    connection.commit()
    connection.close()
