"""Moving and rotating the master key, killed at every step.

A kill comes right before a step with an effect: each SQL statement and commit in either file, each call that opens,
writes, links, renames, removes or syncs a file. CI takes every k-th of them; `pytest -m whole` takes them all.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any

import pytest

from tests.books import PERSON
from tests.key_books import Place, a_place, in_kind, keyring_of_files, mark_of, no_key_given, opens, person, tell  # noqa: F401  # fixtures
from tests.keystores import FileKeyring
from tests.year.mutants import Change, change, changed
from zenv import credentials
from zenv.credentials import master, places
from zenv.errors import KeyUnavailable
from zenv.ledger import keys
from zenv.ledger.book import Book
from zenv.privacy import KeyBook

EFFECTS = frozenset(
    {"open", "write", "link", "rename", "replace", "unlink", "fsync", "execute", "executemany", "commit", "mkdir"}
)
BOUNDED = 5
"""CI kills at every so-manieth step."""

KINDS = ("file", "keyring", "systemd")


# --- killed -----------------------------------------------------------------------------------------------


def killed_at(step: int, act: Callable[[], object]) -> bool:
    """Do `act` in a process that dies right before its n-th step with an effect; whether it died."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            _count_down(step)
            act()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.waitstatus_to_exitcode(status) == 0, "the child failed by itself"
    return False


def _count_down(left: int) -> None:
    def watch(_: FrameType, event: str, called: Any) -> None:
        nonlocal left
        if event == "c_call" and called.__name__ in EFFECTS:
            left -= 1
            if left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)

    threading.setprofile(watch)  # a keyring is asked in a thread of its own
    sys.setprofile(watch)


@dataclass(frozen=True)
class Act:
    """What is done to the key, and what must be so when it was done."""

    do: Callable[[Book, Place], object]
    judge: Callable[[Place, str], None]


def _rotate(book: Book, place: Place) -> None:
    keys.rotate(book)


def _rotated(place: Place, before: str) -> None:
    """A new key, in the main slot, and nothing of the old one anywhere."""
    with place.opened() as book:
        store, fingerprint = book.key_place()
        assert fingerprint != before
        assert credentials.key_check(credentials.read_key(store)) == fingerprint
        assert not credentials.holds_key(store.next())
        assert not keys.whereabouts(book).rotating
    assert mark_of(place.home / "keys.db") == fingerprint


def _move(to: credentials.Kind) -> Act:
    def judge(place: Place, before: str) -> None:
        with place.opened() as book:
            store, fingerprint = book.key_place()
        assert (store, fingerprint) == (place.store(to), before)
        assert credentials.key_check(credentials.read_key(store)) == before

    return Act(lambda book, place: keys.move(book, place.store(to)), judge)


ROTATE = Act(_rotate, _rotated)


def one_kill(place: Place, ring: FileKeyring, step: int, act: Act) -> bool:
    """One kill and what comes after it; whether there was such a step. The place is then as it was before."""
    spare, rings = place.folder.with_name("spare"), ring.folder.with_name("rings")
    shutil.copytree(place.folder, spare)
    shutil.copytree(ring.folder, rings)
    try:
        return _kill_and_go_on(place, step, act)
    finally:
        for changed_folder, kept in ((place.folder, spare), (ring.folder, rings)):
            shutil.rmtree(changed_folder)
            kept.rename(changed_folder)


def _kill_and_go_on(place: Place, step: int, act: Act) -> bool:
    with place.opened() as book:
        before = book.key_place()[1]

    def done() -> None:
        with place.opened() as book:
            act.do(book, place)

    died = killed_at(step, done)
    with place.opened() as book:
        opens(book)
        tell(book, "A-3")  # life goes on between the kill and the second attempt
    done()
    act.judge(place, before)
    with place.opened() as book:
        opens(book)
        assert person(book, "A-3") == PERSON.personal()
    return died


def sweep(place: Place, ring: FileKeyring, act: Act, every: int) -> int:
    """Kill at every so-manieth step; how many kills there were."""
    step = 1
    while one_kill(place, ring, step, act):
        step += every
    return step // every


@pytest.mark.parametrize("kind", KINDS)
def test_H84_a_rotation_killed_anywhere_leaves_everything_readable_and_is_finished_by_the_next(
    place: Place, keyring: FileKeyring, kind: credentials.Kind
) -> None:
    in_kind(place, kind)
    assert sweep(place, keyring, ROTATE, BOUNDED) > 5


@pytest.mark.parametrize(("kind", "to"), [("file", "keyring"), ("keyring", "file"), ("file", "systemd")])
def test_H84_a_move_killed_anywhere_leaves_a_key_that_is_found(
    place: Place, keyring: FileKeyring, kind: credentials.Kind, to: credentials.Kind
) -> None:
    in_kind(place, to)
    in_kind(place, kind) if kind != "file" else _back_to_file(place)
    assert sweep(place, keyring, _move(to), BOUNDED) > 5


def _back_to_file(place: Place) -> None:
    with place.opened() as book:
        keys.move(book, place.store("file"))


@pytest.mark.whole
@pytest.mark.parametrize("kind", KINDS)
def test_H84_a_rotation_killed_at_each_of_its_steps(place: Place, keyring: FileKeyring, kind: credentials.Kind) -> None:
    in_kind(place, kind)
    sweep(place, keyring, ROTATE, 1)


# --- the sweep would notice -------------------------------------------------------------------------------

_PROMOTE = "        credentials.promote_key(store)\n"
_SEAL = "        _seal_anew(book, old, new)\n"
_OLD = "        old = book.key_place()[0]\n"
_EARLY = "        master = book.master_key()\n        credentials.remove_key(old)\n"

MUTANTS: dict[str, tuple[Act, tuple[Change, ...]]] = {
    "the new key is promoted before the ledger is sealed anew": (
        ROTATE,
        (change(keys.rotate, (_SEAL + _PROMOTE, _PROMOTE + _SEAL)),),
    ),
    "order keys are wrapped anew without a transaction": (
        ROTATE,
        (
            change(
                KeyBook.rewrap,
                ('connection.execute("BEGIN IMMEDIATE")\n', "\n"),
                ('connection.execute("COMMIT")\n', "\n"),
            ),
        ),
    ),
    "the secrets and the fingerprint are committed apart": (
        ROTATE,
        (change(keys._seal_anew, ("        said = {", "    with book.transaction() as t:\n        said = {")),),
    ),
    "the next slot is not looked at": (
        ROTATE,
        (change(master._stored_key, ("(store.next(), store)", "()")),),
    ),
    "a key is written where it is to lie": (
        ROTATE,
        (change(places.write_key_file, ("os.open(part,", "os.open(path,"), ("os.link(part, path)", "pass")),),
    ),
    "the old place is emptied too early": (
        _move("keyring"),
        (change(keys.move, (_OLD, _OLD + _EARLY), ("book.master_key())", "master)")),),
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_the_sweep_finds_a_planted_bug_that_only_a_kill_shows(place: Place, keyring: FileKeyring, name: str) -> None:
    act, bug = MUTANTS[name]
    with changed(*bug):
        assert not one_kill(place, keyring, 1_000_000, act), "it works as long as nobody kills it"
        with pytest.raises((AssertionError, KeyUnavailable)):
            sweep(place, keyring, act, 1)
