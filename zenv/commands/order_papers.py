"""`zenv orders slip` and `zenv orders label`: papers of an order, printed to a new file or a pipe, never to a terminal;
and when the recipient of an order is opened."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zenv import commands
from zenv.commands import Done, Value
from zenv.errors import BadInput, NotFound, Refused, UsageError, ZenvError
from zenv.output import Content

if TYPE_CHECKING:
    from zenv.ledger.book import Book

label = commands.noun("The labels of an order's packages: print, attach, list.")

Number = Annotated[str, typer.Argument(metavar="NUMBER", help="The order's number.")]
Package = Annotated[
    str | None, typer.Option("--package", metavar="REF", help="This package; else what is still to leave.")
]
Output = Annotated[
    Path | None, typer.Option("--output", metavar="FILE", help="A new file that only you can open; else a pipe.")
]


def slip(number: Number, package: Package = None, output: Output = None) -> Value:
    """Print the packing slip of a package as PDF. Who did is in the audit trail."""
    from zenv.ledger import packing

    return _printed(output, lambda book: packing.slip(book, number, package))


@label.command("print")
def print_(
    number: Number,
    package: Package = None,
    paper: Annotated[
        int | None, typer.Option("--paper", metavar="N", help="This paper, by its number in `orders label list`.")
    ] = None,
    output: Output = None,
) -> Value:
    """Print the label of a package: the carrier's that was attached, else its address (102 x 152 mm) as PDF.

    Who did is in the audit trail.
    """
    from zenv.ledger import packing

    return _printed(output, lambda book: packing.label(book, number, package, paper))


@label.command()
def attach(
    number: Number,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="PDF, PNG, GIF, JPEG or ZPL; at most 5 MiB.")],
    package: Package = None,
) -> Value:
    """Keep a label that was bought elsewhere, sealed as the recipient is. The file itself is left where it is."""
    from zenv.ledger import packing

    content = _read(file)
    with commands.opened() as book:
        paper = packing.attach(book, number, content, package)
    return Done(
        f"Kept, sealed, as paper {paper} of order {number}. Your file still lies open where it is.",
        {"number": number, "paper": paper},
    )


@label.command("list")
def list_(number: Number) -> Value:
    """List the slips and labels of an order, also those that were destroyed."""
    from zenv.ledger import views

    none = "None yet: zenv orders label print, zenv orders label attach"
    return commands.shown(views.papers(commands.home(), number), none, "number")


# --- the recipient in `orders show` ---------------------------------------------------------------------------


def is_wanted(asked: bool | None) -> bool:
    """Whether to open the recipient: as asked for; else when a person sits there, and not for a script."""
    manner = commands.manner()
    return manner.terminal and not manner.quiet if asked is None else asked


def recipient(number: str, wanted: bool) -> tuple[dict[str, Any], ZenvError | None]:
    """What `orders show` says of the recipient, and what went wrong: the rest of the order is shown all the same."""
    from zenv.ledger import views

    said: dict[str, Any] = {}
    if views.recipient_is_missing(commands.home(), number):
        said["attention"] = "the recipient is not known yet: do not ship; zenv sync now"
    if not wanted:
        return said, None
    try:
        return said | {"recipient": _opened(number)}, None
    except ZenvError as trouble:
        return said, trouble


def _opened(number: str) -> dict[str, str]:
    from zenv.ledger import packing

    with commands.opened() as book:
        opened = packing.recipient(book, number, "order shown")
    return {name: value for name, value in opened.items() if value}


# --- files ----------------------------------------------------------------------------------------------------


def _printed(output: Path | None, make: Callable[[Book], bytes]) -> Value:
    """What was made, in a new file or for the pipe. The place is seen to before anything sealed is opened."""
    if output is None:
        _insist_on_a_pipe()
        with commands.opened() as book:
            return Content(make(book))
    descriptor = _new_file(output)
    try:
        with open(descriptor, "wb") as file, commands.opened() as book:
            file.write(make(book))
    except BaseException:
        output.unlink(missing_ok=True)
        raise
    return Done(f"Printed to {output}.", {"file": str(output)})


def _insist_on_a_pipe() -> None:
    manner = commands.manner()
    if manner.terminal or manner.json:
        where = "a JSON answer" if manner.json else "a terminal"
        raise UsageError(f"A paper cannot be shown in {where}.", "Add --output FILE, or pipe it to a printer: ... | lp")


def _new_file(path: Path) -> int:
    """A file that was not there before, for its owner alone."""
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise Refused(f"There is a file {path} already; it was left as it is.", "Give another name.") from None
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror}.") from None


def _read(path: Path) -> bytes:
    """A regular file, and no more of it than a label may have. The open does not wait for a pipe's other end."""
    from zenv.ledger.papers import MOST_BYTES

    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise NotFound(f"The file cannot be read: {error.strerror}.") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise BadInput("A label is read from a regular file; this is none.")
    with open(descriptor, "rb") as file:
        return file.read(MOST_BYTES + 1)
