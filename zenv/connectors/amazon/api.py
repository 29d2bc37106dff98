"""What every part of the connector needs to speak to one seller account: its wire, its terms and the
world."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from zenv.connectors.amazon.login import Login
from zenv.connectors.amazon.operations import SANDBOX_PLAN
from zenv.connectors.amazon.regions import LOGIN_HOST, SHOPS, endpoint
from zenv.connectors.base import Terms, World
from zenv.connectors.http import Operation, Wire
from zenv.errors import SettingsError

REMOTE = "Amazon"


@dataclass(frozen=True)
class Api:
    """One seller account in one region."""

    wire: Wire
    terms: Terms
    world: World

    def call(
        self,
        operation: Operation,
        path: Mapping[str, str] | None = None,
        *,
        params: Mapping[str, str] | None = None,
        json: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Carry out one operation; `{seller}` in its path is this account's. Raises what `Wire.call`
        raises."""
        return self.wire.call(operation, {"seller": self.terms.seller_id, **(path or {})}, params=params, json=json)

    @property
    def marketplaces(self) -> list[str]:
        """The marketplaces asked for: those of the terms that Amazon's API is known to accept."""
        return [shop for shop in self.terms.marketplaces if shop in SHOPS] or [self.home]

    @property
    def home(self) -> str:
        """The one marketplace listings and quantities are read from and written to (quantities are shared
        inside a region: selling-partner-api-models#4356)."""
        home = self.terms.home_marketplace or next(iter(self.terms.marketplaces), "")
        if home not in SHOPS:
            raise SettingsError(f"{home!r} is not a marketplace of Amazon.", "Choose another home marketplace.")
        return home


def open_api(client: httpx.Client, terms: Terms, secrets: Mapping[str, str], world: World) -> Api:
    """Join the wires of the login and of the API. Nothing is sent yet."""
    base = terms.endpoint or endpoint(terms.region, sandbox=terms.sandbox)
    login = Login(open_login_wire(client, terms, world), secrets)
    application = hashlib.sha256(secrets["client_id"].encode()).hexdigest()[:12]
    wire = Wire(
        client,
        world,
        base,
        remote=REMOTE,
        account=f"{terms.region}|{application}|{terms.seller_id}",
        authorise=login.headers,
        login_hint=_login_hint(terms.name),
        plan=SANDBOX_PLAN if terms.sandbox else None,
    )
    return Api(wire, terms, world)


def open_login_wire(client: httpx.Client, terms: Terms, world: World) -> Wire:
    """The wire of the login. An endpoint of one's own hands out its own tokens; Amazon's sandbox does not."""
    base = terms.endpoint or LOGIN_HOST
    return Wire(client, world, base, remote=REMOTE, account="", login_hint=_login_hint(terms.name))


def _login_hint(name: str) -> str:
    return f"Authorise the application anew at Amazon and give zenv the new credentials of {name!r}."
