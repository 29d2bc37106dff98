"""`zenv connections`: the accounts that are connected, and their settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from zenv import commands
from zenv.commands import Done, Record, Rows, Value
from zenv.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zenv.connectors.base import Task

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
    """Show an account: its settings and consent, what is synced and when, its last runs, and what it is owed."""
    from zenv.ledger import keeping, views

    home = commands.home()
    about = views.connection(home, name)
    planned = commands.shown(views.schedule(home, name), "Nothing is planned yet: zenv sync due", "scheduled",
                             "connection", "last_ok_at", "late_at")  # fmt: skip
    latest = commands.shown(views.runs(home, name, LATEST), f"None yet: zenv sync now {name}", "connection")
    owed = commands.shown(views.messages(home, name), "Nothing.", "connection")
    return Record(
        about | {"history_kept": keeping.in_words()},
        {"synced": _synced(about), "schedule": planned, "last runs": latest, "owed messages": owed},
    )


LATEST = 10
"""How many runs are shown with an account; `zenv sync history` has them all."""


def _synced(about: Mapping[str, Any]) -> Rows:
    """Each task: what it reads, what it tells, and the documented longest time between two runs."""
    from zenv import connectors

    tasks = connectors.load(about["kind"]).tasks
    rows = [
        (task.name, ", ".join(task.streams), ", ".join(task.tells).replace("_", " "), _bound(task, about))
        for task in tasks
    ]
    return Rows(("task", "reads", "tells", "bound"), rows)


def _bound(task: Task, about: Mapping[str, Any]) -> str:
    if task.at_midnight and not (task.frequent and about["high_frequency"]):
        return "at midnight"
    longest = task.frequent if task.frequent and about["high_frequency"] else task.longest
    minutes = int(longest.total_seconds() // 60)
    return f"{minutes // 60} h" if minutes % 60 == 0 else f"{minutes} min"


@app.command()
def edit(
    name: Name,
    warehouse: Annotated[
        list[str] | None, typer.Option("--warehouse", metavar="NAME", help="Its stock is offered; may be repeated.")
    ] = None,
    handling_days: Annotated[int | None, typer.Option("--handling-days", help="Sent with every stock level.")] = None,
    buffer: Annotated[int | None, typer.Option("--buffer", help="Units that are never offered.")] = None,
    with_fulfilled: Annotated[
        bool | None,
        typer.Option("--with-fulfilled/--open-only", help="Whether shipped orders are brought, too; for all accounts."),
    ] = None,
    high_frequency: Annotated[
        bool | None, typer.Option("--high-frequency/--at-midnight", help="How often stock is sent.")
    ] = None,
    adopt_new: Annotated[
        bool | None, typer.Option("--adopt-new/--ask-first", help="Whether unknown listings become items.")
    ] = None,
    yes: Yes = False,
) -> Value:
    """Change the settings of an account.

    Whether shipped orders are brought is one setting for all accounts: with several, you are asked first (or give
    `--yes`).
    """
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
    also = _also_changed(name) if with_fulfilled is not None else None
    if also and not commands.confirmed(also, "This setting is one for all accounts. Change it for all of them?", yes):
        return commands.unconfirmed(also)
    with commands.writing() as t:
        connections.edit(t, name, **changes)
    return Done(f"{name} changed.", {"connection": name, **changes})


def _also_changed(name: str) -> Rows | None:
    """The other accounts whose setting is the same one (H76); None when there are none."""
    from zenv.ledger import views

    table = views.connections(commands.home())
    all_of_them = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    standing = [one for one in all_of_them if one["status"] != "removed"]
    if not any(one["connection"] != name for one in standing):
        return None
    return Rows(("connection", "with_fulfilled"), [(one["connection"], one["with_fulfilled"]) for one in standing])


@app.command()
def enable(name: Name) -> Value:
    """Let an account be synced: whatever it missed is due at once."""
    from zenv import scheduler

    with commands.opened() as book:
        scheduler.enable(book, name)
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
    people = f"Forget its recipients now: zenv privacy redact --connection {name}"
    return Done(f"{name} is removed; its orders stay. {people}", {"connection": name})


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
