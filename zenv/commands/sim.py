"""`zenv sim`: the other side, on this machine, for trying things out."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from zenv import commands
from zenv.commands import Done, Value
from zenv.errors import BadInput, Busy

if TYPE_CHECKING:
    import socket

    from zenv.simulators.amazon import AmazonSimulator

app = commands.noun("A marketplace to try things on, on this machine.")

MOST = 100_000
"""More listings or orders than this take minutes to make up."""


@app.command()
def amazon(
    port: Annotated[int, typer.Option("--port", help="On loopback; 0 takes a free one.")] = 8701,
    items: Annotated[int, typer.Option("--items", help="How many listings the seller has.")] = 200,
    orders: Annotated[int, typer.Option("--orders", help="How many orders wait to be shipped.")] = 20,
    seed: Annotated[int, typer.Option("--seed", help="The same number makes the same seller.")] = 7,
) -> Value:
    """Serve a simulated Amazon on this machine until Ctrl-C, with its rate limits, feeds and reports.

    It first says how to connect to it. The credentials are made up and open nothing but this simulator.
    """
    from zenv.simulators.amazon.run import filled, introduction
    from zenv.simulators.amazon.server import serve_forever

    for option, number, most in (("--port", port, 65_535), ("--items", items, MOST), ("--orders", orders, MOST)):
        if not 0 <= number <= most:
            raise BadInput(f"{option} {number} is not possible.", f"Give 0 to {most}.")
    listener = _listener(port)
    sim = filled(items, orders, seed)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    told = "\n".join([*introduction(sim, url), *_how_to_connect(sim, url)])
    with suppress(KeyboardInterrupt):  # Ctrl-C is how this command ends well
        print(told, file=sys.stderr if commands.manner().json else sys.stdout, flush=True)
        serve_forever(sim, listener)
    return Done("The simulated Amazon has ended.")


def _listener(port: int) -> socket.socket:
    from zenv.simulators.amazon.server import bind

    try:
        return bind(port)
    except OSError as error:
        raise Busy(f"Port {port} cannot be listened on: {error.strerror}.", "Give another --port, or 0.") from None


def _how_to_connect(sim: AmazonSimulator, url: str) -> list[str]:
    """A command to paste into another terminal; secrets go by stdin there, never as arguments."""
    return [
        "",
        "To connect a ledger to it (zenv init makes one), paste this into another terminal:",
        "",
        f"zenv connect amazon --country US --seller-id {sim.seller_id} --endpoint {url} \\",
        "    --name simulated --consent --adopt-new --enable --yes --secret-stdin <<'END'",
        f"client_id={sim.client_id}",
        f"client_secret={sim.client_secret}",
        f"refresh_token={sim.refresh_token}",
        "END",
        "",
        "Then: zenv sync now simulated",
    ]
