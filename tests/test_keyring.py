"""The master key in the desktop's keyring: bounded, read back, and only in keyrings that are known."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.keystores import (
    ForgetfulKeyring,
    HangingKeyring,
    LockedKeyring,
    MemoryKeyring,
    PlaintextKeyring,
    TalkativeKeyring,
    installed,
)
from zenv import credentials
from zenv.credentials import KeyStore, desktop
from zenv.errors import Busy, KeyLocked, KeyUnavailable, Refused, all_errors

LEDGER = "6f1c0d3e5b7a4c2d9e8f7a6b5c4d3e2f"
KEYRING = KeyStore("keyring", "", LEDGER)
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def no_key_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CREDENTIALS_DIRECTORY", "ZENV_KEY_FILE", "ZENV_KEY"):
        monkeypatch.delenv(name, raising=False)


def refusal(store: KeyStore) -> str:
    with pytest.raises(KeyUnavailable) as caught:
        credentials.master_key(store)
    return caught.value.message


# --- the keyring


def test_K3_a_key_made_in_the_keyring_is_read_back_under_the_ledgers_name() -> None:
    with installed(MemoryKeyring()) as ring:
        credentials.create_master_key(KEYRING)
        assert ring.kept == {("zenv", LEDGER): credentials.key_line(credentials.master_key(KEYRING))}


def test_a_key_in_the_keyring_is_never_overwritten() -> None:
    with installed(MemoryKeyring()):
        credentials.create_master_key(KEYRING)
        before = credentials.master_key(KEYRING)
        with pytest.raises(Refused, match="never overwrites"):
            credentials.create_master_key(KEYRING)
        assert credentials.master_key(KEYRING) == before


def test_a_keyring_without_the_key_says_so() -> None:
    with installed(MemoryKeyring()):
        assert "holds no key for this ledger" in refusal(KEYRING)


@pytest.mark.parametrize("backend", ["keyring.backends.fail.Keyring", "keyring.backends.null.Keyring"])
def test_a_session_without_a_keyring_names_the_ways_out(backend: str) -> None:
    from keyring.core import load_keyring

    with (
        installed(load_keyring(backend), allowed=False),
        pytest.raises(KeyUnavailable, match="no key store can be reached") as caught,
    ):
        credentials.create_master_key(KEYRING)
    assert backend in caught.value.message
    assert caught.value.exit_code == 78
    for way_out in ("zenv key move --to systemd", "zenv daemon install --system", "ZENV_KEY_FILE=",
                    "zenv key move --to file", "zenv init --key-store file", "desktop session"):  # fmt: skip
        assert way_out in caught.value.hint


def test_a_keyring_that_keeps_plaintext_is_treated_as_absent() -> None:
    with installed(PlaintextKeyring(), allowed=False) as ring:
        with pytest.raises(KeyUnavailable, match=r"keyrings\.alt\.file\.PlaintextKeyring"):
            credentials.create_master_key(KEYRING)
        assert ring.kept == {}


def test_a_chain_counts_as_its_first_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    from keyring.backends.chainer import ChainerBackend

    good, plain = MemoryKeyring(), PlaintextKeyring()
    with installed(good), installed(ChainerBackend(), allowed=False):
        monkeypatch.setattr(ChainerBackend, "backends", [good, plain])
        credentials.create_master_key(KEYRING)
        assert (len(good.kept), len(plain.kept)) == (1, 0)
        good.kept, plain.kept = {}, good.kept
        assert "holds no key" in refusal(KEYRING), "the plaintext keyring behind it was read"
        monkeypatch.setattr(ChainerBackend, "backends", [plain, good])
        assert "no key store can be reached" in refusal(KEYRING)


def locked(act: Callable[[], object]) -> KeyLocked:
    """The error of a key store that does not open now: exit code 75, and an error of the key all the same."""
    with pytest.raises(KeyLocked) as caught:
        act()
    assert caught.value.exit_code == 75
    assert isinstance(caught.value, KeyUnavailable) and isinstance(caught.value, Busy)
    return caught.value


def test_an_error_with_two_parents_stands_once_among_all() -> None:
    assert all_errors().count(KeyLocked) == 1
    assert all_errors().index(KeyLocked) > all_errors().index(Busy)


def test_a_locked_keyring_is_not_waited_for() -> None:
    with installed(LockedKeyring()):
        error = locked(lambda: credentials.master_key(KEYRING))
    assert "the keyring is locked" in error.message and "zenv key move --to systemd" in error.hint


def test_a_keyring_that_hangs_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desktop, "KEYRING_LIMIT_S", 0.05)
    hanging = HangingKeyring()
    with installed(hanging):
        try:
            error = locked(lambda: credentials.master_key(KEYRING))
            assert "did not answer within 0.05 s" in error.message and "another screen" in error.hint
        finally:
            hanging.let_go.set()


def test_a_keyring_that_forgets_is_found_out_at_once() -> None:
    with installed(ForgetfulKeyring()):
        error = locked(lambda: credentials.create_master_key(KEYRING))
    assert "did not give it back" in error.message and "Nothing was stored" in error.message


def test_a_keyring_that_fails_anyhow_never_gets_the_key_into_the_error() -> None:
    with installed(TalkativeKeyring()), pytest.raises(KeyUnavailable, match="RuntimeError") as caught:
        credentials.create_master_key(KEYRING)
    assert "zenv-key-1:" not in "".join(traceback.format_exception(caught.value))


def test_a_keyring_whose_configuration_is_closed_to_us_is_a_clear_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def closed() -> None:
        raise PermissionError(13, "Permission denied", "keyringrc.cfg")

    monkeypatch.setattr("keyring.get_keyring", closed)
    assert "no key store can be reached" in refusal(KEYRING)


def test_the_key_that_follows_lies_beside_the_one_it_follows_and_takes_its_place() -> None:
    old, new = bytes(32), bytes(range(32))
    with installed(MemoryKeyring()) as ring:
        credentials.put_key(KEYRING, old)
        credentials.put_key(KEYRING.next(), new)
        assert {account for _, account in ring.kept} == {LEDGER, f"{LEDGER}/next"}
        assert credentials.master_key(KEYRING, credentials.key_check(old)) == old
        assert credentials.master_key(KEYRING, credentials.key_check(new)) == new
        credentials.promote_key(KEYRING)
        credentials.promote_key(KEYRING)  # as after a kill
        assert ring.kept == {("zenv", LEDGER): credentials.key_line(new)}
        credentials.remove_key(KEYRING)
        credentials.remove_key(KEYRING)
        assert ring.kept == {}


def test_a_key_that_is_there_already_may_be_put_again_and_another_may_not() -> None:
    with installed(MemoryKeyring()):
        credentials.put_key(KEYRING, bytes(32))
        credentials.put_key(KEYRING, bytes(32))
        with pytest.raises(Refused, match="never overwrites"):
            credentials.put_key(KEYRING, bytes(range(32)))


# --- a real Secret Service, and none ----------------------------------------------------------------------

UNLOCK = "printf pw | gnome-keyring-daemon --unlock --components=secrets >/dev/null"
LOCK = """busctl --user call org.freedesktop.secrets /org/freedesktop/secrets org.freedesktop.Secret.Service Lock ao 1 \
    /org/freedesktop/secrets/collection/login >/dev/null"""

real_keyring = pytest.mark.skipif(
    not all(shutil.which(name) for name in ("dbus-run-session", "dbus-monitor", "gnome-keyring-daemon", "busctl")),
    reason="needs dbus-run-session, dbus-monitor, busctl and gnome-keyring-daemon",
)


def in_session(folder: Path, script: str, **more: str) -> list[str]:
    """What a shell script prints in a D-Bus session of its own; `zenv` in it is this zenv, `code` its exit code."""
    paths = {name: str(folder) for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR")}
    environment = os.environ | paths | {"PYTHON": sys.executable, "PYTHONPATH": str(ROOT)} | more
    environment.pop("DISPLAY", None)
    functions = """
    zenv() { "$PYTHON" -m zenv --home "$HOME/books" "$@"; }
    code() { "$@" && echo "exit code 0" || echo "exit code $?"; }
    """
    session = ["dbus-run-session", "--", "bash", "-c", f"set -e\n{functions}{script}"]
    done = subprocess.run(session, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


INIT = "zenv init --company M --country DE --time-zone UTC --currency EUR --key-store"


@real_keyring
def test_a_real_secret_service_keeps_the_key_and_is_not_waited_for_when_locked(tmp_path: Path) -> None:
    script = f"""
    {UNLOCK}
    {INIT} keyring >/dev/null
    zenv key export --yes 2>/dev/null
    zenv key export --yes 2>/dev/null
    {LOCK}
    dbus-monitor "interface='org.freedesktop.Secret.Prompt'" >"$HOME/prompts" &
    until [ -s "$HOME/prompts" ] || ! kill -0 $!; do sleep 0.05; done
    DISPLAY=:99 code zenv key export --yes 2>&1
    """
    made, read, *locked = in_session(tmp_path, script)
    assert made == read and made.startswith("zenv-key-1:")
    assert locked[0] == "zenv: the keyring is locked, and zenv never waits for a hidden prompt"
    assert locked[-1] == "exit code 75"
    assert "member=Prompt" not in (tmp_path / "prompts").read_text(), "a prompt was opened"


@real_keyring
def test_a_key_moves_into_a_real_secret_service_is_rotated_there_and_moves_out_again(tmp_path: Path) -> None:
    script = f"""
    {UNLOCK}
    {INIT} file >/dev/null
    zenv items add MUG >/dev/null
    zenv orders create --number N-1 --line MUG=1 --recipient <<<"name=Jane" >/dev/null
    zenv key move --to keyring
    ls "$HOME/books"
    zenv key rotate >/dev/null
    zenv orders show N-1 --with-personal-data | grep -o Jane
    zenv key show | grep -c -e "^kind.keyring" -e "^opens.yes"
    zenv key move --to file
    ls "$HOME/books"
    zenv orders show N-1 --with-personal-data | grep -o Jane
    zenv key move --to keyring >/dev/null
    """
    shown = in_session(tmp_path, script)
    assert shown.count("Jane") == 2
    assert "The key is now kept in the desktop's keyring." in shown
    assert shown.count("master.key") == 1, "the file was not taken away when its key moved to the keyring"
    assert "2" in shown
    assert not list(tmp_path.rglob("master.key"))


@real_keyring
def test_a_session_without_a_bus_or_with_a_null_keyring_ends_with_78(tmp_path: Path) -> None:
    script = f"""
    {UNLOCK}
    {INIT} keyring >/dev/null
    DBUS_SESSION_BUS_ADDRESS=unix:path=/nowhere code zenv key export --yes 2>&1
    PYTHON_KEYRING_BACKEND=keyring.backends.null.Keyring code zenv key export --yes 2>&1
    PYTHON_KEYRING_BACKEND=keyring.backends.null.Keyring code zenv key rotate 2>&1
    """
    shown = in_session(tmp_path, script)
    assert [line for line in shown if line.startswith("exit code")] == ["exit code 78"] * 3
    assert sum("no key store can be reached" in line for line in shown) == 3
    assert not any("zenv-key-1:" in line for line in shown)


@pytest.mark.parametrize("act", ["put", "promote"])
def test_a_keyring_that_accepts_and_loses_stops_a_move_and_a_rotation(act: str) -> None:
    with installed(ForgetfulKeyring()) as ring:
        if act == "promote":
            ring.kept = {("zenv", LEDGER): credentials.key_line(bytes(32)),
                         ("zenv", f"{LEDGER}/next"): credentials.key_line(bytes(range(32)))}  # fmt: skip
            before = dict(ring.kept)
            locked(lambda: credentials.promote_key(KEYRING))
            assert ring.kept == before, "the slot was emptied although its key is nowhere else"
        else:
            locked(lambda: credentials.put_key(KEYRING, bytes(32)))
