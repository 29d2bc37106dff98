"""Where a ledger lives: one folder, readable by its owner alone."""

from __future__ import annotations

import os
from pathlib import Path

LEDGER = "ledger.db"
KEYS = "keys.db"
BACKUPS = "backups"

APPLICATION_ID = 0x7A656E76
"""`zenv` in ASCII: how a file says that it is ours (PRAGMA application_id)."""


def default_home() -> Path:
    """The folder used without --home: $ZENV_HOME, else the platform's place for user data."""
    chosen = os.environ.get("ZENV_HOME")
    if chosen:
        return Path(chosen).expanduser()
    from platformdirs import user_data_path

    return user_data_path("zenv", appauthor=False)
