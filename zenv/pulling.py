"""Pulling: pages become facts in the ledger, each with its cursor in one transaction, and what follows a pull.

A bad record is set aside with its reason and the others go on; a run that is told to stop, or whose connection is
disabled meanwhile, ends between two pages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy.exc import IntegrityError

from zenv.connectors.base import Connector, Task
from zenv.errors import Busy, DiskTrouble, KeyUnavailable, LinkOver, Stopped, Throttled, ZenvError
from zenv.facts import (
    BadRecord,
    BookedFact,
    Fact,
    HandedFact,
    InboundFact,
    LevelsFact,
    LinkFact,
    ListingFact,
    OrderFact,
    Page,
    RecipientFact,
)
from zenv.ledger import connections, inbounds, listing_facts, messages, order_facts, outbox, recipients, runs
from zenv.ledger.book import Book
from zenv.ledger.runs import Tally
from zenv.ledger.transaction import AnyRow, Transaction, in_chunks
from zenv.ledger.zfn import answers, journal, links, restored, sharing

DETAILS_AT_ONCE = 100
READ_BACK_AT_ONCE = 2000
RECIPIENTS_AT_ONCE = 200
RECHECKS_AT_ONCE = 50
SILENCE = timedelta(hours=24)
"""An open order of which nothing was heard for so long is asked for by its number (amazon.md 4.4)."""

Progress = Callable[[str, int, int | None], None]


@dataclass
class Job:
    """One run as its steps need it. `stopping` says whether it was told to stop; with `items_stay` nothing that is
    read makes or completes an item (Z31)."""

    book: Book
    row: AnyRow
    connector: Connector
    run: int
    progress: Progress | None = None
    stopping: Callable[[], bool] = lambda: False
    items_stay: bool = False
    tally: Tally = field(default_factory=Tally)

    def show(self, what: str, done: int, total: int | None) -> None:
        """Tell whoever watches."""
        if self.progress is not None:
            self.progress(what, done, total)

    def go_on(self) -> None:
        """Between two steps. Raises Stopped when the run was told to stop, or its connection was disabled (H81),
        LinkOver when a provider has ended it."""
        if self.stopping():
            raise Stopped("The run was told to stop; the next one goes on from here.")
        with self.book.reading() as sql:
            status = connections.status(sql, self.row.id)
        if status == "removed" and self.row.kind == "zfn":
            raise LinkOver(f"{self.row.name} is not connected any more")
        if status not in ("active", "needs_login"):
            raise Stopped(f"{self.row.name} is {status} now, so the run ended half-way; nothing was lost.")


def pull_task(job: Job, task: Task) -> None:
    """Read the streams of a task, and take its further steps."""
    job.go_on()
    for stream in task.streams:
        if stream == "listings":
            _read_orders_first(job)
        pull_stream(job, stream)
    for step in STEPS.get(task.name, ()):
        step(job)


def pull_period(job: Job, stream: str, since: datetime, until: datetime) -> None:
    """Read what belongs to a chosen period of a stream; its cursor stays where it is."""
    job.go_on()
    read = read_period(job, stream, stream, since, until)
    said = f"{read} {stream} {DATED[stream]} from {since:%Y-%m-%d %H:%M:%S} to {until:%Y-%m-%d %H:%M:%S} UTC"
    brought = job.tally.items + job.tally.orders + job.tally.failed
    job.tally.notes.insert(0, said if brought or not read else f"{said}; {_nothing_new(job, stream)}")
    _follow_up(job, stream)


DATED = {"orders": "placed", "listings": "created"}
"""What the time of a stream's records is."""


def _nothing_new(job: Job, stream: str) -> str:
    if stream != "orders" or job.row.with_fulfilled:
        return "none was new or had changed"
    return f"none was new or had changed; orders that had ended before {job.row.name} are left out (open ones only)"


def read_period(job: Job, stream: str, recorded_as: str, since: datetime, until: datetime) -> int:
    """Record the pages of a period; how many records they held."""
    read = 0
    for page in job.connector.period(stream, since, until):
        record_page(job, page, recorded_as)
        read += len(page.facts)
        job.show(stream, page.progress or read, page.total)
        if page.why_empty:
            job.tally.notes.append(page.why_empty)
    return read


