"""Login with Amazon: the token's life, and the website authorisation of a public application."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.connectors.conftest import Connect
from tests.connectors.world import terms_of, world_of
from zenv.connectors.amazon.connector import authorise_by_code
from zenv.connectors.amazon.login import Consent, consent_address, read_redirect
from zenv.connectors.amazon.regions import SHOPS, endpoint, shop_of_country
from zenv.errors import BadInput, LoginNeeded, SettingsError, Unreachable
from zenv.simulators.amazon import AmazonSimulator

REDIRECT = "https://shop.example/back"


def logins(sim: AmazonSimulator) -> int:
    return [seen.operation for seen in sim.requests].count("lwaToken")


def test_one_token_serves_until_its_last_minute(sim: AmazonSimulator, connect: Connect) -> None:
    connector = connect()
    for _ in range(2):
        list(connector.pull("orders", None))
    sim.wind(3530)
    list(connector.pull("orders", None))
    assert logins(sim) == 1
    sim.wind(30)
    list(connector.pull("orders", None))
    assert logins(sim) == 2
    assert not [seen for seen in sim.requests if seen.status == 403]


@pytest.mark.parametrize("field", ["client_id", "client_secret", "refresh_token"])
def test_wrong_credentials_need_a_login_and_are_not_repeated(
    sim: AmazonSimulator, connect: Connect, field: str
) -> None:
    setattr(sim, field, f"wrong-{field}")
    connector = connect()
    setattr(sim, field, f"right-{field}")
    with pytest.raises(LoginNeeded) as caught:
        connector.check()
    assert "wrong-" not in repr(caught.value) + caught.value.hint
    assert logins(sim) == 1


def test_a_login_that_is_out_of_order_is_tried_again(sim: AmazonSimulator, connect: Connect) -> None:
    sim.fault("503_html", "lwaToken", times=2)
    assert connect().check().plan == "PROFESSIONAL"


def test_H3_the_seller_consents_at_amazon_and_the_pasted_address_brings_the_token(
    sim: AmazonSimulator, url: str, connect: Connect
) -> None:
    address = consent_address("US", sim.application_id, "state-1", beta=True)
    parts = urlsplit(address)
    assert parts.scheme == "https" and parts.hostname == "sellercentral.amazon.com"
    assert parse_qs(parts.query) == {
        "application_id": [sim.application_id],
        "state": ["state-1"],
        "version": ["beta"],
    }
    query = f"{parts.query}&redirect_uri={REDIRECT}"
    back = httpx.get(f"{url}{parts.path}?{query}").headers["location"]
    consent = read_redirect(f"  {back}\n", "state-1")
    assert consent.seller_id == sim.seller_id
    terms, world = terms_of(sim, url), world_of(sim)
    token = authorise_by_code(terms, sim.client_id, sim.client_secret, consent.code, REDIRECT, world)
    sim.refresh_token = token
    assert connect().check().external_id == sim.seller_id


def test_a_code_that_is_too_old_or_used_begins_again(sim: AmazonSimulator, url: str) -> None:
    terms, world = terms_of(sim, url), world_of(sim)
    with pytest.raises(LoginNeeded) as caught:
        authorise_by_code(terms, sim.client_id, sim.client_secret, "used", REDIRECT, world)
    assert "five minutes" in caught.value.hint


def test_a_code_whose_answer_is_lost_begins_again(sim: AmazonSimulator, url: str) -> None:
    sim.fault("lost_reply", "lwaToken")
    with pytest.raises(Unreachable) as caught:
        authorise_by_code(terms_of(sim, url), sim.client_id, sim.client_secret, "c", REDIRECT, world_of(sim))
    assert "Begin again" in caught.value.hint


BACK = f"{REDIRECT}?state=s&selling_partner_id=A1&spapi_oauth_code=c"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("c", "whole address"),
        ("", "whole address"),
        (BACK.replace("state=s", "state=other"), "another attempt"),
        (BACK.replace("state=s&", ""), "another attempt"),
        (BACK.replace("&spapi_oauth_code=c", ""), "lacks spapi_oauth_code"),
        (f"{REDIRECT}?state=s", "lacks spapi_oauth_code and selling_partner_id"),
    ],
)
def test_an_address_that_is_not_amazons_answer_is_refused_in_words(address: str, said: str) -> None:
    assert read_redirect(BACK, "s") == Consent("c", "A1")
    with pytest.raises(BadInput, match=said):
        read_redirect(address, "s")


def test_every_marketplace_has_a_place_to_consent_and_every_region_an_endpoint() -> None:
    assert len(SHOPS) == 23
    for shop in SHOPS.values():
        assert shop_of_country(shop.country.lower()) == shop
        assert consent_address(shop.country, "amzn1.sp.solution.x", "s").startswith(f"https://{shop.consent_host}/")
        assert endpoint(shop.region).startswith("https://sellingpartnerapi-")
        assert endpoint(shop.region, sandbox=True).startswith("https://sandbox.")
    for wrong in (lambda: endpoint("MOON"), lambda: shop_of_country("XX"), lambda: consent_address("GB", "x", "s")):
        with pytest.raises(BadInput):
            wrong()


@pytest.mark.parametrize("address", ["http://api.example", "https://10.0.0.1", "ftp://localhost"])
def test_an_endpoint_that_is_neither_https_nor_this_machine_is_refused(connect: Connect, address: str) -> None:
    with pytest.raises(SettingsError):
        connect(endpoint=address).check()


def test_a_host_that_cannot_be_reached_is_said(connect: Connect) -> None:
    with pytest.raises(Unreachable):
        connect(endpoint="http://127.0.0.1:9").check()
