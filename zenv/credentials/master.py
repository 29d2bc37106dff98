"""The master key: made once at `zenv init`, then looked up in one fixed order that never ends in a guess."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from zenv.credentials.desktop import ask_keyring, keep_in_keyring
from zenv.credentials.places import WAYS_OUT, ask_command, read_key_file, write_key_file
from zenv.credentials.sealing import sub_key
from zenv.errors import KeyUnavailable

MASTER_KEY_BYTES = 32
KEY_PREFIX = "zenv-key-1:"
CHECK_BYTES = 4


@dataclass(frozen=True)
class KeyStore:
    """Where a ledger's master key is kept, as remembered at `zenv init`; holds nothing secret.

    `detail` is the path of the key file or the command's argv as a JSON list ("" for the keyring);
    `name` is the ledger's id, the account under which a keyring keeps the key.
    """

    kind: Literal["keyring", "file", "command"]
    detail: str
    name: str


def create_master_key(store: KeyStore) -> None:
    """Make a new master key and put it into `store`, which must not hold one yet (Refused).

    Where the key is given from outside (`given_key`, or a command) nothing is made: it is read and checked.
    Raises KeyUnavailable when the store cannot be reached or does not give the key back.
    """
    if store.kind == "command" or given_key() is not None:
        master_key(store)
        return
    line = key_line(os.urandom(MASTER_KEY_BYTES))
    if store.kind == "file":
        write_key_file(Path(store.detail), line)
    else:
        keep_in_keyring(store.name, line)
    # Now rather than at the first sync: a file system without owners and modes makes a file we then refuse.
    master_key(store)


def master_key(store: KeyStore, fingerprint: str | None = None) -> bytes:
    """The 32 bytes: given from outside, or else from the remembered store. There is no further place to look.

    With `fingerprint` (the ledger's `key_check`) a key of another ledger is recognised: KeyUnavailable.
    """
    given = given_key()
    master = _remembered_key(store) if given is None else given
    if fingerprint is not None and key_check(master) != fingerprint:
        raise KeyUnavailable(
            "this key belongs to another ledger",
            "Nothing was changed. Check ZENV_KEY_FILE, ZENV_KEY and ZENV_HOME, and run the command again.",
        )
    return master


def given_key() -> bytes | None:
    """The master key handed to this process from outside, or None: a systemd credential named `zenv.key`,
    else the file ZENV_KEY_FILE, else ZENV_KEY (its one line, or plain base64 of 32 bytes)."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if folder and os.path.lexists(path := os.path.join(folder, "zenv.key")):
        # systemd guards this folder itself; newer versions show root as the owner and grant us an ACL.
        return _parse_key(read_key_file(path, guarded=False), path)
    if path := os.environ.get("ZENV_KEY_FILE", ""):
        return _parse_key(read_key_file(path), path)
    if line := os.environ.get("ZENV_KEY", ""):
        return _parse_key(line, "ZENV_KEY", bare=True)
    return None


def key_line(master: bytes) -> str:
    """The key as its one line of text: prefix, then base64url of the key and a check against damage."""
    from base64 import urlsafe_b64encode

    return KEY_PREFIX + urlsafe_b64encode(master + _damage_check(master)).decode()


def key_check(master: bytes) -> str:
    """The key's fingerprint, 16 hex digits: tells keys apart and tells nothing about the key."""
    return sub_key(master, "key-check")[:8].hex()


def _remembered_key(store: KeyStore) -> bytes:
    if store.kind == "file":
        return _parse_key(read_key_file(store.detail), store.detail)
    if store.kind == "command":
        return _parse_key(ask_command(store.detail), "the key command's output", bare=True)
    line = ask_keyring(store.name)
    if line is None:
        raise KeyUnavailable("the keyring holds no key for this ledger", WAYS_OUT)
    return _parse_key(line, "the keyring")


def _parse_key(line: str, where: str, *, bare: bool = False) -> bytes:
    """The key in `line`. `bare` also takes plain base64, for places that are filled by hand."""
    line = line.strip()
    body = _decode(line.removeprefix(KEY_PREFIX))
    if line.startswith(KEY_PREFIX):
        master, check = body[:MASTER_KEY_BYTES], body[MASTER_KEY_BYTES:]
        if check != _damage_check(master):
            raise KeyUnavailable(f"the key in {where} is damaged or cut short", "Restore it from your copy.")
        return master
    if bare and len(body) == MASTER_KEY_BYTES:
        return body
    raise KeyUnavailable(f"{where} does not hold a zenv key: one line beginning with {KEY_PREFIX}")


def _decode(text: str) -> bytes:
    """The bytes of base64 in either alphabet; nothing where it is no base64 (so no key is found)."""
    from base64 import b64decode

    try:
        return b64decode(text.translate({ord("+"): "-", ord("/"): "_"}), altchars=b"-_", validate=True)
    except ValueError:
        return b""


def _damage_check(master: bytes) -> bytes:
    from hashlib import sha256

    return sha256(KEY_PREFIX.encode() + master).digest()[:CHECK_BYTES]
