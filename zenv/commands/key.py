"""`zenv key`: where the master key is kept, a copy of it for safe keeping, another place, a new key."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from zenv import commands, output
from zenv.commands import Done, Record, Value
from zenv.errors import BadInput, KeyUnavailable, UsageError

if TYPE_CHECKING:
    from zenv.credentials import KeyStore
    from zenv.ledger.book import Book

app = commands.noun("The master key: where it is, its recovery code, another place, a new key.")

WHAT_IT_IS = (
    "This line opens all that is sealed in the ledger. Keep it on paper or in a password manager, not on this disk; "
    "without the key, credentials and recipients stay closed for ever."
)
WHAT_A_PART_IS = "This line opens only: {}. Give it to a process that is to have no more, and rotate to take it back."


@app.command()
def show() -> Value:
    """Show where the master key is kept, where it comes from now, and whether it opens. Never the key."""
    from zenv.ledger import keys

    with commands.opened() as book:
        found = keys.whereabouts(book)
        trouble = _opens(book)
    fields = {
        "kind": found.store.kind,
        "detail": found.store.detail,
        "fingerprint": found.fingerprint,
        "read_from": found.read_from,
        "opens": trouble is None,
        "rotation": "interrupted; finish it with: zenv key rotate" if found.rotating else "",
    }
    return Record(fields, trouble=trouble)


def _opens(book: Book) -> KeyUnavailable | None:
    try:
        book.key()
    except KeyUnavailable as closed:
        return closed
    return None


@app.command()
def export(
    only: Annotated[
        str, typer.Option("--only", metavar="PARTS", help="Only these sub-keys, such as personal,pepper.")
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Print it without asking, as scripts must.")] = False,
) -> Value:
    """Print the master key as one line, the recovery code.

    Keep it where the ledger is not: it opens everything. To use it again, name a file with this line in
    ZENV_KEY_FILE, or give the line as ZENV_KEY.
    """
    from zenv.ledger import keys

    if not yes and not _wanted():
        return Done("Nothing was printed.")
    parts = [part.strip() for part in only.split(",") if part.strip()]
    with commands.opened() as book:
        line = keys.export(book, parts if only else None)
    output.remark(WHAT_A_PART_IS.format(", ".join(parts)) if only else WHAT_IT_IS)
    return Done(line, {"key": line})


def _wanted() -> bool:
    if not commands.at_terminal():
        raise UsageError("This prints the key itself. Nothing was printed.", "Add --yes to print it.")
    return typer.confirm("This shows the key itself on the screen. Go on?", err=True)


@app.command()
def move(
    to: Annotated[
        Literal["keyring", "file", "command", "systemd"],
        typer.Option("--to", help="The desktop's keyring, a file, what a command prints, or sealed by systemd."),
    ],
    key_file: Annotated[
        Path | None, typer.Option("--key-file", metavar="PATH", help="Where the file, or the sealed credential, goes.")
    ] = None,
    command: Annotated[
        str, typer.Option("--command", metavar="WORDS", help="A command that prints the key, such as 'pass show zenv'.")
    ] = "",
) -> Value:
    """Keep the master key in another place, and take it away from the one before.

    The key is read back from its new place before the ledger names that, and only then removed from the old one. With
    the recovery code in ZENV_KEY_FILE this also puts a lost key back. A command has to print the key already.
    """
    from zenv.ledger import keys

    with commands.opened() as book:
        target = _target(book, to, key_file, command)
        left = keys.move(book, target)
    rest = f" A copy is left, which zenv could not remove: {'; '.join(left)}." if left else ""
    return Done(f"The key is now kept in {target}.{rest}", {"kind": to, "detail": target.detail, "left": left})


def _target(
    book: Book, kind: Literal["keyring", "file", "command", "systemd"], path: Path | None, words: str
) -> KeyStore:
    """The place that the options name; BadInput where they contradict each other."""
    from zenv.credentials import DEFAULT_PATH
    from zenv.ledger import keys

    if path is not None and kind not in ("file", "systemd"):
        raise BadInput(f"A key in a {kind} needs no --key-file.", "Leave --key-file out.")
    if bool(words.strip()) != (kind == "command"):
        raise BadInput("--command goes with --to command, and that needs it.", "zenv key move --help")
    if kind == "command":
        return keys.place_for(book, kind, json.dumps(_words(words)))
    usual = {"file": commands.home() / "master.key", "systemd": Path(DEFAULT_PATH)}
    chosen = path or usual.get(kind)
    return keys.place_for(book, kind, str(chosen.expanduser().absolute()) if chosen else "")


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        raise BadInput("--command has a quotation mark that does not end.") from None


@app.command()
def rotate() -> Value:
    """Put a new master key in the place of the old one, and seal everything anew under it.

    Do it once a year: what was erased stays unreadable even to somebody who finds an old disk and an old key. Stop the
    daemon first. After an interruption, run it again.
    """
    from zenv.ledger import keys

    with commands.opened() as book:
        fingerprint = keys.rotate(book)
    return Done(
        "There is a new key, and everything is sealed under it. Recovery codes and parts of the old one open nothing "
        "any more but older backups. Next: zenv key export",
        {"fingerprint": fingerprint},
    )
