"""The files of a ledger on the disk."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from zenv.ledger.home import BACKUPS, LABELS
from zenv.ledger.invariants.finding import Finding, mend


def files_are_their_owners_alone(home: Path) -> list[Finding]:
    """I13: the folder, and every file in it, in its backups and among its papers, can be opened by their owner only."""
    return [finding for path, facts in every_file(home) if (finding := _trouble(path, facts, home)) is not None]


def every_file(home: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Files and folders of a home with their lstat. Links that a person laid there are left alone, and so are files
    half made (`.name`), which are private from their first byte on."""
    inside = (path for folder in (BACKUPS, LABELS) for path in sorted((home / folder).glob("*")))
    for path in (home, *sorted(home.iterdir()), *inside):
        if path != home and path.name.startswith("."):
            continue
        try:
            facts = path.lstat()
        except FileNotFoundError:
            continue  # a journal that was there a moment ago
        if stat.S_ISREG(facts.st_mode) or stat.S_ISDIR(facts.st_mode):
            yield path, facts


def _trouble(path: Path, facts: os.stat_result, home: Path) -> Finding | None:
    name = str(path.relative_to(home)) if path != home else str(home)
    if facts.st_uid != os.getuid():
        # Only the administrator can give a file away, so no command of zenv could.
        return Finding("files", name, "it belongs to another user", f"sudo chown {os.getuid()} '{path}'")
    if facts.st_mode & 0o077:
        return Finding("files", name, f"other users can open it ({facts.st_mode & 0o777:o})", mend("files"))
    return None
