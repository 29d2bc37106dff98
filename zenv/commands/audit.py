"""`zenv audit`: who did what that must be answered for, in a chain that shows if it was changed."""

from __future__ import annotations

from typing import Annotated

import typer

from zenv import commands
from zenv.commands import Done, Rows, Value
from zenv.errors import BadInput, Bug

app = commands.noun("The audit trail: list, verify, head.")


@app.command("list")
def list_(
    action: Annotated[str | None, typer.Option("--action", metavar="ACTION", help="Such as `redacted`.")] = None,
    subject: Annotated[str | None, typer.Option("--subject", metavar="NAME", help="An order, an account.")] = None,
    actor: Annotated[str | None, typer.Option("--actor", metavar="USER", help="Who did it.")] = None,
    since: Annotated[str, typer.Option("--since", metavar="TIME", help="From when.")] = "",
    limit: Annotated[int, typer.Option("--limit", help="How many, the newest first.")] = 50,
) -> Value:
    """List who did what to what, when, and how it ended. There is no personal data in it."""
    from zenv.ledger import audit

    start = f"{commands.moment(since, day_begins=True):%Y-%m-%d %H:%M:%S}" if since else None
    found = audit.listed(commands.home(), action, subject, actor, start, limit)
    return commands.shown(found, "Nothing was recorded.")


@app.command()
def verify(
    head: Annotated[str, typer.Option("--head", metavar="HEX", help="A digest that `zenv audit head` gave.")] = "",
) -> Value:
    """Prove that no entry was changed or taken out; with --head, that an earlier state is still part of it."""
    from zenv.ledger import audit

    with commands.opened() as book, book.reading() as sql:
        broken, count = audit.broken(sql), audit.count(sql)
        known = not head or audit.holds(sql, _digest(head))
    rows: list[tuple[int | None, str]] = [(entry, "it does not follow from the entry before it") for entry in broken]
    if not known:
        rows.append((None, "the digest you kept is not among them: entries were taken out, or an older state restored"))
    if rows:
        trouble = Bug("The audit trail was changed past zenv. Nothing was changed now.", "zenv restore")
        return Rows(("entry", "text"), rows, trouble=trouble)
    return Done(f"{commands.some(count, 'entry') if count == 1 else f'{count} entries'}, unbroken.", {"entries": count})


@app.command()
def head() -> Value:
    """Print the newest digest: keep it elsewhere, and `zenv audit verify --head` proves later that nothing is gone."""
    from zenv.ledger import audit

    with commands.opened() as book, book.reading() as sql:
        digest, count = audit.last(sql).hex(), audit.count(sql)
    return Done(digest, {"digest": digest, "entries": count})


def _digest(words: str) -> bytes:
    try:
        return bytes.fromhex(words.strip())
    except ValueError:
        raise BadInput("--head is not a digest of `zenv audit head`.") from None
