"""What `zenv doctor` finds is mended by the very command the finding names, and then it is silent."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests import books
from tests.books import line, order, record
from tests.cli_driver import Zenv
from tests.test_invariants import DAMAGE, NO_TRIGGERS, busy_home, harm, make_busy  # noqa: F401  # a fixture among them
from zenv.errors import NotFound
from zenv.ledger import mending
from zenv.ledger.book import Book

MOST_COMMANDS = 30


def mended_by_its_commands(zenv: Zenv) -> list[str]:
    """Run the command of the first finding until there is none; the commands."""
    given: list[str] = []
    while found := zenv("doctor", "--json").data:
        assert len(given) < MOST_COMMANDS, found
        command = found[0]["command"]
        given.append(command)
        _, *words = shlex.split(command)
        if command == "zenv restore":
            backup = next(one for one in zenv.data("restore") if Path(one["file"]).name.startswith("ledger-2"))
            words.append(backup["file"])
        answer = zenv(*words)
        if answer.code == 2 and "--yes" in answer.err:  # it says first what it would change
            answer = zenv(*words, "--yes")
        assert answer.code == 0, (command, answer)
    zenv.good("doctor")
    return given


@pytest.mark.parametrize("name", DAMAGE)
def test_the_command_of_a_finding_mends_it(busy_home: Path, tmp_path: Path, name: str) -> None:  # noqa: F811
    zenv = Zenv(books.home_like(busy_home, tmp_path / "home"))
    zenv.good("backup")
    zenv.good("doctor")
    harm(zenv.home, DAMAGE[name].sql)
    broken = zenv("doctor", "--json")
    assert broken.code == 70 and DAMAGE[name].check in {found["check"] for found in broken.data}
    assert mended_by_its_commands(zenv)


@pytest.mark.parametrize("name", ["ledger.db", "keys.db", "backups", ""])
def test_I13_the_command_closes_what_was_open(busy_home: Path, tmp_path: Path, name: str) -> None:  # noqa: F811
    zenv = Zenv(books.home_like(busy_home, tmp_path / "home"))
    zenv.good("backup")
    (zenv.home / name).chmod(0o744)
    assert mended_by_its_commands(zenv) == ["zenv doctor mend files"]
    assert (zenv.home / name).stat().st_mode & 0o777 == 0o700  # what its owner could do stays


@pytest.fixture
def busy(book: Book) -> Book:
    return make_busy(book)


def test_a_mend_that_changes_quantities_shows_them_first_and_asks(busy: Book) -> None:
    zenv = Zenv(busy.home)
    harm(busy.home, "UPDATE level SET on_hand = on_hand + 5 WHERE warehouse_id = 1")
    before = books.shelf(busy, "LAMP")
    shown = zenv("doctor", "mend", "levels")
    assert shown.code == 2 and "LAMP on_hand in Main" in shown.out
    assert books.shelf(busy, "LAMP") == before
    answer = zenv.at_terminal("doctor", "mend", "levels", typed=("n",))
    assert "Stock follows its movements" in answer.out and books.shelf(busy, "LAMP") == before
    zenv.at_terminal("doctor", "mend", "levels", typed=("y",))
    assert books.shelf(busy, "LAMP")[0] == before[0] - 5


def test_a_preview_takes_everything_back(busy: Book) -> None:
    harm(busy.home, NO_TRIGGERS + "UPDATE movement SET note = 'x' WHERE id = 2")
    assert mending.preview(busy, "chain")
    assert {found.split(" ")[0] for found in books.findings(busy)} == {"triggers", "chain"}
    for check in ("triggers", "chain"):
        mending.mend(busy, check)


def test_I5_a_lost_movement_leaves_a_correction_with_the_name_of_who_mended(busy: Book) -> None:
    shelf = books.shelf(busy, "LAMP")
    harm(busy.home, NO_TRIGGERS + "DELETE FROM movement WHERE reason = 'received'")
    for check in ("triggers", "chain", "levels"):
        mending.mend(busy, check)
    assert books.shelf(busy, "LAMP") == shelf
    ((actor, quantity),) = books.ask(busy, "SELECT actor, quantity FROM movements WHERE reason = 'adjusted'")
    assert (actor, quantity) == ("tester", 10)


def test_I6_reservations_that_do_not_fit_are_made_again_for_the_oldest_orders(busy: Book) -> None:
    harm(busy.home, "UPDATE reservation SET quantity = quantity + 1")
    mending.mend(busy, "reservations")
    held = {number: (reserved, picked) for number, reserved, picked in
            books.ask(busy, "SELECT number, reserved, picked FROM order_lines WHERE reserved > 0")}  # fmt: skip
    assert held == {"A-1": (4, 0), "A-2": (1, 0)}
    assert books.movements(busy, "LAMP")[-1] == ("unpicked", 4)


def test_I4_a_package_that_was_forgotten_is_looked_up_before_it_is_told(busy: Book) -> None:
    harm(busy.home, "DELETE FROM message WHERE kind <> 'stock_level'")
    mending.mend(busy, "messages")
    assert {("shipment", "A-2/2", "unknown"), ("cancellation", "A-4", "unknown")} <= books.owed(busy)


def test_a_package_counts_as_much_as_left_the_shelf(busy: Book) -> None:
    """Two units of A-2 left, in two packages; the line and a package are damaged in turn."""
    harm(busy.home, "UPDATE shipment_line SET quantity = 2 WHERE shipment_id = 1")
    mending.mend(busy, "shipments")
    assert books.counts(busy, "A-2") == [("LAMP", 3, 0, 2)]
    assert books.findings(busy) == []
    harm(busy.home, "UPDATE order_line SET shipped = 1 WHERE order_id = 2")
    mending.mend(busy, "shipments")
    assert books.counts(busy, "A-2") == [("LAMP", 3, 0, 2)]


def test_orders_get_the_state_of_their_lines_back(busy: Book) -> None:
    before = books.ask(busy, "SELECT number, state FROM orders ORDER BY number")
    harm(busy.home, "UPDATE customer_order SET state = 'completed'")
    mending.mend(busy, "orders")
    after = books.ask(busy, "SELECT number, state FROM orders ORDER BY number")
    assert [(number, state) for number, state in after if number != "A-5"] == [
        (number, state) for number, state in before if number != "A-5"
    ]
    assert ("A-5", "completed") in after  # all of it had left: nothing contradicts that


def test_I13_what_lay_open_is_erased_and_a_login_is_asked_for(busy: Book) -> None:
    harm(busy.home, DAMAGE["I13 a credential in plain text"].sql)
    mending.mend(busy, "seals")
    assert ("login", "amazon") in books.inbox(busy)
    busy.close()
    assert b"made-up" not in (busy.home / "ledger.db").read_bytes()


def test_I8_a_stream_whose_cursor_was_lost_is_read_again_without_anything_twice(busy: Book) -> None:
    harm(busy.home, "UPDATE cursor SET position = '?'")
    mending.mend(busy, "cursors")
    before = books.ask(busy, "SELECT * FROM orders")
    record(busy, books.AMAZON, order("A-3", line("LAMP", 99)))
    assert books.ask(busy, "SELECT * FROM orders") == before


def test_what_cannot_be_mended_says_so(busy: Book) -> None:
    with pytest.raises(NotFound):
        mending.mend(busy, "weather")
    assert Zenv(busy.home)("doctor", "mend", "weather").code == 66


def test_nothing_to_mend_changes_nothing(busy: Book) -> None:
    zenv = Zenv(busy.home)
    for check in (*mending.MENDS, "files"):
        assert zenv.data("doctor", "mend", check, "--yes") == []


def test_a_key_store_that_cannot_be_reached_is_a_finding_with_a_way_out(busy: Book) -> None:
    key = next(busy.home.parent.glob("zenv.key"), None) or Path(books.ask(busy, "SELECT key_detail FROM company")[0][0])
    away = key.rename(key.with_name("away"))
    try:
        (found,) = Zenv(busy.home)("doctor", "--json").data
    finally:
        away.rename(key)
    assert found["check"] == "key" and found["text"] and found["command"]
