"""Whoever has stolen files: tries every byte of them as a key, guesses who bought, and reads what the keys open."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import itertools
import json
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.assessor import pages
from tests.assessor.search import files
from zenv import credentials
from zenv.errors import KeyUnavailable, ZenvError
from zenv.ledger import sqlite
from zenv.ledger.home import KEYS, LEDGER

NONCE_BYTES, KEY_BYTES = 12, 32
WRAPPED_BYTES = 1 + NONCE_BYTES + KEY_BYTES + 16
SALTS = 400
_CODED = re.compile(rb"[A-Za-z0-9+/_-]{40,}={0,2}|[0-9a-fA-F]{32,}")


def sealed(*ledgers: Path) -> list[tuple[str, bytes]]:
    """(key id, sealed bytes) of every person in these ledgers, from copies of them."""
    found: dict[tuple[str, bytes], None] = {}
    for ledger in ledgers:
        with closing(sqlite.open_ours(ledger)) as connection:
            rows = connection.execute("SELECT key_id, sealed FROM personal WHERE sealed <> X''").fetchall()
        found |= dict.fromkeys((key, bytes(box)) for key, box in rows)
    return list(found)


def ledgers_in(folder: Path) -> list[Path]:
    """Every database below a folder that has a table of persons."""
    return [path for path in files(folder) if path.suffix == ".db" and path.name != KEYS and _has_persons(path)]


def _has_persons(path: Path) -> bool:
    try:
        with closing(sqlite.open_ours(path)) as connection:
            return bool(connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'personal'").fetchall())
    except (ZenvError, sqlite.module.DatabaseError):
        return False


# ---- without the master key ------------------------------------------------------------------------------


def opened_by_any_bytes(folder: Path, boxes: Iterable[tuple[str, bytes]]) -> list[str]:
    """Boxes that 32 bytes lying in any file open: as they stand, or written in hex or base64."""
    keys = set(_keys_lying_about(folder))
    return [key_id for key_id, box in boxes if any(_opens(key, box, key_id) for key in keys)]


def _keys_lying_about(folder: Path) -> Iterator[bytes]:
    for path in files(folder):
        content = path.read_bytes()
        for value in _values(path, content):
            yield from _windows(value)
            for coded in _CODED.findall(value):
                yield from _windows(_decoded(coded))


def _values(path: Path, content: bytes) -> Iterator[bytes]:
    if not pages.is_database(content):
        yield content
        return
    for value in pages.values(path):
        yield value if isinstance(value, bytes) else str(value).encode()


def _windows(value: bytes) -> Iterator[bytes]:
    for at in range(min(len(value) - KEY_BYTES + 1, 4096)):
        yield value[at : at + KEY_BYTES]


def _decoded(coded: bytes) -> bytes:
    try:
        return bytes.fromhex(coded.decode())
    except ValueError:
        pass
    try:
        return base64.b64decode(coded + b"=" * (-len(coded) % 4), altchars=b"-_")
    except binascii.Error:
        return b""


def _opens(key: bytes, box: bytes, key_id: str) -> bool:
    """Whatever is authenticated with it: what zenv names, or nothing; with or without a byte of version before it."""
    for start, about in itertools.product((0, 1), (f"\x01personal|{key_id}".encode(), None)):
        try:
            AESGCM(key).decrypt(box[start : start + NONCE_BYTES], box[start + NONCE_BYTES :], about)
        except (InvalidTag, ValueError):
            continue
        return True
    return False


def guesses_confirmed(folder: Path, guesses: Iterable[str]) -> list[str]:
    """Guesses (an e-mail address) whose digest lies in any file, plain or salted with what lies there too."""
    contents = [path.read_bytes() for path in files(folder)]
    values = [value for path, content in zip(files(folder), contents, strict=True)
              if pages.is_database(content) for value in pages.values(path)]  # fmt: skip
    salts = {value for value in values if isinstance(value, bytes) and 8 <= len(value) <= 64}
    everything = b"\n".join(contents).lower()
    return [guess for guess in guesses if any(_stands_in(digest, everything) for digest in _digests(guess, salts))]


def _digests(guess: str, salts: set[bytes]) -> Iterator[bytes]:
    spelt = {guess, guess.lower(), guess.upper(), guess.strip(), guess.split("@")[0]}
    for text, name in itertools.product(spelt, ("md5", "sha1", "sha256", "sha512", "blake2b", "sha3_256")):
        yield hashlib.new(name, text.encode()).digest()
    for text, salt in itertools.product(spelt, itertools.islice(sorted(salts), SALTS)):
        yield hashlib.sha256(salt + text.encode()).digest()
        yield hashlib.sha256(text.encode() + salt).digest()
        yield hmac.digest(salt, text.encode(), "sha256")


def _stands_in(digest: bytes, everything: bytes) -> bool:
    """At least the first half of it, raw (folded as the rest), in hex or in base64."""
    half = digest[: max(8, len(digest) // 2)]
    return any(form in everything for form in (half.lower(), half.hex().encode(), base64.b64encode(half)[:-4].lower()))


# ---- with the master key ---------------------------------------------------------------------------------


def keys_with(master: bytes, folder: Path, key_ids: Iterable[str]) -> dict[str, bytes]:
    """The keys of orders that this master key unwraps from any value of any table of any file: with such a key go the
    person and every paper."""
    wrapping = credentials.sub_key(master, "personal")
    wrapped = {value for path in files(folder) for value in _values(path, path.read_bytes())
               if len(value) == WRAPPED_BYTES}  # fmt: skip
    found: dict[str, bytes] = {}
    for key_id, value in itertools.product(key_ids, wrapped):
        with suppress(KeyUnavailable):
            found[key_id] = credentials.unseal(wrapping, value, f"order_key|{key_id}|wrapped")
    return found


def read_with(master: bytes, folder: Path, boxes: Sequence[tuple[str, bytes]]) -> list[dict[str, str]]:
    """The persons who are opened so."""
    keys = keys_with(master, folder, {key_id for key_id, _ in boxes})
    return [dict(json.loads(credentials.unseal(keys[key_id], box, f"personal|{key_id}")))
            for key_id, box in boxes if key_id in keys]  # fmt: skip


def is_master(folder: Path, fingerprint: str) -> bool:
    """Whether 32 bytes lying in any file are the master key with this fingerprint."""
    return any(credentials.key_check(key) == fingerprint for key in set(_keys_lying_about(folder)))


def steal(home: Path, to: Path, *, keys: bool) -> Path:
    """A copy of the ledger and its backups, and of the key book if `keys`."""
    to.mkdir(mode=0o700)
    for path in files(home):
        if path.name != KEYS or keys:
            target = to / path.relative_to(home)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
            target.chmod(0o600)
    assert (to / LEDGER).exists()
    return to
