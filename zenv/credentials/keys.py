"""The master key as a value: its sub-keys, its fingerprint, its one line of text, whole or in part.

A part holds a few sub-keys instead of the key they come from: a process that only shows recipients gets the
sub-key of personal data, and can never open a connector's secret with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from zenv.errors import BadInput, KeyUnavailable

MASTER_KEY_BYTES = 32
KEY_PREFIX = "zenv-key-1:"
PART_PREFIX = "zenv-part-1:"
PARTS = ("personal", "pepper")
"""The sub-keys that may be handed out alone. "secrets" is not among them: only the whole key opens those."""

_CHECK_BYTES = 4


@dataclass(frozen=True, repr=False)
class PartKey:
    """Some sub-keys by purpose, and the fingerprint of the master key they come from."""

    fingerprint: str
    keys: Mapping[str, bytes]


Key = bytes | PartKey
"""The master key, or the part of it that a process was given."""


def sub_key(master: Key, purpose: str) -> bytes:
    """The 32-byte key for one purpose ("secrets", "personal"), derived with HKDF-SHA256 (RFC 5869).

    KeyUnavailable where `master` is a part without it.
    """
    if isinstance(master, PartKey):
        if purpose not in master.keys:
            raise _only_a_part(master)
        return master.keys[purpose]
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), MASTER_KEY_BYTES, salt=None, info=f"zenv/{purpose}/v1".encode()).derive(master)


def key_check(master: Key) -> str:
    """The key's fingerprint, 16 hex digits: tells keys apart and tells nothing about the key."""
    return master.fingerprint if isinstance(master, PartKey) else sub_key(master, "key-check")[:8].hex()


def whole(master: Key) -> bytes:
    """The master key itself; KeyUnavailable where this process was given only a part."""
    if isinstance(master, PartKey):
        raise _only_a_part(master)
    return master


def _only_a_part(part: PartKey) -> KeyUnavailable:
    opens = ", ".join(part.keys)
    return KeyUnavailable(
        f"this process was given a part of the key; it opens {opens} only",
        "Nothing was changed. Run the command where the whole key is.",
    )


# --- as text ----------------------------------------------------------------------------------------------


def key_line(master: bytes) -> str:
    """The key as its one line of text: prefix, then base64url of the key and a check against damage."""
    return _line(KEY_PREFIX, master)


def part_line(master: bytes, purposes: Iterable[str]) -> str:
    """One line that holds these sub-keys only. Raises BadInput for one that is not handed out alone."""
    import json

    wanted = list(dict.fromkeys(purposes))
    if not wanted or not set(wanted) <= set(PARTS):
        raise BadInput(f"A part of the key holds one or more of: {', '.join(PARTS)}.")
    keys = {purpose: sub_key(master, purpose).hex() for purpose in wanted}
    return _line(PART_PREFIX, json.dumps({"of": key_check(master), "keys": keys}).encode())


def parse_key(line: str, where: str, *, bare: bool = False) -> Key:
    """The key in `line`. `bare` also takes plain base64, for places that are filled by hand.

    KeyUnavailable where it holds none, or a damaged one.
    """
    line = line.strip()
    for prefix in (KEY_PREFIX, PART_PREFIX):
        if line.startswith(prefix):
            return _read(_checked_body(line, prefix, where), prefix)
    if bare and len(body := _decode(line)) == MASTER_KEY_BYTES:
        return body
    raise KeyUnavailable(f"{where} does not hold a zenv key: one line beginning with {KEY_PREFIX}")


def _read(body: bytes, prefix: str) -> Key:
    if prefix == KEY_PREFIX:
        return body
    import json

    told = json.loads(body)
    return PartKey(told["of"], {purpose: bytes.fromhex(key) for purpose, key in told["keys"].items()})


def _line(prefix: str, body: bytes) -> str:
    from base64 import urlsafe_b64encode

    return prefix + urlsafe_b64encode(body + _damage_check(prefix, body)).decode()


def _checked_body(line: str, prefix: str, where: str) -> bytes:
    read = _decode(line.removeprefix(prefix))
    body, check = read[:-_CHECK_BYTES], read[-_CHECK_BYTES:]
    short = prefix == KEY_PREFIX and len(body) != MASTER_KEY_BYTES
    if short or check != _damage_check(prefix, body):
        raise KeyUnavailable(f"the key in {where} is damaged or cut short", "Restore it from your copy.")
    return body


def _decode(text: str) -> bytes:
    """The bytes of base64 in either alphabet; nothing where it is no base64 (so no key is found)."""
    from base64 import b64decode

    try:
        return b64decode(text.translate({ord("+"): "-", ord("/"): "_"}), altchars=b"-_", validate=True)
    except ValueError:
        return b""


def _damage_check(prefix: str, body: bytes) -> bytes:
    from hashlib import sha256

    return sha256(prefix.encode() + body).digest()[:_CHECK_BYTES]
