"""The systemd units: systemd itself finds nothing wrong with them and calls them hardened, and `zenv daemon install`
writes what it says. systemd-analyze needs no running systemd."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.cli_driver import Zenv, a_shop, an_empty_home  # noqa: F401  # the fixtures shop and zenv
from zenv import units
from zenv.commands import daemon as command
from zenv.ledger.book import open_book

THRESHOLD = "15"
"""Tenths: 1.5 of 10, where 0 is a service that may do nothing at all."""

SYSTEM = units.Setting(("/bin/true",), units.STATE, True, "/etc/zenv/zenv.key.cred")
ODD = units.Setting(("/bin/true", "-m", "zenv"), Path('/srv/our shop/100% ze$nv "it\'s"'), True)
USERS = units.Setting(("/bin/true",), Path("/home/anna/.local/share/zenv"), False)
SETTINGS = {"system": SYSTEM, "odd paths": ODD, "user": USERS}

needs_analyze = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")


def analyze(folder: Path, system: bool, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(folder), "LC_ALL": "C"}
    scope = [] if system else ["--user"]
    return subprocess.run(
        ["systemd-analyze", *scope, *words], env=environment, capture_output=True, text=True, check=False
    )


def written(folder: Path, texts: dict[str, str]) -> list[str]:
    for name, text in texts.items():
        (folder / name).write_text(text)
    return [str(folder / name) for name in texts]


def verified(folder: Path, texts: dict[str, str], system: bool = True) -> str:
    """What systemd has to say of them: its exit code is 0 for an unknown key, so silence is what counts."""
    done = analyze(folder, system, "verify", *written(folder, texts))
    return f"{done.returncode or ''}{done.stdout}{done.stderr}"


@needs_analyze
@pytest.mark.parametrize("timer", [False, True], ids=["daemon", "timer"])
@pytest.mark.parametrize("name", list(SETTINGS))
def test_systemd_finds_nothing_wrong_with_a_unit(tmp_path: Path, name: str, timer: bool) -> None:
    setting = SETTINGS[name]
    assert verified(tmp_path, units.units(setting, timer), setting.system) == ""


@needs_analyze
@pytest.mark.parametrize("timer", [False, True], ids=["daemon", "timer"])
@pytest.mark.parametrize("name", list(SETTINGS))
def test_systemd_calls_a_unit_hardened(tmp_path: Path, name: str, timer: bool) -> None:
    setting = SETTINGS[name]
    service = next(path for path in written(tmp_path, units.units(setting, timer)) if path.endswith(".service"))
    done = analyze(tmp_path, setting.system, "security", "--offline=true", f"--threshold={THRESHOLD}", service)
    assert done.returncode == 0, done.stdout[-200:] + done.stderr


@needs_analyze
@pytest.mark.parametrize(
    ("right", "wrong"),
    [("ProtectSystem=strict", "ProtectSytem=strict"), ("Type=notify", "Type=notified"), ("/bin/true", "/bin/none")],
)
def test_a_misspelt_unit_does_not_pass(tmp_path: Path, right: str, wrong: str) -> None:
    """The planted mutants: the check above can fail."""
    text = units.daemon_unit(SYSTEM)
    assert right in text
    assert verified(tmp_path, {units.SERVICE: text.replace(right, wrong)}) != ""


@needs_analyze
def test_a_unit_that_lost_a_part_of_its_hardening_does_not_pass(tmp_path: Path) -> None:
    text = re.sub(r"(?m)^(CapabilityBoundingSet|SystemCallFilter)=.*\n", "", units.daemon_unit(SYSTEM))
    (path,) = written(tmp_path, {units.SERVICE: text})
    assert analyze(tmp_path, True, "security", "--offline=true", f"--threshold={THRESHOLD}", path).returncode != 0


def test_each_kind_of_unit_says_what_is_its_own() -> None:
    system, users = units.daemon_unit(SYSTEM).splitlines(), units.daemon_unit(USERS).splitlines()
    assert {"User=zenv", "StateDirectory=zenv", "ProtectHome=yes", "WantedBy=multi-user.target",
            "LoadCredentialEncrypted=zenv.key:/etc/zenv/zenv.key.cred"} <= set(system)  # fmt: skip
    assert "ExecStart=/bin/true --home /var/lib/zenv daemon run" in system
    assert {"ReadWritePaths=/home/anna/.local/share/zenv", "ProtectHome=read-only", "PrivateUsers=yes",
            "WantedBy=default.target"} <= set(users)  # fmt: skip
    assert not [line for line in users if line.startswith(("User=", "LoadCredential", "StateDirectory", "After="))]


def test_the_timer_is_finer_than_the_headroom_of_the_shortest_interval() -> None:
    """A task starts a tenth of its interval early; a coarser grid would start it after its bound."""
    from datetime import timedelta

    from zenv import connectors
    from zenv.ledger import schedule

    tasks = [task for kind in connectors.KINDS for task in connectors.load(kind).tasks]
    shortest = min(time for task in tasks for time in (task.longest, task.frequent) if time)
    assert units.EVERY == "minutely"
    assert timedelta(minutes=1) <= shortest * schedule.HEADROOM


# ---- zenv daemon install ---------------------------------------------------------------------------------


@pytest.fixture
def mine(shop: Zenv, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a person's own units; with a short name, for systemd looks at sockets below it, too."""
    with TemporaryDirectory(prefix="z") as folder:
        monkeypatch.setenv("XDG_CONFIG_HOME", folder)
        yield Path(folder) / "systemd" / "user"


