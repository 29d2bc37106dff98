"""What a check answers with."""

from __future__ import annotations

from dataclasses import dataclass

RESTORE = "zenv restore"
"""The way out where the file itself is damaged: what stands in it cannot be worked out from the rest of it."""


@dataclass(frozen=True)
class Finding:
    """A promise that does not hold, for what, and the command that mends it."""

    check: str
    subject: str
    text: str
    command: str


def mend(check: str) -> str:
    """The command that mends what this check finds."""
    return f"zenv doctor mend {check}"
