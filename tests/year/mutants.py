"""Bugs planted in the product, inside the test process only: the year must find every one of them.

A mutant replaces a piece of the source of one function, wherever that function is known; a piece that is not
there any more is an error, so that no mutant dies quietly of old age.
"""

from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from zenv.connectors.amazon import order_stream


@dataclass(frozen=True)
class Change:
    """In `function`, `old` becomes `new`."""

    function: Callable[..., Any]
    old: str
    new: str


@contextmanager
def changed(*changes: Change) -> Iterator[None]:
    """The product with these changes."""
    with ExitStack() as stack:
        for change in changes:
            stack.enter_context(_replaced(change.function, _rewritten(change)))
        yield


def _rewritten(change: Change) -> Callable[..., Any]:
    function: Any = inspect.unwrap(change.function)
    source = textwrap.dedent(inspect.getsource(function))
    if source.count(change.old) != 1:
        raise LookupError(f"{function.__qualname__} has {source.count(change.old)} times {change.old!r}")
    code = compile("from __future__ import annotations\n" + source.replace(change.old, change.new),
                   inspect.getfile(function), "exec")  # fmt: skip
    space: dict[str, Any] = {}
    exec(code, function.__globals__, space)
    return space[function.__name__]  # type: ignore[no-any-return]


@contextmanager
def _replaced(old: Any, new: Any) -> Iterator[None]:
    """Put `new` wherever zenv's modules, classes and tables hold `old`."""
    places = list(_places(old))
    if not places:
        raise LookupError(f"{old!r} is nowhere")
    for put in places:
        put(new)
    try:
        yield
    finally:
        for put in places:
            put(old)


def _places(wanted: Any) -> Iterator[Callable[[Any], None]]:
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] == "zenv":
            yield from _inside(vars(module), lambda key, value, m=module: setattr(m, key, value), wanted)  # type: ignore[misc]


def _inside(space: dict[str, Any], put: Callable[[str, Any], None], wanted: Any) -> Iterator[Callable[[Any], None]]:
    for key, held in list(space.items()):
        if held is wanted:
            yield lambda value, k=key: put(k, value)  # type: ignore[misc]
        elif isinstance(held, dict) and key.isupper():
            yield from (lambda value, d=held, k=k: d.__setitem__(k, value) for k, v in held.items() if v is wanted)  # type: ignore[misc]
        elif isinstance(held, type) and held.__module__.startswith("zenv"):
            if wanted is vars(held).get(getattr(wanted, "__name__", "")):
                yield lambda value, c=held: setattr(c, value.__name__, value)  # type: ignore[misc]


def small_pages() -> Any:
    """Three orders a page, as Amazon may: a year is too short for pages of a hundred."""
    return changed(Change(order_stream._search, '"100"', '"3"'))
