"""The root of the command line: global options, commands loaded when they are named, one place for errors.

A noun is one module of `zenv.commands` with an `app`. Help, version and completion are answered from the table
below; a module is imported when its noun is used, and what is heavy is imported inside the command that needs it.
A command returns a value or raises; only this file turns the value into output and the error into a sentence and
an exit code.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from typer.core import TyperGroup

from zenv import __version__, commands, output
from zenv.commands import lean
from zenv.errors import UsageError
from zenv.ledger.home import default_home

SECTIONS: dict[str, dict[str, str]] = {
    "Every day": {
        "status": "The whole business on one page.",
        "inbox": "What waits for a person, each with the command that settles it.",
        "orders": "Orders: list, create, hold, allocate, pick, ship, cancel, complete; slips and labels.",
        "inbound": "Goods on their way: order, transfer, allocate, pick, ship, receive.",
        "stock": "Stock: levels, receive, adjust, count, transfer, history, why.",
        "items": "Items and the listings that sell them: list, add, import, link.",
        "warehouses": "Warehouses: list, add, edit, deactivate.",
        "customers": "Customers under pseudonyms: list, show.",
        "sync": "Talk to the connected marketplaces now, and see what was said.",
        "schedule": "What runs how often, when it did, and why it is late.",
    },
    "Set up": {
        "init": "Start the books of a company.",
        "connect": "Connect a seller account.",
        "connections": "Connected accounts: list, edit, enable, disable, remove, log in again.",
        "users": "Your own people: list, add, deactivate.",
        "zfn": "The fulfilment network: be a provider, or have one keep your goods.",
        "serve": "Offer the face of a fulfilment provider to its clients.",
        "key": "The master key: show, export, move, rotate.",
        "daemon": "The process that keeps the schedule: run, status, install.",
    },
    "Look behind": {
        "doctor": "Prove that the books are sound.",
        "privacy": "What is kept of people: policy, check, redact, verify, certificate.",
        "audit": "Who did what that must be answered for: list, verify, head.",
        "backup": "Copy the ledger while it is in use, and prove the copy sound.",
        "restore": "Go back to a backup; see which there are.",
        "sql": "Ask the ledger anything, read-only.",
        "demo": "See all of it work in a throw-away ledger.",
        "sim": "A marketplace to try things on, on this machine.",
    },
}
NOUNS = {noun: help for section in SECTIONS.values() for noun, help in section.items()}

ANYWHERE = ("--json", "--quiet", "--verbose")
"""Flags that are taken wherever they stand, because people add them at the end of a line."""


class Nouns(TyperGroup):
    """The root group: it knows every noun by name and loads one when it is used."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = cast(Any, dict.fromkeys(NOUNS))  # Typer reads only the names, for "did you mean"

    def list_commands(self, ctx: Any) -> list[str]:
        return list(NOUNS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return load(cmd_name) if cmd_name in NOUNS else None

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        for title, nouns in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl(list(nouns.items()))


def load(noun: str) -> Any:
    """The command behind a noun of the table, with its module imported now."""
    app = importlib.import_module(f"zenv.commands.{noun}").app
    app.rich_markup_mode = None
    app._add_completion = False
    command = typer.main.get_command(app)
    command.name, command.short_help = noun, NOUNS[noun]
    lean.plain_parameters(command)
    return command


app = typer.Typer(
    name="zenv",
    cls=Nouns,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    pretty_exceptions_show_locals=False,
    epilog="The flags --json, --quiet and --verbose may stand anywhere. Exit codes: docs/errors.md.",
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"zenv {__version__}")
        raise typer.Exit()


@app.callback()
def root(
    home: Annotated[Path | None, typer.Option("--home", envvar="ZENV_HOME", help="The folder of the ledger.")] = None,
    actor: Annotated[
        str, typer.Option("--as", metavar="USER", help="Who does this, for the history.", show_default=False)
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="Answer with one JSON document.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing when all is well.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log what happens to stderr.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """zenv keeps a seller's items, stock and orders in a local ledger, in step with Amazon.

    New here: `zenv demo` shows all of it, `zenv init` starts your own books.
    """
    commands.begin(home or default_home(), actor, output.Manner.now(json=json, quiet=quiet), verbose)


def flags_first(arguments: Sequence[str]) -> list[str]:
    """Move the flags that are taken anywhere to the front, up to a `--`."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    flags = [word for word in arguments[:end] if word in ANYWHERE]
    return [*flags, *(word for word in arguments[:end] if word not in ANYWHERE), *arguments[end:]]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (without the program's name) and return its exit code."""
    os.umask(0o077)  # every file zenv makes is its owner's alone
    arguments = flags_first(sys.argv[1:] if argv is None else list(argv))
    manner = output.Manner.now(json="--json" in arguments, quiet="--quiet" in arguments)
    try:
        value = _run(arguments)
        code = value if isinstance(value, int) else output.show(value, manner, commands.time_zone)
        commands.remind(manner)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader (head, less) has seen enough; Python would complain when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except BaseException as error:
        return output.show_error(error, manner, verbose="--verbose" in arguments)
    return code


def _run(arguments: list[str]) -> Any:
    """What the command returned; an exit code where Typer itself has answered (help, version, completion)."""
    command = typer.main.get_command(app)
    lean.plain_parameters(command)
    try:
        value = command.main(arguments, prog_name="zenv", standalone_mode=False)
    except typer.TyperException as wrong:
        if type(wrong).__name__ != "NoArgsIsHelpError":
            raise
        print(wrong.format_message())
        return UsageError.exit_code
    if value == output.INTERRUPTED:  # Typer's word for Ctrl-C
        raise KeyboardInterrupt
    return value
