"""A plain HTTP client for the simulated Amazon: it says what a test wants said, also what is wrong."""

from __future__ import annotations

from typing import Any

import httpx

from zenv.simulators.amazon import AmazonSimulator


class Api(httpx.Client):
    """A plain HTTP client that knows the account of the simulator it talks to."""

    def __init__(self, sim: AmazonSimulator, url: str) -> None:
        agent = "zenv-tests/1 (Language=Python/3.11; Platform=test)"
        super().__init__(base_url=url, headers={"user-agent": agent}, timeout=30, verify=False)
        self.sim = sim

    def token(self, **form: str) -> httpx.Response:
        """Ask for an access token; by default with the refresh token of the account."""
        account = {"client_id": self.sim.client_id, "client_secret": self.sim.client_secret}
        grant = {"grant_type": "refresh_token", "refresh_token": self.sim.refresh_token}
        return self.post("/auth/o2/token", data=account | (form or grant))

    def login(self) -> None:
        """Carry a fresh access token from now on."""
        self.headers["x-amz-access-token"] = self.token().json()["access_token"]

    def anonymous(self) -> httpx.Client:
        """A client without an access token, as pre-signed URLs want it."""
        return httpx.Client(base_url=self.base_url, timeout=30, verify=False)

    def orders(self, **query: str | int) -> httpx.Response:
        """searchOrders of everything since 2020, unless told otherwise."""
        start = (
            {} if {"createdAfter", "lastUpdatedAfter"} & set(query) else {"lastUpdatedAfter": "2020-01-01T00:00:00Z"}
        )
        return self.get("/orders/2026-01-01/orders", params=start | query)

    def order(self, order_id: str, datasets: str = "FULFILLMENT,PACKAGES,CANCELLATION") -> dict[str, Any]:
        """getOrder."""
        query = {"includedData": datasets} if datasets else {}
        answer = self.get(f"/orders/2026-01-01/orders/{order_id}", params=query)
        return answer.raise_for_status().json()["order"]

    def confirm(self, order_id: str, items: dict[str, int], reference: object = "1", **more: object) -> httpx.Response:
        """confirmShipment of one package."""
        detail = {
            "packageReferenceId": reference,
            "carrierCode": "UPS",
            "trackingNumber": "1Z999",
            "shipDate": self.sim.now().isoformat(),
            "orderItems": [{"orderItemId": item, "quantity": count} for item, count in items.items()],
        }
        body = {"marketplaceId": self.sim.marketplaces[0], "packageDetail": detail | more}
        return self.post(f"/orders/v0/orders/{order_id}/shipmentConfirmation", json=body)

    def listings(self, **query: str | int) -> httpx.Response:
        """searchListingsItems."""
        path = f"/listings/2021-08-01/items/{self.sim.seller_id}"
        return self.get(path, params={"marketplaceIds": self.sim.marketplaces[0]} | query)

    def patch_quantity(self, sku: str, op: str = "merge", preview: bool = False, **entry: object) -> httpx.Response:
        """patchListingsItem of the availability."""
        value = [{"fulfillment_channel_code": "DEFAULT"} | entry]
        body = {
            "productType": "PRODUCT",
            "patches": [{"op": op, "path": "/attributes/fulfillment_availability", "value": value}],
        }
        query = {"marketplaceIds": self.sim.marketplaces[0]} | ({"mode": "VALIDATION_PREVIEW"} if preview else {})
        return self.patch(f"/listings/2021-08-01/items/{self.sim.seller_id}/{sku}", params=query, json=body)

    def upload(self, body: bytes, content_type: str = "application/json; charset=UTF-8") -> str:
        """createFeedDocument and the upload; returns the document id."""
        made = self.post("/feeds/2021-06-30/documents", json={"contentType": content_type}).json()
        with self.anonymous() as plain:
            plain.put(made["url"], content=body, headers={"content-type": content_type}).raise_for_status()
        return made["feedDocumentId"]

    def create_feed(self, document_id: str, feed_type: str = "JSON_LISTINGS_FEED") -> httpx.Response:
        """createFeed."""
        places = self.sim.marketplaces[:1]
        body = {"feedType": feed_type, "marketplaceIds": places, "inputFeedDocumentId": document_id}
        return self.post("/feeds/2021-06-30/feeds", json=body)

    def fetch(self, kind: str, document_id: str) -> bytes:
        """Download a `feeds` or `reports` document; the URL unpacks itself."""
        query = {"enableContentEncodingUrlHeader": "true"}
        url = self.get(f"/{kind}/2021-06-30/documents/{document_id}", params=query).json()["url"]
        with self.anonymous() as plain:
            return plain.get(url).raise_for_status().content