def fetch_again(job: Job, records: Sequence[tuple[str, Sequence[str]]]) -> None:
    """Read exactly these records, by kind."""
    job.go_on()
    done, total = 0, sum(len(references) for _, references in records)
    for kind, references in records:
        for batch in in_chunks(references, DETAILS_AT_ONCE):
            fetch(job, kind, batch)
            done += len(batch)
            job.show(kind, done, total)


def _read_orders_first(job: Job) -> None:
    """The opening stock of a new item is what the remote shows and what its open orders hold: the nearer the two
    are read, the less can happen in between. A long first import of orders need only have been begun, because
    what ends from then on arrives as a change."""
    try:
        read_stream(job, "orders")
    except Throttled:
        if _cursor(job, "orders") is None:
            raise


def _cursor(job: Job, stream: str) -> str | None:
    with job.book.reading() as sql:
        return connections.cursor(sql, job.row.id, stream)


def pull_stream(job: Job, stream: str) -> None:
    """Read a stream, and what its new records need."""
    read_stream(job, stream)
    _follow_up(job, stream)


def _follow_up(job: Job, stream: str) -> None:
    for follow_up in FOLLOW_UPS.get(stream, ()):
        follow_up(job)


def read_stream(job: Job, stream: str) -> None:
    """Record the pages of a stream from where it was left."""
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
    if any(isinstance(fact, BookedFact) for fact in page.facts):
        _record_journal(job, page, stream)
        return
    try:
        with job.book.transaction() as t:
            changed = _record(t, job, page.facts)
            _end_page(t, job, page, stream)
        job.tally.add(changed)
    except RECORD_LEVEL as error:
        if isinstance(error, NOT_THE_RECORD):
            raise
        _record_one_by_one(job, page.facts)
        with job.book.transaction() as t:
            _end_page(t, job, page, stream)
    job.go_on()


def _record_journal(job: Job, page: Page, stream: str) -> None:
    """The journal of a provider is repeated in its order, and nothing of it twice: a page with its mark in one
    transaction, in which what cannot be repeated is left out. Orders it speaks of come first."""
    booked = [fact.booked for fact in page.facts if isinstance(fact, BookedFact)]
    with job.book.reading() as sql:
        unknown = journal.unknown_orders(sql, job.row.id, booked)
    if unknown:
        fetch(job, "order", unknown)
    with job.book.transaction() as t:
        bad = journal.record(t, job.row.id, booked)
        runs.set_aside(t, job.run, bad)
        _end_page(t, job, page, stream)
    job.tally.set_aside(bad)
    job.go_on()


def _end_page(t: Transaction, job: Job, page: Page, stream: str) -> None:
    if page.cursor is not None:
        connections.move_cursor(t, job.row.id, stream, page.cursor)
    if stream in REMEMBERED:
        runs.remember(t, job.run, page.facts)
    runs.renew(t, job.run)


REMEMBERED = ("orders", "listings", "order", "recipient", "detail")
"""The records of these are fetched again by `zenv sync rerun`; what is looked at only to be compared is not, unless it
was set aside."""


RECORD_LEVEL = (ZenvError, IntegrityError, ValueError)
NOT_THE_RECORD = (Busy, DiskTrouble, KeyUnavailable)


def _record(t: Transaction, job: Job, facts: Sequence[Fact]) -> Tally:
    """Write the facts; how many listings and orders were new or changed, and how many were set aside."""
    owner, changed = job.row.id, Tally()
    if found := [fact for fact in facts if isinstance(fact, ListingFact)]:
        recorded = listing_facts.record_listings(t, owner, found, job.items_stay)
        changed.items += recorded.items
        changed.set_aside(recorded.failures)
        bad = {record.remote_id for record in recorded.failures}
        runs.set_aside(t, job.run, recorded.failures)
        runs.came_good(t, owner, "listing", [fact.sku for fact in found if fact.sku not in bad])
    if orders := [fact for fact in facts if isinstance(fact, OrderFact)]:
        changed.orders += order_facts.record(t, owner, orders)
        runs.came_good(t, owner, "order", [fact.remote_id for fact in orders])
    if people := [fact for fact in facts if isinstance(fact, RecipientFact)]:
        recipients.record(t, owner, people)
        runs.came_good(t, owner, "recipient", [fact.order for fact in people])
    for fact in facts:
        _record_of_network(t, owner, fact)
    bad_records = [fact for fact in facts if isinstance(fact, BadRecord)]
    runs.set_aside(t, job.run, bad_records)
    changed.set_aside(bad_records)
    return changed


