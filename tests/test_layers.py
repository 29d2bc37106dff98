"""Who may import whom, so that plain pytest finds a broken layer."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOT_INSTALLED = "import-linter is not installed; pip install -e '.[test]' brings it"


def test_every_room_imports_only_what_it_may(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use_cases = pytest.importorskip("importlinter.application.use_cases", reason=NOT_INSTALLED)
    pytest.importorskip("importlinter.cli", reason=NOT_INSTALLED)  # configures what the use cases need
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(os.fspath(ROOT))
    kept = use_cases.lint_imports(config_filename="pyproject.toml", cache_dir=None)
    assert kept, capsys.readouterr().out