@needs_analyze
@pytest.mark.parametrize("timer", [False, True], ids=["daemon", "timer"])
def test_install_writes_units_that_start_this_zenv_and_says_what_is_next(shop: Zenv, mine: Path, timer: bool) -> None:
    steps = shop.good("daemon", "install", "--user", *(["--timer"] if timer else [])).rows
    paths = [Path(row["what"]) for row in steps if row["step"] == "wrote"]
    assert [path.name for path in paths] == (["zenv-due.service", "zenv-due.timer"] if timer else ["zenv.service"])
    assert {(path.parent, path.stat().st_mode & 0o777) for path in paths} == {(mine, 0o644)}
    unit = "zenv-due.timer" if timer else "zenv"
    assert [row["what"].partition("   ")[0] for row in steps if row["step"] == "next"] == [
        "systemctl --user daemon-reload",
        f"systemctl --user enable --now {unit}",
        "loginctl enable-linger",
    ]
    done = analyze(mine, False, "verify", *map(str, paths))
    assert (done.stdout, done.stderr) == ("", "")
    words = re.findall(r"ExecStart=(.*)", paths[0].read_text())[0].split()
    assert words[: len(command.program())] == list(command.program())
    assert words[words.index("--home") + 1] == str(shop.home)
    assert list(mine.glob(".*")) == [], "a half-written file was left"


def test_another_unit_of_that_name_is_replaced_only_when_that_was_said(shop: Zenv, mine: Path) -> None:
    mine.mkdir(parents=True)
    (mine / "zenv.service").write_text("[Service]\nExecStart=/bin/mine\n")
    refused = shop("daemon", "install", "--user")
    assert (refused.code, "--yes" in refused.err) == (2, True)
    assert "/bin/mine" in (mine / "zenv.service").read_text()
    shop.good("daemon", "install", "--user", "--yes")
    assert "/bin/mine" not in (mine / "zenv.service").read_text()
    shop.good("daemon", "install", "--user")  # the same once more is no change


def test_at_a_terminal_the_difference_is_shown_and_asked_about(shop: Zenv, mine: Path) -> None:
    mine.mkdir(parents=True)
    (mine / "zenv.service").write_text("[Service]\nExecStart=/bin/mine\n")
    told = {"XDG_CONFIG_HOME": str(mine.parents[1])}
    answer = shop.at_terminal("daemon", "install", "--user", typed=("n",), **told)
    assert "-ExecStart=/bin/mine" in answer.out
    assert "Nothing was written." in answer.out
    assert "/bin/mine" in (mine / "zenv.service").read_text()


@pytest.mark.parametrize(
    ("enabled", "words"),
    [("timers.target.wants/zenv-due.timer", ()), ("default.target.wants/zenv.service", ("--timer",))],
)
def test_the_daemon_and_the_timer_are_not_both_installed(
    shop: Zenv, mine: Path, enabled: str, words: tuple[str, ...]
) -> None:
    (mine / enabled).parent.mkdir(parents=True)
    (mine / enabled).symlink_to(__file__)
    refused = shop("daemon", "install", "--user", *words)
    assert refused.code == 79
    assert f"systemctl --user disable --now {Path(enabled).name}" in refused.err
    assert list(mine.glob("zenv*")) == []


def test_one_of_the_two_kinds_has_to_be_chosen(shop: Zenv, mine: Path) -> None:
    assert shop("daemon", "install").code == 2
    assert shop("daemon", "install", "--user", "--system").code == 2


def test_without_a_ledger_nothing_is_installed(zenv: Zenv, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert zenv("daemon", "install", "--user").code == 66
    assert not (tmp_path / "config").exists()


def test_a_service_of_the_machine_is_installed_by_root(shop: Zenv, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    refused = shop("daemon", "install", "--system")
    assert refused.code == 79
    assert "sudo " in refused.err and f"--home {shop.home}" in refused.err


@pytest.mark.parametrize("hidden", ["/home/anna/zenv", "/root/zenv", "/run/user/0/zenv"])
def test_a_service_of_the_machine_is_not_given_what_it_cannot_see(monkeypatch: pytest.MonkeyPatch, hidden: str) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    refused = Zenv(Path(hidden))("daemon", "install", "--system")
    assert refused.code == 79
    assert hidden in refused.err and "/opt/zenv" in refused.err


@pytest.mark.parametrize(("kind", "system"), [("keyring", True), ("systemd", False)])
def test_a_key_that_the_service_could_not_open_is_said_before_anything_is_written(
    shop: Zenv, mine: Path, monkeypatch: pytest.MonkeyPatch, kind: str, system: bool
) -> None:
    with open_book(shop.home) as book, book.engine.begin() as sql:
        sql.exec_driver_sql("UPDATE company SET key_kind = ?", (kind,))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(command, "HIDDEN", ())
    monkeypatch.setattr(command, "SYSTEM_UNITS", mine)
    refused = shop("daemon", "install", "--system" if system else "--user")
    assert refused.code == 79
    assert "zenv" in refused.err and "key move --to" in refused.err
    assert not mine.exists()
