"""The login and sellers faces of the simulated Amazon."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from tests.simulators.client import Api
from zenv.simulators.amazon import AmazonSimulator

ACCOUNT = "/sellers/v1/account"


def test_a_refresh_token_buys_an_access_token_for_an_hour(sim: AmazonSimulator, api: Api) -> None:
    answer = api.token()
    assert answer.status_code == 200
    assert answer.json()["expires_in"] == 3600
    assert answer.json()["token_type"] == "bearer"
    assert len(answer.json()["access_token"]) <= 2048
    assert not sim.violations


def test_a_wrong_secret_is_an_invalid_client(sim: AmazonSimulator, api: Api) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": sim.refresh_token, "client_secret": "wrong"}
    answer = api.token(**form)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize("grant", ["refresh_token", "authorization_code"])
def test_an_unknown_token_or_code_is_an_invalid_grant(api: Api, grant: str) -> None:
    answer = api.token(grant_type=grant, refresh_token="Atzr|unknown", code="unknown")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def test_a_grantless_token_opens_no_operation_of_the_seller(api: Api) -> None:
    answer = api.token(grant_type="client_credentials", scope="sellingpartnerapi::notifications")
    api.headers["x-amz-access-token"] = answer.json()["access_token"]
    assert api.get(ACCOUNT).status_code == 403


def test_a_token_request_must_be_form_encoded(sim: AmazonSimulator, api: Api) -> None:
    assert api.post("/auth/o2/token", json={"grant_type": "refresh_token"}).json()["error"] == "invalid_request"
    assert [violation.operation for violation in sim.violations] == ["lwaToken"]


def test_an_access_token_expires_by_the_clock(sim: AmazonSimulator, api: Api) -> None:
    sim.wind(3599)
    assert api.get(ACCOUNT).status_code == 200
    sim.wind(1)
    answer = api.get(ACCOUNT)
    assert answer.status_code == 403
    assert "access token you provided has expired" in answer.json()["errors"][0]["details"]
    api.login()
    assert api.get(ACCOUNT).status_code == 200


def test_a_request_without_a_token_is_refused_and_noted(sim: AmazonSimulator, api: Api) -> None:
    del api.headers["x-amz-access-token"]
    assert api.get(ACCOUNT).json()["errors"][0]["code"] == "Unauthorized"
    assert "token is missing" in sim.violations[0].problem


def test_a_withdrawn_authorisation_stops_both_tokens_until_the_seller_authorises_anew(
    sim: AmazonSimulator, api: Api
) -> None:
    sim.revoke()
    assert api.get(ACCOUNT).status_code == 403
    assert api.token().json()["error"] == "invalid_grant"
    sim.authorise()
    api.login()
    assert api.get(ACCOUNT).status_code == 200


def consent(api: Api) -> dict[str, str]:
    """Let the seller agree; the parameters of the redirect."""
    query = {
        "application_id": api.sim.application_id,
        "state": "s1",
        "redirect_uri": "https://zenv.example/back",
    }
    answer = api.get("/apps/authorize/consent", params=query)
    assert answer.status_code == 302
    target = urlsplit(answer.headers["location"])
    assert target.netloc == "zenv.example"
    return {name: values[0] for name, values in parse_qs(target.query).items()}


def test_the_website_authorisation_leads_to_a_refresh_token(sim: AmazonSimulator, api: Api) -> None:
    back = consent(api)
    assert (back["state"], back["selling_partner_id"]) == ("s1", sim.seller_id)
    form = {"grant_type": "authorization_code", "code": back["spapi_oauth_code"]}
    granted = api.token(**form).json()["refresh_token"]
    assert granted != sim.refresh_token
    assert api.token(grant_type="refresh_token", refresh_token=granted).status_code == 200
    # the code is used up
    assert api.token(**form).json()["error"] == "invalid_grant"


def test_the_code_of_the_website_authorisation_lives_five_minutes(sim: AmazonSimulator, api: Api) -> None:
    back = consent(api)
    sim.wind(301)
    answer = api.token(grant_type="authorization_code", code=back["spapi_oauth_code"])
    assert answer.json()["error"] == "invalid_grant"


@pytest.mark.parametrize("change", [{"redirect_uri": "http://localhost:8080/"}, {"application_id": "other"}])
def test_the_website_authorisation_refuses_localhost_and_unknown_applications(api: Api, change: dict[str, str]) -> None:
    query = {"application_id": api.sim.application_id, "redirect_uri": "https://zenv.example/back"}
    answer = api.get("/apps/authorize/consent", params=query | change)
    assert (answer.status_code, "MD5101" in answer.text) == (400, True)


def test_participations_show_stores_and_a_channel_that_is_no_store(sim: AmazonSimulator, api: Api) -> None:
    payload = api.get("/sellers/v1/marketplaceParticipations").json()["payload"]
    assert [entry["marketplace"]["id"] for entry in payload] == ["ATVPDKIKX0DER", "A2ZV50J4W1RKNI"]
    assert api.orders(marketplaceIds="A2ZV50J4W1RKNI").status_code == 403
    assert "not accessible" in sim.violations[0].problem


@pytest.mark.parametrize("plan", ["PROFESSIONAL", "INDIVIDUAL"])
def test_the_account_tells_the_selling_plan(sim: AmazonSimulator, api: Api, plan: str) -> None:
    sim.selling_plan = plan
    assert api.get(ACCOUNT).json()["payload"]["sellingPlan"] == plan
    assert not sim.violations


def test_every_answer_carries_a_request_id_and_the_simulators_date(sim: AmazonSimulator, api: Api) -> None:
    sim.wind(3600)
    api.login()
    answer = api.get(ACCOUNT)
    assert answer.headers["x-amzn-requestid"] == sim.requests[-1].request_id
    assert answer.headers["date"] == "Tue, 01 Sep 2026 13:00:00 GMT"
    assert answer.headers["x-amzn-ratelimit-limit"] == "0.016"


def test_a_host_that_is_not_loopback_is_refused(api: Api) -> None:
    assert api.get(ACCOUNT, headers={"host": "evil.example"}).status_code == 403
    assert api.get("/control/state", headers={"host": "evil.example"}).status_code == 403


def test_an_operation_amazon_does_not_have_is_noted(sim: AmazonSimulator, api: Api) -> None:
    answer = api.put("/orders/2026-01-01/orders/1/cancellation", json={})
    assert answer.status_code == 404
    assert sim.violations[0].operation == "unknown"


def test_a_missing_user_agent_is_noted(sim: AmazonSimulator, api: Api) -> None:
    token = api.headers["x-amz-access-token"]
    with api.anonymous() as plain:
        request = plain.build_request("GET", ACCOUNT, headers={"x-amz-access-token": token})
        del request.headers["user-agent"]
        plain.send(request)
    assert "user-agent" in sim.violations[0].problem
