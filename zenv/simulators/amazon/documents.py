"""The document store behind feeds and reports: pre-signed URLs that live five minutes, and the bodies."""

from __future__ import annotations

import gzip
from datetime import datetime, timedelta

from .records import Document, Link
from .state import State
from .wire import Answer, Call

LINK_SECONDS = 300
DOCUMENT_DAYS = 2


def store(sim: State, content_type: str, at: datetime, body: bytes | None, *, gzipped: bool = False) -> Document:
    """Lay a document down; `gzipped` compresses the body."""
    document = Document(
        document_id=sim.new_id("amzn1.tortuga.4.na."),
        content_type=content_type,
        created=at,
        body=gzip.compress(body, 6) if gzipped and body is not None else body,
        gzipped=gzipped,
    )
    sim.documents[document.document_id] = document
    return document


def link(sim: State, call: Call, document: Document, verb: str) -> str:
    """A pre-signed URL for a GET or PUT of the document."""
    signature = sim.new_id("")
    with_header = call.query.get("enableContentEncodingUrlHeader") == ["true"]
    sim.links[signature] = Link(document.document_id, verb, call.at, with_header)
    query = f"X-Amz-Expires={LINK_SECONDS}&X-Amz-Signature={signature}"
    return f"{call.base_url}/documents/{document.document_id}?{query}"


def described(sim: State, call: Call, document: Document, id_name: str) -> Answer:
    """What getFeedDocument and getReportDocument answer."""
    content = {id_name: document.document_id, "url": link(sim, call, document, "GET")}
    if document.gzipped:
        content["compressionAlgorithm"] = "GZIP"
    return Answer(200, content)


def transfer(sim: State, call: Call) -> Answer:
    """GET or PUT on a pre-signed URL."""
    signed = sim.links.get(call.one("X-Amz-Signature") or "")
    if signed is None or (signed.document_id, signed.verb) != (call.params["documentId"], call.method):
        return _refuse("SignatureDoesNotMatch", "The request signature we calculated does not match.")
    if call.at > signed.issued + timedelta(seconds=LINK_SECONDS):
        return _refuse("AccessDenied", "Request has expired")
    if "x-amz-access-token" in call.headers or "authorization" in call.headers:
        sim.violate(call.operation, call.request_id, "a token was sent along to a pre-signed URL")
        return _refuse("AccessDenied", "There were headers present in the request which were not signed")
    document = sim.documents[signed.document_id]
    return _put(sim, call, document) if call.method == "PUT" else _get(document, signed)


def _put(sim: State, call: Call, document: Document) -> Answer:
    if call.headers.get("content-type") != document.content_type:
        sim.violate(call.operation, call.request_id, "the upload's Content-Type is not the announced one")
        return _refuse("SignatureDoesNotMatch", "The request signature we calculated does not match.")
    document.body = call.body
    return Answer(200)


def _get(document: Document, signed: Link) -> Answer:
    if document.body is None:
        return Answer(404, b"<Error><Code>NoSuchKey</Code></Error>", "application/xml")
    headers = {"content-encoding": "gzip"} if document.gzipped and signed.encoding_header else {}
    return Answer(200, document.body, document.content_type, headers)


def _refuse(code: str, message: str) -> Answer:
    body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return Answer(403, body.encode(), "application/xml")
