"""`zenv connect`: from a seller's credentials to a saved connection, with nothing stored before it is confirmed."""

from __future__ import annotations

import secrets as randomness
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from zenv import commands
from zenv.commands import Done, Record, Rows, Value
from zenv.connectors.base import Terms
from zenv.errors import Refused, UsageError

if TYPE_CHECKING:
    from zenv.connectors.amazon.regions import Shop
    from zenv.facts import Account
    from zenv.ledger.connections import NewConnection

app = commands.noun("Connect a seller account.")

CONSENT = (
    "read listings, stock and orders of this account, with the names and addresses of recipients of orders that are "
    "ready to ship, and send it stock levels, shipments and cancellations"
)
SANDBOX = "Amazon's own sandbox: it checks the credentials and has no orders to pull."
HTTPS_OR_HERE = "Only https, or http on this machine."


@dataclass(frozen=True)
class Wishes:
    """What was said of the new connection on the command line; what is missing is asked for."""

    country: str | None
    region: str | None
    seller_id: str | None
    name: str | None
    warehouses: tuple[str, ...]
    consent: bool
    secret_stdin: bool
    oauth: bool
    application_id: str | None
    redirect_uri: str | None


@app.command()
def amazon(
    country: Annotated[
        str | None, typer.Option("--country", metavar="CC", help="Your home marketplace: DE, GB, US ...")
    ] = None,
    region: Annotated[
        Literal["NA", "EU", "FE"] | None, typer.Option("--region", help="Follows from --country.")
    ] = None,
    seller_id: Annotated[str | None, typer.Option("--seller-id", help="Your merchant token, such as A2XYZ.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="What you call this account here.")] = None,
    warehouse: Annotated[
        list[str] | None,
        typer.Option("--warehouse", metavar="NAME", help="Its stock is offered; may be repeated, the sum is told."),
    ] = None,
    handling_days: Annotated[int, typer.Option("--handling-days", help="Sent with every stock level.")] = 2,
    buffer: Annotated[int, typer.Option("--buffer", help="Units of each item that are never offered.")] = 0,
    with_fulfilled: Annotated[
        bool, typer.Option("--with-fulfilled", help="Bring orders that are shipped already, too.")
    ] = False,
    high_frequency: Annotated[
        bool, typer.Option("--high-frequency", help="Send stock every 10 minutes, not once a day at midnight.")
    ] = False,
    adopt_new: Annotated[
        bool, typer.Option("--adopt-new", help="Make items of listings that match none, without asking.")
    ] = False,
    sandbox: Annotated[bool, typer.Option("--sandbox", help=SANDBOX)] = False,
    endpoint: Annotated[str, typer.Option("--endpoint", metavar="URL", help=HTTPS_OR_HERE, show_default=False)] = "",
    secret_stdin: Annotated[
        bool, typer.Option("--secret-stdin", help="Read client_id=, client_secret=, refresh_token= lines from stdin.")
    ] = False,
    oauth: Annotated[bool, typer.Option("--oauth", help="Log in on Amazon's website (public applications).")] = False,
    application_id: Annotated[str | None, typer.Option("--application-id", help="For --oauth.")] = None,
    redirect_uri: Annotated[str | None, typer.Option("--redirect-uri", metavar="URL", help="For --oauth.")] = None,
    consent: Annotated[bool, typer.Option("--consent", help="I allow what the consent question says.")] = False,
    enable: Annotated[bool, typer.Option("--enable", help="Start to sync it now; else it is only saved.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Save without asking.")] = False,
) -> Value:
    """Connect an Amazon seller account with your own private application (Seller Central, Develop Apps).

    Secrets are asked for without showing them, or read from stdin; they are never arguments. Amazon is asked who you
    are before anything is stored, and a saved connection does nothing until it is enabled.
    """
    from zenv.ledger.connections import NewConnection

    wishes = Wishes(country, region, seller_id, name, tuple(warehouse or ()), consent, secret_stdin, oauth,
                    application_id, redirect_uri)  # fmt: skip
    told = complete(wishes, endpoint)
    new = NewConnection(
        name=told.name, kind="amazon", external_id=told.seller_id, region=told.region, marketplaces=(),
        home_marketplace=told.home, endpoint=endpoint, sandbox=sandbox, handling_days=handling_days, buffer=buffer,
        with_fulfilled=with_fulfilled, high_frequency=high_frequency, adopt_new=adopt_new,
        warehouses=told.warehouses, consent_scope=CONSENT,
    )  # fmt: skip
    return save(new, told.secrets, enable=enable, yes=yes)


# --- what is missing ------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Told:
    """Everything a connection needs, secrets included; never printed."""

    name: str
    seller_id: str
    region: str
    home: str
    warehouses: tuple[str, ...]
    secrets: dict[str, str]


def complete(wishes: Wishes, endpoint: str) -> Told:
    """Ask for what was not given, or name all of it at once where nobody can be asked."""
    from zenv.connectors.amazon.regions import shop_of_country

    secrets = commands.stdin_fields(secret_names()) if wishes.secret_stdin else {}
    warehouses = wishes.warehouses or only_warehouse()
    if not commands.at_terminal() or wishes.secret_stdin:
        _refuse_missing(wishes, secrets, warehouses)
    questions = {"--country": ("Your home marketplace (country, such as DE or US)", None)}
    country = commands.answers({"--country": wishes.country}, questions)["--country"]
    shop = shop_of_country(country)
    if wishes.region and wishes.region != shop.region:
        raise UsageError(f"{country} is in Amazon's region {shop.region}, not {wishes.region}.", "Leave out --region.")
    _ask_consent(wishes.consent)
    seller_id = wishes.seller_id or ("" if wishes.oauth else commands.ask("Your merchant token (seller id)"))
    warehouses = warehouses or tuple(commands.ask("Warehouses whose stock is offered (a, b)").split(","))
    secrets = secrets or ask_secrets(without=("refresh_token",) if wishes.oauth else ())
    if wishes.oauth:
        seller_id, secrets["refresh_token"] = website_login(wishes, shop, secrets, endpoint)
    name = wishes.name or f"amazon-{country.lower()}"
    return Told(name, seller_id, shop.region, shop.id, tuple(map(str.strip, warehouses)), secrets)


def _refuse_missing(wishes: Wishes, secrets: dict[str, str], warehouses: tuple[str, ...]) -> None:
    needed = {
        "--country": wishes.country,
        "--seller-id": wishes.seller_id or wishes.oauth,
        "--warehouse": warehouses,
        "--consent": wishes.consent,
    }
    missing = [option for option, given in needed.items() if not given]
    missing += [f"{field} (on stdin, with --secret-stdin)" for field in secret_names() if not secrets.get(field)]
    if missing:
        raise UsageError(f"Missing: {', '.join(missing)}.", "See: zenv connect amazon --help")


def only_warehouse() -> tuple[str, ...]:
    """The own, active warehouse when there is just one, so that nobody has to name it."""
    from zenv.ledger import views

    table = views.warehouses(commands.home(), commands.actor())
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    own = tuple(str(row["warehouse"]) for row in rows if row["kind"] == "own" and row["active"])
    return own if len(own) == 1 else ()


def _ask_consent(given: bool) -> None:
    if not given and not typer.confirm(f"Do you allow zenv to {CONSENT}?", default=False, err=True):
        raise Refused("Without your consent no account is connected; nothing was stored.")


# --- secrets --------------------------------------------------------------------------------------------------


def secret_names() -> tuple[str, ...]:
    """The names of the credentials Amazon's connector needs."""
    from zenv import connectors

    return tuple(field.name for field in connectors.load("amazon").secrets)


def ask_secrets(without: tuple[str, ...] = ()) -> dict[str, str]:
    """The credentials from the person at the terminal, typed unseen."""
    from zenv import connectors

    fields = [field for field in connectors.load("amazon").secrets if field.name not in without]
    return {field.name: commands.ask(f"{field.prompt} ({field.help})", hidden=True) for field in fields}


def website_login(wishes: Wishes, shop: Shop, secrets: dict[str, str], endpoint: str) -> tuple[str, str]:
    """Consent on Amazon's website: show the address, take the redirected one; seller id and refresh token."""
    from zenv import sync
    from zenv.connectors.amazon.connector import authorise_by_code
    from zenv.connectors.amazon.login import consent_address, read_redirect

    application = wishes.application_id or commands.ask("The application's id (amzn1.sp.solution...)")
    redirect = wishes.redirect_uri or commands.ask("The redirect address registered for it")
    state = randomness.token_urlsafe(24)
    typer.echo("Open this address, log in and agree; you have five minutes from there:", err=True)
    typer.echo(consent_address(shop.country, application, state), err=True)
    pasted = commands.ask("Paste the whole address of the page you were sent to", hidden=True)
    code, seller_id = read_redirect(pasted, state)
    terms = Terms("new", shop.region, seller_id, (shop.id,), shop.id, endpoint)
    with commands.opened() as book:
        world = sync.world_of(book)
        token = authorise_by_code(terms, secrets["client_id"], secrets["client_secret"], code, redirect, world)
    return seller_id, token


# --- check, confirm, save -------------------------------------------------------------------------------------


def save(new: NewConnection, secrets: dict[str, str], *, enable: bool, yes: bool) -> Value:
    """Ask Amazon who we are, show it, and store the connection once that is confirmed."""
    from zenv import scheduler, sync
    from zenv.ledger import connections

    with commands.opened() as book:
        account = sync.check(new.kind, _terms(new), secrets, sync.world_of(book))
        new = replace(new, marketplaces=tuple(shop.id for shop in account.marketplaces if shop.participating))
        if not commands.confirmed(answer(account), f"Save this account as {new.name}?", yes):
            return commands.unconfirmed(answer(account))
        master = book.master_key()
        with book.transaction() as t:
            connections.add(t, new, secrets, master)
        if enable:
            scheduler.enable(book, new.name)
    after = f"zenv sync now {new.name}" if enable else f"zenv connections enable {new.name}"
    state = "connected" if enable else "saved, not enabled yet"
    return Done(f"{new.name} is {state}. Next: {after}", {"connection": new.name, "enabled": enable})


def _terms(new: NewConnection) -> Terms:
    return Terms(
        name=new.name, region=new.region, seller_id=new.external_id, marketplaces=(new.home_marketplace,),
        home_marketplace=new.home_marketplace, endpoint=new.endpoint, sandbox=new.sandbox,
        handling_days=new.handling_days, with_fulfilled=new.with_fulfilled,
    )  # fmt: skip


def login_again(name: str, given: dict[str, str]) -> str:
    """Try new secrets beside those that stay, and keep them if this account answers to them. The seller id."""
    from zenv import sync
    from zenv.ledger import connections

    with commands.opened() as book:
        with book.reading() as sql:
            found = connections.find(sql, name)
            connections.demand_login(found)
            secrets = connections.open_secrets(sql, name, book.master_key) | given
        account = sync.check(found.kind, sync.terms_of(found), secrets, sync.world_of(book))
        with book.transaction() as t:
            connections.replace_secrets(t, name, given, book.master_key())
    return account.external_id


def answer(account: Account) -> Record:
    """What Amazon said of the account."""
    shops = [
        (shop.country, shop.name, shop.currency, "yes" if shop.participating else "no") for shop in account.marketplaces
    ]
    fields = {
        "seller": account.external_id,
        "plan": account.plan,
        "region": account.region,
        "may": account.roles,
        "warnings": account.warnings,
    }
    return Record(fields, {"marketplaces": Rows(("country", "name", "currency", "takes_part"), shops)})
