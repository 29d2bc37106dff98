"""`zenv demo` as a person runs it: the closing table is right, the exit code says so, nothing is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from zenv.commands import demo as command
from zenv.demo import Ending, Side, differing
from zenv.demo.sides import compare, readable_names
from zenv.demo.story import SEED
from zenv.errors import Bug
from zenv.ledger import invariants, views
from zenv.ledger.book import open_book
from zenv.simulators.amazon import AmazonSimulator


class Kept:
    """One run of `zenv --json demo --keep`, in folders of its own."""

    def __init__(self, root: Path) -> None:
        self.home, self.temp = folders(root)
        self.done = run(root, "--json", "demo", "--keep")
        assert self.done.returncode == 0, self.done.stderr
        self.answer: dict[str, Any] = json.loads(self.done.stdout)["data"]
        self.ledger = Path(self.answer["ledger"])


def folders(root: Path) -> tuple[Path, Path]:
    home, temp = root / "home", root / "temp"
    home.mkdir(exist_ok=True)
    temp.mkdir(exist_ok=True)
    return home, temp


def surroundings(root: Path) -> dict[str, str]:
    """An environment in which whatever the command leaves behind is found: its own home and temporary folder, and
    no bus over which a keyring could be reached."""
    home, temp = folders(root)
    without = ("ZENV_HOME", "DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "XDG_DATA_HOME")
    kept = {name: value for name, value in os.environ.items() if name not in without}
    return kept | {"HOME": str(home), "TMPDIR": str(temp), "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}


def run(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "zenv", *words], env=surroundings(root), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return Kept(tmp_path_factory.mktemp("demo"))


def table(kept: Kept) -> dict[str, tuple[int, int]]:
    return {row["what"]: (row["ledger"], row["amazon"]) for row in kept.answer["the_ledger_beside_Amazon"]}


def test_ledger_and_amazon_agree_on_every_line_of_the_closing_table(kept: Kept) -> None:
    assert all(ours == theirs for ours, theirs in table(kept).values()), table(kept)


def test_the_day_has_listings_with_variations_orders_a_shipment_and_a_cancellation(kept: Kept) -> None:
    counts = {what: theirs for what, (_, theirs) in table(kept).items()}
    assert counts["listings"] >= 200
    assert counts["variations of another item"] > 10
    assert (counts["orders"], counts["orders shipped"], counts["orders cancelled"]) == (60, 1, 1)
    assert (counts["packages confirmed"], counts["cancellations carried out"]) == (1, 1)
    assert counts["stock levels sent"] == counts["listings that show the ledger's quantity"] > 100
    assert counts["recipients fetched, sealed"] >= 50


def test_the_kept_ledger_is_sound_and_its_connection_disabled(kept: Kept) -> None:
    with open_book(kept.ledger) as book:
        assert invariants.check_all(book) == []
    assert [row[1] for row in views.rows(kept.ledger, "SELECT connection, status FROM connections").rows] == [
        "inactive"
    ]
    assert kept.ledger.stat().st_mode & 0o077 == 0


def test_no_time_of_the_kept_ledger_lies_in_the_future(kept: Kept) -> None:
    query = (
        "SELECT MAX(at) <= datetime('now') FROM movements UNION ALL SELECT MAX(ended_at) <= datetime('now') FROM runs"
    )
    assert [past for (past,) in views.rows(kept.ledger, query).rows] == [1, 1]


def test_what_to_try_next_works_in_the_kept_ledger(kept: Kept) -> None:
    commands = [row["command"] for row in kept.answer["try_next"]]
    assert commands[0] == f"export ZENV_HOME={kept.ledger}"
    for line in commands[1:-1]:
        zenv = f"{sys.executable} -m zenv"
        shell = f"{commands[0]} && {line.replace('zenv', zenv, 1)}"
        done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=False)
        assert done.returncode == 0 and done.stdout, (line, done.stderr)


def test_without_keep_nothing_is_left_behind(tmp_path: Path) -> None:
    home, temp = folders(tmp_path)
    done = run(tmp_path, "demo")
    assert done.returncode == 0, done.stderr
    assert "answers on http://127.0.0.1:" in done.stderr
    assert list(home.iterdir()) == list(temp.iterdir()) == []


def test_an_interrupted_demo_leaves_nothing_behind(tmp_path: Path) -> None:
    home, temp = folders(tmp_path)
    demo = subprocess.Popen(
        [sys.executable, "-m", "zenv", "demo"], env=surroundings(tmp_path), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert demo.stderr is not None and demo.stderr.readline()
    assert any(temp.iterdir())
    demo.send_signal(signal.SIGINT)
    demo.communicate()
    assert demo.returncode == 130
    assert list(home.iterdir()) == list(temp.iterdir()) == []


def test_a_ledger_that_says_other_than_amazon_is_found_out(kept: Kept) -> None:
    other = AmazonSimulator(SEED)
    other.fill(200, SEED, fba=0.1)
    other.place_order([(next(sku for sku, one in other.listings.items() if one.quantity), 1)])
    wrong = {side.what for side in differing(compare(kept.ledger, other, levels_sent=178))}
    assert {"orders", "units ordered", "orders shipped", "packages confirmed", "cancellations carried out",
            "stock levels sent", "recipients fetched, sealed", "units for sale"} <= wrong  # fmt: skip


def test_a_difference_ends_the_command_with_an_error() -> None:
    sides = [Side("listings", 3, 3), Side("orders", 59, 60)]
    answer = command.answer(Ending(sides, 1.0, 60.0, "SKU", "ORDER"), None)
    assert isinstance(answer.trouble, Bug) and "orders" in answer.trouble.message
    assert "listings" not in answer.trouble.message


def test_a_name_that_can_be_read_in_a_file_is_found(tmp_path: Path) -> None:
    sim = AmazonSimulator(SEED)
    sim.add_listing("MUG", quantity=1)
    order = sim.place_order([("MUG", 1)])
    assert readable_names(tmp_path, sim).ledger == 0
    (tmp_path / "leak").write_text(f"x{sim.orders[order].recipient['name']}x")
    assert readable_names(tmp_path, sim).ledger == 1


def test_no_thread_of_the_simulated_amazon_outlives_the_block(tmp_path: Path) -> None:
    from zenv.demo import play

    (tmp_path / "home").mkdir(mode=0o700)
    play(tmp_path / "home", lambda _: None)
    assert "amazon-simulator" not in {thread.name for thread in threading.enumerate()}
