"""The base of `bench.network`: a bare server and a client that talk as a provider and its client do, and nothing more.

Both keep a few plain tables in SQLite, with the same pragmas as a ledger. The server is the same uvicorn over the same
TLS, with a function for an application. No token is looked at, nothing is checked, reserved, settled or written to a
trail. Persons lie in plain text, or each is sealed under a key of its own, which lies in another file.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bench.measure import timed
from zenv import wire
from zenv.ledger import sqlite
from zenv.ledger.book import open_book
from zenv.ledger.zfn import standing

PERSON = ("Somebody Made Up", "", "1 Imaginary Lane", "Floor 2", "", "+1 555 0100", "Many happy returns", "Salem", "OR",
          "97301", "US")  # fmt: skip
FIELDS = ("name", "company", "line1", "line2", "line3", "phone", "gift_message", "city", "region", "postcode",
          "country")  # fmt: skip
PLACED = "2026-11-02T09:00:00Z"
TABLES = (
    "CREATE TABLE orders (id INTEGER PRIMARY KEY, number TEXT UNIQUE, version INT, placed TEXT, told INT) STRICT",
    "CREATE TABLE lines (id INTEGER PRIMARY KEY, order_id INT, line TEXT, sku TEXT, name TEXT, quantity INT) STRICT",
    "CREATE INDEX lines_of ON lines (order_id)",
    "CREATE TABLE person (order_id INTEGER PRIMARY KEY, said BLOB) STRICT",
    "CREATE TABLE key (order_id INTEGER PRIMARY KEY, sealed BLOB) STRICT",
    "CREATE TABLE movement (id INTEGER PRIMARY KEY, sku TEXT, quantity INT, source TEXT, destination TEXT) STRICT",
    "CREATE TABLE level (sku TEXT PRIMARY KEY, on_hand INT, picked INT, in_transit INT) STRICT",
)
NEW_ORDER = "INSERT INTO orders VALUES (?, ?, ?, ?, ?)"
NEW_LINE = "INSERT INTO lines (order_id, line, sku, name, quantity) VALUES (?, ?, ?, ?, ?)"
NEW_PERSON = "INSERT INTO person VALUES (?, ?)"
NEW_KEY = "INSERT INTO key VALUES (?, ?)"
MASTER = bytes(32)
NEW_MOVEMENT = "INSERT INTO movement VALUES (?, ?, ?, ?, ?)"
NEW_LEVEL = ("INSERT INTO level VALUES (?, ?, ?, ?) ON CONFLICT (sku) DO UPDATE SET on_hand = excluded.on_hand,"
             " picked = excluded.picked, in_transit = excluded.in_transit")  # fmt: skip
MORE = "INSERT INTO level VALUES (?, ?, 0, 0) ON CONFLICT (sku) DO UPDATE SET on_hand = on_hand + excluded.on_hand"


def orders(folder: Path, provider: Path, count: int, sealed: bool) -> float:
    """The seconds for handing over so many orders of two lines."""
    path, there = folder / f"client-{sealed}.db", folder / f"orders-{sealed}.db"
    with _tables(path) as here, _keys(path, sealed) as keys, _served(there, provider, 0, sealed) as http:
        who = json.dumps(dict(zip(FIELDS, PERSON, strict=True))).encode()
        people = _shut(keys, [(key, who) for key in range(1, count + 1)])
        here.execute("BEGIN IMMEDIATE")
        for key in range(1, count + 1):
            here.execute(NEW_ORDER, (key, f"c:T{key:06d}", 1, PLACED, 0))
            for place in (1, 2):
                here.execute(NEW_LINE, (key, str(place), f"SKU-{key % 500:06d}", f"Item number {key}", place))
        here.executemany(NEW_PERSON, people)
        here.execute("COMMIT")
        seconds = timed(lambda: _hand_over(here, keys, http))
        ((told,),) = here.execute("SELECT COUNT(*) FROM orders WHERE told = 1").fetchall()
    assert told == count
    return seconds


def _hand_over(here: Any, keys: Any, http: httpx.Client) -> None:
    pending = "SELECT id, number, version, placed FROM orders WHERE told = 0 ORDER BY id LIMIT ?"
    while batch := here.execute(pending, (wire.MOST_AT_ONCE,)).fetchall():
        said = [_order(here, keys, *row) for row in batch]
        answers = http.put("/orders", json={"orders": said}).json()["answers"]
        here.execute("BEGIN IMMEDIATE")
        here.executemany("UPDATE orders SET told = ? WHERE number = ?",
                         [(one["version"], one["reference"]) for one in answers])  # fmt: skip
        here.execute("COMMIT")


def _order(here: Any, keys: Any, key: int, number: str, version: int, placed: str) -> dict[str, Any]:
    lines = here.execute("SELECT line, sku, name, quantity FROM lines WHERE order_id = ?", (key,)).fetchall()
    ((person,),) = here.execute("SELECT said FROM person WHERE order_id = ?", (key,)).fetchall()
    return {
        "order": number, "version": version, "placed_at": placed, "ship_by": None, "service_level": "", "hold": False,
        "cancelled": False, "recipient": json.loads(_open(keys, key, person)),
        "lines": [{"line": line, "sku": sku, "name": name, "quantity": quantity, "cancelled": 0}
                  for line, sku, name, quantity in lines],
    }  # fmt: skip


# ---- persons ---------------------------------------------------------------------------------------------


@contextmanager
def _keys(path: Path, sealed: bool) -> Iterator[Any]:
    """Where the keys of persons lie; None where they are not sealed."""
    if sealed:
        with _tables(path.with_suffix(".keys")) as found:
            yield found
    else:
        yield None


def _shut(keys: Any, people: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Each person sealed, with the keys committed first."""
    if keys is None:
        return people
    fresh = {key: os.urandom(32) for key, _ in people}
    keys.execute("BEGIN IMMEDIATE")
    keys.executemany(NEW_KEY, [(key, _box(MASTER, one)) for key, one in fresh.items()])
    keys.execute("COMMIT")
    return [(key, _box(fresh[key], said)) for key, said in people]


