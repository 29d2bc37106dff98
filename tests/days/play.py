"""One seed is one history: the company opens, the schedule runs its days, people and trouble come and go."""

from __future__ import annotations

import random
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event

from tests.days import checks, trouble
from tests.days.trouble import HOUR, MINUTE, Days, Killed, OwnClock
from tests.sync.shop import every_request, no_transaction
from tests.year import deeds, mutants, network
from tests.year.company import Clock, company, connect
from tests.year.deeds import Year
from tests.year.play import Outcome, stock_the_shop
from zenv import scheduler
from zenv.simulators.amazon import AmazonSimulator

PEOPLE: tuple[tuple[int, Callable[[Year], object]], ...] = (
    (36, deeds.buy), (7, deeds.pay), (5, deeds.give_up), (4, deeds.ask_to_cancel), (6, deeds.ship_elsewhere),
    (24, deeds.ship), (3, deeds.take_in_hand), (4, deeds.accept_cancel), (3, deeds.sell_by_hand),
    (3, deeds.end_by_hand), (14, deeds.receive), (3, deeds.move_goods), (3, deeds.goods_arrive),
    (2, deeds.count_a_shelf), (2, deeds.clear_the_inbox),
)  # fmt: skip


def play(seed: int, steps: int) -> Outcome:
    """Let the days pass. Whatever breaks is in the outcome."""
    story: list[str] = []
    try:
        with days(seed, story) as d:
            for number in range(steps):
                _one_step(d)
                if number % 5 == 0:
                    checks.always(d)
            trouble.finale(d)
            checks.the_end(d)
    except Exception as error:
        trace = "".join(traceback.format_exception(error))
        return Outcome(f"{type(error).__name__}: {error}", [*story, trace])
    return Outcome("", story)


def _one_step(d: Days) -> None:
    d.company.clock.wind(d.y.rng.choice((3, 10, 20, 40, 75)) * MINUTE)
    d.pass_on()
    for _ in range(d.y.rng.randint(1, 4)):
        _one_of(d, PEOPLE)(d.y)
    if d.y.rng.random() < 0.4:
        _one_of(d, trouble.TROUBLES)(d)
    d.ticks()


def _one_of(d: Days, table: Any) -> Any:
    (chosen,) = d.y.rng.choices([one for _, one in table], [weight for weight, _ in table])
    return chosen


@contextmanager
def days(seed: int, story: list[str]) -> Iterator[Days]:
    """Two shops and one shelf, as the year has them, and both accounts enabled: everything is due."""
    rng, clock = random.Random(seed), Clock()
    random.seed(seed)  # the back-off of the connector draws from here
    own = OwnClock(clock)
    sims = [AmazonSimulator(10 * seed + n, clock) for n in (1, 2)]
    with mutants.small_pages(), company(sims, own, ("Main", "Back")) as c:
        d = Days(Year(seed, rng, c, story=story), own)
        stock_the_shop(d.y)
        clock.wind(HOUR)
        for shop, adopts in ((c.shops[0], True), (c.shops[1], False)):
            connect(c.book, shop.name, shop.sim, shop.url, adopt_new=adopts, warehouses=("Main", "Back"))
        scheduler.plan(c.book)
        with every_request(no_transaction(c.book)), network.wire_watched(d.request_seen), _watched(d):
            checks.quiet(d, 1)
            yield d


@contextmanager
def _watched(d: Days) -> Iterator[None]:
    """Who is dead does not write, and its last word is not shown; what is read of the schedule is noticed."""

    def begins(_: Any) -> None:
        d.may_write()

    def read(_: Any, __: Any, statement: str, *___: Any) -> None:
        d.looked(statement)

    original = threading.excepthook

    def last_word(said: threading.ExceptHookArgs) -> None:
        d.dead.discard(threading.get_ident())  # the number may be given to another thread
        if not issubclass(said.exc_type, Killed):
            original(said)

    event.listen(Engine, "begin", begins, insert=True)
    event.listen(Engine, "after_cursor_execute", read)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading, "excepthook", last_word)
        try:
            yield
        finally:
            event.remove(Engine, "begin", begins)
            event.remove(Engine, "after_cursor_execute", read)
