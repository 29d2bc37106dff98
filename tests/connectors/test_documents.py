"""Documents at handed-out addresses: unpacked, bounded, whole or an error, and their addresses never told."""

from __future__ import annotations

import gzip
import logging

import httpx
import pytest

from tests.connectors.test_http import Server, wire
from tests.connectors.world import HandClock
from zenv.connectors.documents import download, upload
from zenv.errors import BadReply, Unreachable

ADDRESS = "https://documents.example/d?X-Amz-Signature=SIGNATURE"
TEXT = b"seller-sku\tquantity\n" * 5000


def read(server: Server, most: int = 10**6) -> bytes:
    with download(wire(server, HandClock()), "downloadThing", ADDRESS, most=most) as document:
        return b"".join(document.chunks)


@pytest.mark.parametrize("headers", [{}, {"content-encoding": "gzip"}, {"content-type": "text/plain"}])
def test_gzip_is_undone_whatever_the_headers_say(headers: dict[str, str]) -> None:
    assert read(Server(httpx.Response(200, content=gzip.compress(TEXT), headers=headers))) == TEXT


def test_a_plain_document_is_as_it_is() -> None:
    assert read(Server(httpx.Response(200, content=TEXT))) == TEXT


@pytest.mark.parametrize(
    "bad",
    [
        httpx.Response(403, content=b"<Error>expired</Error>"),
        httpx.Response(200, content=gzip.compress(TEXT)[:-20]),
        httpx.Response(200, content=b"\x1f\x8b" + b"nonsense" * 9),
        httpx.ReadError("x"),
    ],
)
def test_half_a_document_is_an_error_and_its_address_is_not_told(
    bad: httpx.Response | Exception, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(Unreachable) as caught:
        read(Server(bad))
    assert "SIGNATURE" not in caplog.text + repr(caught.value)
    assert "operation=downloadThing" in caplog.text


def test_a_small_packed_document_cannot_fill_the_memory() -> None:
    with pytest.raises(BadReply, match="more than 1000"):
        read(Server(httpx.Response(200, content=gzip.compress(bytes(10**7)))), most=1000)


def test_an_upload_is_tried_again_with_the_very_same_content_type() -> None:
    clock, server = HandClock(), Server(httpx.Response(503), httpx.ReadError("x"), httpx.Response(200))
    upload(wire(server, clock), "uploadThing", ADDRESS, b"content", "application/json; charset=UTF-8")
    assert [request.headers["content-type"] for request in server.requests] == ["application/json; charset=UTF-8"] * 3
    assert server.requests[-1].content == b"content"
    assert "x-amz-access-token" not in server.requests[-1].headers


def test_an_upload_that_keeps_failing_is_unreachable() -> None:
    with pytest.raises(Unreachable):
        upload(wire(Server(httpx.Response(500)), HandClock()), "uploadThing", ADDRESS, b"c", "text/xml")
