"""The daemon as a real process: one at a time, heard by its supervisor, ended in good order or not, and never silent.

Amazon is simulated in this process and is the oracle; the supervisor is a socket of ours."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli_driver import Zenv
from tests.daemons import TASKS, Daemon, House, house, until
from zenv import crew
from zenv import daemon as product
from zenv.ledger import connections
from zenv.ledger.book import open_book
from zenv.ledger.home import DAEMON_LOCK


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path) as made:
        yield made


# ---- its work --------------------------------------------------------------------------------------------


def test_it_runs_every_task_once_and_keeps_orders_coming(shop: House) -> None:
    first = shop.sim.place_order([("POT", 1)])
    daemon = shop.start()
    daemon.until(shop.all_ran)
    assert Counter(shop.runs()) == Counter(dict.fromkeys([(task, "ok") for task in TASKS], 1))
    second = shop.sim.place_order([("POT", 2)])
    assert shop.orders() == {first}, "it asked although nothing was due"
    shop.hurry("orders")
    daemon.until(lambda: shop.orders() == {first, second})
    assert daemon.end() == 0
    assert len(shop.runs("orders")) == 2


def test_a_connection_disabled_in_the_middle_of_a_run_ends_that_run_and_starts_no_other(shop: House) -> None:
    shop.sim.fault("slow", "searchOrders", seconds=1.5)
    daemon = shop.start()
    daemon.until(lambda: shop.asked("searchOrders"))
    with shop.book() as book, book.transaction() as t:
        connections.disable(t, "a")
    daemon.until(lambda: shop.runs() and shop.runs()[-1][1] != "running")
    ticks = daemon.supervisor.lines().count("WATCHDOG=1")
    daemon.supervisor.wait("WATCHDOG=1", ticks + 5)
    assert [task for task, _ in shop.runs()] == ["orders"]
    assert daemon.end() == 0


def test_without_the_key_it_stays_and_says_so_and_goes_on_when_the_key_is_there(shop: House) -> None:
    hidden = shop.key.rename(shop.key.with_suffix(".hidden"))
    daemon = shop.start()
    daemon.supervisor.wait("STATUS=waiting for the key (")
    daemon.until(lambda: shop.rows("SELECT 1 FROM run WHERE connection_id IS NULL AND outcome = 'ok'"))
    assert shop.runs() == [], "a connection was touched without its secrets"
    hidden.rename(shop.key)
    daemon.until(shop.all_ran)
    assert daemon.log.count("event=waiting") == 1
    assert daemon.end() == 0


def test_while_it_waits_for_the_key_it_ends_as_well_as_ever(shop: House) -> None:
    shop.key.unlink()
    daemon = shop.start()
    daemon.supervisor.wait("STATUS=waiting for the key (")
    assert daemon.end() == 0


# ---- what systemd is told --------------------------------------------------------------------------------


def test_systemd_is_told_ready_alive_reloading_and_stopping(shop: House) -> None:
    daemon, heard = shop.start(), shop.daemons[0].supervisor
    heard.wait("WATCHDOG=1", 5)
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    daemon.send(signal.SIGHUP)
    heard.wait("READY=1", 2)
    after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert daemon.end() == 0
    told = heard.lines()
    (moment,) = (int(line.partition("=")[2]) for line in told if line.startswith("MONOTONIC_USEC="))
    assert before <= moment <= after
    marks = [line for line in told if line in ("READY=1", "RELOADING=1", "STOPPING=1")]
    assert marks == ["READY=1", "RELOADING=1", "READY=1", "STOPPING=1"]
    assert any(re.fullmatch(r"STATUS=\d at work", line) for line in told)
    assert told.index("RELOADING=1") + 1 == told.index(f"MONOTONIC_USEC={moment}")


def test_an_abstract_socket_is_a_supervisor_too(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    from zenv import sdnotify

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0zenv-" + os.urandom(8).hex())
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + listener.getsockname()[1:].decode())
        assert sdnotify.notify("READY=1", "STATUS=here")
        assert listener.recv(100) == b"READY=1\nSTATUS=here"
    assert not sdnotify.notify("READY=1"), "a supervisor that is gone took it"


def test_the_watchdog_of_another_process_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    from zenv import sdnotify

    monkeypatch.setenv("WATCHDOG_USEC", "4000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    assert (sdnotify.watchdog_s(), product.tick_s()) == (4.0, 2.0)
    monkeypatch.setenv("WATCHDOG_PID", str(os.getppid()))
    assert (sdnotify.watchdog_s(), product.tick_s()) == (None, 5.0)


# ---- only one --------------------------------------------------------------------------------------------


def test_a_second_one_exits_with_75_and_names_the_first(shop: House) -> None:
    daemon = shop.start()
    second = shop.start(ready=False)
    assert second.wait() == 75
    assert f"the daemon is already running (pid {daemon.pid}, since " in second.log
    assert second.supervisor.lines() == []
    assert daemon.end() == 0


def test_of_many_started_at_the_same_moment_exactly_one_survives(shop: House) -> None:
    started = [shop.start(ready=False) for _ in range(3)]
    until(lambda: sum(one.process.poll() is not None for one in started) == 2)
    (alive,) = (one for one in started if one.process.poll() is None)
    assert {one.wait() for one in started if one is not alive} == {75}
    alive.until(lambda: "READY=1" in alive.supervisor.lines())
    alive.until(shop.all_ran)
    assert Counter(shop.runs()) == Counter(dict.fromkeys([(task, "ok") for task in TASKS], 1))
    assert alive.end() == 0


def test_asking_whether_it_runs_never_keeps_it_from_starting(shop: House) -> None:
    """Whoever asks holds the lock for an instant."""
    with pytest.MonkeyPatch.context() as patch:
        import fcntl

        real, refused = fcntl.flock, [BlockingIOError()] * 3

        def flock(descriptor: int, how: int) -> None:
            if refused:
                raise refused.pop()
            real(descriptor, how)

        patch.setattr(fcntl, "flock", flock)
        with product.only_one(shop.home):
            assert refused == []
            assert product.running(shop.home) is not None
    assert product.running(shop.home) is None


def test_the_lock_is_a_private_file_that_a_link_cannot_replace(shop: House) -> None:
    with product.only_one(shop.home):
        assert (shop.home / DAEMON_LOCK).stat().st_mode & 0o777 == 0o600
    (shop.home / DAEMON_LOCK).unlink()
    victim = shop.folder / "victim"
    victim.write_text("precious")
    (shop.home / DAEMON_LOCK).symlink_to(victim)
    with pytest.raises(OSError), product.only_one(shop.home):
        pass
    assert victim.read_text() == "precious"


def test_after_kill_9_the_next_one_takes_over_what_the_dead_one_was_at(shop: House) -> None:
    order = shop.sim.place_order([("POT", 1)])
    shop.sim.fault("slow", "searchOrders", seconds=20)
    killed = shop.start()
    killed.until(lambda: shop.asked("searchOrders"))
    assert killed.end(signal.SIGKILL) == -signal.SIGKILL
    assert shop.runs() == [("orders", "running")]
    daemon = shop.start()
    daemon.until(shop.all_ran)
    assert shop.runs("orders") == [("orders", "abandoned"), ("orders", "ok")]
    assert shop.orders() == {order}
    # housekeeping may have been at something, too
    assert re.search(r"daemon event=abandoned runs=[1-9]", daemon.log)
    assert daemon.end() == 0


# ---- its end ---------------------------------------------------------------------------------------------


def test_sigterm_lets_the_request_in_flight_end_and_records_the_run(shop: House) -> None:
    order = shop.sim.place_order([("POT", 1)])
    shop.sim.fault("slow", "searchOrders", seconds=2)
    daemon = shop.start()
    daemon.until(lambda: shop.asked("searchOrders"))
    assert daemon.end() == 0
    ((task, outcome),) = shop.runs()
    assert (task, outcome) in {("orders", "ok"), ("orders", "partial")}
    assert shop.orders() == {order}, "what the answer brought was thrown away"
    assert "in_good_order=true" in daemon.log
    ((ended,),) = shop.rows("SELECT ended_at IS NOT NULL FROM attendance WHERE who = 'daemon'")
    assert ended


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(shop: House, number: int) -> None:
    shop.sim.fault("slow", "searchOrders", seconds=25)
    daemon = shop.start()
    daemon.until(lambda: shop.asked("searchOrders"))
    daemon.send(number)
    daemon.supervisor.wait("STOPPING=1")
    assert daemon.end(number) == 130
    assert shop.runs() == [("orders", "running")], "it waited for the answer"


# ---- SIGHUP ----------------------------------------------------------------------------------------------


def test_sighup_keeps_to_what_was_when_the_ledger_does_not_stand_the_look(shop: House) -> None:
    daemon = shop.start()
    daemon.until(shop.all_ran)
    shop.write("UPDATE company SET time_zone = 'Mars/Olympus'")
    daemon.send(signal.SIGHUP)
    daemon.wait_for_log("event=reload_refused")
    assert "'Mars/Olympus' is not a time zone" in daemon.log
    shop.hurry("orders")
    daemon.until(lambda: shop.runs("orders") == [("orders", "ok")] * 2)
    shop.write("UPDATE company SET time_zone = 'Europe/Berlin'")
    daemon.send(signal.SIGHUP)
    daemon.wait_for_log("event=reloaded")
    shop.hurry("stock")
    daemon.until(lambda: shop.runs("stock") == [("stock", "ok")] * 2)
    ((due,),) = shop.rows("SELECT next_at FROM scheduled_task WHERE task = 'stock'")
    assert due[11:16] in ("22:00", "23:00"), f"midnight of Berlin is not {due}"
    assert daemon.end() == 0


def test_a_key_that_opened_before_keeps_a_reload_from_happening(shop: House) -> None:
    daemon = shop.start()
    daemon.until(shop.all_ran)
    hidden = shop.key.rename(shop.key.with_suffix(".hidden"))
    daemon.send(signal.SIGHUP)
    daemon.wait_for_log("event=reload_refused")
    daemon.supervisor.wait("READY=1", 2)
    hidden.rename(shop.key)
    assert daemon.end() == 0


def test_with_settings_it_cannot_work_by_it_does_not_start(shop: House) -> None:
    shop.write("UPDATE company SET time_zone = 'Mars/Olympus'")
    daemon = shop.start(ready=False)
    assert daemon.wait() == 78
    assert "is not a time zone" in daemon.log
    assert "READY=1" not in daemon.supervisor.lines()
    shop.write("UPDATE company SET time_zone = 'America/New_York'")


# ---- the tick, when something is wrong -------------------------------------------------------------------


@pytest.fixture
def ticking(shop: House, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A daemon of this process that ticks by hand, and a supervisor that counts its signs of life."""
    signs: list[tuple[str, ...]] = []
    monkeypatch.setattr(product.sdnotify, "notify", lambda *lines: signs.append(lines))
    made = product.Daemon(shop.home)
    with open_book(shop.home, "daemon", busy_seconds=0.05) as book:
        made.crew = crew.Crew(book, "daemon")
        yield made, signs
        made.crew.stop(30)


