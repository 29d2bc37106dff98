"""The master key, and secrets sealed under it.

A ledger has one master key of 32 bytes. Its owner chose at `zenv init` where it is kept: in the desktop
keyring, in a file only the owner can read, or behind a command. That place is remembered and never changed on
the quiet: when it cannot be reached, the answer is an error with the way out, never a second place.
Everything else (connectors' secrets, the keys of personal data) is sealed under sub-keys: one key to guard.
Heavy libraries are imported inside the functions: most commands need no key, and start-up time is measured.
"""

from zenv.credentials.master import (
    MASTER_KEY_BYTES,
    KeyStore,
    create_master_key,
    given_key,
    key_check,
    key_line,
    master_key,
)
from zenv.credentials.sealing import Secret, open_secret, seal, seal_secret, secret_variable, sub_key, unseal

__all__ = [
    "MASTER_KEY_BYTES",
    "KeyStore",
    "Secret",
    "create_master_key",
    "given_key",
    "key_check",
    "key_line",
    "master_key",
    "open_secret",
    "seal",
    "seal_secret",
    "secret_variable",
    "sub_key",
    "unseal",
]
