"""`zenv init`: the books of a company, its key, and its first warehouse."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from zenv import commands
from zenv.commands import Done, Record, Value
from zenv.errors import BadInput, Refused
from zenv.ledger.home import LEDGER

if TYPE_CHECKING:
    from zenv.credentials import KeyStore
    from zenv.ledger.book import NewCompany

app = typer.Typer()

QUESTIONS: dict[str, tuple[str, str | None]] = {
    "--company": ("Company", None),
    "--country": ("Country (such as DE)", None),
    "--time-zone": ("Time zone (such as Europe/Berlin)", None),
    "--currency": ("Currency (such as EUR)", None),
    "--key-store": ("Keep the master key in the desktop's keyring, or in a file (keyring, file)", "keyring"),
}


@app.command()
def init(
    company: Annotated[str | None, typer.Option("--company", metavar="NAME", help="Whose books these are.")] = None,
    country: Annotated[str | None, typer.Option("--country", metavar="CC", help="Such as DE.")] = None,
    time_zone: Annotated[str | None, typer.Option("--time-zone", metavar="ZONE", help="Such as Europe/Berlin.")] = None,
    currency: Annotated[str | None, typer.Option("--currency", metavar="CUR", help="Such as EUR.")] = None,
    key_store: Annotated[
        Literal["keyring", "file"] | None,
        typer.Option("--key-store", help="Where the master key is kept: the desktop's keyring, or a file of yours."),
    ] = None,
    key_file: Annotated[
        Path | None, typer.Option("--key-file", metavar="PATH", help="The key file; beside the ledger without it.")
    ] = None,
    warehouse: Annotated[str, typer.Option("--warehouse", metavar="NAME", help="The first warehouse.")] = "Main",
    yes: Annotated[bool, typer.Option("--yes", help="At a terminal, do not ask whether all is right.")] = False,
) -> Value:
    """Start the books of a company in the home folder: a ledger, a master key, a first warehouse.

    Everything is asked at a terminal. Scripts give --company, --country, --time-zone, --currency and --key-store.
    """
    from zenv.ledger.book import NewCompany

    given = {"--company": company, "--country": country, "--time-zone": time_zone, "--currency": currency,
             "--key-store": key_store}  # fmt: skip
    _refuse_second_ledger()
    told = commands.answers(given, QUESTIONS)
    about = NewCompany(told["--company"], told["--country"].upper(), told["--time-zone"], told["--currency"].upper())
    store = _store(told["--key-store"], key_file)
    preview = Record({**vars(about), "key": f"{store.kind} {store.detail}", "warehouse": warehouse})
    if commands.at_terminal() and not commands.confirmed(preview, "Start these books?", yes):
        return Done("Nothing was made.")
    _start(about, store, warehouse)
    return Done(
        f"The books of {about.name} are open. Run `zenv key export` once and keep its line safe: without the key, what "
        "is sealed stays closed. Next: zenv items add, zenv items import, or zenv connect amazon",
        {"home": str(commands.home())},
    )


def _refuse_second_ledger() -> None:
    if (commands.home() / LEDGER).exists():
        raise Refused(f"There is a ledger in {commands.home()} already; it was left as it is.", "zenv status")


def _store(kind: str, key_file: Path | None) -> KeyStore:
    from zenv.credentials import KeyStore

    if kind not in ("keyring", "file"):
        raise BadInput(f"{kind!r} is not a key store.", "keyring or file")
    if kind == "keyring" and key_file is not None:
        raise BadInput("A keyring needs no --key-file.", "Give --key-store file, or leave --key-file out.")
    detail = str((key_file or commands.home() / "master.key").expanduser().absolute()) if kind == "file" else ""
    return KeyStore(cast(Literal["keyring", "file"], kind), detail, uuid.uuid4().hex)


def _start(about: NewCompany, store: KeyStore, warehouse: str) -> None:
    """Make the key, then the ledger; a key file that no ledger came of is taken away again."""
    from zenv import credentials, privacy
    from zenv.ledger import book, stock, users

    if not warehouse.strip():
        raise BadInput("A warehouse needs a name.")
    privacy.private_folder(commands.home())
    new_file = store.kind == "file" and not Path(store.detail).exists()
    credentials.create_master_key(store)
    try:
        book.create(commands.home(), about, store)
    except BaseException:
        if new_file:
            Path(store.detail).unlink(missing_ok=True)
        raise
    with commands.writing() as t:
        users.begin(t)
        stock.add_warehouse(t, warehouse)
