"""Looking for persons in files: their names, their bytes, and what SQLite keeps inside them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.assessor import pages
from tests.assessor.markers import Person, found_in


def files(*folders: Path) -> Iterator[Path]:
    """Every file below."""
    for folder in folders:
        yield from (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())


def traces(folder: Path, *persons: Person) -> list[str]:
    """Who is readable where below a folder; nothing is what an assessor wants to see."""
    return sorted({f"{who} in {path.relative_to(folder)}" for path in files(folder) for who in in_file(path, *persons)})


def in_file(path: Path, *persons: Person) -> list[str]:
    """Who is readable in one file, or in its name."""
    content = _read(path)
    found = found_in(path.name.encode(), *persons) + found_in(content, *persons)
    if pages.is_database(content):
        beside = _read(path.with_name(path.name + "-wal"))
        inside = b"\n".join([*pages.payloads(content, beside), *map(_plain, pages.values(path))])
        found += found_in(inside, *persons)
    return found


def _plain(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _read(path: Path) -> bytes:
    """Nothing for a file that somebody has removed meanwhile."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
