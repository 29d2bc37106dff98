"""Searching files for words that must not stand in them.

They are read in a process of its own: closing any descriptor of the living ledger would drop the locks that SQLite
holds on it in this one. The words go there through a pipe, never through arguments, and nothing of them comes back.
"""

from __future__ import annotations

import json
import os
import stat
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as a_field
from pathlib import Path

from zenv.errors import Bug
from zenv.ledger.home import KEYS, LEDGER
from zenv.ledger.invariants.finding import Finding, mend

MOST_KEYS = 5000
MOST_TEMPORARY = 2000
HALF_MADE_S = 3600
"""What is half made for longer was left behind by a kill."""

READER = """
import json, struct, sys
from collections import Counter, defaultdict
asked = json.load(sys.stdin)
words = [bytes.fromhex(word) for word in asked["words"]]
overlap = max(map(len, words), default=1) - 1
found, unread = set(), []

# Wherever a word of 7 bytes or more lies, in one of 4 ways its runs of 4 bytes lie at multiples of 4. For each way the
# rarest of these runs stands for all; only where all of them are seen is the word itself looked for.
short = {number for number, word in enumerate(words) if len(word) < 7}
counts = Counter(word[at : at + 4] for word in words for at in range(len(word) - 3))
signs = defaultdict(list)
for number, word in enumerate(words):
    for way in range(4) if len(word) >= 7 else ():
        runs = [word[at : at + 4] for at in range(way, len(word) - 3, 4)]
        numbers = {struct.unpack("=I", run)[0] for run in runs}
        signs[struct.unpack("=I", min(runs, key=counts.__getitem__))[0]].append((number, numbers))

def likely(part):
    there = set(memoryview(part)[: len(part) // 4 * 4].cast("I"))
    return short.union(number for sign in signs.keys() & there for number, runs in signs[sign] if runs <= there)

for place, path in enumerate(asked["files"]):
    tail = b""
    try:
        with open(path, "rb") as file:
            while part := file.read(65536):
                part = tail + part
                found.update((place, number) for number in likely(part) if words[number] in part)
                tail = part[-overlap:] if overlap else b""
    except FileNotFoundError:
        pass
    except OSError:
        unread.append(place)
json.dump({"found": sorted(found), "unread": unread}, sys.stdout)
"""


@dataclass(frozen=True)
class Needle:
    """A value of a person that must stand nowhere in the clear. Printing it does not show it."""

    order: str
    field: str
    value: str = a_field(repr=False)

    def spellings(self) -> list[bytes]:
        """As text, and as JSON writes it."""
        return list(dict.fromkeys([self.value.encode(), json.dumps(self.value)[1:-1].encode()]))


@dataclass(frozen=True)
class Searched:
    """What was found, and how much was looked at."""

    findings: list[Finding]
    files: int
    bytes: int


def search(home: Path, needles: Sequence[Needle], keys: Mapping[str, bytes]) -> Searched:
    """Look for people in the clear in all files of the home and in what zenv left in the folder for temporary files,
    for keys outside of `keys.db`, for files that others can open, and for what is half made."""
    ours, temporary = list(_files(home)), list(_temporary())
    files = [*ours, *temporary]
    size = sum(_size(path) for path in files)
    findings = [*_modes(home), *_half_made(ours)]
    findings += _in_the_clear(home, files, needles)
    findings += _keys_elsewhere(home, [path for path in files if not path.name.startswith(KEYS)], keys)
    return Searched(findings, len(files), size)


def _in_the_clear(home: Path, files: list[Path], words: Sequence[Needle]) -> Iterator[Finding]:
    spelt = [(needle, spelling) for needle in words for spelling in needle.spellings()]
    hits, unread = _read(files, [spelling for _, spelling in spelt])
    said = {(files[place], spelt[number][0].order, spelt[number][0].field) for place, number in hits}
    for path, order, name in sorted(said):
        yield Finding("clear", _name(path, home), f"the {name} of order {order} stands there in the clear",
                      _remedy(path, home))  # fmt: skip
    for place in unread:
        yield Finding("files", _name(files[place], home), "it cannot be read", "Look at its owner and mode.")


def _keys_elsewhere(home: Path, files: list[Path], keys: Mapping[str, bytes]) -> Iterator[Finding]:
    """No backup holds a key: who is redacted is so in all of them."""
    hits, _ = _read(files, list(keys.values())[-MOST_KEYS:])
    for path in sorted({files[place] for place, _ in hits}):
        yield Finding("keys", _name(path, home), "it holds keys of recipients", _remedy(path, home))


def _read(files: list[Path], words: list[bytes]) -> tuple[list[tuple[int, int]], list[int]]:
    """(file, word) of everything that was found, and the files that could not be read."""
    import subprocess

    if not words or not files:
        return [], []
    asked = json.dumps({"files": [str(path) for path in files], "words": [word.hex() for word in words]})
    done = subprocess.run([sys.executable, "-I", "-c", READER], input=asked, capture_output=True, text=True)
    if done.returncode:
        raise Bug("The process that searches the files broke off.")
    answer = json.loads(done.stdout)
    return [(place, number) for place, number in answer["found"]], answer["unread"]


# ---- which files -----------------------------------------------------------------------------------------


def _files(home: Path) -> Iterator[Path]:
    yield from (path for path in sorted(_below(home)) if _is_file(path))


def _below(folder: Path) -> Iterator[Path]:
    """Everything in a folder; what vanishes while it is looked for was not there."""
    for place, folders, files in os.walk(folder):
        yield from (Path(place, name) for name in (*folders, *files))


def _temporary() -> Iterator[Path]:
    """What zenv left in the folder for temporary files, and is ours."""
    count = 0
    for start in sorted(Path(tempfile.gettempdir()).glob("*zenv*")):
        if start.is_symlink() or not _is_ours(start):
            continue
        for path in (start, *_below(start)) if start.is_dir() else (start,):
            if _is_file(path) and (count := count + 1) <= MOST_TEMPORARY:
                yield path


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False  # a journal that was there a moment ago


def _is_ours(path: Path) -> bool:
    try:
        return path.lstat().st_uid == os.getuid()
    except OSError:
        return False


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _modes(home: Path) -> Iterator[Finding]:
    for path in (home, *sorted(_below(home))):
        try:
            mode = path.lstat().st_mode
        except OSError:
            continue  # a journal that was there a moment ago
        if (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) and mode & 0o077:
            way = mend("files") if path.parent == home or path == home else f"chmod go= '{path}'"
            yield Finding("files", _name(path, home), f"other users can open it ({mode & 0o777:o})", way)


def _half_made(files: list[Path]) -> Iterator[Finding]:
    for path in files:
        hidden = any(part.startswith(".") and ("ledger" in part or "restoring" in part) for part in path.parts[-2:])
        try:
            old = time.time() - path.lstat().st_mtime > HALF_MADE_S
        except OSError:
            continue  # finished this moment
        if hidden and old:
            yield Finding("files", path.name, "half made, and left behind", f"rm '{path}'")


def _remedy(path: Path, home: Path) -> str:
    """A copy can be deleted; the ledger itself cannot."""
    return "zenv doctor" if path.parent == home and path.name.startswith((LEDGER, KEYS)) else f"rm '{path}'"


def _name(path: Path, home: Path) -> str:
    return str(path.relative_to(home)) if path.is_relative_to(home) and path != home else str(path)
