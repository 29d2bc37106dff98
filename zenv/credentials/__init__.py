"""The master key, and secrets sealed under it.

A ledger has one master key of 32 bytes. Its owner chose at `zenv init` where it is kept, and may move it: in the
desktop keyring, in a file only the owner can read, behind a command, or sealed for this machine by systemd. That
place is remembered and never changed on the quiet: when it cannot be reached, the answer is an error with the way
out, never a second place. Everything else (connectors' secrets, the keys of personal data) is sealed under
sub-keys: one key to guard.

    keys      the key as a value, as a line of text, in part
    master    making it, and the order in which it is looked up
    stores    a place and its next slot: read, put, remove, promote
    desktop, places, systemd   the places themselves
    sealing   what lies under the key

Heavy libraries are imported inside the functions: most commands need no key, and start-up time is measured.
"""

from zenv.credentials.keys import (
    MASTER_KEY_BYTES,
    PARTS,
    Key,
    PartKey,
    key_check,
    key_line,
    part_line,
    sub_key,
    whole,
)
from zenv.credentials.master import create_master_key, found_key, given_key, given_source, master_key
from zenv.credentials.sealing import Secret, open_secret, reseal_secret, seal, seal_secret, secret_variable, unseal
from zenv.credentials.stores import KeyStore, Kind, holds_key, promote_key, put_key, read_key, remove_key
from zenv.credentials.systemd import DEFAULT_PATH

__all__ = [
    "DEFAULT_PATH",
    "MASTER_KEY_BYTES",
    "PARTS",
    "Key",
    "KeyStore",
    "Kind",
    "PartKey",
    "Secret",
    "create_master_key",
    "found_key",
    "given_key",
    "given_source",
    "holds_key",
    "key_check",
    "key_line",
    "master_key",
    "open_secret",
    "part_line",
    "promote_key",
    "put_key",
    "read_key",
    "remove_key",
    "reseal_secret",
    "seal",
    "seal_secret",
    "secret_variable",
    "sub_key",
    "unseal",
    "whole",
]
