"""`zenv connections`: the accounts that are connected, and their settings."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from zenv import commands
from zenv.commands import Done, Record, Value
from zenv.errors import UsageError

app = commands.noun("Connected accounts and their settings.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="What you call the account here.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking.")]


@app.command("list")
def list_() -> Value:
    """List the connected accounts."""
    from zenv.ledger import views

    table = views.connections(commands.home())
    kept = ("connection", "kind", "status", "region", "stock_from", "secret_days_left", "listings", "owed")
    return commands.shown(table, "No account yet: zenv connect amazon", *set(table.columns) - set(kept))


@app.command()
def show(name: Name) -> Value:
    """Show an account with all its settings, what was consented to, and what it is owed."""
    from zenv.ledger import views

    home = commands.home()
    owed = commands.shown(views.messages(home, name), "Nothing.", "connection")
    return Record(views.connection(home, name), {"owed messages": owed})


@app.command()
def edit(
    name: Name,
    warehouse: Annotated[
        list[str] | None, typer.Option("--warehouse", metavar="NAME", help="Its stock is offered; may be repeated.")
    ] = None,
    handling_days: Annotated[int | None, typer.Option("--handling-days", help="Sent with every stock level.")] = None,
    buffer: Annotated[int | None, typer.Option("--buffer", help="Units that are never offered.")] = None,
    with_fulfilled: Annotated[
        bool | None, typer.Option("--with-fulfilled/--open-only", help="Whether shipped orders are brought, too.")
    ] = None,
    high_frequency: Annotated[
        bool | None, typer.Option("--high-frequency/--at-midnight", help="How often stock is sent.")
    ] = None,
    adopt_new: Annotated[
        bool | None, typer.Option("--adopt-new/--ask-first", help="Whether unknown listings become items.")
    ] = None,
) -> Value:
    """Change the settings of an account."""
    from zenv.ledger import connections

    wishes: dict[str, Any] = {
        "handling_days": handling_days,
        "buffer": buffer,
        "with_fulfilled": with_fulfilled,
        "high_frequency": high_frequency,
        "adopt_new": adopt_new,
        "warehouses": tuple(warehouse) if warehouse else None,
    }
    changes = {setting: value for setting, value in wishes.items() if value is not None}
    if not changes:
        raise UsageError("Nothing to change was given.", "zenv connections edit --help")
    with commands.writing() as t:
        connections.edit(t, name, **changes)
    return Done(f"{name} changed.", {"connection": name, **changes})


@app.command()
def enable(name: Name) -> Value:
    """Let an account be synced."""
    from zenv.ledger import connections

    with commands.writing() as t:
        connections.enable(t, name)
    return Done(f"{name} is enabled. Next: zenv sync now {name}", {"connection": name})


@app.command()
def disable(name: Name) -> Value:
    """Stop syncing an account; its listings, links and orders stay."""
    from zenv.ledger import connections

    with commands.writing() as t:
        connections.disable(t, name)
    return Done(f"{name} is disabled.", {"connection": name})


@app.command()
def remove(name: Name, yes: Yes = False) -> Value:
    """Forget the secrets of an account and stop for good; its orders, listings and links stay."""
    from zenv.ledger import connections, views

    about = views.connection(commands.home(), name)
    preview = Record({field: about[field] for field in ("connection", "status", "listings", "owed")})
    if not commands.confirmed(preview, f"Forget the secrets of {name} and stop?", yes):
        return commands.unconfirmed(preview)
    with commands.writing() as t:
        connections.remove(t, name)
    return Done(f"{name} is removed; its orders stay.", {"connection": name})


@app.command()
def login(
    name: Name,
    secret_stdin: Annotated[
        bool, typer.Option("--secret-stdin", help="Read NAME=VALUE lines from stdin, only those that changed.")
    ] = False,
) -> Value:
    """Give an account new secrets, for instance a rotated client secret. They are tried before they are kept."""
    from zenv.commands import connect

    if not secret_stdin and not commands.at_terminal():
        raise UsageError("Secrets are not taken from arguments.", "Pipe them in and add --secret-stdin.")
    secrets = commands.stdin_fields(connect.secret_names()) if secret_stdin else connect.ask_secrets()
    seller = connect.login_again(name, secrets)
    return Done(f"{name} is logged in as {seller}.", {"connection": name, "seller": seller})
