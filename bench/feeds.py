"""(d) From changed stock to feed documents: seconds, and the memory it takes at most.

Runs in a process of its own, because what Linux remembers is the most memory a process ever had (VmHWM).
"""

from __future__ import annotations

import json
import multiprocessing
import time
from pathlib import Path

from bench import ledgers
from bench.measure import heading, say


def run(quick: bool) -> None:
    """Claim the messages, work them out, write the documents."""
    count = 2_000 if quick else 100_000
    heading(f"(d) {count:,} changed SKUs to feed documents")
    with ledgers.scratch() as folder:
        begun = time.perf_counter()
        _changed(folder / "home", count)
        made = time.perf_counter() - begun
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            claimed, written, before, after, sizes = pool.apply(_measured, (folder / "home", count))
    say("claim the messages and work out their quantities", f"{claimed:.2f} s", f"{count / claimed:,.0f} SKUs a second")
    say("write the documents", f"{written:.2f} s", f"{count / written:,.0f} SKUs a second")
    say("documents", f"{len(sizes)}", f"{max(sizes) / 1e6:.1f} MB the largest, {sum(sizes) / 1e6:.1f} MB in all")
    say("memory at most, beyond the program itself", f"{after - before:.0f} MB", f"{before:.0f} MB before")
    say("(the ledger of that many listings took)", f"{made:.1f} s")


def _changed(home: Path, count: int) -> None:
    """A ledger whose listings all owe their channel a quantity."""
    ledgers.adopted(home, [f"SKU-{number:06d}" for number in range(count)], quantity=7)
    ledgers.at_rest(home)


def _measured(home: Path, count: int) -> tuple[float, float, float, float, list[int]]:
    """Seconds to claim and to write, megabytes before and at most, and the sizes of the documents in bytes."""
    from zenv.connectors.amazon.stock import MOST_BYTES, MOST_MESSAGES, feed_documents
    from zenv.ledger import messages, outbox
    from zenv.ledger.book import open_book

    with open_book(home) as book:
        before = _most_megabytes()
        begun = time.perf_counter()
        with book.transaction() as t:
            owed = outbox.claim(t, 1, "stock_level", count)
            levels = list(messages.build(t.sql, "stock_level", owed, t.keys).values())
        claimed = time.perf_counter() - begun
        begun = time.perf_counter()
        sizes, told = [], 0
        for keys, content in feed_documents(levels, "A2BENCH"):  # type: ignore[arg-type]  # all are stock levels
            sizes.append(len(content))
            told += len(keys)
            last = content
        written = time.perf_counter() - begun
        after = _most_megabytes()
    assert told == count and max(sizes) <= MOST_BYTES and len(keys) <= MOST_MESSAGES
    message = json.loads(last)["messages"][-1]
    assert message["patches"][0]["value"][0]["quantity"] == 7, message
    return claimed, written, before, after, sizes


def _most_megabytes() -> float:
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
