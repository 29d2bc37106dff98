"""What goes wrong around the schedule: outages for hours, a daemon that is off or killed, accounts that are disabled,
a grant that is withdrawn, a clock that is set back."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import httpx

from tests.year import deeds
from tests.year.company import Clock, Company, Shop, secrets_of
from tests.year.deeds import Year
from zenv import scheduler
from zenv.crew import Crew
from zenv.errors import Bug
from zenv.ledger import connections, runs
from zenv.sync import RunResult

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
OUTAGES = ("429", "500", "503_html", "reset", "half_body", "truncated_json", "lost_reply", "empty_200", "redirect",
           "wrong_content_type", "invalid_input")  # fmt: skip


class OwnClock(Clock):
    """The clock on the wall of the books: Amazon's own, and an hour behind it once somebody has set it back."""

    def __init__(self, amazon: Clock) -> None:
        self.amazon = amazon
        self.behind = timedelta()

    def __call__(self) -> datetime:
        return self.amazon.now - self.behind

    now = property(__call__)  # type: ignore[assignment]  # nobody sets this one

    def wind(self, seconds: float) -> None:
        self.amazon.wind(seconds)


class Killed(BaseException):
    """The process that was at work is no more: nothing of it writes another word."""


@dataclass
class Days:
    """A year whose runs the schedule starts."""

    y: Year
    clock: OwnClock
    crew: Crew | None = None
    off_until: datetime | None = None
    down: dict[str, datetime] = field(default_factory=dict)
    revoked: dict[str, datetime] = field(default_factory=dict)
    disabled: dict[str, datetime] = field(default_factory=dict)
    dies_after: int | None = None
    beside: bool = False
    dead: set[int] = field(default_factory=set)
    results: list[RunResult] = field(default_factory=list)
    started: list[tuple[str, str, datetime]] = field(default_factory=list)
    asked_of_disabled: list[str] = field(default_factory=list)
    logins_refused: Counter[str] = field(default_factory=Counter)
    bugs: list[str] = field(default_factory=list)
    asked_first: Callable[[], list[str]] | None = None
    known_then: list[str] = field(default_factory=list)
    """What `asked_first` answered when a request was on the wire."""

    @property
    def company(self) -> Company:
        return self.y.company

    @property
    def now(self) -> datetime:
        return self.clock.amazon.now

    def tell(self, text: str) -> None:
        self.y.tell(text)

    def in_hours(self, least: float, most: float) -> datetime:
        """A moment so many hours from now."""
        return self.now + timedelta(hours=self.y.rng.uniform(least, most))

    # -- the crew

    def ticks(self, most: int = 6) -> None:
        """Some looks of the daemon; whatever they begin ends before anything else happens."""
        for _ in range(most):
            if self.off_until is not None or not self._tick():
                return

    def _tick(self) -> bool:
        if self.crew is None:
            self.crew = self._new_crew()
        crew, begun = self.crew, self.crew.start_one()
        for thread in crew._threads.values():
            thread.join()
        return begun

    def _new_crew(self) -> Crew:
        """The daemon, which knows that the one before it is dead, or cron, which does not."""
        who = self.y.rng.choice(("daemon", "sync due"))
        if who == "daemon":
            scheduler.take_over(self.company.book, "daemon")
        return Crew(self.company.book, who, self.company.world(MINUTE), self.heard)

    def heard(self, result: RunResult) -> None:
        """How a run ended."""
        self.results.append(result)
        self.tell(f"{result.connection}: {result.task} {result.outcome}, {result.orders} orders, {result.sent} sent. "
                  f"{result.note}")  # fmt: skip
        if isinstance(result.error, Bug):
            self.bugs.append(repr(result.error))
        if result.run and result.outcome == "ok":
            self.started.append((result.connection, result.task, self._started(result.run)))

    def _started(self, run: int) -> datetime:
        with self.company.book.reading() as sql:
            return runs.find(sql, run).started_at  # type: ignore[no-any-return]

    # -- the wire

    def request_seen(self, request: httpx.Request) -> None:
        """Amazon has done what it was asked, and the answer is on the way: the process may be killed now."""
        shop = next(shop for shop in self.company.shops if str(request.url).startswith(shop.url))
        seen = shop.sim.requests[-1]
        self._outages_end()
        if self.asked_first is not None:
            self.known_then += self.asked_first()
        if shop.name in self.disabled:
            self.asked_of_disabled.append(seen.operation)
        if shop.name in self.revoked and seen.operation == "lwaToken":
            self.logins_refused[f"{shop.name} {self.revoked[shop.name]}"] += 1
        if self.dies_after is not None:
            self.dies_after -= 1
            if self.dies_after < 0:
                self._die(seen.operation)

    def _die(self, operation: str) -> None:
        self.dies_after, self.crew = None, None
        self.dead.add(threading.get_ident())
        self.tell(f"killed after {operation}")
        raise Killed

    def may_write(self) -> None:
        """Whoever is dead begins no transaction."""
        if threading.get_ident() in self.dead:
            raise Killed

    def looked(self, statement: str) -> None:
        """The crew has read what is due; meanwhile somebody else may run all of it."""
        at_work = threading.current_thread() is not threading.main_thread()
        if self.beside and at_work and "FROM scheduled_task LEFT OUTER JOIN" in statement:
            self.beside = False
            cron = threading.Thread(target=self._cron)
            cron.start()
            cron.join()

    def _cron(self) -> None:
        self.tell("cron runs what is due, at this very moment")
        crew = Crew(self.company.book, "sync due", self.company.world(MINUTE), self.heard)
        for _ in range(4):
            crew.start_one()
            for thread in crew._threads.values():
                thread.join()

    # -- what comes to an end by itself

    def pass_on(self) -> None:
        """What has lasted long enough is over."""
        if self.off_until is not None and self.now >= self.off_until:
            self.off_until = None
            self.tell("the daemon is started again")
        self._outages_end()
        for name in _over(self.revoked, self.now):
            self._log_in(self.company.shop(name))
        for name in _over(self.disabled, self.now):
            scheduler.enable(self.company.book, name)
            self.tell(f"{name}: enabled")

    def _outages_end(self) -> None:
        """Also while a run is at work: one that is throttled may wait for hours."""
        for name in _over(self.down, self.now):
            self.company.shop(name).sim.faults.clear()
            self.tell(f"{name}: Amazon is well again")

    def _log_in(self, shop: Shop) -> None:
        shop.sim.authorise()
        with self.company.book.transaction() as t:
            connections.replace_secrets(t, shop.name, secrets_of(shop.sim), self.company.book.master_key())
        self.tell(f"{shop.name}: logged in again")


