"""The desktop's keyring, asked with care: it may hang on a hidden prompt, lose the key or keep plaintext."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from zenv.credentials.places import WAYS_OUT
from zenv.errors import KeyLocked, KeyUnavailable, Refused

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

KEYRING_SERVICE = "zenv"
KEYRING_LIMIT_S = 3.0

# Others lie or lose: keyrings.alt keeps plaintext, `null` accepts and forgets, encrypted files ask on stdin.
ALLOWED_BACKENDS = frozenset(
    {
        "keyring.backends.SecretService.Keyring",
        "keyring.backends.libsecret.Keyring",
        "keyring.backends.kwallet.DBusKeyring",
        "keyring.backends.kwallet.DBusKeyringKWallet4",
        "keyring.backends.macOS.Keyring",
        "keyring.backends.Windows.WinVaultKeyring",
    }
)

_UNLOCK = "Nothing was changed. Log in to the desktop to unlock it, or move the key: zenv key move --to systemd"
_OTHER_SCREEN = "Nothing was changed. It may be showing a prompt on another screen; answer that, or run it again."


def keep_in_keyring(name: str, line: str) -> None:
    """Store a line under a name that has none yet (Refused)."""
    if ask_keyring(name) is not None:
        raise Refused("the keyring holds a key for this ledger already; zenv never overwrites a key")
    replace_in_keyring(name, line)


def replace_in_keyring(name: str, line: str) -> None:
    """Store, and read back: some keyrings accept a key and lose it (KeyLocked)."""
    _in_time(lambda: _keyring().set_password(KEYRING_SERVICE, name, line))
    if ask_keyring(name) != line:
        raise KeyLocked("the keyring accepted the key but did not give it back. Nothing was stored", WAYS_OUT)


def forget_in_keyring(name: str) -> None:
    """Delete what is kept under `name`; nothing there is no error."""
    if ask_keyring(name) is not None:
        _in_time(lambda: _keyring().delete_password(KEYRING_SERVICE, name))


def read_from_keyring(name: str) -> str:
    """The line kept for ledger `name`; KeyUnavailable where the keyring holds none."""
    line = ask_keyring(name)
    if line is None:
        raise KeyUnavailable("the keyring holds no key for this ledger", WAYS_OUT)
    return line


def ask_keyring(name: str) -> str | None:
    """The line kept for ledger `name`, or None where the keyring holds none."""
    return _in_time(lambda: _keyring().get_password(KEYRING_SERVICE, name))


def _in_time(call: Callable[[], str | None]) -> str | None:
    """The keyring's answer, or KeyLocked after KEYRING_LIMIT_S.

    A keyring that shows a prompt on a screen nobody looks at never returns: the thread is left behind, and as
    a daemon thread it does not keep the process alive.
    """
    import queue
    import threading

    answers: queue.SimpleQueue[str | Exception | None] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(call())
        except Exception as error:  # keyring lets anything out, PermissionError and EOFError included
            answers.put(error)

    threading.Thread(target=ask, daemon=True, name="keyring").start()
    try:
        answer = answers.get(timeout=KEYRING_LIMIT_S)
    except queue.Empty:
        message = f"the keyring did not answer within {KEYRING_LIMIT_S:g} s"
        raise KeyLocked(message, _OTHER_SCREEN) from None
    if isinstance(answer, Exception):
        raise _told_plainly(answer)
    return answer


def _told_plainly(error: Exception) -> KeyUnavailable:
    """Our sentence for a keyring's failure. A foreign exception's text is dropped: it may repeat the key."""
    from keyring.errors import InitError, KeyringError, KeyringLocked, NoKeyringError

    if isinstance(error, KeyUnavailable):
        return error
    if isinstance(error, KeyringLocked | InitError):
        return _locked()
    if isinstance(error, KeyringError) and not isinstance(error, NoKeyringError):
        return KeyUnavailable(f"the keyring refused ({type(error).__name__})", WAYS_OUT)
    return _unreachable(type(error).__name__)


def _locked() -> KeyLocked:
    return KeyLocked("the keyring is locked, and zenv never waits for a hidden prompt", _UNLOCK)


def _unreachable(reason: str) -> KeyUnavailable:
    sentence = "no key store can be reached from here, so credentials and personal data stay closed"
    return KeyUnavailable(f"{sentence} ({reason})", WAYS_OUT)


def _keyring() -> KeyringBackend:
    """The keyring of this session if it is one that keeps its word; of a chain, its first."""
    import keyring
    from keyring.backends.chainer import ChainerBackend

    backend = keyring.get_keyring()
    if isinstance(backend, ChainerBackend) and backend.backends:
        backend = backend.backends[0]
    name = f"{type(backend).__module__}.{type(backend).__qualname__}"
    if name not in ALLOWED_BACKENDS:
        raise _unreachable(name)
    if name == "keyring.backends.SecretService.Keyring":
        _refuse_locked()
    return backend


def _refuse_locked() -> None:
    """Ask the Secret Service whether it is locked: unlike reading, the question opens no prompt."""
    from contextlib import closing

    import secretstorage

    with closing(secretstorage.dbus_init()) as bus:
        try:
            locked = secretstorage.get_collection_by_alias(bus, "default").is_locked()
        except secretstorage.ItemNotFoundException:
            return  # a keyring that was never used: it makes its collection on the first write
    if locked:
        raise _locked()
