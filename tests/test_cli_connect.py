"""`zenv connect`, `connections` and `sync` against the simulated Amazon, over real HTTP."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from tests.cli_driver import Zenv, a_shop, an_empty_home  # noqa: F401  # the fixtures shop and zenv
from zenv.simulators.amazon import AmazonSimulator, serve

SECRETS = ("client_id", "client_secret", "refresh_token")


@pytest.fixture(name="sim")
def a_small_amazon() -> AmazonSimulator:
    sim = AmazonSimulator(seed=7)
    sim.add_listing("MUG", name="A mug", quantity=5)
    sim.add_listing("PLATE", name="A plate", quantity=3)
    return sim


@pytest.fixture(name="url")
def its_address(sim: AmazonSimulator) -> Iterator[str]:
    with serve(sim) as url:
        yield url


def secret_lines(sim: AmazonSimulator, **other: str) -> str:
    known = {name: getattr(sim, name) for name in SECRETS}
    return "".join(f"{name}={value}\n" for name, value in (known | other).items())


def words(sim: AmazonSimulator, url: str, *more: str) -> tuple[str, ...]:
    return ("connect", "amazon", "--country", "US", "--seller-id", sim.seller_id, "--endpoint", url, "--secret-stdin",
            "--consent", *more)  # fmt: skip


@pytest.fixture(name="connected")
def a_connected_shop(shop: Zenv, sim: AmazonSimulator, url: str) -> Zenv:
    shop.good(*words(sim, url, "--yes", "--enable"), stdin=secret_lines(sim))
    return shop


# --- connecting -----------------------------------------------------------------------------------------------


def test_A22_everything_that_is_missing_is_named_at_once(shop: Zenv) -> None:
    shop.good("warehouses", "add", "North")
    answer = shop("connect", "amazon")
    assert answer.code == 2
    for field in ("--country", "--seller-id", "--warehouse", "--consent", *SECRETS):
        assert field in answer.err


def test_A20_without_consent_nothing_is_stored(shop: Zenv, sim: AmazonSimulator, url: str) -> None:
    without = [word for word in words(sim, url, "--yes") if word != "--consent"]
    answer = shop(*without, stdin=secret_lines(sim))
    assert answer.code == 2 and "--consent" in answer.err and shop.data("connections", "list") == []


def test_A21_nothing_is_stored_before_the_answer_of_amazon_is_confirmed(
    shop: Zenv, sim: AmazonSimulator, url: str
) -> None:
    answer = shop(*words(sim, url, "--json"), stdin=secret_lines(sim))
    assert answer.code == 2 and answer.data["plan"] == "PROFESSIONAL" and answer.data["marketplaces"]
    assert shop.data("connections", "list") == []


def test_A24_a_saved_account_is_not_enabled_and_runs_nothing(shop: Zenv, sim: AmazonSimulator, url: str) -> None:
    shop.good(*words(sim, url, "--yes"), stdin=secret_lines(sim))
    (saved,) = shop.data("connections", "list")
    assert saved["connection"] == "amazon-us" and saved["status"] == "saved" and saved["stock_from"] == "Main"
    refused = shop("sync", "now", "amazon-us", "orders")
    assert refused.code == 79 and "zenv connections enable amazon-us" in refused.err
    shown = shop.data("connections", "show", "amazon-us")
    assert "names and addresses" in shown["consent_scope"] and shown["consent_at"]


def test_A1_an_individual_plan_is_refused_with_this_reason(shop: Zenv, sim: AmazonSimulator, url: str) -> None:
    sim.selling_plan = "INDIVIDUAL"
    answer = shop(*words(sim, url, "--yes"), stdin=secret_lines(sim))
    assert answer.code == 79 and "Professional" in answer.err and shop.data("connections", "list") == []


def test_secrets_are_neither_shown_nor_logged_nor_kept_in_the_open(shop: Zenv, sim: AmazonSimulator, url: str) -> None:
    kept = shop.process(*words(sim, url, "--yes", "--verbose"), stdin=secret_lines(sim))
    assert kept.code == 0, kept
    wrong = shop.process(
        *words(sim, url, "--yes", "--verbose", "--name", "two"), stdin=secret_lines(sim, client_secret="wr0ng-s3cret")
    )
    assert wrong.code == 77, wrong
    secrets = [getattr(sim, name) for name in SECRETS] + ["wr0ng-s3cret"]
    said = kept.out + kept.err + wrong.out + wrong.err + shop.good("connections", "show", "amazon-us").out
    files = b"".join(path.read_bytes() for path in shop.home.rglob("*") if path.is_file())
    for secret in secrets:
        assert secret not in said and secret.encode() not in files


def test_no_option_takes_a_secret() -> None:
    from zenv.cli import load

    options = {option for param in load("connect").commands["amazon"].params for option in param.opts}
    assert not any(part in option for option in options for part in ("client", "token", "password", "refresh"))


@pytest.mark.parametrize("line", ["Atzr|MARKER", "password=MARKER"])
def test_a_line_of_stdin_that_is_no_secret_is_not_repeated(
    shop: Zenv, sim: AmazonSimulator, url: str, line: str
) -> None:
    answer = shop(*words(sim, url, "--yes"), stdin=f"{line}\n{secret_lines(sim)}")
    assert answer.code == 65 and "client_id" in answer.err and "MARKER" not in answer.err


@pytest.mark.parametrize("endpoint", ["http://example.com", "https://10.0.0.1", "ftp://127.0.0.1"])
def test_an_endpoint_is_https_or_this_machine(shop: Zenv, sim: AmazonSimulator, endpoint: str) -> None:
    answer = shop(*words(sim, endpoint, "--yes"), stdin=secret_lines(sim))
    assert answer.code == 78 and "https" in answer.err and shop.data("connections", "list") == []


def test_an_unreachable_host_is_said_to_be_that(
    shop: Zenv, sim: AmazonSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zenv.sync.time.sleep", lambda _: None)  # the pauses between attempts
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    answer = shop(*words(sim, f"http://127.0.0.1:{port}", "--yes"), stdin=secret_lines(sim))
    assert answer.code == 69 and shop.data("connections", "list") == []


def test_a_country_amazon_has_not_and_a_region_that_does_not_fit(shop: Zenv, sim: AmazonSimulator, url: str) -> None:
    assert shop(*words(sim, url, "--country", "XX"), stdin=secret_lines(sim)).code == 65
    assert shop(*words(sim, url, "--region", "FE"), stdin=secret_lines(sim)).code == 2


def test_A19_the_same_account_is_not_connected_twice(connected: Zenv, sim: AmazonSimulator, url: str) -> None:
    answer = connected(*words(sim, url, "--yes", "--name", "again"), stdin=secret_lines(sim))
    assert answer.code == 79 and len(connected.data("connections", "list")) == 1


def test_at_a_terminal_secrets_are_asked_for_unseen(shop: Zenv, sim: AmazonSimulator, url: str) -> None:
    typed = ("US", "y", sim.seller_id, sim.client_id, sim.client_secret, sim.refresh_token, "y")
    answer = shop.at_terminal("connect", "amazon", "--endpoint", url, typed=typed)
    assert answer.code == 0 and "saved, not enabled" in answer.out, answer.out
    assert sim.client_secret not in answer.out and sim.refresh_token not in answer.out


def test_a_public_application_logs_in_on_the_website(shop: Zenv, sim: AmazonSimulator, url: str) -> None:
    """The seller opens the printed address; the one Amazon sends them back to is pasted."""

    def opened(shown: str) -> str:
        (address,) = re.findall(r"https://\S+/apps/authorize/consent\S+", shown)
        query = f"{urlsplit(address).query}&redirect_uri=https%3A%2F%2Fseller.example%2Fback"
        return httpx.get(f"{url}/apps/authorize/consent?{query}").headers["location"]

    typed = ("y", sim.client_id, sim.client_secret, opened, "y")
    answer = shop.at_terminal(
        "connect", "amazon", "--oauth", "--country", "US", "--endpoint", url, "--application-id", sim.application_id,
        "--redirect-uri", "https://seller.example/back", typed=typed,
    )  # fmt: skip
    assert answer.code == 0, answer.out
    assert shop.data("connections", "show", "amazon-us")["external_id"] == sim.seller_id
    assert "spapi_oauth_code" not in answer.out


def test_consent_is_no_unless_it_is_given(shop: Zenv, sim: AmazonSimulator, url: str) -> None:
    answer = shop.at_terminal("connect", "amazon", "--endpoint", url, typed=("US", ""))
    assert answer.code == 79 and "[y/N]" in answer.out and shop.data("connections", "list") == []


# --- living with it -------------------------------------------------------------------------------------------


def test_settings_are_changed_and_the_account_disabled_and_removed(connected: Zenv) -> None:
    connected.good("connections", "edit", "amazon-us", "--buffer", "2", "--handling-days", "4", "--high-frequency")
    shown = connected.data("connections", "show", "amazon-us")
    assert (shown["buffer"], shown["handling_days"], shown["high_frequency"]) == (2, 4, True)
    assert connected("connections", "edit", "amazon-us", "--handling-days", "99").code == 65
    assert connected("connections", "edit", "amazon-us").code == 2
    connected.good("connections", "disable", "amazon-us")
    assert connected("sync", "now", "amazon-us", "orders").code == 79
    assert connected("connections", "remove", "amazon-us").code == 2
    connected.good("connections", "remove", "amazon-us", "--yes")
    assert connected("connections", "enable", "nope").code == 66


def test_new_secrets_are_tried_before_they_are_kept(connected: Zenv, sim: AmazonSimulator) -> None:
    assert connected("connections", "login", "amazon-us").code == 2
    wrong = connected("connections", "login", "amazon-us", "--secret-stdin", stdin="client_secret=nonsense\n")
    assert wrong.code == 77
    fresh = sim.authorise()
    connected.good("connections", "login", "amazon-us", "--secret-stdin", stdin=f"refresh_token={fresh}\n")
    connected.good("sync", "now", "amazon-us", "orders")


def test_the_secrets_of_another_seller_are_not_kept(connected: Zenv, sim: AmazonSimulator) -> None:
    own = sim.seller_id
    sim.seller_id = "AOTHERSELLER00"
    answer = connected("connections", "login", "amazon-us", "--secret-stdin", stdin="refresh_token=Atzr|other\n")
    assert answer.code in (77, 79), answer
    sim.seller_id = own
    connected.good("sync", "now", "amazon-us", "orders")


def test_the_main_job_item_order_and_stock(connected: Zenv, sim: AmazonSimulator) -> None:
    connected.good("stock", "receive", "MUG", "9")
    order = sim.place_order([("MUG", 2)], "UNSHIPPED")
    ran = connected.data("sync", "now", "amazon-us", "items")
    assert ran[0]["outcome"] == "ok" and ran[0]["items"] == 2
    assert [row["sku"] for row in connected.data("items", "unconfirmed")] == ["PLATE"]
    connected.good("sync", "now", "amazon-us", "orders")
    (bought,) = connected.data("orders", "list")
    assert bought["number"] == order and bought["units"] == 2
    assert connected.data("items", "list", "MUG")[0]["available"] == 7
    planned = connected.data("sync", "plan", "amazon-us")
    assert [(one["kind"], one["subject"]) for one in planned] == [("stock_level", "MUG")]
    connected.good("sync", "now", "amazon-us", "stock")
    assert sim.listings["MUG"].quantity == 7
    connected.good("items", "resend", "MUG", "--connection", "amazon-us")
    assert [one["subject"] for one in connected.data("sync", "plan", "amazon-us")] == ["MUG"]
    connected.good("sync", "now", "amazon-us", "stock")
    connected.good("items", "confirm", "PLATE")
    history = connected.data("sync", "history", "amazon-us")
    assert [run["task"] for run in history] == ["stock", "stock", "orders", "items"]
    assert connected.data("sync", "show", str(history[0]["run"]))["set_aside"] == []
    terms = connected.data("items", "why", "MUG")
    assert any("offered" in row["number"] for row in terms)


def test_a_task_or_an_account_that_is_not_there_is_named(connected: Zenv) -> None:
    assert connected("sync", "now", "amazon-us", "dance").code == 66
    assert connected("sync", "now", "nope").code == 66
    assert connected("sync", "show", "99").code == 66
    assert connected("sync", "retry", "99").code == 66
    assert connected("sync", "plan", "nope").code == 66


def test_a_withdrawn_authorisation_ends_in_a_login_and_stands_on_the_inbox(
    connected: Zenv, sim: AmazonSimulator
) -> None:
    sim.revoke()
    answer = connected("sync", "now", "amazon-us", "orders")
    assert answer.code == 77 and "amazon-us" in answer.err
    assert [entry["kind"] for entry in connected.data("inbox")] == ["login"]
    assert connected("sync", "now", "amazon-us", "orders").code == 77
    connected.good("connections", "login", "amazon-us", "--secret-stdin", stdin=f"refresh_token={sim.authorise()}\n")
    assert connected.data("inbox") == []
