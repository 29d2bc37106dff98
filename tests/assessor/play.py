"""The play: a household with persons in every state, every command in one manner, and then whatever goes wrong."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.assessor.household import Household, secrets
from tests.assessor.mutants import BUGS, NO_PAUSE
from tests.assessor.process import Line
from tests.assessor.table import TABLE, Use
from tests.cli_driver import Answer

MANNERS = {"piped": (), "json": ("--json",), "quiet": ("--quiet",), "verbose": ("--verbose",), "terminal": ()}
WELL = (0, 80)
"""80: something waits for a person, such as an order without an address."""
FAULTS = ("500", "503_html", "invalid_input", "half_body", "truncated_json", "wrong_content_type", "empty_200",
          "lost_reply", "expired_token", "redirect")  # fmt: skip


@dataclass(frozen=True)
class Said:
    """An answer, and the use that led to it."""

    use: Use
    answer: Answer
    manner: str

    @property
    def may_show(self) -> bool:
        """Whether somebody was asked for, or sits there to see it."""
        return self.use.shows or (self.use.seated and self.manner == "terminal")


def prepare(house: Household) -> None:
    """Orders of the person: to be shown, shipped, cancelled; shipped already; forgotten already; without an address."""
    numbers = {
        name: house.order() for name in ("show", "ship", "cancel", "shipped", "redacted", "forget", "trouble_order")
    }
    house.sim.orders[numbers["trouble_order"]].recipient.clear()
    house.zenv("sync", "now", "a")
    for name in ("shipped", "redacted"):
        house.ship(numbers[name])
    house.good("sync", "now", "a", "shipments")
    house.aged(numbers["redacted"])
    house.redact()
    runs = house.data("sync", "history", "--limit", "500")
    troubled = [run["run"] for run in runs if run["orders_failed"] or run["failed"] or run["items_failed"]]
    files = _files(house)
    house.names = numbers | files | {
        "other": str(house.world / "other"), "safe": str(house.safe), "seller": house.sim.seller_id, "url": house.url,
        "opening": house.opening, "run": str(runs[-1]["run"]), "trouble": str((troubled or [1])[0]),
        "backup": str(house.world / "backup.db"), "prints": str(house.prints),
    }  # fmt: skip


def _files(house: Household) -> dict[str, str]:
    """Files whose names and contents hold the person, where a person keeps such files: not in zenv's world."""
    who = house.person
    items, orders = (house.inputs / f"{kind} of {who['file_name']}.csv" for kind in ("items", "orders"))
    items.write_text("sku,name\nBOWL,A bowl\n")
    orders.write_text(f"number,sku,quantity,name,line1,email,phone\nF-1,MUG,1,{who['name']},{who['line1']},"
                      f"{who['email']},{who['phone']}\nF-2,NOPE,1,{who['name']},,,\n")  # fmt: skip
    label = house.inputs / f"label for {who['file_name']}.pdf"
    label.write_bytes(f"%PDF-1.4\n({who['name']}) Tj ({who['line1']}) Tj\n%%EOF".encode())
    absent = house.inputs / f"not {who['file_name']}.csv"
    return {"items": str(items), "orders": str(orders), "absent": str(absent), "label": str(label)}


MIXED = "each in one of them"


def every_command(house: Household, wanted: str) -> Iterator[Said]:
    """Use each command of the table, in this manner."""
    choice = random.Random(4)
    for use in TABLE:
        manner = choice.choice(list(MANNERS)) if wanted == MIXED else wanted
        yield Said(use, used(house, use, manner), manner)


def used(house: Household, use: Use, manner: str) -> Answer:
    """One command of the table."""
    house.no_waiting()
    words = (*use.words(house.names), *MANNERS[manner])
    typed = {"{secrets}": secrets(house.sim), "{person}": house.person.lines}.get(use.stdin, "")
    line = Line(words, typed, house.where(stop=use.stop))
    # what is read from stdin to its end is piped in, also at a terminal
    return line.at_terminal() if manner == "terminal" and not typed else line.run()


def wrongs(house: Household, said: list[Said]) -> list[str]:
    """Answers that show somebody without being asked, and commands that should have gone well."""
    shown = [f"{one.use.path} shows {', '.join(found)}" for one in said
             if not one.may_show and (found := house.said(one.answer))]  # fmt: skip
    return shown + [f"{one.use.path} {one.use.rest} ended with {one.answer.code}" for one in said
                    if not one.use.fails and one.answer.code not in WELL]  # fmt: skip


def trouble(house: Household, faults: Sequence[str] = FAULTS, kills: int = 3) -> Iterator[Answer]:
    """Amazon out of order in every way, kill -9, a full disk, bugs of ours; each at the highest level of logging."""
    for operation in ("searchOrders", "getOrder"):
        for fault in faults:
            house.order()
            house.no_waiting()
            house.sim.fault(fault, operation, times=1 if fault == "expired_token" else 2)
            yield house.zenv("sync", "now", "a", "orders", "--verbose", mutant=NO_PAUSE)
            house.sim.faults.clear()
    for n in range(kills):
        house.order()
        house.no_waiting()
        yield house.zenv("sync", "now", "a", "--verbose", kill_after_s=0.1 + 0.05 * n)
    house.order()
    yield house.zenv("sync", "now", "a", "orders", "--verbose", most_bytes=4096)
    yield from _bugs(house)


def _bugs(house: Household) -> Iterator[Answer]:
    for bug in BUGS:
        house.order()
        house.no_waiting()
        yield house.zenv("sync", "now", "a", "orders", "--verbose", mutant=bug)
        house.was_off(days=2)
        yield house.zenv("daemon", "run", "--verbose", mutant=bug, stop=(signal.SIGTERM, 1.5))
