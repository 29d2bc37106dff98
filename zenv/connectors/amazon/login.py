"""Login with Amazon: a refresh token becomes an access token of one hour, kept in memory only.

A private application is authorised by its owner, who pastes the refresh token. A public application sends
its seller to Amazon (`consent_address`), gets a code back in the address Amazon returns to
(`read_redirect`), and has five minutes to exchange it (`exchange_code`). The redirect cannot be this
machine, so the address is pasted. Sources:
https://developer-docs.amazon.com/sp-api/docs/self-authorization and
https://developer-docs.amazon.com/sp-api/docs/website-authorization-workflow
"""

from __future__ import annotations

import hmac
import threading
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple
from urllib.parse import parse_qs, urlencode, urlsplit

from zenv.connectors.amazon.operations import EXCHANGE_CODE, TOKEN
from zenv.connectors.amazon.regions import shop_of_country
from zenv.connectors.http import Wire
from zenv.errors import BadInput, BadReply, LoginNeeded, Unanswered, Unreachable

SPARE = timedelta(seconds=60)
"""A token is not used in its last minute, so that it cannot expire on the way."""


class Login:
    """Hands out request headers and keeps the access token until it expires."""

    def __init__(self, wire: Wire, secrets: Mapping[str, str]) -> None:
        self._wire = wire
        self._secrets = secrets
        self._token = ""
        self._good_until: datetime | None = None
        self._lock = threading.Lock()

    def headers(self, renew: bool) -> Mapping[str, str]:
        """The header that authorises a request; `renew` when the last token was refused. Raises
        LoginNeeded."""
        with self._lock:
            now = self._wire.world.now()
            if renew or self._good_until is None or now >= self._good_until:
                self._refresh(now)
            return {"x-amz-access-token": self._token}

    def _refresh(self, now: datetime) -> None:
        names = ("refresh_token", "client_id", "client_secret")
        form = {"grant_type": "refresh_token", **{name: self._secrets[name] for name in names}}
        answer = self._wire.call(TOKEN, form=form)
        token, seconds = answer["access_token"], answer["expires_in"]
        if not isinstance(token, str) or not token.isascii() or not isinstance(seconds, int):
            raise BadReply("Amazon answered the login without a usable token.")
        self._token, self._good_until = token, now + timedelta(seconds=seconds) - SPARE


class Consent(NamedTuple):
    """What Amazon brings back when a seller has consented: a code of five minutes, and who the seller is."""

    code: str
    seller_id: str


def consent_address(country: str, application_id: str, state: str, *, beta: bool = False) -> str:
    """Where a seller consents to a public application; `beta` while it is a draft. Raises BadInput."""
    if not application_id.startswith("amzn1."):
        raise BadInput('The application id begins with "amzn1."; it is shown beside the application at Amazon.')
    fields = {"application_id": application_id, "state": state, **({"version": "beta"} if beta else {})}
    return f"https://{shop_of_country(country).consent_host}/apps/authorize/consent?{urlencode(fields)}"


def read_redirect(address: str, state: str) -> Consent:
    """The code in the address Amazon led the seller back to. Raises BadInput when it is not the answer to
    `state`."""
    fields = {name: values[0] for name, values in parse_qs(urlsplit(address.strip()).query).items()}
    if not fields:
        raise BadInput("That is not the whole address: copy it from the browser's address bar, from https on.")
    if not hmac.compare_digest(fields.get("state", "").encode(), state.encode()):
        raise BadInput("That address answers another attempt to connect.", "Begin again and paste the newest one.")
    missing = [name for name in ("spapi_oauth_code", "selling_partner_id") if not fields.get(name)]
    if missing:
        raise BadInput(f"Amazon's address lacks {' and '.join(missing)}; the seller may not have consented.")
    return Consent(fields["spapi_oauth_code"], fields["selling_partner_id"])


def exchange_code(wire: Wire, code: str, redirect_uri: str, client_id: str, client_secret: str) -> str:
    """The refresh token for a code. A code is good once and for five minutes: on LoginNeeded, begin again."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
        "client_id": client_id,
        "client_secret": client_secret,
    }
    again = "Begin again at Amazon: a code is good once, for five minutes."
    try:
        token = wire.call(EXCHANGE_CODE, form=form)["refresh_token"]
    except Unanswered as error:
        raise Unreachable("Amazon's answer to the code was lost.", again) from error
    except LoginNeeded as error:
        raise LoginNeeded(error.message, again) from error
    if not isinstance(token, str):
        raise BadReply("Amazon answered the code without a refresh token.", again)
    return token
