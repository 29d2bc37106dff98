"""`zenv privacy`: what is kept of people and for how long, forgetting them, and proving that it was done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zenv import commands
from zenv.commands import Done, Record, Rows, Value
from zenv.errors import BadInput, NeedsAttention, UsageError

if TYPE_CHECKING:
    from zenv.ledger.book import Book

app = commands.noun("What is kept of people: policy, check, redact, verify, certificate.")

Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking.")]


@app.command()
def policy() -> Value:
    """Show what is kept of whom, from when its time runs, for how many days, and the ceiling no setting passes.

    Empty days: kept. The daemon redacts `margin` days earlier. Set your own, shorter term with `zenv privacy set`.
    """
    from zenv.ledger import policy as rules

    with commands.opened() as book, book.reading() as sql:
        lines = rules.standing(sql)
    return commands.rows_of(lines, rules.Line, "Nothing.")


@app.command("set")
def set_(
    entry: Annotated[str, typer.Argument(metavar="ENTRY", help="As `zenv privacy policy` says.")],
    days: Annotated[str, typer.Argument(metavar="DAYS", help="Days after the order's end; `default` ends your own.")],
) -> Value:
    """Choose how many days people are kept; never more than the ceiling of the policy."""
    from zenv.ledger import policy as rules

    wanted = None if days == "default" else commands.whole(days, "DAYS")
    with commands.writing() as t:
        rules.choose(t, entry, wanted)
    return Done(f"{entry}: {days}{'' if wanted is None else ' days'}.", {"entry": entry, "days": wanted})


@app.command()
def check() -> Value:
    """Name every order of which somebody is kept past their time; exit code 80 when there is one."""
    from zenv.ledger import redaction

    with commands.opened() as book, book.reading() as sql:
        late = redaction.due(sql, book.clock())
    rows = [(one.number, one.source, one.ended_at, one.due_at, one.papers) for one in late]
    trouble = None
    if late:
        trouble = NeedsAttention(
            f"{commands.some(len(late), 'order')} overdue.", "zenv sync now housekeeping redaction"
        )
    return Rows(("number", "source", "ended_at", "due_at", "papers"), rows, "Nobody is kept past their time.", trouble)


@app.command()
def explain(number: Annotated[str, typer.Argument(metavar="ORDER", help="The order's number.")]) -> Value:
    """Say of one order what is kept of the person, by which rule, since when, and when it goes."""
    from zenv.ledger import explaining

    with commands.opened() as book, book.reading() as sql:
        return Record(vars(explaining.explain(sql, number, book.clock())))


@app.command()
def redact(
    numbers: Annotated[list[str] | None, typer.Argument(metavar="ORDER", help="Orders by number.")] = None,
    customer: Annotated[str, typer.Option("--customer", metavar="C", help="All orders of a customer, C-000001.")] = "",
    connection: Annotated[str, typer.Option("--connection", metavar="NAME", help="All orders of an account.")] = "",
    yes: Yes = False,
) -> Value:
    """Forget whom orders went to now, for good: key, sealed data, papers. The orders themselves stay.

    An order that is still to be shipped can then not be shipped by zenv's papers: nobody knows to whom.
    """
    from zenv.ledger import redaction

    if sum(map(bool, (numbers, customer, connection))) != 1:
        raise UsageError("Name orders, or one --customer, or one --connection.", "zenv privacy redact --help")
    with commands.opened() as book:
        wanted, preview = _to_redact(book, numbers or [], customer, connection)
        if not commands.confirmed(preview, "Forget them for good?", yes):
            return commands.unconfirmed(preview)
        count = redaction.redact(book, wanted)
    return Done(f"The people of {commands.some(count, 'order')} are forgotten.", {"orders": count})


def _to_redact(book: Book, numbers: list[str], customer: str, connection: str) -> tuple[list[str], Rows]:
    """The orders meant, and what is kept of each."""
    from zenv.ledger import customers, redaction

    with book.reading() as sql:
        if customer:
            numbers = customers.numbers_of(sql, customer)
        if connection:
            numbers = redaction.of_connection(sql, connection)
        found = redaction.look_at(sql, numbers)
    rows = [(one.number, one.source, one.papers, one.ended_at, one.due_at) for one in found]
    return numbers, Rows(("number", "source", "papers", "ended_at", "due_at"), rows, "Nobody is kept there.")


@app.command()
def verify() -> Value:
    """Search ledger, journals, backups, papers and temporary files for what must not be there; plants nothing."""
    from zenv.errors import Bug
    from zenv.ledger import proof
    from zenv.ledger.invariants import Finding

    with commands.opened() as book:
        found = proof.verify(book)
    looked = {name: getattr(found, name) for name in ("files", "bytes", "words", "people", "people_kept")}
    trouble = None
    if found.findings:
        trouble = Bug(
            f"{commands.some(len(found.findings), 'thing')} found. Nothing was changed.", "Each names its way."
        )
    return Record(looked, {"found": commands.rows_of(found.findings, Finding, "Nothing.")}, trouble)


@app.command()
def clear(yes: Yes = False) -> Value:
    """Take away what `verify` found beside orders: keys of no order, stale marks, addresses in sentences."""
    from zenv.ledger import proof

    preview = Done("Keys of no order, marks of forgotten customers and addresses in sentences would be taken away.")
    if not commands.confirmed(preview, "Take them away for good?", yes):
        return commands.unconfirmed(preview)
    with commands.opened() as book:
        done = proof.clear(book)
    return Done(f"{done.keys} keys, {done.marks} marks and {done.texts} sentences were cleared.", vars(done))


@app.command()
def certificate(
    since: Annotated[str, typer.Option("--since", metavar="TIME", help="From when; the beginning unless given.")] = "",
    until: Annotated[str, typer.Option("--until", metavar="TIME", help="Until when; now unless given.")] = "",
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="Write it there instead of showing it.")
    ] = None,
    check: Annotated[Path | None, typer.Option("--check", metavar="FILE", help="Prove one; needs no ledger.")] = None,
    public_key: Annotated[
        str, typer.Option("--public-key", metavar="HEX", help="With --check: the key it must be signed with.")
    ] = "",
) -> Value:
    """Sign a statement of who was forgotten, what of them, when due and when done; no personal data is in it.

    Whoever receives it proves it with `--check FILE --public-key HEX`; give them the key another way than the file.
    """
    from zenv.ledger import certificate as certificates

    if check is not None:
        return Record(vars(certificates.check(_document(check), public_key)))
    with commands.opened() as book:
        start = commands.moment(since, day_begins=True) if since else book.company.created_at
        made = certificates.issue(book, start, commands.moment(until) if until else book.clock())
    return _written(made, to)


def _document(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError:
        raise BadInput("This is no certificate of zenv.") from None
    if not isinstance(found, dict):
        raise BadInput("This is no certificate of zenv.")
    return found


def _written(made: dict[str, Any], to: Path | None) -> Done:
    whole = json.dumps(made, ensure_ascii=False)
    if to is None:
        return Done(whole, {"certificate": made})
    try:
        with to.open("x", encoding="utf-8") as file:
            file.write(whole + "\n")
    except OSError as error:
        raise BadInput(f"{to} cannot be written: {error.strerror}.", "Give the name of a new file.") from None
    return Done(
        f"{to} states {commands.some(made['counts']['orders'], 'redacted order')}. Public key: {made['public_key']}",
        {"file": str(to), "public_key": made["public_key"], **made["counts"]},
    )


@app.command()
def old(
    archive: Annotated[
        Path | None, typer.Option("--archive", metavar="FILE", help="Write them there as JSON lines, then remove them.")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove them without a copy.")] = False,
    yes: Yes = False,
) -> Value:
    """Count the Amazon orders that ended more than 18 months ago; archive or remove them if you say so.

    Nobody's data is in them any more, and stock and its history stay as they are.
    """
    from zenv.ledger import retention

    if archive is not None and remove:
        raise UsageError("Give --archive or --remove, not both.", "zenv privacy old --help")
    with commands.opened() as book:
        with book.reading() as sql:
            found = Record(vars(retention.look(sql, book.clock())))
        if archive is None and not remove:
            return found
        if not commands.confirmed(found, "Take them out of the ledger for good?", yes):
            return commands.unconfirmed(found)
        done = retention.remove(book, archive)
    return Done(f"{commands.some(done.orders, 'order')} taken out of the ledger.", vars(done))
