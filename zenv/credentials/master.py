"""The master key: made once at `zenv init`, then looked up in one fixed order that never ends in a guess."""

from __future__ import annotations

import os

from zenv.credentials.keys import MASTER_KEY_BYTES, Key, key_check, parse_key, whole
from zenv.credentials.places import read_key_file
from zenv.credentials.stores import KeyStore, holds_key, read_key, write_key
from zenv.credentials.systemd import CREDENTIAL
from zenv.errors import KeyUnavailable


def create_master_key(store: KeyStore) -> None:
    """Make a new master key and put it into `store`, which must not hold one yet (Refused).

    Where the key is given from outside (`given_key`, or a command) nothing is made: it is read and checked.
    Raises KeyUnavailable when the store cannot be reached or does not give the key back.
    """
    if store.kind == "command" or given_source():
        master_key(store)
    else:
        write_key(store, os.urandom(MASTER_KEY_BYTES))


def master_key(store: KeyStore, fingerprint: str | None = None) -> bytes:
    """The 32 bytes (see `found_key`); KeyUnavailable too where this process was given only a part of them."""
    return whole(found_key(store, fingerprint))


def found_key(store: KeyStore, fingerprint: str | None = None) -> Key:
    """The key, or the part of it that was given from outside; else the key of the remembered store. There is no
    further place to look.

    With `fingerprint` (the ledger's `key_check`) a key of another ledger is recognised: KeyUnavailable.
    """
    given = given_key()
    if given is not None:
        if fingerprint is not None and key_check(given) != fingerprint:
            raise _another_key()
        return given
    return _stored_key(store, fingerprint)


def _stored_key(store: KeyStore, fingerprint: str | None) -> bytes:
    """Of the place and its next slot the key with this fingerprint: after a kill a rotation may be half done."""
    master = read_key(store)
    if fingerprint is None or key_check(master) == fingerprint:
        return master
    # The place is looked at once more at the end: the slot's key may have moved up between the two looks.
    for slot in () if store.kind == "command" else (store.next(), store):
        if holds_key(slot) and key_check(master := read_key(slot)) == fingerprint:
            return master
    raise _another_key()


def _another_key() -> KeyUnavailable:
    return KeyUnavailable(
        "this key belongs to another ledger, or to the time before the key was rotated",
        "Nothing was changed. Check ZENV_KEY_FILE, ZENV_KEY and ZENV_HOME, and run the command again.",
    )


def given_key() -> Key | None:
    """The key handed to this process from outside, or None: a credential named `zenv.key` (systemd), else the file
    ZENV_KEY_FILE, else ZENV_KEY (its one line, or plain base64 of 32 bytes). It may be a part."""
    if path := _credential():
        # systemd guards this folder itself; newer versions show root as the owner and grant us an ACL.
        return parse_key(read_key_file(path, guarded=False), path)
    if path := os.environ.get("ZENV_KEY_FILE", ""):
        return parse_key(read_key_file(path), path)
    if line := os.environ.get("ZENV_KEY", ""):
        return parse_key(line, "ZENV_KEY", bare=True)
    return None


def given_source() -> str:
    """What hands the key to this process, in words; "" where nothing does."""
    if path := _credential():
        return f"the credential {path}"
    if path := os.environ.get("ZENV_KEY_FILE", ""):
        return f"ZENV_KEY_FILE ({path})"
    return "ZENV_KEY" if os.environ.get("ZENV_KEY", "") else ""


def _credential() -> str:
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    path = os.path.join(folder, CREDENTIAL)
    return path if folder and os.path.lexists(path) else ""
