"""Where the tests find shared data that is no part of the project; tests skip without it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("ZENV_SHARED", Path(__file__).resolve().parents[2] / "shared"))
SPAPI = SHARED / "spapi"

needs_spapi = pytest.mark.skipif(not SPAPI.is_dir(), reason=f"Amazon's published models are not in {SPAPI}")
