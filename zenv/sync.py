"""Running one task of one connection: pull and record, then send what is owed and settle.

Network and transactions never overlap: a page is fetched, then recorded in one transaction together with its
cursor; a message is claimed and committed, then sent, then its receipt is committed. Whatever stops in between is
found by the next run.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy.exc import IntegrityError

from zenv import connectors, delivery
from zenv.connectors.base import Connector, Task, Terms, World
from zenv.errors import (
    Busy,
    DiskTrouble,
    KeyUnavailable,
    LoginNeeded,
    NotFound,
    Refused,
    Throttled,
    ZenvError,
)
from zenv.facts import Account, BadRecord, Fact, ListingFact, OrderFact, Page, RecipientFact
from zenv.ledger import connections, listing_facts, messages, order_facts, outbox, recipients, runs
from zenv.ledger.book import Book
from zenv.ledger.buckets import LedgerBuckets
from zenv.ledger.runs import Tally
from zenv.ledger.transaction import AnyRow, Transaction

log = logging.getLogger("zenv.sync")

DETAILS_AT_ONCE = 100
READ_BACK_AT_ONCE = 2000
RECIPIENTS_AT_ONCE = 200
RECHECKS_AT_ONCE = 50
SILENCE = timedelta(hours=24)
"""An open order of which nothing was heard for so long is asked for by its number (amazon.md 4.4)."""

Progress = Callable[[str, int, int | None], None]


@dataclass
class Job:
    """One run as its steps need it."""

    book: Book
    row: AnyRow
    connector: Connector
    run: int
    yes_to_zero: bool = False
    progress: Progress | None = None
    tally: Tally = field(default_factory=Tally)

    def show(self, what: str, done: int, total: int | None) -> None:
        """Tell whoever watches."""
        if self.progress is not None:
            self.progress(what, done, total)


@dataclass(frozen=True)
class RunResult:
    """What a run did, and how it ended: ok, partial, failed."""

    run: int
    task: str
    outcome: str
    items: int
    orders: int
    sent: int
    failed: int
    note: str
    error: ZenvError | None = None


def check(kind: str, terms: Terms, secrets: Mapping[str, str], world: World) -> Account:
    """Ask the remote who we are, before anything is stored (A1, H5)."""
    connector = connectors.load(kind)(terms, secrets, world)
    try:
        return connector.check()
    finally:
        connector.close()


def world_of(book: Book, patience: float = 60.0) -> World:
    """The real world, with the ledger's clock and buckets."""
    return World(book.clock, time.sleep, LedgerBuckets(book.engine, book.clock), patience)


def open_connector(book: Book, name: str, world: World | None = None) -> Connector:
    """The connector of a saved connection, with its secrets opened."""
    with book.reading() as sql:
        found = connections.find(sql, name)
        secrets = connections.open_secrets(sql, name, book.master_key)
    return connectors.load(found.kind)(terms_of(found), secrets, world or world_of(book))


def terms_of(found: AnyRow) -> Terms:
    """The settings of a connection as its connector wants them."""
    return Terms(
        name=found.name, region=found.region, seller_id=found.external_id,
        marketplaces=tuple(found.marketplaces.split(",")), home_marketplace=found.home_marketplace,
        endpoint=found.endpoint, sandbox=found.sandbox, handling_days=found.handling_days,
        with_fulfilled=found.with_fulfilled,
    )  # fmt: skip


def run_all(book: Book, name: str, world: World | None = None, yes_to_zero: bool = False,
            progress: Progress | None = None) -> list[RunResult]:  # fmt: skip
    """Every task of a connection, in the connector's order; a task that fails does not stop the others, unless
    the credentials are refused."""
    results = []
    for task in tasks_of(book, name):
        result = run(book, name, task.name, world, yes_to_zero, progress)
        results.append(result)
        if isinstance(result.error, LoginNeeded):
            break
    return results


def tasks_of(book: Book, name: str) -> Sequence[Task]:
    """The tasks of a connection's connector."""
    with book.reading() as sql:
        kind = connections.find(sql, name).kind
    return connectors.load(kind).tasks


def run(book: Book, name: str, task: str, world: World | None = None, yes_to_zero: bool = False,
        progress: Progress | None = None) -> RunResult:  # fmt: skip
    """Run one task. Trouble with the remote ends in the result, not in an exception; the record stays in the
    history. Raises Refused for a connection that is not enabled, Busy when the task is running already."""
    wanted = _task(book, name, task)
    found = _enabled(book, name)
    connector = open_connector(book, name, world)
    try:
        with book.transaction() as t:
            number = runs.begin(t, found.id, task)
        job = Job(book, found, connector, number, yes_to_zero, progress)
        return _finish(job, wanted, _attempt(job, wanted))
    finally:
        connector.close()


