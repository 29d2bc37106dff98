"""`zenv privacy`, `zenv audit` and `zenv customers` as a person and a script meet them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli_account import a_seller as a_seller
from tests.cli_account import ago, change
from tests.cli_account import an_account as an_account
from tests.cli_driver import Zenv
from tests.cli_driver import a_shop as a_shop
from tests.cli_driver import an_empty_home as an_empty_home
from zenv.simulators.amazon import AmazonSimulator


@pytest.fixture(name="sold")
def an_order_that_was_read(connected: Zenv, sim: AmazonSimulator) -> tuple[Zenv, str]:
    """The account with its first order, and the number of that."""
    connected.good("stock", "receive", "MUG", "5")
    for task in ("items", "orders"):
        connected.good("sync", "now", "a", task)
    (one,) = connected.data("orders", "list")
    return connected, one["number"]


def test_A30_check_names_what_is_overdue_and_says_so_with_its_exit_code(sold: tuple[Zenv, str]) -> None:
    zenv, number = sold
    assert zenv.good("privacy", "check").code == 0
    change(zenv.home, "UPDATE customer_order SET shipped_at = ?", ago(days=31))
    answer = zenv("privacy", "check", "--json")
    assert (answer.code, [row["number"] for row in answer.data]) == (80, [number])
    assert "that is past" in zenv.data("privacy", "explain", number)["why"]
    zenv.good("sync", "now", "housekeeping", "redaction")
    assert zenv.good("privacy", "check").code == 0
    assert zenv.data("privacy", "explain", number)["person"] == "redacted"
    (entry,) = zenv.data("audit", "list", "--action", "redacted")
    assert (entry["subject"], "late=yes" in entry["detail"]) == (number, True)


def test_A27_a_longer_term_is_refused_and_the_policy_shows_a_shorter_one(shop: Zenv) -> None:
    refused = shop("privacy", "set", "amazon-recipients", "31")
    assert refused.code == 79 and "30 days at most" in refused.err
    shop.good("privacy", "set", "amazon-recipients", "14")
    days = {row["entry"]: (row["days"], row["ceiling"]) for row in shop.data("privacy", "policy")}
    assert days["amazon-recipients"] == days["amazon-papers"] == (14, 30)
    assert days["own-recipients"] == (None, None)
    shop.good("privacy", "set", "amazon-recipients", "default")
    assert {row["days"] for row in shop.data("privacy", "policy") if row["entry"] == "amazon-papers"} == {30}


def test_A36_an_order_is_forgotten_by_hand_only_with_a_yes_and_is_still_found(sold: tuple[Zenv, str]) -> None:
    zenv, number = sold
    preview = zenv("privacy", "redact", number)
    assert preview.code == 2 and number in preview.out
    assert zenv.data("privacy", "explain", number)["person"] == "kept"
    assert zenv("privacy", "redact").code == 2
    assert zenv.data("privacy", "redact", number, "--yes")["orders"] == 1
    assert zenv.data("orders", "show", number)["number"] == number
    assert zenv.good("privacy", "verify").code == 0


def test_an_account_that_is_left_is_forgotten_whole_and_customers_with_it(sold: tuple[Zenv, str]) -> None:
    zenv, number = sold
    (customer,) = zenv.data("customers", "list")
    assert (customer["customer"], customer["orders"], customer["forgotten_at"]) == ("C-000001", 1, None)
    assert zenv.data("privacy", "redact", "--connection", "a", "--yes")["orders"] == 1
    about = zenv.data("customers", "show", "C-000001")
    assert about["forgotten_at"] and [row["number"] for row in about["orders"]] == [number]
    assert zenv.data("privacy", "redact", "--customer", "C-000001", "--yes")["orders"] == 0
    assert zenv("customers", "show", "C-000009").code == 66


def test_a_certificate_is_written_and_checked_without_a_ledger(sold: tuple[Zenv, str], tmp_path: Path) -> None:
    zenv, number = sold
    zenv.good("privacy", "redact", number, "--yes")
    file = tmp_path / "certificate.json"
    made = zenv.data("privacy", "certificate", "--to", str(file))
    assert made["orders"] == 1 and zenv("privacy", "certificate", "--to", str(file)).code == 65
    stranger = Zenv(tmp_path / "nothing here")
    words = ("privacy", "certificate", "--check", str(file), "--public-key")
    assert stranger.data(*words, made["public_key"])["orders"] == 1
    assert stranger(*words, "00" * 32).code == 65
    file.write_text(file.read_text().replace(number, "A-0"))
    assert stranger(*words, made["public_key"]).code == 65
    assert json.loads(zenv.good("privacy", "certificate").out)["orders"][0]["number"] == number


def test_verify_finds_and_clear_takes_away(shop: Zenv) -> None:
    change(shop.home, "INSERT INTO notice (kind, subject, text, command, noticed_at)"
                      " VALUES ('note', 'x', 'write to me@shop.example', '', ?)", ago(days=1))  # fmt: skip
    answer = shop("privacy", "verify", "--json")
    assert answer.code == 70 and [row["check"] for row in answer.data["found"]] == ["text"]
    assert shop("privacy", "clear").code == 2
    assert shop.data("privacy", "clear", "--yes")["texts"] == 1
    assert shop.good("privacy", "verify").code == 0


def test_old_orders_are_counted_and_removed_only_with_a_yes(sold: tuple[Zenv, str], tmp_path: Path) -> None:
    zenv, _ = sold
    assert zenv.data("privacy", "old")["orders"] == 0
    assert zenv("privacy", "old", "--remove", "--archive", str(tmp_path / "x")).code == 2
    assert zenv("privacy", "old", "--remove").code == 2
    assert zenv.data("privacy", "old", "--archive", str(tmp_path / "x"), "--yes")["orders"] == 0


def test_H84_the_trail_is_listed_and_proved_and_its_head_is_kept(shop: Zenv) -> None:
    assert [row["action"] for row in shop.data("audit", "list")] == ["added user"], "whoever began the books"
    shop.good("privacy", "set", "own-recipients", "90")
    head = shop.good("audit", "head").out.strip()
    shop.good("key", "export", "--yes")
    assert [row["action"] for row in shop.data("audit", "list")] == ["exported key", "set privacy term", "added user"]
    assert shop.good("audit", "verify", "--head", head).code == 0
    unknown = shop("audit", "verify", "--head", "00" * 15 + "01")
    assert unknown.code == 70 and "taken out" in unknown.out
    assert shop("audit", "verify", "--head", "tea").code == 65
    change(shop.home, "DROP TRIGGER audit_is_never_changed")
    change(shop.home, "UPDATE audit SET actor = 'nobody' WHERE id = 1")
    broken = shop("audit", "verify", "--json")
    assert (broken.code, [row["entry"] for row in broken.data]) == (70, [1])