def _over(running: dict[str, datetime], now: datetime) -> list[str]:
    ended = [name for name, until in running.items() if now >= until]
    for name in ended:
        del running[name]
    return ended


# ---- what begins -----------------------------------------------------------------------------------------


def outage(d: Days) -> None:
    """Amazon answers nothing, or nonsense, for hours: everything, or one operation."""
    shop, name = d.y.shop(), d.y.rng.choice(OUTAGES)
    operation = d.y.rng.choice((None, None, "searchOrders", "confirmShipment", "patchListingsItem", "getOrder"))
    shop.sim.fault(name, operation, 10**6)
    d.down[shop.name] = d.in_hours(0.5, 8)
    d.tell(f"{shop.name}: {operation or 'everything'} suffers {name} until {d.down[shop.name]:%d %H:%M}")


def a_few_faults(d: Days) -> None:
    """Trouble that is over after some requests."""
    shop = d.y.shop()
    for _ in range(d.y.rng.randint(1, 4)):
        shop.sim.fault(d.y.rng.choice(OUTAGES), times=d.y.rng.randint(1, 3))
    if not any(fault.name == "expired_token" for fault in shop.sim.faults):
        shop.sim.fault("expired_token")  # twice in a row would mean that the login itself is worth nothing


def time_off(d: Days) -> None:
    """The machine is off, for hours or for days; the next daemon is another one."""
    d.crew = None
    d.off_until = d.in_hours(1, d.y.rng.choice((4, 12, 70)))
    d.tell(f"the daemon is off until {d.off_until:%d %H:%M}")


def kill(d: Days) -> None:
    """The daemon dies at one of its next requests and is started again a moment later."""
    d.dies_after = d.y.rng.randint(0, 6)


def cron_beside(d: Days) -> None:
    """`sync due` runs from cron right after the daemon has looked what is due."""
    d.beside = True


def disable(d: Days) -> None:
    shop = d.y.shop()
    if shop.name not in d.disabled and shop.name not in d.revoked:
        with d.company.book.transaction() as t:
            connections.disable(t, shop.name)
        d.disabled[shop.name] = d.in_hours(1, 20)
        d.tell(f"{shop.name}: disabled")


def revoke(d: Days) -> None:
    """The seller withdraws the grant by mistake, and gives it anew hours later."""
    shop = d.y.shop()
    if shop.name not in d.disabled and shop.name not in d.revoked:
        shop.sim.revoke()
        d.revoked[shop.name] = d.in_hours(1, 10)
        d.tell(f"{shop.name}: the grant is withdrawn")


def set_back(d: Days) -> None:
    """The clock was an hour ahead and is put right, once; Amazon's own goes on."""
    if not d.clock.behind:
        d.clock.behind = timedelta(hours=1)
        d.tell("the clock is set back by an hour")


TROUBLES: tuple[tuple[int, Callable[[Days], None]], ...] = (
    (6, outage), (6, a_few_faults), (3, time_off), (6, kill), (4, cron_beside), (3, disable), (3, revoke),
    (1, set_back),
)  # fmt: skip


def finale(d: Days) -> None:
    """A grant withdrawn for hours; off for a day, so that everything is due; killed at it, cron beside it; then an
    outage of both shops."""
    revoke(d)
    for _ in range(5):
        d.company.clock.wind(20 * MINUTE)
        d.pass_on()
        d.ticks()
    for number in range(2):
        d.crew = None
        d.company.clock.wind(DAY + HOUR)
        d.pass_on()
        for _ in range(3):
            deeds.ship(d.y)
        d.beside, d.dies_after = not number, d.y.rng.randint(0, 14) if number else None
        d.ticks()
        d.beside, d.dies_after = False, None
        d.company.clock.wind(20 * MINUTE)
        d.ticks()
    first, second = d.y.rng.sample(d.company.shops, 2)
    first.sim.fault(d.y.rng.choice(("500", "503_html", "reset", "half_body")), None, 10**6)
    second.sim.fault("429", "searchOrders", 10**6)
    for _ in range(12):
        d.company.clock.wind(20 * MINUTE)
        d.pass_on()
        d.ticks()
