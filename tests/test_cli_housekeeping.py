"""Housekeeping by hand: zenv's own tasks run like those of an account, and what fails is not silent."""

from __future__ import annotations

import shutil

from tests.cli_driver import Zenv
from tests.cli_driver import a_shop as a_shop
from tests.cli_driver import an_empty_home as an_empty_home

CHORES = ["redaction", "backup", "check", "history"]


def test_all_of_it_runs_now_and_leaves_a_history(shop: Zenv) -> None:
    assert [(row["task"], row["outcome"]) for row in shop.data("sync", "now", "housekeeping")] == [
        (name, "ok") for name in CHORES
    ]
    assert [row["connection"] for row in shop.data("sync", "history")] == ["housekeeping"] * 4
    assert len(list((shop.home / "backups").glob("ledger-*.db"))) == 1


def test_one_of_it_runs_now_and_an_unknown_one_is_refused_with_the_names(shop: Zenv) -> None:
    assert [row["task"] for row in shop.data("sync", "now", "housekeeping", "history")] == ["history"]
    refused = shop("sync", "now", "housekeeping", "tea")
    assert refused.code == 66 and "redaction, backup, check, history" in refused.err


def test_a_connection_cannot_take_its_name(shop: Zenv) -> None:
    account = ("--country", "DE", "--seller-id", "A2", "--endpoint", "http://127.0.0.1:1", "--consent", "--yes")
    secrets = "client_id=a\nclient_secret=b\nrefresh_token=c\n"
    refused = shop("connect", "amazon", "--name", "housekeeping", *account, "--secret-stdin", stdin=secrets)
    assert refused.code in (65, 69)
    assert shop.data("connections", "list") == []


def test_a_backup_that_fails_is_the_exit_code_of_sync_due_and_late_on_the_inbox(shop: Zenv) -> None:
    shutil.rmtree(shop.home / "backups", ignore_errors=True)
    (shop.home / "backups").write_text("in the way")
    answer = shop("sync", "due")
    assert answer.code == 78 and "backups" in answer.err
    (backup,) = [row for row in shop.data("schedule") if row["task"] == "backup"]
    assert backup["why"] == "failed once"
    (shop.home / "backups").unlink()
    shop.good("sync", "now", "housekeeping", "backup")


def test_what_the_daily_check_finds_comes_to_the_inbox_with_its_command(shop: Zenv) -> None:
    from tests.cli_account import change

    change(shop.home, "INSERT INTO rate_bucket VALUES ('x|y', 1e9, 1.0, 0.0, 0.0)")
    shop.good("sync", "now", "housekeeping", "check")
    (entry,) = [row for row in shop.data("inbox") if row["kind"] == "doctor"]
    assert entry["command"].startswith("zenv doctor mend buckets")
    shop.good(*entry["command"].split()[1:])
    shop.good("sync", "now", "housekeeping", "check")
    assert [row for row in shop.data("inbox") if row["kind"] == "doctor"] == []
