"""Two single rows that commands ask for: whose ledger it is, and one run of its history."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zenv.errors import NotFound
from zenv.ledger.views import rows


def company(home: Path) -> dict[str, Any]:
    """Whose ledger it is: name, country, time_zone, currency. Raises NotFound where there is none."""
    return rows(home, "SELECT name, country, time_zone, currency FROM company").first() or {}


def run(home: Path, number: int) -> dict[str, Any]:
    """One run; raises NotFound."""
    found = rows(home, "SELECT * FROM runs WHERE run = ?", (number,)).first()
    if found is None:
        raise NotFound(f"There is no run {number}.", "zenv sync history")
    return found
