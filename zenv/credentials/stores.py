"""A key store: one remembered place for one key, and beside it the next slot, which a rotation uses.

What can be done with the key of a place is the same everywhere: read it, put it, take it away, and move the key of
the next slot up. A key is never overwritten except by the one in its own next slot.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from zenv.credentials import desktop, places, systemd
from zenv.credentials.keys import key_line, parse_key, whole
from zenv.errors import Refused

Kind = Literal["keyring", "file", "command", "systemd"]


@dataclass(frozen=True)
class KeyStore:
    """Where a ledger's master key is kept, as the ledger remembers it; holds nothing secret.

    `detail` is the path of the key file or of the sealed credential, or the command's argv as a JSON list ("" for
    the keyring); `name` is the ledger's id, the account under which a keyring keeps the key.
    """

    kind: Kind
    detail: str
    name: str

    def next(self) -> KeyStore:
        """The slot beside this place, for the key that will follow. Refused for a command: it has none."""
        if self.kind == "command":
            raise Refused(
                "the key behind a command is not for zenv to change", "zenv key move --to file, or another place"
            )
        if self.kind == "keyring":
            return replace(self, name=f"{self.name}/next")
        return replace(self, detail=f"{self.detail}.next")

    def __str__(self) -> str:
        kinds = {"keyring": "the desktop's keyring", "file": "the file", "command": "the command",
                 "systemd": "the systemd credential"}  # fmt: skip
        return f"{kinds[self.kind]} {self.detail}".rstrip()


def read_key(store: KeyStore) -> bytes:
    """The key in this very place. KeyUnavailable where there is none, or the place does not open."""
    if store.kind == "file":
        return whole(parse_key(places.read_key_file(store.detail), store.detail))
    if store.kind == "systemd":
        return whole(parse_key(systemd.ask_systemd(store.detail), store.detail))
    if store.kind == "command":
        return whole(parse_key(places.ask_command(store.detail), "the key command's output", bare=True))
    return whole(parse_key(desktop.read_from_keyring(store.name), "the keyring"))


def holds_key(store: KeyStore) -> bool:
    """Whether something is kept in this place. KeyUnavailable where a keyring does not answer."""
    if store.kind == "keyring":
        return desktop.ask_keyring(store.name) is not None
    return store.kind == "command" or os.path.lexists(store.detail)


def write_key(store: KeyStore, master: bytes) -> None:
    """Put a key into an empty place and prove that it comes back. Refused where one is kept already."""
    if store.kind == "keyring":
        desktop.keep_in_keyring(store.name, key_line(master))
    elif store.kind == "systemd":
        systemd.seal_for_systemd(Path(store.detail), key_line(master))
    else:
        places.write_key_file(Path(store.detail), key_line(master))
    # Now rather than at the first sync: a file system without owners and modes makes a file we then refuse.
    read_key(store)


def put_key(store: KeyStore, master: bytes) -> None:
    """See to it that this place holds `master`: for a step that may be done again after a kill.

    Refused where it holds another key. A command is only asked whether it prints this one.
    """
    if not holds_key(store):
        write_key(store, master)
    if read_key(store) != master:
        raise Refused(f"{store} holds another key; zenv never overwrites a key", "Choose another place.")


def remove_key(store: KeyStore) -> bool:
    """Take the key away from this place and from its next slot; whether zenv could (it cannot empty a command)."""
    if store.kind == "command":
        return False
    for slot in (store, store.next()):
        if slot.kind == "keyring":
            desktop.forget_in_keyring(slot.name)
        else:
            places.remove_key_file(Path(slot.detail))
    return True


def promote_key(store: KeyStore) -> None:
    """The key of the next slot takes the place of the one before it. With an empty slot that has happened already."""
    slot = store.next()
    if not holds_key(slot):
        return
    if store.kind == "keyring":
        desktop.replace_in_keyring(store.name, key_line(read_key(slot)))
        desktop.forget_in_keyring(slot.name)
    else:
        places.replace_key_file(Path(slot.detail), Path(store.detail))
