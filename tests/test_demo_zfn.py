"""`zenv demo zfn` as a person runs it: both ledgers and Amazon agree, the exit code says so, nothing is left behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.test_demo import folders, run, surroundings
from zenv.commands import demo as command
from zenv.demo import NetworkEnding
from zenv.demo.network_sides import Line
from zenv.errors import Bug
from zenv.ledger import invariants
from zenv.ledger.book import open_book


class Kept:
    """One run of `zenv --json demo zfn --keep`, in folders of its own."""

    def __init__(self, root: Path) -> None:
        self.done = run(root, "--json", "demo", "zfn", "--keep")
        assert self.done.returncode == 0, self.done.stderr
        self.answer: dict[str, Any] = json.loads(self.done.stdout)["data"]
        self.home = Path(self.answer["ledgers"])
        self.table = {row["what"]: row for row in self.answer["both_ledgers_beside_Amazon"]}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return Kept(tmp_path_factory.mktemp("demo"))


def test_both_ledgers_and_amazon_agree_on_every_line_of_the_closing_table(kept: Kept) -> None:
    assert all(row["same"] == "yes" for row in kept.table.values()), kept.table


def test_the_story_has_goods_sent_orders_handed_over_and_packages_told(kept: Kept) -> None:
    counts = {what: row["client"] for what, row in kept.table.items()}
    assert counts["items of the client"] >= 30
    assert counts["units received there"] == counts["units on the provider's shelves"] + counts["units it has shipped"]
    assert counts["orders the provider ships"] == counts["shipped"] + 1 > 5
    assert counts["packages confirmed with the provider's tracking number"] == counts["shipped"]
    assert counts["recipients it knows, sealed"] == counts["shipped"]


@pytest.mark.parametrize("side", ["provider", "client"])
def test_the_kept_ledgers_are_sound_and_their_owners_alone(kept: Kept, side: str) -> None:
    with open_book(kept.home / side) as book:
        assert invariants.check_all(book) == []
    assert (kept.home / side).stat().st_mode & 0o077 == 0


def test_what_to_try_next_works_in_the_kept_ledgers(kept: Kept) -> None:
    *looks, serve = [row["command"] for row in kept.answer["try_next"]]
    for line in looks:
        words = line.split()[1:]
        done = subprocess.run([sys.executable, "-m", "zenv", *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0 and done.stdout.count("\n") > 1, (line, done.stderr)
    face = subprocess.Popen([sys.executable, "-m", "zenv", *serve.split()[1:]], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # fmt: skip
    assert face.stdout is not None and face.stdout.readline().startswith("listening on 127.0.0.1:")
    face.send_signal(signal.SIGINT)
    face.communicate()
    assert face.returncode == 0


def test_without_keep_nothing_is_left_behind(tmp_path: Path) -> None:
    home, temp = folders(tmp_path)
    done = run(tmp_path, "demo", "zfn")
    assert done.returncode == 0, done.stderr
    assert "both sides show the fingerprint" in done.stderr
    assert list(home.iterdir()) == list(temp.iterdir()) == []


def test_an_interrupted_demo_leaves_nothing_behind(tmp_path: Path) -> None:
    home, temp = folders(tmp_path)
    demo = subprocess.Popen(
        [sys.executable, "-m", "zenv", "demo", "zfn"], env=surroundings(tmp_path), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert demo.stderr is not None and demo.stderr.readline()
    demo.send_signal(signal.SIGINT)
    demo.communicate()
    assert demo.returncode == 130
    assert list(home.iterdir()) == list(temp.iterdir()) == []


def test_keep_in_the_wrong_place_is_not_ignored(tmp_path: Path) -> None:
    done = run(tmp_path, "demo", "--keep", "zfn")
    assert done.returncode == 2 and "zenv demo zfn --keep" in done.stderr


def test_a_difference_ends_the_command_with_an_error() -> None:
    lines = [Line("items", 3, 3, None), Line("orders", 4, None, 5), Line("units", None, 1, 1)]
    answer = command.network_answer(NetworkEnding(lines, 1.0, "", ""), None)
    assert isinstance(answer.trouble, Bug) and answer.trouble.message.endswith("do not agree on: orders.")


def test_no_thread_of_the_provider_outlives_the_story(tmp_path: Path) -> None:
    from zenv.demo import play_network

    play_network(tmp_path, lambda _: None)
    assert not {"amazon-simulator", "provider"} & {thread.name for thread in threading.enumerate()}
