"""What an assessor tries, each as a function from a household to what was found wrong: nothing, or the product leaks.

Every suite is run on the product, and on the product with each leak that it is there to find.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

from tests.assessor import thief
from tests.assessor.household import Household
from tests.assessor.markers import FIELDS, found_in
from tests.assessor.pages import values
from tests.assessor.search import in_file
from tests.assessor.table import reading
from tests.straced import ROOT
from zenv import credentials
from zenv.ledger import sqlite
from zenv.ledger.home import KEYS, LEDGER
from zenv.privacy import REDACTED

_numbers = count()


def _known(house: Household) -> str:
    """An order whose person zenv knows, and another of which Amazon tells no address."""
    number, without = house.order(), house.order()
    house.sim.orders[without].recipient.clear()
    house.no_waiting()
    house.zenv("sync", "now", "a", "orders")
    assert house.mutant or house.person_of(number) == house.person.personal
    return number


def _shipped(house: Household, days: int = 45) -> str:
    """An order that left so long ago, its person still known."""
    number = _known(house)
    house.ship(number)
    house.aged(number, days)
    return number


# ---- what is left, what is said, what is written -----------------------------------------------------------


def leaves_nobody(house: Household) -> list[str]:
    """I13: after a sync, a shipment, a backup and the redaction nobody stands in any file."""
    number = _shipped(house)
    slip = house.prints / f"slip-{next(_numbers)}.pdf"
    house.zenv("orders", "slip", number, "--output", str(slip))
    assert in_file(slip, house.person), "the search does not see who stands on a slip"
    found = house.traces()
    house.good("backup", str(house.world / f"backup-{next(_numbers)}.db"))
    house.redact()
    house.good("backup", str(house.world / f"backup-{next(_numbers)}.db"))
    house.good("orders", "show", number)
    return found + house.traces()


def says_nobody(house: Household) -> list[str]:
    """I13: neither an answer nor the log at its highest level nor what is said of a failure names anybody."""
    number = _known(house)
    _somebody_new(house)
    said = [house.zenv("sync", "now", "a", "--verbose"), *(house.zenv(*words, *manner) for words in (
        ("orders", "show", number), ("orders", "list"), ("sync", "history"), ("inbox",), ("status",))
        for manner in ((), ("--json",)))]  # fmt: skip
    _somebody_new(house)
    said.append(house.zenv("sync", "now", "a", "orders", "--verbose"))
    return [found for answer in said for found in house.said(answer)]


def writes_nobody(house: Household) -> list[str]:
    """Not even for a moment: no system call of a sync, a shipment's day and a redaction writes anybody anywhere."""
    aged = _shipped(house)
    number = house.order()
    house.no_waiting()
    done = (("sync", "now", "a", "--verbose"), ("orders", "show", aged, "--json"), ("sync", "now", "housekeeping"),
            ("orders", "slip", number, "--output", str(house.prints / f"slip-{next(_numbers)}.pdf")))  # fmt: skip
    found = [said for words in done for said in _written(house, *words)]
    assert house.person_of(number) == house.person.personal
    assert set(house.person_of(aged).values()) == {REDACTED}
    return found


WRITING = ("write", "pwrite64", "writev", "pwritev", "pwritev2", "sendto", "sendmsg", "openat", "rename", "renameat2",
           "mkdir", "link", "linkat", "symlink")  # fmt: skip
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_FILE = re.compile(r"^\d+ +\w+\(\d+<((?:\\x[0-9a-f]{2})*)>")


