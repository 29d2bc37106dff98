"""Login with Amazon: tokens for credentials, and docs: website-authorization-workflow."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

from .state import State
from .wire import Answer, Call, forbidden

CODE_SECONDS = 300
SELLER = "seller"


def _refuse(error: str, description: str) -> Answer:
    status = 401 if error == "invalid_client" else 400
    return Answer(status, {"error": error, "error_description": description})


def token(sim: State, call: Call) -> Answer:
    """POST /auth/o2/token: form encoded, the three grants."""
    if not call.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        sim.violate(call.operation, call.request_id, "the token request is not form encoded")
        return _refuse("invalid_request", "The request is not form encoded.")
    form = {name: values[0] for name, values in parse_qs(call.body.decode("utf-8", "replace")).items()}
    if (form.get("client_id"), form.get("client_secret")) != (sim.client_id, sim.client_secret):
        return _refuse("invalid_client", "Client authentication failed")
    grant = form.get("grant_type")
    if grant == "refresh_token":
        return _by_refresh_token(sim, call, form)
    if grant == "authorization_code":
        return _by_code(sim, call, form)
    if grant == "client_credentials":
        return _by_scope(sim, call, form)
    return _refuse("unsupported_grant_type", "The authorization grant type is not supported")


def _by_refresh_token(sim: State, call: Call, form: dict[str, str]) -> Answer:
    presented = form.get("refresh_token", "")
    known = {sim.refresh_token} | sim.granted_refresh_tokens
    if presented not in known - sim.revoked_refresh_tokens:
        return _refuse("invalid_grant", "The request has an invalid grant parameter : refresh_token")
    return _grant(sim, call, SELLER, {"refresh_token": presented})


def _by_code(sim: State, call: Call, form: dict[str, str]) -> Answer:
    issued, redirect_uri = sim.consent_codes.pop(form.get("code", ""), (None, ""))
    too_old = issued is None or call.at > issued + timedelta(seconds=CODE_SECONDS)
    if too_old or form.get("redirect_uri", redirect_uri) != redirect_uri:
        return _refuse("invalid_grant", "The request has an invalid grant parameter : code")
    refresh_token = sim.new_id("Atzr|")
    sim.granted_refresh_tokens.add(refresh_token)
    return _grant(sim, call, SELLER, {"refresh_token": refresh_token})


def _by_scope(sim: State, call: Call, form: dict[str, str]) -> Answer:
    scope = form.get("scope", "")
    if not scope.startswith("sellingpartnerapi::"):
        return _refuse("invalid_scope", "The requested scope is invalid")
    return _grant(sim, call, scope, {"scope": scope})


def _grant(sim: State, call: Call, scope: str, more: dict[str, str]) -> Answer:
    access_token = sim.new_id("Atza|")
    sim.tokens[access_token] = (call.at + timedelta(seconds=sim.token_seconds), scope)
    body = {"access_token": access_token, "token_type": "bearer", "expires_in": sim.token_seconds}
    return Answer(200, body | more, headers={"cache-control": "no-store"})


def consent(sim: State, call: Call) -> Answer:
    """GET /apps/authorize/consent: the seller agrees at once and is sent back to the application.

    An address on localhost is refused, as Amazon does even for tests (docs: website-authorization-workflow).
    """
    redirect_uri = call.one("redirect_uri") or ""
    host = urlsplit(redirect_uri).hostname
    if call.one("application_id") != sim.application_id or host in (None, "localhost", "127.0.0.1", "::1"):
        return Answer(400, b"<html><body>Error MD5101: invalid redirect_uri</body></html>", "text/html")
    code = sim.new_id("spapi")
    sim.consent_codes[code] = (call.at, redirect_uri)
    back = {
        "state": call.one("state") or "",
        "selling_partner_id": sim.seller_id,
        "spapi_oauth_code": code,
    }
    joint = "&" if "?" in redirect_uri else "?"
    return Answer(302, None, "text/html", {"location": f"{redirect_uri}{joint}{urlencode(back)}"})


def check_token(sim: State, call: Call) -> None:
    """Refuse a request of the API without a living access token of the seller."""
    presented = call.headers.get("x-amz-access-token")
    if not presented:
        raise forbidden("Access token is missing in the request header.", broken_rule=True)
    expires, scope = sim.tokens.get(presented, (None, ""))
    if expires is None:
        raise forbidden("The access token you provided is revoked, malformed or invalid.")
    if call.at >= expires:
        raise forbidden("The access token you provided has expired.")
    if scope != SELLER:
        raise forbidden("The access token you provided is for a grantless operation.", broken_rule=True)
