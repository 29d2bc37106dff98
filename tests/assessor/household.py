"""A company whose every file lies below one folder, with an account at an Amazon that tells of persons."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.assessor.markers import Person, found_in
from tests.assessor.planting import place, seller, telling_of
from tests.assessor.process import Line, Surroundings
from tests.assessor.search import traces
from tests.cli_account import SECRETS, ago, change
from tests.cli_driver import Answer
from zenv.simulators.amazon import AmazonSimulator, serve
from zenv.simulators.amazon.orderbook import OrderBook

OPENING = ("--with-personal-data", "--recipient")
"""How `orders show` is asked for the person: the first of these it knows."""
_DRAWING = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\s|[│┃]")


@dataclass
class Household:
    """`world` holds all that zenv may write: home, temporary files, settings, the folder it runs in. The master key
    and what a person hands to zenv lie outside."""

    folder: Path
    sim: AmazonSimulator
    url: str
    person: Person
    mutant: str = ""
    names: dict[str, str] = field(default_factory=dict)
    opening: str = ""

    @property
    def world(self) -> Path:
        return self.folder / "world"

    @property
    def home(self) -> Path:
        return self.world / "home"

    @property
    def inputs(self) -> Path:
        return self.folder / "inputs"

    @property
    def prints(self) -> Path:
        """Where a person has papers printed to, by their own wish in clear."""
        return self.folder / "prints"

    @property
    def safe(self) -> Path:
        return self.folder / "safe"

    def where(self, **about: Any) -> Surroundings:
        """The surroundings of a process in this world."""
        places = {name: self.world / part for name, part in PLACES.items()}
        for place_ in places.values():
            place_.mkdir(parents=True, exist_ok=True)
        told = {name: str(path) for name, path in places.items()} | {"ZENV_HOME": str(self.home), "LANG": "C.UTF-8"}
        return Surroundings(places["PWD"], told, **{"mutant": self.mutant} | about)

    def zenv(self, *words: str, stdin: str = "", **about: Any) -> Answer:
        """Run a command line in a process of its own."""
        return Line(words, stdin, self.where(**about)).run()

    def good(self, *words: str, stdin: str = "") -> Answer:
        """One that must succeed."""
        answer = self.zenv(*words, stdin=stdin)
        assert answer.code == 0, (words, answer)
        return answer

    def data(self, *words: str) -> Any:
        return self.good(*words, "--json").data

    def person_of(self, number: str, **about: Any) -> dict[str, str]:
        """The person as the command that opens them shows it."""
        answer = self.zenv("orders", "show", number, self.opening, "--json", **about)
        assert answer.code == 0, answer
        return {name: value for name, value in answer.data["recipient"].items() if name in self.person.personal}

    def traces(self) -> list[str]:
        """Who is readable where in all that zenv ever left in its world."""
        return traces(self.world, self.person)

    def said(self, answer: Answer) -> list[str]:
        """Who can be read in an answer, also where it was broken into lines."""
        text = answer.out + answer.err
        return found_in(f"{text}\n{_DRAWING.sub('', text)}".encode(), self.person)

    def order(self, **about: Any) -> str:
        """An order of the person; Amazon knows it, zenv not yet."""
        return place(self.sim, self.person, **about)

    def aged(self, number: str, days: int = 45) -> None:
        """It was shipped, or cancelled, so long ago."""
        for column in ("shipped_at", "completed_at", "cancelled_at"):
            change(self.home, f"UPDATE customer_order SET {column} = ? WHERE {column} IS NOT NULL AND number = ?",
                   ago(days=days), number)  # fmt: skip

    def no_waiting(self) -> None:
        """Rate limits, pauses after failures and the leases of whoever was killed are over."""
        change(self.home, "UPDATE rate_bucket SET tokens = 20, closed_until = 0")
        change(self.home, "UPDATE breaker SET open_until = NULL")
        change(self.home, "UPDATE run SET lease_until = ? WHERE outcome = 'running'", ago(minutes=1))

    def was_off(self, days: int = 45) -> None:
        """Nobody was at it for so long, and everything is due."""
        change(self.home, "UPDATE attendance SET seen_at = ?, ended_at = ?", ago(days=days), ago(days=days))
        change(self.home, "UPDATE scheduled_task SET next_at = ?", ago(days=days - 1))
        self.no_waiting()

    def ship(self, number: str) -> None:
        self.good("orders", "ship", number, "--carrier", "UPS", "--tracking", f"1Z{number[-7:]}")

    def redact(self) -> Answer:
        """What housekeeping does on its day."""
        return self.good("sync", "now", "housekeeping", "redaction")

    def like(self, folder: Path, **about: Any) -> Household:
        """A household that begins as this one is now, at an Amazon where nobody has ordered; the master key is the
        same file."""
        self.sim.book, self.sim.requests = OrderBook(), []
        shutil.copytree(self.folder, folder)
        return replace(self, folder=folder, names=dict(self.names), **about)


PLACES = {"HOME": "user", "TMPDIR": "tmp", "SQLITE_TMPDIR": "tmp", "XDG_DATA_HOME": "user/data", "PWD": "here",
          "XDG_CONFIG_HOME": "user/config", "XDG_STATE_HOME": "user/state", "XDG_CACHE_HOME": "user/cache",
          "XDG_RUNTIME_DIR": "user/run"}  # fmt: skip


def utcnow() -> datetime:
    return datetime.now(UTC)


@contextmanager
def household(folder: Path, now: Callable[[], datetime] = utcnow) -> Iterator[Household]:
    """Set up, connected, and in step with an Amazon where nobody has ordered yet."""
    person, sim = Person("the buyer"), seller(now)
    with serve(sim) as url, telling_of(sim, person):
        made = Household(folder, sim, url, person, opening=_opening())
        for place_ in (made.world, made.inputs, made.prints, made.safe):
            place_.mkdir(parents=True)
        made.good("init", "--company", "Mugs", "--country", "US", "--time-zone", "America/New_York", "--currency",
                  "USD", "--key-store", "file", "--key-file", str(made.safe / "zenv.key"), "--yes")  # fmt: skip
        made.good("connect", "amazon", "--country", "US", "--seller-id", sim.seller_id, "--endpoint", url,
                  "--name", "a", "--consent", "--adopt-new", "--enable", "--yes", "--secret-stdin",
                  stdin=secrets(sim))  # fmt: skip
        made.good("sync", "now", "a")
        yield made


def secrets(sim: AmazonSimulator) -> str:
    """What a person would paste."""
    return "\n".join(f"{name}={getattr(sim, name)}" for name in SECRETS)


def _opening() -> str:
    from tests.assessor.tree import options

    return next(option for option in OPENING if option in options("zenv orders show"))
