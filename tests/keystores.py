"""Keyrings in memory: one that works, and the ways real ones fail (hang, lock, forget, keep plaintext).

They take the place of the session's keyring through keyring's own `set_keyring`; the code under test is not
touched beyond the allow-list, which learns the double's name.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keyring
import keyring.core
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked

from zenv.credentials import desktop


class MemoryKeyring(KeyringBackend):
    """A keyring that works: `kept` maps (service, account) to the password."""

    priority = -1.0  # never picked by keyring's own search

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


class FileKeyring(KeyringBackend):
    """A keyring that outlives its process, for tests that kill one: a file under each account's name."""

    priority = -1.0

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def _file(self, username: str) -> Path:
        return self.folder / username.replace("/", "-")

    def get_password(self, service: str, username: str) -> str | None:
        path = self._file(username)
        return path.read_text() if path.exists() else None

    def set_password(self, service: str, username: str, password: str) -> None:
        half = self._file(username).with_suffix(".half")
        half.write_text(password)
        half.replace(self._file(username))

    def delete_password(self, service: str, username: str) -> None:
        self._file(username).unlink()


class ForgetfulKeyring(MemoryKeyring):
    """Accepts everything and keeps nothing, as keyring's null backend does."""

    def set_password(self, service: str, username: str, password: str) -> None:
        return None


class LockedKeyring(MemoryKeyring):
    """A login keyring that nobody has unlocked."""

    def get_password(self, service: str, username: str) -> str | None:
        raise KeyringLocked("Failed to unlock the collection!")


class HangingKeyring(MemoryKeyring):
    """Waits for a prompt that nobody sees, until `let_go` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = threading.Event()

    def get_password(self, service: str, username: str) -> str | None:
        self.let_go.wait()
        return None


class TalkativeKeyring(MemoryKeyring):
    """Fails with an exception that repeats what it was given."""

    def set_password(self, service: str, username: str, password: str) -> None:
        raise RuntimeError(f"could not store {password}")


# The real one's name: keyrings.alt keeps base64 in a file, and keyring picks it without a word.
PlaintextKeyring = type("PlaintextKeyring", (MemoryKeyring,), {"__module__": "keyrings.alt.file"})


@contextmanager
def installed(backend: KeyringBackend, *, allowed: bool = True) -> Iterator[KeyringBackend]:
    """Make `backend` the session's keyring, and `allowed` unless it is to be refused by its name."""
    before, names = keyring.core._keyring_backend, desktop.ALLOWED_BACKENDS
    keyring.set_keyring(backend)
    if allowed:
        desktop.ALLOWED_BACKENDS = names | {f"{type(backend).__module__}.{type(backend).__qualname__}"}
    try:
        yield backend
    finally:
        keyring.core._keyring_backend, desktop.ALLOWED_BACKENDS = before, names
