"""Where a ledger lives: one folder, readable by its owner alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zenv.errors import Busy

LEDGER = "ledger.db"
KEYS = "keys.db"
BACKUPS = "backups"
LABELS = "labels"
DAEMON_LOCK = "daemon.lock"
KEY_LOCK = "key.lock"

APPLICATION_ID = 0x7A656E76
"""`zenv` in ASCII: how a file says that it is ours (PRAGMA application_id)."""


def default_home() -> Path:
    """The folder used without --home: $ZENV_HOME, else the platform's place for user data."""
    chosen = os.environ.get("ZENV_HOME")
    if chosen:
        return Path(chosen).expanduser()
    from platformdirs import user_data_path

    return user_data_path("zenv", appauthor=False)


def daemon_is_running(home: Path) -> bool:
    """Whether a daemon keeps this ledger: it holds the lock of `daemon.lock` as long as it lives."""
    import fcntl

    try:
        descriptor = os.open(home / DAEMON_LOCK, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)  # gives the lock back too
    return False


@contextmanager
def alone(path: Path, sentence: str) -> Iterator[None]:
    """Hold the lock of this file, made when missing; Busy with `sentence` when another process does."""
    import fcntl

    from zenv.privacy import give_to_owner_of

    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        give_to_owner_of(path.parent, descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise Busy(sentence, "Nothing was changed. Run the command again.") from None
    finally:
        os.close(descriptor)
