"""searchListingsItems, getListingsItem and patchListingsItem of the simulated Amazon."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.simulators.client import Api
from zenv.simulators.amazon import AmazonSimulator

US = "ATVPDKIKX0DER"
GB = "A1F83G8C2ARO7P"


def skus(api: Api, **query: str | int) -> list[str]:
    """The SKUs of one page."""
    answer = api.listings(**query)
    assert answer.status_code == 200, answer.text
    return [item["sku"] for item in answer.json()["items"]]


def read(api: Api, sku: str, datasets: str = "summaries,attributes,fulfillmentAvailability") -> dict[str, Any]:
    """getListingsItem."""
    path = f"/listings/2021-08-01/items/{api.sim.seller_id}/{quote(sku, safe='')}"
    answer = api.get(path, params={"marketplaceIds": US, "includedData": datasets})
    item: dict[str, Any] = answer.raise_for_status().json()
    return item


def test_a_filled_shop_is_plausible(sim: AmazonSimulator) -> None:
    made = sim.fill(1000, seed=3)
    sellable = [one for one in sim.listings.values() if not one.is_parent]
    children = [one for one in sellable if one.parent_sku]
    assert len(made) == len(set(made)) == len(sellable) == 1000
    assert 130 < len(children) < 270
    assert len({one.name for one in sim.listings.values()}) == len(sim.listings)
    gtins = [one.gtin for one in sellable if one.gtin]
    assert len(set(gtins)) == 1000
    assert {len(gtin) for gtin in gtins} == {12, 13}
    for gtin in gtins:
        digits = [int(digit) for digit in reversed(gtin)]
        assert sum(digits[::2]) % 10 == -3 * sum(digits[1::2]) % 10
    other = AmazonSimulator(seed=7)
    other.fill(1000, seed=3)
    assert [one.name for one in other.listings.values()] == [one.name for one in sim.listings.values()]


def test_a_family_is_shown_from_both_sides(sim: AmazonSimulator, api: Api) -> None:
    sim.add_listing("CAP", is_parent=True, theme="COLOR")
    sim.add_listing("CAP-RED", parent_sku="CAP", variation={"color": "red"}, theme="COLOR")
    theme = {"theme": "COLOR", "attributes": ["color"]}
    parent, child = (read(api, sku, "relationships,attributes,fulfillmentAvailability") for sku in ("CAP", "CAP-RED"))
    relation = {"type": "VARIATION", "childSkus": ["CAP-RED"], "variationTheme": theme}
    assert parent["relationships"] == [{"marketplaceId": US, "relationships": [relation]}]
    assert child["relationships"][0]["relationships"][0]["parentSkus"] == ["CAP"]
    assert child["attributes"]["color"] == [{"value": "red", "marketplace_id": US}]
    assert child["attributes"]["parentage_level"][0]["value"] == "child"
    assert parent["fulfillmentAvailability"] == []
    assert skus(api, variationParentSku="CAP") == ["CAP-RED"]
    assert not sim.violations


def test_a_sku_with_signs_is_found_by_its_encoded_path(sim: AmazonSimulator, api: Api) -> None:
    for sku in ("A/B", "50% off", "plus+one", "ünï"):
        sim.add_listing(sku)
        assert read(api, sku)["sku"] == sku
    assert not sim.violations


def test_an_unknown_sku_is_404_and_a_foreign_seller_403(sim: AmazonSimulator, api: Api) -> None:
    path = f"/listings/2021-08-01/items/{sim.seller_id}/NONE"
    assert api.get(path, params={"marketplaceIds": US}).status_code == 404
    assert api.get(path.replace(sim.seller_id, "AOTHER"), params={"marketplaceIds": US}).status_code == 403


def test_pages_hold_at_most_20_and_end_at_1000(sim: AmazonSimulator, api: Api) -> None:
    sim.limits = False
    sim.fill(1100)
    seen: list[str] = []
    token: dict[str, str] = {}
    while True:
        page = api.listings(pageSize=20, sortBy="createdDate", sortOrder="ASC", **token).json()
        seen += [item["sku"] for item in page["items"]]
        if "nextToken" not in page.get("pagination", {}):
            break
        token = {"pageToken": page["pagination"]["nextToken"]}
    assert page["numberOfResults"] == len(sim.listings) > 1100
    assert len(seen) == len(set(seen)) == 1000
    by_age = sorted(sim.listings.values(), key=lambda one: one.created)
    assert seen == [one.sku for one in by_age[:1000]]
    assert not sim.violations
    assert api.listings(pageSize=21).status_code == 400


def test_a_page_token_belongs_to_its_parameters(sim: AmazonSimulator, api: Api) -> None:
    sim.fill(30)
    token = api.listings(pageSize=10).json()["pagination"]["nextToken"]
    assert api.listings(pageSize=20, pageToken=token).status_code == 400
    second = api.listings(pageSize=10, pageToken=token).json()
    assert len(second["items"]) == 10
    back = api.listings(pageSize=10, pageToken=second["pagination"]["previousToken"]).json()
    assert back["items"] == api.listings(pageSize=10).json()["items"]


def test_identifiers_find_up_to_20_skus(sim: AmazonSimulator, api: Api) -> None:
    made = sim.fill(40)
    assert set(skus(api, identifiers=",".join(made[:20]), identifiersType="SKU", pageSize=20)) == set(made[:20])
    gtin = sim.listings[made[3]].gtin or ""
    assert skus(api, identifiers=gtin, identifiersType="EAN") == [made[3]]
    assert skus(api, identifiers="NONE", identifiersType="SKU") == []
    assert not sim.violations
    sim.limits = False
    assert api.listings(identifiers=",".join(made[:21]), identifiersType="SKU").status_code == 400
    assert api.listings(identifiers=made[0]).status_code == 400
    assert api.listings(identifiers=made[0], identifiersType="SKU", variationParentSku="X").status_code == 400


def test_new_and_changed_listings_are_found_by_their_dates(sim: AmazonSimulator, api: Api) -> None:
    sim.add_listing("OLD")
    sim.wind(600)
    sim.add_listing("NEW")
    assert skus(api, createdAfter="2026-09-01T12:05:00Z") == ["NEW"]
    assert skus(api, createdBefore="2026-09-01T12:05:00Z") == ["OLD"]
    sim.wind(60)
    sim.change_quantity("OLD", 1)
    assert skus(api, lastUpdatedAfter="2026-09-01T12:10:30Z") == ["OLD"]
    assert skus(api) == ["OLD", "NEW"]
    assert skus(api, sortBy="sku", sortOrder="ASC") == ["NEW", "OLD"]


def test_status_tells_whether_buyers_can_buy(sim: AmazonSimulator, api: Api) -> None:
    sim.add_listing("FULL")
    sim.add_listing("EMPTY", quantity=0)
    sim.add_listing("FBA", fulfillment_channel="AMAZON_NA")
    sim.add_listing("OFF", active=False)
    assert set(skus(api, withStatus="BUYABLE")) == {"FULL", "FBA"}
    assert skus(api, withStatus="DISCOVERABLE", withoutStatus="BUYABLE") == ["EMPTY"]
    assert read(api, "FBA")["fulfillmentAvailability"] == [{"fulfillmentChannelCode": "AMAZON_NA"}]


def test_a_young_listing_has_no_summaries_and_relationships_yet(sim: AmazonSimulator, api: Api) -> None:
    sim.young_seconds = 600
    sim.add_listing("CAP", is_parent=True)
    sim.add_listing("CAP-RED", parent_sku="CAP", variation={"color": "red"})
    young = read(api, "CAP-RED", "summaries,relationships,attributes")
    assert young["summaries"] == []
    assert young["relationships"] == [{"marketplaceId": US, "relationships": []}]
    assert "parentage_level" not in young["attributes"]
    sim.wind(600)
    assert read(api, "CAP-RED", "summaries")["summaries"][0]["asin"] == sim.listings["CAP-RED"].asin
    assert not sim.violations


def test_a_sku_may_be_offered_in_several_marketplaces(sim: AmazonSimulator, api: Api) -> None:
    sim.marketplaces = [GB, "A1PA6795UKMFR9"]
    sim.add_listing("MUG")
    sim.add_listing("MUG", marketplace="A1PA6795UKMFR9")
    item = api.listings(marketplaceIds=f"{GB},A1PA6795UKMFR9", includedData="summaries,offers").json()["items"][0]
    assert [summary["marketplaceId"] for summary in item["summaries"]] == sim.marketplaces
    assert [offer["price"]["currencyCode"] for offer in item["offers"]] == ["GBP", "EUR"]
    assert api.listings(marketplaceIds=US).status_code == 403


def test_a_merge_is_accepted_and_live_after_the_publishing_time(sim: AmazonSimulator, api: Api) -> None:
    sim.publish_seconds = 90
    sim.add_listing("MUG", quantity=5, lead_time=3)
    answer = api.patch_quantity("MUG", quantity=7).json()
    assert answer["status"] == "ACCEPTED"
    submitted = read(api, "MUG")
    assert submitted["attributes"]["fulfillment_availability"] == [
        {"fulfillment_channel_code": "DEFAULT", "quantity": 7, "lead_time_to_ship_max_days": 3}
    ]
    assert submitted["fulfillmentAvailability"] == [{"fulfillmentChannelCode": "DEFAULT", "quantity": 5}]
    sim.wind(90)
    assert read(api, "MUG")["fulfillmentAvailability"][0]["quantity"] == 7
    assert sim.listings["MUG"].lead_time == 3
    change = sim.quantity_changes[0]
    assert (change.before, change.after, change.source) == (5, 7, "patch")
    assert change.reference == answer["submissionId"]
    assert not sim.violations


@pytest.mark.parametrize("op", ["replace", "add"])
def test_replacing_without_the_handling_time_resets_it(sim: AmazonSimulator, api: Api, op: str) -> None:
    sim.add_listing("MUG", quantity=5, lead_time=3)
    assert api.patch_quantity("MUG", op, quantity=7, lead_time_to_ship_max_days=4).json()["status"] == "ACCEPTED"
    assert (sim.listings["MUG"].lead_time, sim.handling_resets) == (4, [])
    api.patch_quantity("MUG", op, quantity=8)
    assert sim.listings["MUG"].lead_time is None
    assert [reset.sku for reset in sim.handling_resets] == ["MUG"]


def test_a_merchant_quantity_on_amazons_stock_is_an_accident(sim: AmazonSimulator, api: Api) -> None:
    sim.add_listing("FBA", fulfillment_channel="AMAZON_NA")
    assert api.patch_quantity("FBA", quantity=4).json()["status"] == "ACCEPTED"
    assert read(api, "FBA")["fulfillmentAvailability"] == [
        {"fulfillmentChannelCode": "AMAZON_NA"},
        {"fulfillmentChannelCode": "DEFAULT", "quantity": 4},
    ]
    assert [accident.sku for accident in sim.channel_accidents] == ["FBA"]


def test_an_item_may_be_handed_to_amazons_warehouses(sim: AmazonSimulator, api: Api) -> None:
    sim.add_listing("MUG", quantity=5)
    value = [{"fulfillment_channel_code": "AMAZON_NA"}]
    patch = {"op": "replace", "path": "/attributes/fulfillment_availability", "value": value}
    path = f"/listings/2021-08-01/items/{sim.seller_id}/MUG"
    body = {"productType": "PRODUCT", "patches": [patch]}
    assert api.patch(path, params={"marketplaceIds": US}, json=body).json()["status"] == "ACCEPTED"
    assert sim.listings["MUG"].channels == {"AMAZON_NA": None}
    assert not sim.channel_accidents


@pytest.mark.parametrize(
    "entry",
    [
        {"quantity": -1},
        {"quantity": "7"},
        {"lead_time_to_ship_max_days": 2},
        {"quantity": 1, "lead_time_to_ship_max_days": 31},
        {"quantity": 1, "fulfillment_channel_code": ""},
        {"quantity": 1, "fulfillment_channel_code": "AMAZON_NA"},
    ],
)
def test_an_invalid_availability_changes_nothing(sim: AmazonSimulator, api: Api, entry: dict[str, Any]) -> None:
    sim.add_listing("MUG", quantity=5)
    answer = api.patch_quantity("MUG", **entry)
    assert answer.status_code == 200
    assert answer.json()["status"] == "INVALID"
    assert answer.json()["issues"][0]["severity"] == "ERROR"
    assert sim.listings["MUG"].quantity == 5
    assert not sim.quantity_changes


def test_unknown_skus_and_parents_take_no_quantity(sim: AmazonSimulator, api: Api) -> None:
    sim.add_listing("CAP", is_parent=True)
    assert api.patch_quantity("NONE", quantity=1).json()["issues"][0]["code"] == "13013"
    assert api.patch_quantity("CAP", quantity=1).json()["status"] == "INVALID"
    assert not sim.violations


def test_a_preview_judges_and_changes_nothing(sim: AmazonSimulator, api: Api) -> None:
    sim.add_listing("MUG", quantity=5)
    assert api.patch_quantity("MUG", preview=True, quantity=7).json()["status"] == "VALID"
    assert api.patch_quantity("MUG", preview=True, quantity=-7).json()["status"] == "INVALID"
    assert sim.listings["MUG"].quantity == 5


def test_only_top_level_attributes_can_be_patched(sim: AmazonSimulator, api: Api) -> None:
    sim.add_listing("MUG", quantity=5)
    patch = {"op": "replace", "path": "/attributes/fulfillment_availability/0/quantity", "value": [{"quantity": 1}]}
    path = f"/listings/2021-08-01/items/{sim.seller_id}/MUG"
    body = {"productType": "PRODUCT", "patches": [patch]}
    assert api.patch(path, params={"marketplaceIds": US}, json=body).json()["status"] == "INVALID"
    bare = api.patch(path, params={"marketplaceIds": US}, json={"patches": [patch]})
    assert bare.status_code == 400


def test_other_attributes_are_kept_as_submitted(sim: AmazonSimulator, api: Api) -> None:
    sim.add_listing("MUG")
    path = f"/listings/2021-08-01/items/{sim.seller_id}/MUG"
    for op, value in (("replace", {"value": "blue", "size": 1}), ("merge", {"value": "red"})):
        patch = {"op": op, "path": "/attributes/color", "value": [value]}
        api.patch(path, params={"marketplaceIds": US}, json={"productType": "PRODUCT", "patches": [patch]})
    assert read(api, "MUG")["attributes"]["color"] == [{"value": "red", "size": 1}]
    patch = {"op": "delete", "path": "/attributes/color"}
    api.patch(path, params={"marketplaceIds": US}, json={"productType": "PRODUCT", "patches": [patch]})
    assert "color" not in read(api, "MUG")["attributes"]


def test_deleting_the_availability_takes_the_merchant_channel_away(sim: AmazonSimulator, api: Api) -> None:
    sim.add_listing("MUG", quantity=5)
    assert api.patch_quantity("MUG", "delete").json()["status"] == "ACCEPTED"
    assert sim.listings["MUG"].quantity is None