def _open(keys: Any, key: int, said: bytes) -> bytes:
    if keys is None:
        return said
    ((sealed,),) = keys.execute("SELECT sealed FROM key WHERE order_id = ?", (key,)).fetchall()
    return _unbox(_unbox(MASTER, sealed), said)


def _box(key: bytes, said: bytes) -> bytes:
    nonce = os.urandom(12)
    return nonce + AESGCM(key).encrypt(nonce, said, None)


def _unbox(key: bytes, box: bytes) -> bytes:
    return AESGCM(key).decrypt(box[:12], box[12:], None)


# ---- goods -----------------------------------------------------------------------------------------------


def quantities(folder: Path, provider: Path, items: int) -> dict[str, float]:
    """The seconds for reading so many movements, and so many levels."""
    with _tables(folder / "mirror.db") as here, _served(folder / "shelf.db", provider, items, False) as http:
        seconds = {"events": timed(lambda: _read_events(here, http)), "levels": timed(lambda: _read_levels(here, http))}
        ((there,),) = here.execute("SELECT COUNT(*) FROM level WHERE on_hand = 1000").fetchall()
    assert there == items
    return seconds


def _read_events(here: Any, http: httpx.Client) -> None:
    entry = 0
    while page := http.get("/events", params={"entry": entry}).json()["booked"][0]["movements"]:
        here.execute("BEGIN IMMEDIATE")
        here.executemany(NEW_MOVEMENT, [(one["entry"], one["sku"], one["quantity"], one["source"], one["destination"])
                                        for one in page])  # fmt: skip
        here.executemany(MORE, [(one["sku"], one["quantity"]) for one in page])
        here.execute("COMMIT")
        entry = page[-1]["entry"]


def _read_levels(here: Any, http: httpx.Client) -> None:
    found: list[dict[str, Any]] = []
    while page := http.get("/levels", params={"after": found[-1]["sku"] if found else ""}).json()["levels"]:
        found += page
    here.execute("BEGIN IMMEDIATE")
    here.executemany(NEW_LEVEL, [tuple(one.values()) for one in found])
    here.execute("COMMIT")


# ---- the other side --------------------------------------------------------------------------------------


@contextmanager
def _tables(path: Path) -> Iterator[Any]:
    connection = sqlite.module.connect(path, isolation_level=None, check_same_thread=False)
    try:
        sqlite.prepare(connection, busy_seconds=10)
        for statement in TABLES:
            connection.execute(statement)
        yield connection
    finally:
        connection.close()


