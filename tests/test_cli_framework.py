"""The root of the command line: what it loads, how it speaks, how it fails."""

from __future__ import annotations

import errno
import json
import logging
import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from sqlalchemy.exc import OperationalError

from tests.cli_driver import ROOT, Zenv, a_shop, an_empty_home  # noqa: F401  # the fixtures shop and zenv
from zenv import cli, errors, failures
from zenv.commands import lean

HEAVY = ("sqlmodel", "sqlalchemy", "httpx", "keyring", "apscheduler", "cryptography", "pydantic")
LOADED = f"""
import sys
from zenv.cli import main
code = main(sys.argv[1:])
sys.stdout.flush()
print("loaded:", *(name for name in {HEAVY!r} if name in sys.modules), file=sys.stderr)
sys.exit(code)
"""


def loaded(home: Path, *words: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *words], capture_output=True, text=True, cwd=ROOT,
        env={**os.environ, "ZENV_HOME": str(home), **environment},
    )  # fmt: skip
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize("words", [("--help",), ("--version",), ("items", "--help"), ("orders", "ship", "--help")])
def test_help_and_version_load_nothing_heavy(tmp_path: Path, words: tuple[str, ...]) -> None:
    assert loaded(tmp_path, *words) == "loaded:"


def test_completion_loads_nothing_heavy(tmp_path: Path) -> None:
    script = LOADED.replace("code = main", "import atexit\natexit.register(lambda: print('loaded:', *(name for name in "
                            f"{HEAVY!r} if name in sys.modules), file=sys.stderr))\ncode = main")  # fmt: skip
    asked = {"_ZENV_COMPLETE": "complete_bash", "COMP_WORDS": "zenv stock le", "COMP_CWORD": "2"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT,
                          env={**os.environ, "ZENV_HOME": str(tmp_path), **asked})  # fmt: skip
    assert done.stdout.split() == ["levels"]
    assert done.stderr.splitlines()[-1] == "loaded:"


def test_a_look_at_the_books_loads_neither_the_orm_nor_pydantic(shop: Zenv) -> None:
    assert loaded(shop.home, "items", "list") == "loaded:"
    assert loaded(shop.home, "stock", "levels", "MUG") == "loaded:"


def test_every_noun_of_the_table_is_a_command() -> None:
    command = typer.main.get_command(cli.app)
    context = typer.Context(command, info_name="zenv")
    assert command.list_commands(context) == list(cli.NOUNS)
    for noun in cli.NOUNS:
        assert command.get_command(context, noun).name == noun


def test_the_version_is_told(zenv: Zenv) -> None:
    assert zenv.good("--version").out == "zenv 0.1.0\n"


def test_a_slip_of_the_keyboard_is_answered_with_the_likely_command(zenv: Zenv) -> None:
    wrong = zenv("itmes", "list")
    assert wrong.code == 2 and "Did you mean 'items'" in wrong.err and "zenv --help" in wrong.err
    assert zenv("items", "lst").code == 2


def test_a_noun_alone_shows_its_verbs(zenv: Zenv) -> None:
    answer = zenv("stock")
    assert answer.code == 2 and "transfers" in answer.out


@pytest.mark.parametrize("words", [("--json", "warehouses", "list"), ("warehouses", "--json", "list"),
                                   ("warehouses", "list", "--json")])  # fmt: skip
def test_flags_may_stand_anywhere(shop: Zenv, words: tuple[str, ...]) -> None:
    assert json.loads(shop.good(*words).out)["data"][0]["warehouse"] == "Main"


def test_after_two_dashes_a_flag_is_a_value(shop: Zenv) -> None:
    shop.good("warehouses", "add", "--", "--json")
    assert [row["warehouse"] for row in shop.data("warehouses", "list")] == ["--json", "Main"]


def test_an_option_of_the_wrong_kind_is_named(shop: Zenv) -> None:
    wrong = shop("warehouses", "add", "North", "--rank", "first")
    assert wrong.code == 2 and "--rank" in wrong.err and "'first' is not a whole number" in wrong.err


def test_an_error_as_json_is_a_document_too(shop: Zenv) -> None:
    answer = shop("stock", "receive", "NOPE", "1", "--json")
    assert answer.code == 66 and answer.err == ""
    document = json.loads(answer.out)
    assert document["zenv"] == 1 and document["ok"] is False
    assert document["error"] == {"kind": "NotFound", "message": "There is no item 'NOPE'.", "hint": "zenv items list",
                                 "exit_code": 66}  # fmt: skip


def test_a_wrong_call_as_json_is_a_document_too(zenv: Zenv) -> None:
    answer = zenv("stock", "receive", "--json")
    assert answer.code == 2 and answer.error["kind"] == "UsageError"


