"""Sealing: AES-256-GCM under sub-keys of the master key, bound to the place the sealed value is kept in."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from zenv.credentials.keys import sub_key
from zenv.errors import KeyUnavailable, SettingsError

_SEAL_VERSION = b"\x01"
_NONCE_BYTES = 12
_TAG_BYTES = 16


@dataclass(frozen=True, repr=False)
class Secret:
    """A secret on its way to a connector: `value` must be asked for, printing shows nothing."""

    value: str

    def __repr__(self) -> str:
        return "Secret(***)"


def seal(key: bytes, plaintext: bytes, bound_to: str) -> bytes:
    """AES-256-GCM: version byte, random nonce, ciphertext and tag. Opens only with the same `bound_to`, which
    names the place it is kept in (`table|row|column`), so that it cannot be moved to another row."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = os.urandom(_NONCE_BYTES)
    return _SEAL_VERSION + nonce + AESGCM(key).encrypt(nonce, plaintext, _SEAL_VERSION + bound_to.encode())


def unseal(key: bytes, sealed: bytes, bound_to: str) -> bytes:
    """What `seal` was given. KeyUnavailable for another key, a moved or a damaged value."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    head = len(_SEAL_VERSION) + _NONCE_BYTES
    if not sealed.startswith(_SEAL_VERSION) or len(sealed) < head + _TAG_BYTES:
        raise KeyUnavailable(f"the sealed value {bound_to} is damaged, or a newer zenv wrote it")
    nonce = sealed[len(_SEAL_VERSION) : head]
    try:
        return AESGCM(key).decrypt(nonce, sealed[head:], _SEAL_VERSION + bound_to.encode())
    except InvalidTag:
        reason = "it was sealed under another key, or it was moved or damaged"
        raise KeyUnavailable(f"the sealed value {bound_to} cannot be opened: {reason}") from None


def seal_secret(master: bytes, connection: str, field: str, value: str) -> bytes:
    """A connection's secret, ready to be stored."""
    return seal(sub_key(master, "secrets"), value.encode(), f"secret|{connection}|{field}")


def reseal_secret(old: bytes, new: bytes, connection: str, field: str, sealed: bytes) -> bytes:
    """The same secret under the key that follows. What the environment says instead of it plays no part."""
    place = f"secret|{connection}|{field}"
    return seal(sub_key(new, "secrets"), unseal(sub_key(old, "secrets"), sealed, place), place)


def open_secret(master: Callable[[], bytes], connection: str, field: str, sealed: bytes | None) -> Secret:
    """A connection's secret: from its environment variable if set (CI, tests), else from the sealed value.

    `master` is called only when the sealed value has to be opened. SettingsError when there is neither.
    """
    variable = secret_variable(connection, field)
    if value := os.environ.get(variable, ""):
        return Secret(value)
    if sealed is None:
        raise SettingsError(f"{connection} has no {field}", f"Set {variable}.")
    return Secret(unseal(sub_key(master(), "secrets"), sealed, f"secret|{connection}|{field}").decode())


def secret_variable(connection: str, field: str) -> str:
    """The environment variable that stands in for a secret: ZENV_SECRET_<CONNECTION>_<FIELD>."""
    words = f"{connection}_{field}".upper()
    return "ZENV_SECRET_" + "".join(letter if letter.isalnum() else "_" for letter in words)