def _written(house: Household, *words: str) -> list[str]:
    log = house.folder / f"calls-{next(_numbers)}"
    subprocess.run(
        ["strace", "-f", "-qq", "-y", "-xx", "-s", "1000000", "-o", str(log), "-e", f"trace={','.join(WRITING)}",
         sys.executable, "-m", "tests.assessor.leaky", house.mutant, *words],
        cwd=ROOT, capture_output=True, timeout=120, check=False, env={**os.environ, **house.where().environment},
    )  # fmt: skip
    lines = log.read_text("ascii").splitlines()
    assert any("pwrite64" in line for line in lines), "nothing was seen"
    found = {(line.split("(")[0].split()[-1], who) for line in lines if not _asked_for(house, line)
             for text in _TEXT.findall(line) for who in found_in(_bytes(text), house.person)}  # fmt: skip
    return [f"{who} in a {call} of zenv {' '.join(words)}" for call, who in sorted(found)]


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def _asked_for(house: Household, line: str) -> bool:
    """Whether a call writes into the folder where a person has papers printed to."""
    file = _FILE.match(line)
    return file is not None and _bytes(file[1]).startswith(bytes(house.prints))


def _somebody_new(house: Household) -> None:
    house.sim.orders[house.order()].recipient.clear()
    house.order()
    house.no_waiting()


# ---- thieves ---------------------------------------------------------------------------------------------


def stolen_without_the_key(house: Household) -> list[str]:
    """The ledger, its backups and the key book open nobody, hold no key, and confirm no guess of an address."""
    _known(house)
    house.good("backup")
    stolen = thief.steal(house.home, house.folder / f"stolen-{next(_numbers)}", keys=True)
    boxes = thief.sealed(*thief.ledgers_in(stolen))
    assert boxes
    guesses = [house.person["email"], "somebody.else@relay.example"]
    opened = [f"{key} opens" for key in thief.opened_by_any_bytes(stolen, boxes)]
    master = ["the master key lies there"] if thief.is_master(stolen, _fingerprint(stolen)) else []
    wrong = thief.read_with(os.urandom(32), stolen, boxes)
    return [*opened, *master, *map(str, wrong), *thief.guesses_confirmed(stolen, guesses)]


def stolen_with_the_key(house: Household) -> list[str]:
    """C20: with the master key too, and backups of before, nobody who was redacted is opened; the others are."""
    number = _shipped(house)
    house.good("orders", "slip", number, "--output", str(house.prints / f"slip-{next(_numbers)}.pdf"))
    house.good("backup")
    old = thief.steal(house.home, house.folder / f"old-{next(_numbers)}", keys=False)
    known = set(_key_ids(house.home, number))
    house.redact()
    kept = _known(house)
    now = thief.steal(house.home, house.folder / f"now-{next(_numbers)}", keys=True)
    shutil.copytree(old, now / "older")
    boxes = thief.sealed(*thief.ledgers_in(now))
    assert known & {key for key, _ in boxes}, "the old backup holds the sealed bytes"
    master = _master(house)
    assert thief.read_with(master, now, [box for box in boxes if box[0] in _key_ids(house.home, kept)])
    opened = thief.read_with(master, now, [box for box in boxes if box[0] in known])
    papers = [f"the papers under {key}" for key in thief.keys_with(master, now, known)]
    return [*(f"{len(person)} fields of a person" for person in opened), *papers]


def _key_ids(home: Path, number: str) -> list[str]:
    with closing(sqlite.open_ours(home / LEDGER)) as connection:
        query = "SELECT key_id FROM personal p JOIN customer_order o ON o.id = p.order_id WHERE o.number = ?"
        return [key for (key,) in connection.execute(query, (number,))]


def _fingerprint(home: Path) -> str:
    with closing(sqlite.open_ours(home / LEDGER)) as connection:
        return str(connection.execute("SELECT key_fingerprint FROM company").fetchone()[0])


def _master(house: Household) -> bytes:
    return credentials.master_key(credentials.KeyStore("file", str(house.safe / "zenv.key"), ""))