def _record_of_network(t: Transaction, owner: int, fact: Fact) -> None:
    """What only a provider says."""
    match fact:
        case LinkFact():
            restored.heed(t, owner, fact)
            links.record(t, owner, fact)
        case HandedFact():
            answers.record_state(t, owner, fact.state)
        case InboundFact():
            inbounds.record_state(t, owner, fact.state)
        case LevelsFact():
            journal.take_levels(t, owner, fact)
            if fact.skus is None:  # whatever could not be repeated, the mirror is as it should be
                runs.all_came_good(t, owner, "entry")
        case _:
            return
    kind, name = runs.reference(fact)
    runs.came_good(t, owner, kind, [name])


def _record_one_by_one(job: Job, facts: Sequence[Fact]) -> None:
    for fact in facts:
        try:
            with job.book.transaction() as t:
                changed = _record(t, job, [fact])
            job.tally.add(changed)
        except RECORD_LEVEL as error:
            if isinstance(error, NOT_THE_RECORD):
                raise
            bad = [_named(fact, error)]
            with job.book.transaction() as t:
                runs.set_aside(t, job.run, bad)
            job.tally.set_aside(bad)


def _named(fact: Fact, error: Exception) -> BadRecord:
    """Say which record and which rule, never what was in it."""
    reason = error.message if isinstance(error, ZenvError) else f"{type(error).__name__} in the ledger"
    if isinstance(error, IntegrityError):
        reason = str(error.orig)
    match fact:
        case ListingFact():
            return BadRecord("listing", fact.sku, reason)
        case BadRecord():
            return fact
    kind, name = runs.reference(fact)
    return BadRecord(kind, name, reason)


def fetch(job: Job, kind: str, references: Sequence[str]) -> None:
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
        fetch(job, "detail", batch)
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
        fetch(job, "recipient", wanted)


def _ask_for_silent_orders(job: Job) -> None:
    with job.book.reading() as sql:
        silent = messages.orders_not_seen_since(sql, job.row.id, job.book.clock() - SILENCE, RECHECKS_AT_ONCE)
    if silent:
        fetch(job, "order", silent)


def _read_back(job: Job) -> None:
    """See whether the channel shows what it was told: submitted is not applied (A18)."""
    with job.book.reading() as sql:
        told = messages.unconfirmed_skus(sql, job.row.id, READ_BACK_AT_ONCE)
    if told:
        fetch(job, "listing", told)


def _take_levels(job: Job) -> None:
    """Items that were linked after the provider had moved them: their levels are its own, right after what was read of
    the journal."""
    with job.book.reading() as sql:
        wanted = sharing.without_levels(sql, job.row.id)
    if wanted:
        take_levels(job, _cursor(job, journal.STREAM) or journal.BEGINNING, wanted)


def take_levels(job: Job, mark: str | None, skus: Sequence[str] = ()) -> None:
    """Have the mirror hold what the provider has of these SKUs (none named: of everything) right after a mark; without
    one, right now. The mark of the levels becomes that of the journal with them."""
    for page in job.connector.fetch("levels", [mark or "", *skus]):
        with job.book.transaction() as t:
            if mark is not None:
                journal.demand_mark(t.sql, job.row.id, mark)
            _record(t, job, page.facts)
            _end_page(t, job, page, journal.STREAM)
        job.go_on()


def _wake(job: Job) -> None:
    """The provider answers: what it could not be told a moment ago need not wait for its time."""
    with job.book.transaction() as t:
        outbox.wake(t, job.row.id)


FOLLOW_UPS: dict[str, tuple[Callable[[Job], None], ...]] = {
    "listings": (_fetch_details,),
    "orders": (_fetch_recipients,),
    "events": (_take_levels,),
}
STEPS: dict[str, tuple[Callable[[Job], None], ...]] = {
    "cancellations": (_ask_for_silent_orders,),
    "provider": (_wake,),
    "stock": (_read_back,),
}
