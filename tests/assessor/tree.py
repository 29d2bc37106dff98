"""Every command there is, as docs/make.py walks them for docs/commands.md."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

MAKE = Path(__file__).resolve().parents[2] / "docs" / "make.py"


@cache
def _walked() -> dict[str, Any]:
    spec = importlib.util.spec_from_file_location("docs_make", MAKE)
    assert spec is not None and spec.loader is not None
    make = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make)
    return {path: command for path, command, _ in make.every_command()}


def commands() -> list[str]:
    """All that do something: verbs, and nouns that answer by themselves."""
    return [path for path, command in _walked().items()
            if not hasattr(command, "list_commands") or command.invoke_without_command]  # fmt: skip


def options(path: str) -> set[str]:
    """The options of a command."""
    return {name for parameter in _walked()[path].params for name in parameter.opts}
