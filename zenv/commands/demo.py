"""`zenv demo`: the main job on a simulated Amazon, in a ledger that is thrown away."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zenv import commands, output
from zenv.commands import Record, Rows, Value

if TYPE_CHECKING:
    from zenv.demo import Ending

app = typer.Typer()

TRY = (
    ("export ZENV_HOME={home}", "work in this ledger; its connection is disabled, its Amazon is gone"),
    ("zenv status", "the whole business on one page"),
    ("zenv orders show {order}", "the order that was shipped"),
    ("zenv stock why {item}", "where a number comes from, down to movements and orders"),
    ("zenv sync history amazon-us", "what was said to Amazon and when"),
    ("zenv sql 'SELECT * FROM orders'", "your own questions, over documented views"),
    ("zenv sim amazon", "another simulated Amazon; it says how to connect a ledger to it"),
)


@app.command()
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Keep the ledger, to look around in it.")] = False,
) -> Value:
    """Connect, import, sell, ship, cancel and tell stock, against a simulated Amazon on this machine.

    Takes some seconds, needs no account, no network and no keyring, and leaves nothing behind. The closing table sets
    the ledger beside what the simulated Amazon saw; the exit code says whether they agree.
    """
    from zenv.demo import play

    home = Path(tempfile.mkdtemp(prefix="zenv-demo-"))
    kept = False
    try:
        with output.progress("demo", commands.manner()) as follow:
            ending = play(home, _told, follow)
        kept = keep
    finally:
        if not kept:
            shutil.rmtree(home)
    return answer(ending, home if keep else None)


def _told(sentence: str) -> None:
    """A step, on stderr, so that the answer stays the answer."""
    manner = commands.manner()
    if not manner.quiet and not manner.json:
        print(f"- {output.clean(sentence)}", file=sys.stderr)


def answer(ending: Ending, kept: Path | None) -> Record:
    """The closing table, with trouble when the two sides differ; `kept` is where the ledger stays, if it does."""
    from zenv.demo import differing
    from zenv.errors import Bug

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