def test_without_a_ledger_every_command_says_how_to_start_one(zenv: Zenv) -> None:
    for words in (("status",), ("items", "list"), ("stock", "receive", "A", "1"), ("inbox",), ("doctor",)):
        answer = zenv(*words)
        assert answer.code == 66 and "zenv init" in answer.err, words


def test_what_zenv_makes_is_its_owners_alone(shop: Zenv) -> None:
    for path in (shop.home, *shop.home.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_every_command_runs_with_a_mask_that_keeps_others_out(zenv: Zenv) -> None:
    before = os.umask(0o022)
    try:
        zenv.good("--version")
        assert os.umask(0o022) == 0o077
    finally:
        os.umask(before)


def test_the_actor_stands_in_the_history(shop: Zenv) -> None:
    shop.good("--as", "anna", "stock", "receive", "MUG", "1")
    assert shop.data("stock", "history", "MUG")[0]["actor"] == "anna"


def test_a_reader_that_has_seen_enough_is_no_error(shop: Zenv) -> None:
    shop.good("stock", "receive", "MUG", "1")
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) SELECT i FROM n"
    pipe = f'"{sys.executable}" -m zenv sql "{endless}" | head -1; echo "${{PIPESTATUS[0]}}"'
    done = subprocess.run(["bash", "-c", pipe], capture_output=True, text=True, cwd=ROOT,
                          env={**os.environ, "ZENV_HOME": str(shop.home)})  # fmt: skip
    assert done.stdout.split() == ["i", "0"] and done.stderr == ""


def test_ctrl_c_at_a_question_stops_with_130(zenv: Zenv) -> None:
    assert zenv.at_terminal("init", typed=("\x03",)).code == 130
    assert not (zenv.home / "ledger.db").exists()


# --- whatever is raised becomes an error of ours ---------------------------------------------------------------


def sqlite_error(text: str) -> OperationalError:
    return OperationalError("INSERT INTO personal VALUES (?)", ("Jane Doe",), sqlite3.OperationalError(text))


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (sqlite_error("database or disk is full"), errors.DiskTrouble),
        (sqlite_error("disk I/O error"), errors.DiskTrouble),
        (sqlite_error("database is locked"), errors.Busy),
        (sqlite3.OperationalError("database is locked"), errors.Busy),
        (OSError(errno.ENOSPC, "No space left on device", "/x/ledger.db"), errors.DiskTrouble),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), errors.SettingsError),
        (sqlite_error("no such table: x"), errors.Bug),
        (KeyError("Jane Doe"), errors.Bug),
    ],
)
def test_a_stray_exception_becomes_an_error_one_can_act_on(raised: Exception, kind: type[errors.ZenvError]) -> None:
    plain = failures.plain(raised)
    assert type(plain) is kind
    assert "Jane" not in plain.message + plain.hint


def test_a_bug_names_its_place_and_no_data(shop: Zenv, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ValueError("Jane Doe, 1 Secret Street")

    monkeypatch.setattr("zenv.ledger.views.counts", broken)
    answer = shop("status", "--verbose")
    assert answer.code == 70
    assert "ValueError" in answer.err and "status.py line" in answer.err
    assert "Jane" not in answer.err + answer.out
    assert "views.py" not in shop("status").err


def test_verbose_logs_zenv_and_not_the_libraries(shop: Zenv) -> None:
    before = list(logging.getLogger("zenv").handlers)
    try:
        shop.good("status", "--verbose")
        assert logging.getLogger("httpx").level == logging.WARNING or not logging.getLogger("httpx").handlers
        assert logging.getLogger("zenv").level == logging.INFO
    finally:
        logging.getLogger("zenv").handlers[:] = before
        logging.getLogger("zenv").setLevel(logging.NOTSET)


def test_plain_parameters_stand_where_typer_looks_for_them() -> None:
    command = cli.load("stock")
    ours = [param for param in command.commands["receive"].params if isinstance(param._runtime_param, lean.Plain)]
    assert len(ours) == len(command.commands["receive"].params)


SPEAKING_OUT_OF_TURN = """
import logging, sys
from pathlib import Path
from zenv import commands
from zenv.output import Manner
commands.begin(Path(sys.argv[1]), "tester", Manner(), verbose=True)
logging.getLogger("zenv.http").warning("asked with %s", "Atza|" + "MARKER" * 4)
"""


def test_I13_what_is_logged_at_verbose_passes_the_net_that_masks_tokens(tmp_path: Path) -> None:
    told = subprocess.run([sys.executable, "-c", SPEAKING_OUT_OF_TURN, str(tmp_path)], capture_output=True, text=True)
    assert told.returncode == 0 and "asked with" in told.stderr
    assert "MARKER" not in told.stderr
