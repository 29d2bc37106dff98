"""The place of a server with systemd: a file that only this machine can open, for root and for the service.

`systemd-creds` seals the key with the machine's own secret, its TPM where there is one. The service gets it from
systemd (`LoadCredentialEncrypted=`), so it never lies open on a disk.
"""

from __future__ import annotations

import os
from pathlib import Path

from zenv.credentials.places import run_bounded, write_key_file
from zenv.errors import KeyUnavailable

CREDENTIAL = "zenv.key"
DEFAULT_PATH = "/etc/zenv/zenv.key.cred"

_PROGRAM = "systemd-creds"
_AS_ROOT = "Nothing was changed. Run it as root on a machine with systemd 250 or newer: sudo zenv key move --to systemd"


def seal_for_systemd(path: Path, line: str) -> None:
    """Seal `line` into a new file, 0600. The key goes by stdin: arguments show in `ps`. Never over another file."""
    argv = [_PROGRAM, "encrypt", f"--name={CREDENTIAL}", "-", "-"]
    sealed = run_bounded(argv, _PROGRAM, _AS_ROOT, line.encode())
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    write_key_file(path, sealed.decode("ascii").rstrip("\n"))


def ask_systemd(path: str) -> str:
    """The line sealed in `path`: only root can have it opened outside the service."""
    if os.geteuid() != 0:
        raise KeyUnavailable(f"the key is sealed for the service of this machine ({path})", _way_in(path))
    hint = "Nothing was changed. It opens on the machine that sealed it; elsewhere restore the key from your copy."
    return run_bounded([_PROGRAM, "decrypt", f"--name={CREDENTIAL}", path, "-"], _PROGRAM, hint).decode("ascii")


def _way_in(path: str) -> str:
    return (
        "Nothing was changed. Run the command as root (sudo, and name the ledger with --home), or as the service:\n"
        f"  sudo systemd-run --pipe --wait --uid=zenv -p LoadCredentialEncrypted={CREDENTIAL}:{path} zenv ..."
    )
