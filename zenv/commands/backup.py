"""`zenv backup`: a proved copy of the ledger."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from zenv import commands, output
from zenv.commands import Done, Value

app = typer.Typer()


@app.command()
def backup(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Where to; by default a new file in the folder `backups`.")
    ] = None,
    keep: Annotated[int, typer.Option("--keep", metavar="N", help="How many of zenv's own backups stay.")] = 7,
) -> Value:
    """Copy the ledger while others work on it, and prove the copy sound. Keys of persons are never in it."""
    from zenv.ledger import backup as copies

    with commands.opened() as book, output.progress("backup", commands.manner()) as progress:
        made = copies.make_on_record(book, file, keep, progress)
    said = f"{made.path}: {made.orders:,} orders, {made.movements:,} movements, {made.bytes:,} bytes, proved sound."
    return Done(said, dataclasses.asdict(made))
