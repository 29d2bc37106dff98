"""Parameters of text, whole numbers and paths, read without pydantic.

Typer builds a pydantic adapter for every parameter that is not a flag, which costs more than all the rest of
starting up. Typer keeps that adapter on the parameter once it is built; here it finds a plain one in its place.
Where a coming Typer keeps it elsewhere, commands are slower and nothing else changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

import typer


def _whole(text: Any) -> int:
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a whole number.") from None


def _path(text: Any) -> Path:
    return Path(text).expanduser()


PLAIN: Mapping[Any, Callable[[Any], Any]] = {str: str, int: _whole, Path: _path, bool: bool}


@dataclass(frozen=True)
class Plain:
    """Stands where Typer keeps a parameter's adapter."""

    read: Callable[[Any], Any]

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """The value as Python, `()` or None when it was not given."""
        many = param.multiple or param.nargs == -1
        if value is None:
            return () if many else None
        return tuple(map(self.read, value)) if many else self.read(value)


def plain_parameters(command: Any) -> None:
    """Give every plain parameter of the command, and of those below it, its plain reader."""
    help_option = command.get_help_option(typer.Context(command))
    for param in [*command.params, *filter(None, [help_option])]:
        wanted = getattr(getattr(param, "type_descriptor", None), "annotation", None)
        if get_origin(wanted) is list:
            (wanted,) = get_args(wanted)
        if wanted in PLAIN:
            param._runtime_param = Plain(PLAIN[wanted])
    for below in getattr(command, "commands", {}).values():
        if below is not None:
            plain_parameters(below)
