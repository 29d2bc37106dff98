"""`zenv demo`: the main jobs on a simulated Amazon, in ledgers that are thrown away."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zenv import commands, output
from zenv.commands import Record, Rows, Value
from zenv.errors import Bug, UsageError

if TYPE_CHECKING:
    from zenv.demo import Ending, NetworkEnding

app = typer.Typer(invoke_without_command=True, cls=commands.Noun)

TRY = (
    ("export ZENV_HOME={home}", "work in this ledger; its connection is disabled, its Amazon is gone"),
    ("zenv status", "the whole business on one page"),
    ("zenv orders show {order}", "the order that was shipped"),
    ("zenv stock why {item}", "where a number comes from, down to movements and orders"),
    ("zenv sync history amazon-us", "what was said to Amazon and when"),
    ("zenv sql 'SELECT * FROM orders'", "your own questions, over documented views"),
    ("zenv sim amazon", "another simulated Amazon; it says how to connect a ledger to it"),
)
TRY_NETWORK = (
    ("zenv --home {home}/provider zfn clients", "the provider's home page: its clients, and what waits"),
    ("zenv --home {home}/provider orders show CO-1-{order}", "an order as the provider knows it, without prices"),
    ("zenv --home {home}/client orders show {order}", "the same order in the client's books"),
    ("zenv --home {home}/client stock levels --warehouse Depot", "what the provider keeps, as the client knows it"),
    ("zenv --home {home}/client sync history Depot", "what was said to the provider and when"),
    ("zenv --home {home}/provider serve --listen {address}", "the provider's face, until Ctrl-C"),
)

Keep = Annotated[bool, typer.Option("--keep", help="Keep the ledger, to look around in it.")]


@app.callback()
def demo(context: typer.Context, keep: Keep = False) -> Value | None:
    """Connect, import, sell, ship, cancel and tell stock, against a simulated Amazon on this machine.

    Takes some seconds, needs no account, no network and no keyring, and leaves nothing behind. The closing table sets
    the ledger beside what the simulated Amazon saw; the exit code says whether they agree.
    """
    if context.invoked_subcommand is not None:
        if keep:
            raise UsageError("--keep belongs at the end.", f"zenv demo {context.invoked_subcommand} --keep")
        return None
    from zenv.demo import play

    with _folder(keep) as home, output.progress("demo", commands.manner()) as follow:
        ending = play(home, _told, follow)
    return answer(ending, home if keep else None)


@app.command()
def zfn(keep: Keep = False) -> Value:
    """A fulfilment provider and its client: linked, goods sent there, orders handed over, shipped, told to Amazon.

    Two ledgers on this machine that speak HTTPS to each other, and a simulated Amazon beside the client. The closing
    table sets both ledgers beside what that Amazon saw; the exit code says whether they agree.
    """
    from zenv.demo import play_network

    with _folder(keep) as home:
        ending = play_network(home, _told)
    return network_answer(ending, home if keep else None)


@contextmanager
def _folder(keep: bool) -> Iterator[Path]:
    """A temporary folder, kept only after a demo that came to its end."""
    home, kept = Path(tempfile.mkdtemp(prefix="zenv-demo-")), False
    try:
        yield home
        kept = keep
    finally:
        if not kept:
            shutil.rmtree(home)


def _told(sentence: str) -> None:
    """A step, on stderr, so that the answer stays the answer."""
    manner = commands.manner()
    if not manner.quiet and not manner.json:
        print(f"- {output.clean(sentence)}", file=sys.stderr)


def answer(ending: Ending, kept: Path | None) -> Record:
    """The closing table, with trouble when the two sides differ; `kept` is where the ledger stays, if it does."""
    from zenv.demo import differing

    rows = [
        (side.what, side.ledger, side.amazon, "yes" if side.ledger == side.amazon else "NO") for side in ending.sides
    ]
    parts = {"the ledger beside Amazon": Rows(("what", "ledger", "amazon", "same"), rows)}
    fields = {"took": f"{ending.seconds:.1f} s", "simulated": f"{ending.wound_seconds / 60:.0f} minutes"}
    if kept is not None:
        fields["ledger"] = str(kept)
        names = {"home": kept, "item": ending.item, "order": ending.order}
        parts["try next"] = Rows(("command", "shows"), [(command.format(**names), shows) for command, shows in TRY])
    wrong = ", ".join(side.what for side in differing(ending.sides))
    trouble = Bug(f"The ledger and the simulated Amazon do not agree on: {wrong}.") if wrong else None
    return Record(fields, parts, trouble)


def network_answer(ending: NetworkEnding, kept: Path | None) -> Record:
    """The closing table of the network, with trouble when the ledgers and Amazon differ."""
    rows = [(line.what, line.client, line.provider, line.amazon, "yes" if line.agrees else "NO")
            for line in ending.lines]  # fmt: skip
    parts = {"both ledgers beside Amazon": Rows(("what", "client", "provider", "amazon", "same"), rows)}
    fields = {"took": f"{ending.seconds:.1f} s"}
    if kept is not None:
        fields["ledgers"] = str(kept)
        names = {"home": kept, "order": ending.order, "address": ending.address}
        tries = [(command.format(**names), shows) for command, shows in TRY_NETWORK]
        parts["try next"] = Rows(("command", "shows"), tries)
    wrong = ", ".join(line.what for line in ending.lines if not line.agrees)
    trouble = Bug(f"The two ledgers and the simulated Amazon do not agree on: {wrong}.") if wrong else None
    return Record(fields, parts, trouble)
