"""Reading the whole catalogue of the connections that sell from a warehouse again, and linking its listings anew; of
the provider, where one keeps the warehouse (Z29, Z30).

No item is made or changed, whatever the connections do else (Z31): what has no counterpart waits on the inbox. The
quantities of what is linked are fresh afterwards, in the same run (Z33).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Unpack

from zenv import pulling, sync
from zenv.connectors.base import Task, World
from zenv.errors import KeyUnavailable, Refused, Stopped, ZenvError
from zenv.ledger import remapping
from zenv.ledger.book import Book
from zenv.ledger.remapping import Remapped
from zenv.ledger.zfn import journal
from zenv.pulling import Job
from zenv.sync import How, RunResult

REIMPORT = Task("reimport", timedelta())
"""What such a run is called in the history; it is never due by itself."""
CATALOGUE = "catalogue"
EVER = datetime(1990, 1, 1, tzinfo=UTC)
"""Before anything was sold anywhere on the web."""
A_CLOCK_OFF = timedelta(days=1)
"""The remote's clock may be ahead of ours: what it lists by now was created before this long from now."""


NOTHING = Remapped(0, 0, ())


@dataclass(frozen=True)
class Reimported:
    """A run that read a catalogue: how many listings it held, and what became of the links of all that are known."""

    result: RunResult
    read: int = 0
    remapped: Remapped = NOTHING


def reimport_items(book: Book, warehouse: str, world: World | None = None,
                   **how: Unpack[How]) -> list[Reimported]:  # fmt: skip
    """Read and link again the listings of every live connection that sells from this warehouse (Z29 to Z34). One
    that fails does not stop the others. Raises NotFound, Refused, LoginNeeded as `remapping.sellers` does."""
    with book.reading() as sql:
        names = [found.name for found in remapping.sellers(sql, warehouse)]
    done: list[Reimported] = []
    for name in names:
        done.append(_reimport(book, name, world, **how))
        if isinstance(done[-1].result.error, (Stopped, KeyUnavailable)):
            break
    return done


def _reimport(book: Book, name: str, world: World | None, **how: Unpack[How]) -> Reimported:
    found: list[tuple[int, Remapped]] = []

    def work(job: Job, _: Task) -> None:
        found.append(_read_and_link(job))

    try:
        result = sync.run_part(book, name, REIMPORT, work, world, **how)
    except ZenvError as error:
        result = sync.not_begun(name, REIMPORT.name, error)
    return Reimported(result, *found[0]) if found else Reimported(result)


def _read_and_link(job: Job) -> tuple[int, Remapped]:
    job.items_stay = True
    job.go_on()
    read = pulling.read_period(job, "listings", CATALOGUE, EVER, job.book.clock() + A_CLOCK_OFF)
    with job.book.transaction() as t:
        remapped = remapping.remap(t, job.row)
    if job.row.kind == "zfn":
        _refresh_levels(job)
    job.tally.items += remapped.linked + remapped.replaced
    job.tally.notes.append(in_words(read, remapped))
    return read, remapped


def _refresh_levels(job: Job) -> None:
    """Read the provider's journal to its end, and take its levels right there. Where the provider went back to a
    backup, its journal goes on from where it is now, with its levels as they are."""
    try:
        pulling.read_stream(job, journal.STREAM)
        with job.book.reading() as sql:
            mark: str | None = journal.mark(sql, job.row.id)
    except Refused as error:
        if error.remote is None or error.remote.code != "history changed":
            raise
        mark = None
        job.tally.notes.append(f"{job.row.name} went back to a backup; its journal is read from where it is now")
    pulling.take_levels(job, mark)


def in_words(read: int, remapped: Remapped) -> str:
    """What such a run did, for its note."""
    return (f"{read} listings read, {remapped.linked} linked, {remapped.replaced} linked to another item, "
            f"{len(remapped.without_item)} without an item")  # fmt: skip


def without_item(done: Sequence[Reimported]) -> list[tuple[str, str]]:
    """(connection, SKU) of every listing without a counterpart."""
    return [(one.result.connection, sku) for one in done for sku in one.remapped.without_item]
