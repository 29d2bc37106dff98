"""`zenv serve`: what programs that call us meet; now the face of a fulfilment provider."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zenv import commands
from zenv.commands import Done, Value
from zenv.errors import UsageError

app = typer.Typer(invoke_without_command=True, cls=commands.Noun)

Listen = Annotated[str, typer.Option("--listen", metavar="HOST:PORT", help="Where to listen.")]
Unix = Annotated[Path | None, typer.Option("--unix", metavar="PATH", help="Listen on a Unix socket, for a proxy.")]
BehindProxy = Annotated[
    str | None,
    typer.Option("--behind-proxy", metavar="ADDRESS",
                 help="A proxy here does the TLS: plain HTTP, and X-Forwarded-For of this address is believed."),
]  # fmt: skip
EVERYWHERE = "127.0.0.1:8470"


@app.callback()
def serve(
    context: typer.Context, listen: Listen = EVERYWHERE, unix: Unix = None, behind_proxy: BehindProxy = None
) -> Value | None:
    """Offer the face of a fulfilment provider to its clients, until Ctrl-C or SIGTERM.

    With its own certificate, which the company code names; a public one belongs on a proxy before it. It listens on
    loopback unless told otherwise: --listen 0.0.0.0:8470 lets clients in from everywhere.
    """
    if context.invoked_subcommand is not None:
        return None
    from zenv.server import serving

    with commands.opened(serving.BUSY_S) as book:
        serving.run(book, serving.Where(listen, unix, behind_proxy), lambda line: print(line, flush=True))
    return Done("")


@app.command()
def install(
    system: Annotated[bool, typer.Option("--system", help="A service of this machine, as the user zenv.")] = False,
    user: Annotated[bool, typer.Option("--user", help="A service of yours, for a desktop.")] = False,
    listen: Listen = EVERYWHERE,
    yes: Annotated[bool, typer.Option("--yes", help="Replace another unit of that name without asking.")] = False,
) -> Value:
    """Write a hardened systemd unit for this face, and say what is next. Nothing is started."""
    from zenv import units
    from zenv.commands import daemon
    from zenv.server import serving

    if system == user:
        raise UsageError("Choose one: --system or --user.", "zenv serve install --help")
    with commands.opened() as book:
        serving.check(book, serving.Where(listen))
    return daemon.install_units(system, lambda setting: units.face(setting, listen), units.FACE, yes)