def restored_shows_nobody(house: Household) -> list[str]:
    """A backup of before the redaction, and one of before zenv knew the person, brought back: nobody reappears."""
    number, early = house.order(), house.world / f"early-{next(_numbers)}.db"
    house.good("backup", str(early))
    house.zenv("sync", "now", "a", "orders")
    backup = house.world / f"late-{next(_numbers)}.db"
    house.good("backup", str(backup))
    house.ship(number)
    house.good("sync", "now", "a", "shipments")
    house.aged(number)
    house.redact()
    found = []
    for file in (backup, early):
        house.good("restore", str(file), "--yes")
        found += _wrong_in(house, number) if file == backup else []
        house.no_waiting()
        house.zenv("sync", "now", "a")
        house.aged(number)
        house.redact()
        found += [who for who in _wrong_in(house, number) if file == backup or "lacks" not in who]
    return found + house.traces()


def _wrong_in(house: Household, number: str) -> list[str]:
    """Fields of a redacted order that read anything else than REDACTED (A38)."""
    shown = house.person_of(number)
    return [f"{of} {'lacks REDACTED' if of not in shown else 'is readable'}" for of in FIELDS
            if shown.get(of) != REDACTED]  # fmt: skip


# ---- on time, and nothing else -----------------------------------------------------------------------------


class Watch(list[Any]):
    """Amazon's log of requests: at each, whether the key of an order that is overdue is still there."""

    def __init__(self, home: Path, key_ids: list[str]) -> None:
        super().__init__()
        self.asked_while_known: list[str] = []
        self._home, self._key_ids = home, key_ids

    def append(self, seen: Any) -> None:
        super().append(seen)
        kept = set(values(self._home / KEYS))
        if any(key.encode() in kept for key in self._key_ids):
            self.asked_while_known.append(str(seen.operation))


def forgets_first(house: Household) -> list[str]:
    """I7: after 45 days off, no request leaves before who is due was forgotten."""
    number = ready_for_time_off(house)
    house.aged(number)
    house.was_off()
    watch = watched(house, number)
    house.zenv("sync", "due")
    return asked_while_known(house, number, watch)


def ready_for_time_off(house: Household) -> str:
    """An order that was shipped and told, whose person is known; everything has run."""
    number = _known(house)
    house.ship(number)
    house.zenv("sync", "due")
    return number


def watched(house: Household, number: str) -> Watch:
    """Amazon's log of requests from now on."""
    watch = Watch(house.home, _key_ids(house.home, number))
    house.sim.requests = watch
    return watch


def asked_while_known(house: Household, number: str, watch: Watch) -> list[str]:
    """Requests that left while the key was there, and what can be read all the same."""
    assert watch, "nothing was asked"
    return watch.asked_while_known + [who for who in _wrong_in(house, number) if "readable" in who]


ABOUT_REDACTION = {"runs", "run_failures", "schedule", "attendances", "audit_trail", "customers", "papers"}
"""Views that tell of runs, of persons and of the redaction itself: not reports of the business."""


def changes_no_report(house: Household) -> list[str]:
    """A36 to A40: reports are the same byte for byte, the order is found, each of its fields reads REDACTED."""
    number = _shipped(house)
    house.names = house.names | {"show": number, "redacted": number, "opening": house.opening}
    before = _reports(house)
    house.redact()
    after = _reports(house)
    changed = [name for name in before if before[name] != after[name]]
    listed = house.data("orders", "list", number)
    lost = [] if [order["number"] for order in listed] == [number] else ["the order is not found by its number"]
    return changed + lost + _wrong_in(house, number)


def _reports(house: Household) -> dict[str, object]:
    told: dict[str, object] = {}
    for use in reading():
        words = use.words(house.names)
        told[" ".join(words)] = house.zenv(*words).out.partition("latest runs")[0]
    with closing(sqlite.open_ours(house.home / LEDGER)) as connection:
        views = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'view'")}
        for view in sorted(views - ABOUT_REDACTION):
            told[view] = sorted(map(repr, connection.execute(f"SELECT * FROM {view}").fetchall()))
    return told
