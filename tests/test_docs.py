"""The reference pages are made from the program, every command explains itself, every hint names a real command."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from zenv import cli, errors, output

ROOT = Path(__file__).resolve().parents[1]
MOST_STATEMENTS = 15


def load_make() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_make", ROOT / "docs" / "make.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["docs_make"] = module
    spec.loader.exec_module(module)
    return module


make = load_make()
COMMANDS: dict[str, Any] = {path: command for path, command, _ in make.every_command()}


@pytest.mark.parametrize("name", list(make.PAGES))
def test_a_reference_page_is_what_the_program_says(name: str) -> None:
    written = ROOT / "docs" / name
    assert written.exists() and written.read_text(encoding="utf-8") == make.PAGES[name](), "run: python docs/make.py"


@pytest.mark.parametrize("path", list(COMMANDS))
def test_every_command_and_every_option_explains_itself(path: str) -> None:
    command = COMMANDS[path]
    assert command.help and command.help.split("\n")[0].strip().endswith((".", "?")), path
    for param in command.params:
        assert param.help, f"{path} {param.name}"


@pytest.mark.parametrize("kind", errors.all_errors())
def test_every_error_stands_in_the_table_of_exit_codes(kind: type[errors.ZenvError]) -> None:
    row = next(line for line in make.errors_page().splitlines() if line.startswith(f"| {kind.exit_code} |"))
    assert f"`{kind.__name__}`" in row


def test_no_two_unrelated_errors_share_an_exit_code() -> None:
    owner: dict[int, type[errors.ZenvError]] = {}
    for kind in errors.all_errors():
        first = owner.setdefault(kind.exit_code, kind)
        assert issubclass(kind, first), f"{kind.__name__} and {first.__name__} share {kind.exit_code}"
    assert not owner.keys() & {0, output.INTERRUPTED}


def texts() -> Iterator[tuple[str, str]]:
    """Every piece of text in the program, with where it stands."""
    for source in sorted((ROOT / "zenv").rglob("*.py")):
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield f"{source.relative_to(ROOT)}:{node.lineno}", node.value
    yield "views.sql", (ROOT / "zenv" / "ledger" / "views.sql").read_text(encoding="utf-8")


def test_every_command_that_is_named_anywhere_exists() -> None:
    """A hint, an inbox entry or a help text that says `zenv noun verb` means a command there is."""
    prose = re.compile(r"zenv (keeps|never|looks|only|does|broke|is|sql) ")
    wrong = []
    for where, text in texts():
        for noun, verb in re.findall(r"(?:^|[`'\"(]|: |Run |Next: )zenv ([a-z]+)(?: ([a-z]+))?", prose.sub("", text)):
            path = f"zenv {noun}"
            if noun not in cli.NOUNS:
                wrong.append(f"{where}: {path}")
            elif verb and hasattr(COMMANDS[path], "commands") and f"{path} {verb}" not in COMMANDS:
                wrong.append(f"{where}: {path} {verb}")
    assert wrong == []


def command_functions() -> Iterator[tuple[str, ast.FunctionDef]]:
    for source in sorted((ROOT / "zenv" / "commands").glob("*.py")):
        for node in ast.parse(source.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and any("app." in ast.unparse(d) for d in node.decorator_list):
                yield f"{source.name}:{node.name}", node


FUNCTIONS = dict(command_functions())


@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_a_command_stays_thin(name: str) -> None:
    statements = sum(isinstance(node, ast.stmt) for node in ast.walk(FUNCTIONS[name])) - 1
    assert statements <= MOST_STATEMENTS, f"{name} has {statements} statements"