def _task(book: Book, name: str, task: str) -> Task:
    known = {one.name: one for one in tasks_of(book, name)}
    if task not in known:
        raise NotFound(f"There is no task {task!r}.", "give one of: " + ", ".join(known))
    return known[task]


def _enabled(book: Book, name: str) -> AnyRow:
    with book.reading() as sql:
        found = connections.find(sql, name)
    if found.status == "needs_login":
        raise LoginNeeded(f"{name} does not accept the credentials any more.", f"zenv connections login {name}")
    if found.status != "active":
        raise Refused(f"{name} is {found.status}, so nothing runs.", f"zenv connections enable {name}")
    return found


def _attempt(job: Job, task: Task) -> ZenvError | None:
    """Do the work; what stopped it, if anything did."""
    try:
        for stream in task.streams:
            if stream == "listings":
                _read_orders_first(job)
            _pull(job, stream)
            for follow_up in FOLLOW_UPS.get(stream, ()):
                follow_up(job)
        for step in STEPS.get(task.name, ()):
            step(job)
        for kind in task.tells:
            delivery.deliver(job.book, job.row, job.connector, kind, job.tally, job.yes_to_zero)
    except LoginNeeded as error:
        with job.book.transaction() as t:
            connections.needs_login(t, job.row.id)
        return error
    except ZenvError as error:
        return error
    return None


def _finish(job: Job, task: Task, error: ZenvError | None) -> RunResult:
    tally = job.tally
    if error is not None:
        tally.notes.append(error.message)
    # Throttled is how a large first import looks half-way: what was done stays, the rest is due.
    failed = error is not None and not isinstance(error, Throttled)
    outcome = "failed" if failed else ("partial" if tally.failed or error else "ok")
    with job.book.transaction() as t:
        runs.end(t, job.run, outcome, tally)
    log.info("connection=%s task=%s run=%d outcome=%s items=%d orders=%d sent=%d failed=%d", job.row.name,
             task.name, job.run, outcome, tally.items, tally.orders, tally.sent, tally.failed)  # fmt: skip
    return RunResult(job.run, task.name, outcome, tally.items, tally.orders, tally.sent, tally.failed,
                     "; ".join(tally.notes), error)  # fmt: skip


# ---- pulling ---------------------------------------------------------------------------------------------


def _read_orders_first(job: Job) -> None:
    """The opening stock of a new item is what the remote shows and what its open orders hold: the nearer the two
    are read, the less can happen in between. A long first import of orders need only have been begun, because
    what ends from then on arrives as a change."""
    try:
        _pull(job, "orders")
    except Throttled:
        if _cursor(job, "orders") is None:
            raise


def _cursor(job: Job, stream: str) -> str | None:
    with job.book.reading() as sql:
        return connections.cursor(sql, job.row.id, stream)


def _pull(job: Job, stream: str) -> None:
    seen = 0
    for page in job.connector.pull(stream, _cursor(job, stream)):
        record_page(job, page, stream)
        seen += len(page.facts)
        job.show(stream, page.progress or seen, page.total)
        if page.why_empty:
            job.tally.notes.append(page.why_empty)
    if not seen and not job.tally.notes:
        job.tally.notes.append(f"no new {stream} since the last run")


def record_page(job: Job, page: Page, stream: str) -> None:
    """Record a page and its cursor in one transaction; if one record spoils it, each record on its own."""
    try:
        with job.book.transaction() as t:
            changed = _record(t, job, page.facts)
            _move(t, job, stream, page.cursor)
            runs.renew(t, job.run)
        job.tally.add(changed)
    except RECORD_LEVEL as error:
        if isinstance(error, NOT_THE_RECORD):
            raise
        _record_one_by_one(job, page.facts)
        with job.book.transaction() as t:
            _move(t, job, stream, page.cursor)


RECORD_LEVEL = (ZenvError, IntegrityError, ValueError)
NOT_THE_RECORD = (Busy, DiskTrouble, KeyUnavailable)


