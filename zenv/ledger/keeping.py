"""How long the history of runs is kept: a month and two months as the longest of them are, so never sooner (H64)."""

from __future__ import annotations

from datetime import timedelta

KEPT = timedelta(days=31)
"""A run that went well."""
KEPT_FAILED = timedelta(days=62)
"""Any other run."""


def in_words() -> str:
    """As a person is told."""
    return f"{KEPT.days} days for runs that went well, {KEPT_FAILED.days} for others, longer where a record waits"
