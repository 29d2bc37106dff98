"""Whatever a command raises, as one of zenv's own errors.

Errors of our own pass through; those of the command line, the disk, the database and the reader of a pipe become
the class a person can act on; the rest is a bug of ours. What an exception says of itself is shown only when it is
ours: a library's text may hold a row, a reply or a secret.
"""

from __future__ import annotations

import errno
import sqlite3
import traceback
from collections.abc import Iterator
from pathlib import Path

import typer

from zenv.errors import Bug, Busy, DiskTrouble, SettingsError, UsageError, ZenvError

INTERRUPTED = 130
"""The exit code of Ctrl-C, as shells count it (128 + SIGINT)."""

SAFE = "Every change is one transaction: what was not finished was not kept."
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


def plain(error: BaseException) -> ZenvError | None:
    """The error to show; None for an interruption, which the person knows of."""
    if isinstance(error, ZenvError):
        return error
    if isinstance(error, (KeyboardInterrupt, typer.Abort)):
        return None
    if isinstance(error, typer.TyperException):
        return _called_wrongly(error)
    if isinstance(error, OSError):
        return _of_the_system(error)
    if isinstance(error, sqlite3.Error) or _is_a(error, "DBAPIError") or _is_a(error, "DatabaseError"):
        return _of_the_database(error)
    return _bug(error)


def _is_a(error: BaseException, name: str) -> bool:
    """By name, because importing SQLAlchemy or pysqlite3 to ask would cost every command."""
    return any(kind.__name__ == name for kind in type(error).__mro__)


def _called_wrongly(error: typer.TyperException) -> UsageError:
    context = getattr(error, "ctx", None)
    hint = f"{context.command_path} --help" if context is not None else "zenv --help"
    return UsageError(error.format_message().strip(), f"See: {hint}")


def _of_the_system(error: OSError) -> ZenvError:
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in FULL:
        return DiskTrouble(f"The disk is full or failing{where}. {SAFE}", "Make room, then run the command again.")
    if isinstance(error, (PermissionError, FileNotFoundError, FileExistsError, NotADirectoryError, IsADirectoryError)):
        return SettingsError(f"{error.strerror}{where}.", "Check the path and who owns it.")
    return _bug(error)


def _of_the_database(error: BaseException) -> ZenvError:
    said = str(getattr(error, "orig", None) or error).lower()
    if "locked" in said or "busy" in said:
        return Busy(f"Another zenv is writing to the ledger. {SAFE}", "Run the command again.")
    if "full" in said or "i/o" in said or "readonly" in said or "unable to open" in said:
        return DiskTrouble(
            f"The ledger's disk does not take the change. {SAFE}", "Make room, then run the command again."
        )
    return _bug(error)


def _bug(error: BaseException) -> Bug:
    return Bug(
        f"An unexpected {type(error).__name__} at {_where(error)}. {SAFE}",
        "Please report it with what `--verbose` prints; that holds no data of yours.",
    )


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if f"{Path(__file__).parent}" in frame.filename] or frames
    if not ours:
        return "an unknown place"
    return f"{Path(ours[-1].filename).name} line {ours[-1].lineno}"


def frames(error: BaseException) -> Iterator[str]:
    """The places the error went through, and its kind, without its text: that may hold data."""
    link: BaseException | None = error
    while link is not None:
        for frame in traceback.extract_tb(link.__traceback__):
            yield f"  {frame.filename}:{frame.lineno} in {frame.name}"
        yield type(link).__name__
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
