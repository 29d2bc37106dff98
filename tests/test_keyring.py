"""The master key in the desktop's keyring: bounded, read back, and only in keyrings that are known."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import traceback
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
from zenv.errors import KeyUnavailable, Refused

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
    assert "zenv init --key-store file" in caught.value.hint


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


def test_a_locked_keyring_is_not_waited_for() -> None:
    with installed(LockedKeyring()):
        assert "the keyring is locked" in refusal(KEYRING)


def test_a_keyring_that_hangs_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desktop, "KEYRING_LIMIT_S", 0.05)
    hanging = HangingKeyring()
    with installed(hanging):
        try:
            assert "did not answer within 0.05 s" in refusal(KEYRING)
        finally:
            hanging.let_go.set()


def test_a_keyring_that_forgets_is_found_out_at_once() -> None:
    with installed(ForgetfulKeyring()), pytest.raises(KeyUnavailable, match="did not give it back"):
        credentials.create_master_key(KEYRING)


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


KEYRING_SESSION = """
set -e
printf pw | gnome-keyring-daemon --unlock --components=secrets >/dev/null
"$PYTHON" "$SCRIPT" create
"$PYTHON" "$SCRIPT" read
busctl --user call org.freedesktop.secrets /org/freedesktop/secrets org.freedesktop.Secret.Service Lock ao 1 \
    /org/freedesktop/secrets/collection/login >/dev/null
dbus-monitor "interface='org.freedesktop.Secret.Prompt'" >"$HOME/prompts" &
until [ -s "$HOME/prompts" ] || ! kill -0 $!; do sleep 0.05; done
DISPLAY=:99 "$PYTHON" "$SCRIPT" read
"""

KEYRING_SCRIPT = """
import sys
from zenv import credentials
from zenv.errors import KeyUnavailable
store = credentials.KeyStore("keyring", "", "a-ledger")
try:
    if sys.argv[1] == "create":
        credentials.create_master_key(store)
    print(credentials.key_check(credentials.master_key(store)))
except KeyUnavailable as error:
    print(error.message)
"""


@pytest.mark.skipif(
    not all(shutil.which(name) for name in ("dbus-run-session", "dbus-monitor", "gnome-keyring-daemon", "busctl")),
    reason="needs dbus-run-session, dbus-monitor, busctl and gnome-keyring-daemon",
)
def test_a_real_secret_service_keeps_the_key_and_is_not_waited_for_when_locked(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(KEYRING_SCRIPT)
    paths = {name: str(tmp_path) for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR")}
    environment = os.environ | paths | {"PYTHON": sys.executable, "SCRIPT": str(tmp_path / "script.py")}
    environment |= {"PYTHONPATH": str(ROOT)}
    environment.pop("DISPLAY", None)
    session = ["dbus-run-session", "--", "bash", "-c", KEYRING_SESSION]
    done = subprocess.run(session, env=environment, capture_output=True, text=True, check=False)
    made, read, locked = done.stdout.splitlines() or [done.stderr] * 3
    assert made == read
    assert len(made) == 16
    assert locked == "the keyring is locked, and zenv never waits for a hidden prompt"
    assert "member=Prompt" not in (tmp_path / "prompts").read_text(), "a prompt was opened"
