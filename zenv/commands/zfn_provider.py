"""`zenv zfn ...`, the provider's half: the function, the company code, requests, clients."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from zenv import commands
from zenv.commands import Done, Record, Value

Request = Annotated[int, typer.Argument(metavar="REQUEST", help="Its number in `zenv zfn requests`.")]


def register(app: typer.Typer) -> None:
    """Add the provider's verbs to the noun."""
    for verb in (clients, invite, requests, accept, deny, delete, settings, plan, enable, grant):
        app.command()(verb)


def clients() -> Value:
    """Show the clients, how each link stands, what waits and what is next (provider)."""
    from zenv.ledger import views

    home = commands.home()
    return Record(views.requests_waiting(home), {"clients": commands.shown(views.clients(home), "No client yet.")})


def invite() -> Value:
    """Print the company code to give to a client (provider). Nothing else comes of it.

    The code is an address and no secret; it names the key by which the client knows that it speaks to you.
    """
    from zenv.ledger.zfn import standing

    with commands.opened() as book:
        code = str(standing.invite(book))
    return Done(code, {"code": code})


def requests() -> Value:
    """List the companies that ask to become clients; from then on they count as seen (provider).

    `former` is the client a company was before: choose it with `--client`, and its orders and items are there again.
    """
    from zenv.ledger.zfn import clients as ledger

    with commands.writing() as t:
        waiting = ledger.review(t)
    return commands.rows_of(waiting, ledger.Waiting, "No request waits.")


def accept(
    request: Request,
    import_user: Annotated[
        str, typer.Option("--import-user", metavar="USER", help="The user whom the client's orders carry.")
    ],
    new_client: Annotated[bool, typer.Option("--new-client", help="Make a client under the company's name.")] = False,
    client: Annotated[
        str | None, typer.Option("--client", metavar="NAME", help="A client you have that is not linked now.")
    ] = None,
) -> Value:
    """Accept a request, as a new client or as one you have (provider). Exactly one of the two."""
    from zenv.ledger.zfn import clients as ledger

    with commands.writing() as t:
        made = ledger.accept(t, request, import_user, new_client, client)
    return Done(f"{made.name} is linked as client {made.id}.", {"client": made.id, "name": made.name})


def deny(request: Request) -> Value:
    """Deny a request (provider). Nothing else comes of it; the company may ask again."""
    from zenv.ledger.zfn import clients as ledger

    with commands.writing() as t:
        company = ledger.deny(t, request)
    return Done(f"The request of {company} is denied.", {"request": request, "company": company})


def delete(client: Annotated[str, typer.Argument(metavar="CLIENT", help="The client's name.")]) -> Value:
    """Delete a client that has disconnected and closed its warehouse (provider). Its history stays."""
    from zenv.ledger.zfn import clients as ledger

    with commands.writing() as t:
        ledger.delete(t, client)
    return Done(f"{client} is deleted; its orders and items stay for the record.", {"client": client})


def settings(
    address: Annotated[
        str | None, typer.Option("--address", metavar="HOST:PORT", help="Where clients reach this provider.")
    ] = None,
    certificates: Annotated[
        Literal["own", "public"] | None,
        typer.Option("--certificates", help="Your own, known by the code; or a public one, behind a proxy."),
    ] = None,
    support_contact: Annotated[
        str | None, typer.Option("--support-contact", metavar="WHOM", help="Whom a refusal names.")
    ] = None,
    allow_edit_picked: Annotated[
        bool | None,
        typer.Option("--allow-edit-picked/--no-allow-edit-picked", help="Let clients edit orders being picked."),
    ] = None,
) -> Value:
    """Show the provider's settings, or change those that are given (provider; administrators)."""
    from zenv.ledger.zfn import standing

    given = {"address": address, "certificates": certificates, "support_contact": support_contact,
             "may_edit_picked": allow_edit_picked}  # fmt: skip
    with commands.opened() as book:
        return Record(standing.settings(book, {name: said for name, said in given.items() if said is not None}))


def plan(
    plan: Annotated[Literal["standard", "enterprise"], typer.Argument(help="Only enterprise can be a provider.")],
) -> Value:
    """Put the company on a plan (administrators)."""
    from zenv.ledger.zfn import standing

    with commands.writing() as t:
        standing.choose_plan(t, plan)
    return Done(f"The company is on the plan {plan}.", {"plan": plan})


def enable() -> Value:
    """Ask for the provider function; an administrator grants it (provider)."""
    from zenv.ledger.zfn import standing

    with commands.writing() as t:
        state = standing.enable(t)
        whom = standing.whom_to_ask(t.sql)
    told = f"The provider function is {state}."
    return Done(told if state == "granted" else f"{told} {whom} They run: zenv zfn grant", {"provider": state})


def grant() -> Value:
    """Grant the provider function that was asked for (administrators)."""
    from zenv.ledger.zfn import standing

    with commands.writing() as t:
        standing.grant(t)
    told = "The provider function is granted. Next: zenv zfn settings --address HOST:PORT"
    return Done(told, {"provider": "granted"})
