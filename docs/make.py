"""Write docs/commands.md, docs/errors.md and docs/openapi.json from the program itself: `python docs/make.py`.

tests/test_docs.py fails while they are stale.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from zenv import cli, errors, output  # noqa: E402  # the folder above must be known first
from zenv.server import description  # noqa: E402

WIDTH = 100


def walk(name: str, command: Any, parent: Any = None) -> Iterator[tuple[str, Any, Any]]:
    """Every command below this one: its full name, itself, its context."""
    context = typer.Context(command, info_name=name, parent=parent, terminal_width=WIDTH, max_content_width=WIDTH)
    yield context.command_path, command, context
    for verb in command.list_commands(context) if hasattr(command, "list_commands") else ():
        yield from walk(verb, command.get_command(context, verb), context)


def every_command() -> Iterator[tuple[str, Any, Any]]:
    """All of zenv, the root first."""
    return walk("zenv", typer.main.get_command(cli.app))


def commands_page() -> str:
    """The help of every command."""
    parts = [COMMANDS_HEAD]
    for path, command, context in every_command():
        level = "##" if path.count(" ") <= 1 else "###"
        parts.append(f"{level} {path}\n\n```\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


COMMANDS_HEAD = """# Commands

Made by `python docs/make.py`; do not edit.

At a terminal, answers are tables and times are in the company's time zone. In a pipe they are tab-separated lines
under a header, with times in UTC. With `--json` an answer is one document: `{"zenv": 1, "ok": true, "data": ...}`,
or `{"zenv": 1, "ok": false, "error": {"kind", "message", "hint", "exit_code"}}` (with `data` too, when part of the
work was done). Money is in minor units beside its currency, times are ISO 8601 in UTC. `--quiet` prints nothing when
all is well. `NO_COLOR` is respected.
"""


def errors_page() -> str:
    """The table of exit codes."""
    rows = ["| exit code | what it means | errors |", "|---|---|---|", "| 0 | done | |"]
    by_code: dict[int, list[type[errors.ZenvError]]] = {}
    for kind in errors.all_errors():
        by_code.setdefault(kind.exit_code, []).append(kind)
    for code, kinds in sorted(by_code.items()):
        names = ", ".join(f"`{kind.__name__}`" for kind in kinds)
        rows.append(f"| {code} | {kinds[0].meaning} | {names} |")
    rows.append(f"| {output.INTERRUPTED} | interrupted (Ctrl-C) | |")
    return ERRORS_HEAD + "\n".join(rows) + "\n"


ERRORS_HEAD = """# Exit codes

Made by `python docs/make.py` from `zenv/errors.py`; do not edit. Codes 64 to 78 follow BSD's sysexits. An error says
on stderr what happened, that nothing was lost, and the next command; with `--json` it is in the document on stdout.

"""


def openapi_page() -> str:
    """The face of a fulfilment provider, for whoever writes a client of their own."""
    return json.dumps(description.document(), indent=2, ensure_ascii=False) + "\n"


PAGES = {"commands.md": commands_page, "errors.md": errors_page, "openapi.json": openapi_page}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (HERE / name).write_text(page(), encoding="utf-8")
