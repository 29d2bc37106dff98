"""`zenv init`, and ledgers and keys that are not what they should be."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest

from tests.cli_driver import Zenv, a_shop, an_empty_home  # noqa: F401  # the fixtures shop and zenv

ALL = (
    "--company",
    "Mugs",
    "--country",
    "DE",
    "--time-zone",
    "Europe/Berlin",
    "--currency",
    "EUR",
    "--key-store",
    "file",
)


def test_a_script_is_told_everything_that_is_missing_at_once(zenv: Zenv) -> None:
    answer = zenv("init", "--country", "DE")
    assert answer.code == 2
    assert all(option in answer.err for option in ("--company", "--time-zone", "--currency", "--key-store"))
    assert "--country" not in answer.err and not zenv.home.exists()


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [("--country", "Germany", "GERMANY"), ("--time-zone", "Berlin", "Berlin"), ("--currency", "Euro", "EURO"),
     ("--warehouse", " ", "warehouse needs a name")],
)  # fmt: skip
def test_a_bad_answer_makes_nothing(zenv: Zenv, option: str, value: str, said: str) -> None:
    words = [*ALL, "--warehouse", "Main"]
    words[words.index(option) + 1] = value
    answer = zenv("init", *words)
    assert answer.code == 65 and said in answer.err
    assert not list(zenv.home.rglob("*.db")) and not list(zenv.home.rglob("*.key"))


def test_the_books_are_ready_with_a_first_warehouse(zenv: Zenv) -> None:
    zenv.good("init", *ALL, "--warehouse", "Shed")
    assert zenv.data("status")["name"] == "Mugs"
    assert [row["warehouse"] for row in zenv.data("warehouses", "list")] == ["Shed"]


def test_a_second_init_leaves_the_ledger_and_its_key_alone(shop: Zenv) -> None:
    key = (shop.home / "master.key").read_bytes()
    answer = shop("init", *ALL)
    assert answer.code == 79 and "left as it is" not in answer.out
    assert (shop.home / "master.key").read_bytes() == key
    assert shop.data("status")["name"] == "Mugs GmbH"


def test_an_existing_key_file_is_never_overwritten(zenv: Zenv, tmp_path: Path) -> None:
    key = tmp_path / "other.key"
    key.write_text("precious")
    assert zenv("init", *ALL, "--key-file", str(key)).code == 79
    assert key.read_text() == "precious" and not (zenv.home / "ledger.db").exists()


def test_a_key_that_no_ledger_came_of_is_taken_away_again(zenv: Zenv) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("zenv.ledger.book.sqlite.make_private", _no_room)
        assert zenv("init", *ALL).code == 74
    assert not list(zenv.home.iterdir())
    zenv.good("init", *ALL)


def _no_room(_: Path) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_at_a_terminal_everything_is_asked(zenv: Zenv) -> None:
    typed = ("Mugs", "de", "Europe/Berlin", "eur", "file", "y")
    answer = zenv.at_terminal("init", typed=typed)
    assert answer.code == 0 and "The books of Mugs are open" in answer.out, answer.out
    assert zenv.data("status")["country"] == "DE"


def test_a_no_at_the_end_makes_nothing(zenv: Zenv) -> None:
    answer = zenv.at_terminal("init", *ALL, typed=("n",))
    assert answer.code == 0 and "Nothing was made" in answer.out and not (zenv.home / "ledger.db").exists()


# --- not what it should be ------------------------------------------------------------------------------------


def test_the_key_of_another_ledger_is_recognised(shop: Zenv, tmp_path: Path) -> None:
    other = Zenv(tmp_path / "other")
    other.good("init", *ALL)
    shop.good("orders", "create", "--line", "MUG=1", "--recipient", stdin="name=Jane\n")
    shutil.copy(other.home / "master.key", shop.home / "master.key")
    answer = shop("orders", "show", "M-1", "--with-personal-data")
    assert answer.code == 78 and "another ledger" in answer.err and "Jane" not in answer.out


def test_without_its_key_the_books_are_read_and_the_person_stays_closed(shop: Zenv) -> None:
    shop.good("orders", "create", "--line", "MUG=1", "--recipient", stdin="name=Jane\n")
    (shop.home / "master.key").unlink()
    shop.good("orders", "show", "M-1")
    shop.good("stock", "receive", "MUG", "1")
    assert shop("orders", "show", "M-1", "--with-personal-data").code == 78
    assert shop("doctor").code == 78


def test_another_program_s_file_is_left_as_it_is(zenv: Zenv) -> None:
    zenv.home.mkdir(mode=0o700)
    path = zenv.home / "ledger.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE theirs (x)")
    other.close()
    before = path.read_bytes()
    for words in (("items", "list"), ("stock", "receive", "A", "1"), ("status",)):
        answer = zenv(*words)
        assert answer.code == 78 and "not a zenv ledger" in answer.err, words
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_left_as_it_is(zenv: Zenv) -> None:
    zenv.home.mkdir(mode=0o700)
    (zenv.home / "ledger.db").write_bytes(b"all my shopping lists\n" * 500)
    for words in (("items", "list"), ("stock", "receive", "A", "1")):
        assert zenv(*words).code == 78, words


def test_a_newer_ledger_is_left_as_it_is(shop: Zenv) -> None:
    with sqlite3.connect(shop.home / "ledger.db") as newer:
        newer.execute("PRAGMA user_version = 9999")
    newer.close()
    answer = shop("stock", "receive", "MUG", "1")
    assert answer.code == 78 and "newer" in answer.err


def test_a_full_disk_loses_nothing_and_says_so(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs", disk], capture_output=True)
    if os.geteuid() != 0 or mounted.returncode:
        pytest.skip("a small disk cannot be mounted here (it needs root)")
    try:
        _fill(Zenv(disk / "home"), disk / "filler")
    finally:
        subprocess.run(["umount", disk], check=True)


def _fill(zenv: Zenv, filler: Path) -> None:
    zenv.good("init", *ALL)
    zenv.good("items", "add", "MUG")
    zenv.good("stock", "receive", "MUG", "5")
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):  # until the disk is full
        while True:
            file.write(bytes(4096))
    answers = [zenv("stock", "receive", "MUG", "1", "--note", "x" * 2000) for _ in range(20)]
    assert {answer.code for answer in answers} <= {0, 74} and answers[-1].code == 74, answers[-1]
    booked = sum(answer.code == 0 for answer in answers)
    filler.unlink()
    assert zenv.data("stock", "levels", "MUG")[0]["on_hand"] == 5 + booked
    zenv.good("doctor")