def _record(t: Transaction, job: Job, facts: Sequence[Fact]) -> Tally:
    """Write the facts; how many listings and orders were new or changed, and how many were set aside."""
    owner, changed = job.row.id, Tally()
    if found := [fact for fact in facts if isinstance(fact, ListingFact)]:
        recorded = listing_facts.record_listings(t, owner, found)
        changed.items += recorded.items
        changed.failed += len(recorded.failures)
        bad = {record.remote_id for record in recorded.failures}
        runs.set_aside(t, job.run, recorded.failures)
        runs.came_good(t, owner, "listing", [fact.sku for fact in found if fact.sku not in bad])
    if orders := [fact for fact in facts if isinstance(fact, OrderFact)]:
        changed.orders += order_facts.record(t, owner, orders)
        runs.came_good(t, owner, "order", [fact.remote_id for fact in orders])
    if people := [fact for fact in facts if isinstance(fact, RecipientFact)]:
        recipients.record(t, owner, people)
        runs.came_good(t, owner, "recipient", [fact.order for fact in people])
    bad_records = [fact for fact in facts if isinstance(fact, BadRecord)]
    runs.set_aside(t, job.run, bad_records)
    changed.failed += len(bad_records)
    return changed


def _record_one_by_one(job: Job, facts: Sequence[Fact]) -> None:
    for fact in facts:
        try:
            with job.book.transaction() as t:
                changed = _record(t, job, [fact])
            job.tally.add(changed)
        except RECORD_LEVEL as error:
            if isinstance(error, NOT_THE_RECORD):
                raise
            with job.book.transaction() as t:
                runs.set_aside(t, job.run, [_named(fact, error)])
            job.tally.failed += 1


def _named(fact: Fact, error: Exception) -> BadRecord:
    """Say which record and which rule, never what was in it."""
    reason = error.message if isinstance(error, ZenvError) else f"{type(error).__name__} in the ledger"
    if isinstance(error, IntegrityError):
        reason = str(error.orig)
    match fact:
        case ListingFact():
            return BadRecord("listing", fact.sku, reason)
        case OrderFact():
            return BadRecord("order", fact.remote_id, reason)
        case RecipientFact():
            return BadRecord("recipient", fact.order, reason)
        case BadRecord():
            return fact


def _move(t: Transaction, job: Job, stream: str, cursor: str | None) -> None:
    if cursor is not None:
        connections.move_cursor(t, job.row.id, stream, cursor)


def _fetch(job: Job, kind: str, references: Sequence[str]) -> None:
    """Read named records. They carry no cursor, so the stream they belong to stays where it is."""
    for page in job.connector.fetch(kind, references):
        record_page(job, page, kind)


# ---- what follows a pull ---------------------------------------------------------------------------------


def _fetch_details(job: Job) -> None:
    """Listings that came by report still lack their variation: fetch them in batches, going on where we were."""
    with job.book.reading() as sql:
        total = messages.count_without_detail(sql, job.row.id)
    done = 0
    while batch := _without_detail(job):
        _fetch(job, "detail", batch)
        left = set(_without_detail(job))
        if left >= set(batch):
            job.tally.notes.append(f"Amazon gave no detail for {len(batch)} listings; tried again next time")
            return
        done += len(batch)
        job.show("details", done, total)


def _without_detail(job: Job) -> list[str]:
    with job.book.reading() as sql:
        return messages.skus_without_detail(sql, job.row.id, DETAILS_AT_ONCE)


def _fetch_recipients(job: Job) -> None:
    """Who an order goes to is asked only when it is ready to ship."""
    with job.book.reading() as sql:
        wanted = recipients.wanted(sql, job.row.id, RECIPIENTS_AT_ONCE)
    if wanted:
        _fetch(job, "recipient", wanted)


def _ask_for_silent_orders(job: Job) -> None:
    with job.book.reading() as sql:
        silent = messages.orders_not_seen_since(sql, job.row.id, job.book.clock() - SILENCE, RECHECKS_AT_ONCE)
    if silent:
        _fetch(job, "order", silent)


def _read_back(job: Job) -> None:
    """See whether the channel shows what it was told: submitted is not applied (A18)."""
    with job.book.reading() as sql:
        told = messages.unconfirmed_skus(sql, job.row.id, READ_BACK_AT_ONCE)
    if told:
        _fetch(job, "listing", told)


FOLLOW_UPS: dict[str, tuple[Callable[[Job], None], ...]] = {
    "listings": (_fetch_details,),
    "orders": (_fetch_recipients,),
}
STEPS: dict[str, tuple[Callable[[Job], None], ...]] = {
    "cancellations": (_ask_for_silent_orders,),
    "stock": (_read_back,),
}


def retry(book: Book, message: int) -> None:
    """Send a parked message again with the next run."""
    with book.transaction() as t:
        outbox.retry(t, message)


__all__ = ["RunResult", "check", "open_connector", "retry", "run", "run_all", "tasks_of", "world_of"]