def test_a_busy_ledger_is_told_once_and_the_next_tick_tries_again(
    shop: House, ticking: Any, caplog: pytest.LogCaptureFixture
) -> None:
    daemon, signs = ticking
    caplog.set_level("INFO", "zenv.daemon")
    with shop.book() as other, other.engine.begin():
        assert daemon.tick() and daemon.tick()
    assert daemon.tick()
    until(lambda: not daemon.crew.at_work())
    assert daemon.tick()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert [record.getMessage().split(" why")[0] for record in caplog.records] == [
        "daemon event=trouble", "daemon event=well_again"]  # fmt: skip
    assert len(signs) == 4


def test_a_bug_in_the_tick_gives_no_sign_of_life_and_no_data(
    ticking: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon, signs = ticking
    monkeypatch.setattr(daemon.crew, "start_one", lambda: int("Zebedee Marker"))
    assert not daemon.tick()
    assert not daemon.tick()
    assert signs == []
    (record,) = (one for one in caplog.records if one.name == "zenv.daemon")
    assert record.levelname == "ERROR"
    assert "An unexpected ValueError at" in record.getMessage()
    assert "Marker" not in caplog.text


def test_a_worker_that_hangs_ends_the_signs_of_life(shop: House, ticking: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon, signs = ticking
    shop.sim.fault("slow", "searchOrders", seconds=2)
    until(lambda: daemon.tick() and shop.asked("searchOrders"))
    before = len(signs)
    monkeypatch.setattr(crew, "STUCK_S", 0.0)
    assert not daemon.tick()
    assert len(signs) == before


# ---- its log ---------------------------------------------------------------------------------------------

VALUE = r'("(\\.|[^"\\])*"|[^\s"=]+)'
LOGFMT = rf"(\w+ )?\w+={VALUE}( \w+={VALUE})*"
STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ level=(info|warning|error) "


def lost_key(shop: House, daemon: Daemon) -> list[str]:
    """After all tasks have run the key is away for the time of a reload: the lines that were logged."""
    daemon.until(shop.all_ran)
    hidden = shop.key.rename(shop.key.with_suffix(".hidden"))
    daemon.send(signal.SIGHUP)
    daemon.wait_for_log("reload_refused")
    hidden.rename(shop.key)
    assert daemon.end() == 0
    return daemon.log.splitlines()


def test_each_line_of_the_log_is_key_value_and_names_no_person_and_no_secret(shop: House) -> None:
    daemon = shop.start()
    daemon.until(shop.all_ran)
    shop.sim.place_order([("POT", 1)], recipient={"name": "Zebedee Marker", "addressLine1": "Marker Lane 9"})
    shop.sim.fault("invalid_input", "searchOrders")
    for _ in range(2):
        done = len(shop.runs("orders"))
        shop.hurry("orders")
        daemon.until(lambda done=done: len(shop.runs("orders")) > done and shop.runs("orders")[-1][1] != "running")
    lines = lost_key(shop, daemon)
    assert [line for line in lines if not re.fullmatch(STAMP + LOGFMT, line)] == []
    text = "\n".join(lines)
    secrets = (shop.sim.client_id, shop.sim.client_secret, shop.sim.refresh_token, shop.key.read_text().strip())
    assert [marker for marker in ("Zebedee", "Marker", *secrets) if marker in text] == []
    kinds = {line.split()[2] for line in lines}
    assert kinds <= {"run", "daemon"} | {word for word in kinds if word.startswith(("msg=", "connection="))}
    assert len([line for line in lines if " run connection=" in line]) == len(
        shop.rows("SELECT 1 FROM run WHERE outcome <> 'running'")
    )


def test_under_journald_a_line_has_its_priority_and_no_time(shop: House) -> None:
    lines = lost_key(shop, shop.start(JOURNAL_STREAM="yes"))
    assert [line for line in lines if not re.fullmatch(rf"<[346]>{LOGFMT}", line)] == []
    assert {line[:3] for line in lines} >= {"<6>", "<3>"}


def test_a_library_that_warns_cannot_break_the_form(capsys: pytest.CaptureFixture[str]) -> None:
    import logging

    from zenv.loglines import LogLine

    record = logging.LogRecord("lib", logging.WARNING, "", 0, 'it said "no"\nand a = b', None, None)
    line = LogLine(journal=True).format(record)
    assert line == '<4>msg="it said \\"no\\" and a = b"'
    assert re.fullmatch(rf"<4>{LOGFMT}", line)


# ---- zenv daemon status ----------------------------------------------------------------------------------


def test_status_says_who_runs_what_it_waits_for_and_how_much_is_late(shop: House) -> None:
    zenv = Zenv(shop.home)
    off = zenv("daemon", "status", "--json")
    assert (off.code, off.error["message"], off.data["running"]) == (66, "The daemon is not running.", False)
    hidden = shop.key.rename(shop.key.with_suffix(".hidden"))
    daemon = shop.start()
    daemon.supervisor.wait("STATUS=waiting for the key (")
    shop.write("UPDATE scheduled_task SET late_at = '2020-01-01 00:00:00.000000' WHERE task = 'orders'")
    told = zenv.data("daemon", "status")
    assert (told["running"], told["pid"], told["home"], told["late_tasks"]) == (True, daemon.pid, str(shop.home), 1)
    assert told["since_at"] and told["seen_at"]
    hidden.rename(shop.key)
    daemon.until(shop.all_ran)
    assert daemon.end() == 0
    assert zenv("daemon", "status").code == 66


def test_status_names_what_is_at_work(shop: House) -> None:
    shop.sim.fault("slow", "searchOrders", seconds=20)
    daemon = shop.start()
    daemon.until(lambda: shop.asked("searchOrders"))
    assert "a orders" in Zenv(shop.home).data("daemon", "status")["at_work"]  # beside housekeeping, perhaps
    daemon.send(signal.SIGTERM)
    daemon.supervisor.wait("STOPPING=1")
    assert daemon.end() == 130


def test_without_a_ledger_there_is_no_daemon(tmp_path: Path) -> None:
    answer = Zenv(tmp_path / "nothing").process("daemon", "run")
    assert answer.code == 66
    assert "There is no ledger" in answer.err


def test_ctrl_c_ends_it_in_good_order(shop: House) -> None:
    daemon = shop.start()
    daemon.until(shop.all_ran)
    assert daemon.end(signal.SIGINT) == 0
    assert "in_good_order=true" in daemon.log
    assert subprocess.run(["kill", "-0", str(daemon.pid)], capture_output=True).returncode != 0
