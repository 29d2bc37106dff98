"""`zenv status`: the whole business on one page."""

from __future__ import annotations

import typer

from zenv import commands
from zenv.commands import Record, Value

app = typer.Typer()


@app.command()
def status() -> Value:
    """Show the whole business on one page: stock, orders, connections, what each did last and what is late."""
    from zenv.ledger import views

    home = commands.home()
    connections = views.connections(home)
    kept = ("connection", "status", "stock_from", "secret_days_left", "listings", "owed")
    runs = views.runs(home, limit=5)
    parts = {
        "late tasks": commands.shown(views.late(home), "None: every task ran in its time."),
        "schedule kept by": commands.shown(views.attendance(home), "Nobody yet: zenv daemon install, or zenv sync due",
                                           "host", "ended_at", "lately"),
        "connections": commands.shown(connections, "None: zenv connect amazon", *set(connections.columns) - set(kept)),
        "latest runs": commands.shown(runs, "None yet: zenv sync now", "run", "ended_at"),
    }  # fmt: skip
    return Record(commands.company() | views.counts(home), parts)