@contextmanager
def _served(path: Path, provider: Path, items: int, sealed: bool) -> Iterator[httpx.Client]:
    """A client of the bare server, which runs in another process with the certificate of this provider."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(path, provider, items, sealed, theirs), daemon=True)
    process.start()
    port, certificate = ours.recv()
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.load_verify_locations(cadata=certificate)
    try:
        with httpx.Client(base_url=f"https://127.0.0.1:{port}", verify=trusting, trust_env=False, timeout=60) as http:
            yield http
    finally:
        process.terminate()
        process.join()


def serve(path: Path, provider: Path, items: int, sealed: bool, pipe: Any) -> None:
    """The bare server, in this process."""
    import uvicorn

    from zenv.server import serving

    with _tables(path) as kept, _keys(path, sealed) as keys, open_book(provider, "bench") as book:
        kept.execute("BEGIN IMMEDIATE")
        kept.executemany(NEW_MOVEMENT, [(n, f"SKU-{n:06d}", 1000, "supplier", "on_hand") for n in range(1, items + 1)])
        kept.executemany(NEW_LEVEL, [(f"SKU-{n:06d}", 1000, 0, 0) for n in range(1, items + 1)])
        kept.execute("COMMIT")
        context = serving.tls(book, standing.prepare(book))
        with book.reading() as sql:
            certificate = standing.read(sql).certificate
        config = uvicorn.Config(_app(kept, keys), http="h11", ws="none", lifespan="off", log_config=None,
                                access_log=False, ssl_context_factory=lambda *_: context)  # fmt: skip
        listener = serving.bind(serving.Where("127.0.0.1:0"))
        serving.Server(config, lambda: pipe.send((listener.getsockname()[1], certificate))).run([listener])


def _app(kept: Any, keys: Any) -> Any:
    answering: dict[str, Any] = {
        "/orders": partial(_take_orders, keys),
        "/events": _tell_events,
        "/levels": _tell_levels,
    }

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        asked = httpx.QueryParams(scope["query_string"].decode())
        said = json.dumps(answering[scope["path"]](kept, body, asked)).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(said)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": said})

    return answer


def _take_orders(keys: Any, kept: Any, body: bytes, _: httpx.QueryParams) -> dict[str, Any]:
    said = json.loads(body)["orders"]
    kept.execute("BEGIN IMMEDIATE")
    ((last,),) = kept.execute("SELECT COALESCE(MAX(id), 0) FROM orders").fetchall()
    numbered = list(enumerate(said, last + 1))
    kept.executemany(NEW_ORDER, [(key, one["order"], one["version"], one["placed_at"], 1) for key, one in numbered])
    kept.executemany(NEW_LINE, [(key, line["line"], line["sku"], line["name"], line["quantity"])
                                for key, one in numbered for line in one["lines"]])  # fmt: skip
    kept.executemany(NEW_PERSON, _shut(keys, [(key, json.dumps(one["recipient"]).encode()) for key, one in numbered]))
    kept.execute("COMMIT")
    return {"answers": [{"reference": one["order"], "outcome": "taken", "version": one["version"],
                         "number": f"CO-1-{one['order'][2:]}", "reason": ""} for one in said]}  # fmt: skip


def _tell_events(kept: Any, _: bytes, asked: httpx.QueryParams) -> dict[str, Any]:
    found = kept.execute("SELECT * FROM movement WHERE id > ? ORDER BY id LIMIT ?",
                         (int(asked["entry"]), wire.EVENTS_AT_ONCE)).fetchall()  # fmt: skip
    moved = [{"entry": entry, "sku": sku, "quantity": quantity, "source": source, "destination": destination,
              "reason": "received", "order": None, "inbound": None}
             for entry, sku, quantity, source, destination in found]  # fmt: skip
    return {"booked": [{"at": PLACED, "movements": moved, "packages": []}]}


def _tell_levels(kept: Any, _: bytes, asked: httpx.QueryParams) -> dict[str, Any]:
    found = kept.execute("SELECT * FROM level WHERE sku > ? ORDER BY sku LIMIT ?",
                         (asked["after"], wire.LEVELS_AT_ONCE)).fetchall()  # fmt: skip
    return {"levels": [{"sku": sku, "on_hand": on_hand, "picked": picked, "in_transit": in_transit}
                       for sku, on_hand, picked, in_transit in found]}  # fmt: skip
