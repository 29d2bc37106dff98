"""The places of a server: a key file only its owner can open, or a command that prints the key."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from zenv.errors import DiskTrouble, KeyUnavailable, Refused, SettingsError

if TYPE_CHECKING:
    import subprocess

COMMAND_LIMIT_S = 10.0
WAYS_OUT = (
    "Nothing was changed. A server usually has no keyring. Pick one and run the command again:\n"
    "  a server with systemd   zenv key move --to systemd   (sealed for this machine; zenv daemon install --system)\n"
    "  a container or CI       ZENV_KEY_FILE=/run/secrets/zenv.key   (holds the line that zenv key export prints)\n"
    "  a file of yours         zenv key move --to file   (mode 0600; a new ledger: zenv init --key-store file)\n"
    "  a desktop               run zenv inside your desktop session\n"
    "The key is moved from where it opens: in that session, or with ZENV_KEY_FILE naming a copy of it."
)


def write_key_file(path: Path, line: str) -> None:
    """Write a new file, 0600 and on the disk when this returns. Never over an existing one (Refused).

    It appears whole or not at all: half a key in a next slot would stop a rotation for good.
    """
    part = _part(path)
    try:
        part.unlink(missing_ok=True)  # a write that was killed left it
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise SettingsError(f"the key file {path} cannot be made: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(part, path)
    except FileExistsError:
        hint = "Choose another path, or remove it if you are sure that no ledger uses it."
        raise Refused(f"{path} exists already; zenv never overwrites a key", hint) from None
    except OSError as error:
        raise DiskTrouble(f"the key file {path} could not be written: {error.strerror}") from None
    finally:
        part.unlink(missing_ok=True)
    _sync_folder(path.parent)


def replace_key_file(source: Path, path: Path) -> None:
    """`source` becomes `path`, in one step; nothing of the key before it stays."""
    os.replace(source, path)
    for file in (_part(source), _part(path)):
        file.unlink(missing_ok=True)
    _sync_folder(path.parent)


def remove_key_file(path: Path) -> None:
    """Take the file away, and what a killed write may have left beside it. None there is no error."""
    for file in (_part(path), path):
        file.unlink(missing_ok=True)
    if path.parent.is_dir():
        _sync_folder(path.parent)


def _part(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_key_file(path: str, *, guarded: bool = True) -> str:
    """The file's text; checked on the open descriptor, so that nobody can swap the file in between.

    `guarded=False` is for a folder that others keep closed for us: there a link is no trick (Kubernetes makes
    its secrets of them), and owner and mode are theirs.
    """
    # O_NONBLOCK: opening a named pipe by mistake must not wait for its writer.
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | (os.O_NOFOLLOW if guarded else 0))
    except OSError as error:
        reason = "it is a symbolic link" if os.path.islink(path) else error.strerror
        raise KeyUnavailable(f"the key file {path} cannot be read: {reason}", WAYS_OUT) from None
    with os.fdopen(descriptor, "rb") as file:
        _refuse_unsafe(os.fstat(file.fileno()), path, guarded)
        return file.read(4096).decode("ascii", "replace")


def _refuse_unsafe(facts: os.stat_result, path: str, guarded: bool) -> None:
    import stat

    if not stat.S_ISREG(facts.st_mode):
        raise KeyUnavailable(f"the key file {path} is not a regular file")
    if guarded and facts.st_uid != os.geteuid():
        raise KeyUnavailable(f"the key file {path} belongs to another user", f"Run: chown {os.geteuid()} {path}")
    if guarded and facts.st_mode & 0o077:
        raise KeyUnavailable(f"other users can open the key file {path}", f"Run: chmod 600 {path}")


def ask_command(detail: str) -> str:
    """What the remembered command prints. No shell, no input, COMMAND_LIMIT_S; never repeated."""
    argv = _argv(detail)
    hint = "Nothing was changed. Run the command by hand to see what it says."
    return run_bounded(argv, f"the key command {argv[0]}", hint).decode("ascii", "replace")


def run_bounded(argv: list[str], what: str, hint: str, given: bytes = b"") -> bytes:
    """What a program prints when it is given `given` on stdin; KeyUnavailable when it fails or takes too long.

    Nothing of what it says reaches an error: it may be the key.
    """
    import subprocess

    try:
        # A session of its own, so that helpers it started can be ended with it.
        process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE if given else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise KeyUnavailable(f"{what} cannot be run: {error.strerror}", hint) from None
    with process:
        output = _output_in_time(process, given)
    if output is None:
        raise KeyUnavailable(f"{what} did not answer within {COMMAND_LIMIT_S:g} s", hint)
    if process.returncode:
        raise KeyUnavailable(f"{what} failed (exit code {process.returncode})", hint)
    return output


def _output_in_time(process: subprocess.Popen[bytes], given: bytes) -> bytes | None:
    import signal
    import subprocess

    try:
        return process.communicate(given or None, timeout=COMMAND_LIMIT_S)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return None


def _argv(detail: str) -> list[str]:
    import json

    try:
        argv = json.loads(detail)
    except ValueError:
        argv = None
    if not (isinstance(argv, list) and argv and all(isinstance(word, str) for word in argv)):
        raise SettingsError("the remembered key command is not a list of words")
    return argv
