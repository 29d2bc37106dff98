"""Files and folders that only their owner can open."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from zenv.errors import SettingsError

_making_a_file = threading.Lock()


def private_folder(path: Path) -> Path:
    """`path`, made with mode 0700 (parents too) when missing. SettingsError when others can write into it."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        for folder in reversed(missing):
            folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"the folder {path} cannot be made: {error.strerror}") from None
    if not path.is_dir():
        raise SettingsError(f"{path} is not a folder")
    if path.stat().st_mode & 0o022:
        raise SettingsError(f"other users can write into {path}", f"Run: chmod go-w {path}")
    return path


def private_file(path: Path) -> Path:
    """`path`, made empty with mode 0600 when missing. SettingsError when it is not a file of ours alone.

    Files that SQLite lays beside it (journal, WAL) take its mode.
    """
    import stat

    # Closing a file drops this process's SQLite locks on it, so no thread may open it while another makes it.
    with _making_a_file:
        facts = _lstat_or_make(path)
    if not stat.S_ISREG(facts.st_mode):
        raise SettingsError(f"{path} is not a regular file")
    if facts.st_mode & 0o077:
        raise SettingsError(f"other users can open {path}", f"Run: chmod 600 {path}")
    return path


def _lstat_or_make(path: Path) -> os.stat_result:
    try:
        if not os.path.lexists(path):
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_WRONLY, 0o600)
            give_to_owner_of(path.parent, descriptor)
            os.close(descriptor)
    except FileExistsError:
        pass  # another process made it this moment
    except OSError as error:
        raise SettingsError(f"{path} cannot be made: {error.strerror}") from None
    return os.lstat(path)


def give_to_owner_of(folder: Path, descriptor: int) -> None:
    """What root makes in somebody's folder is theirs: a command under sudo must not shut the service out."""
    owner = os.stat(folder)
    if os.geteuid() == 0 != owner.st_uid:
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
