"""The master key and what is sealed under it, against real files, real commands and real cryptography."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.keystores import (
    MemoryKeyring,
    installed,
)
from zenv import credentials
from zenv.credentials import KeyStore, Secret, places
from zenv.errors import KeyUnavailable, Refused, SettingsError

LEDGER = "6f1c0d3e5b7a4c2d9e8f7a6b5c4d3e2f"
KEYRING = KeyStore("keyring", "", LEDGER)
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def no_key_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CREDENTIALS_DIRECTORY", "ZENV_KEY_FILE", "ZENV_KEY"):
        monkeypatch.delenv(name, raising=False)


def key_file(path: Path, master: bytes, mode: int = 0o600) -> Path:
    path.write_text(credentials.key_line(master) + "\n")
    path.chmod(mode)
    return path


def file_store(path: Path) -> KeyStore:
    return KeyStore("file", str(path), LEDGER)


def command_store(*argv: str) -> KeyStore:
    return KeyStore("command", json.dumps(argv), LEDGER)


def printing(text: str) -> KeyStore:
    return command_store(sys.executable, "-c", f"print({text!r})")


def refusal(store: KeyStore) -> str:
    with pytest.raises(KeyUnavailable) as caught:
        credentials.master_key(store)
    return caught.value.message


@contextmanager
def typed(text: bytes) -> Iterator[None]:
    """`text` waits on this process's standard input."""
    reading, writing = os.pipe()
    os.write(writing, text)
    os.close(writing)
    before = os.dup(0)
    os.dup2(reading, 0)
    try:
        yield
    finally:
        os.dup2(before, 0)
        os.close(before)
        os.close(reading)


def has_ended(process_id: int) -> bool:
    """Looked at a few times: a killed process needs a moment to go."""
    for _ in range(500):
        shown = subprocess.run(["ps", "-o", "stat=", "-p", str(process_id)], capture_output=True, text=True)
        if not shown.stdout.strip() or shown.stdout.startswith("Z"):
            return True
    return False


# --- a file


def test_a_key_made_in_a_file_is_read_back_and_only_its_owner_can_open_it(tmp_path: Path) -> None:
    store = file_store(tmp_path / "zenv.key")
    credentials.create_master_key(store)
    master = credentials.master_key(store)
    assert len(master) == credentials.MASTER_KEY_BYTES
    assert (tmp_path / "zenv.key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "zenv.key").read_text() == credentials.key_line(master) + "\n"


def test_two_keys_are_never_the_same(tmp_path: Path) -> None:
    keys = set()
    for name in "abc":
        credentials.create_master_key(file_store(tmp_path / name))
        keys.add(credentials.master_key(file_store(tmp_path / name)))
    assert len(keys) == 3


def test_an_existing_key_file_is_never_overwritten(tmp_path: Path) -> None:
    store = file_store(tmp_path / "zenv.key")
    credentials.create_master_key(store)
    before = credentials.master_key(store)
    with pytest.raises(Refused, match="never overwrites"):
        credentials.create_master_key(store)
    assert credentials.master_key(store) == before


def test_a_key_is_not_made_through_a_symbolic_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Refused):
        credentials.create_master_key(file_store(tmp_path / "link"))
    assert not (tmp_path / "elsewhere").exists()


def test_a_key_file_in_a_missing_folder_is_a_settings_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be made"):
        credentials.create_master_key(file_store(tmp_path / "nowhere" / "zenv.key"))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o620])
def test_a_key_file_that_others_can_open_is_refused(tmp_path: Path, mode: int) -> None:
    path = key_file(tmp_path / "zenv.key", os.urandom(32), mode)
    assert "other users can open" in refusal(file_store(path))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_a_key_file_of_another_user_is_refused(tmp_path: Path) -> None:
    path = key_file(tmp_path / "zenv.key", os.urandom(32))
    os.chown(path, 65534, 65534)
    assert "another user" in refusal(file_store(path))


def test_a_key_file_behind_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    path = key_file(tmp_path / "zenv.key", os.urandom(32))
    (tmp_path / "link").symlink_to(path)
    assert "symbolic link" in refusal(file_store(tmp_path / "link"))


def test_a_named_pipe_is_refused_without_waiting_for_its_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    assert "not a regular file" in refusal(file_store(tmp_path / "pipe"))


def test_a_missing_key_file_names_the_ways_out(tmp_path: Path) -> None:
    with pytest.raises(KeyUnavailable, match="No such file") as caught:
        credentials.master_key(file_store(tmp_path / "zenv.key"))
    assert "ZENV_KEY_FILE" in caught.value.hint
    assert "zenv init --key-store file" in caught.value.hint


@pytest.mark.parametrize("kept", [12, 30, 54, 58])
def test_a_key_cut_short_is_recognised(tmp_path: Path, kept: int) -> None:
    path = key_file(tmp_path / "zenv.key", os.urandom(32))
    path.write_text(path.read_text()[:kept])
    assert "damaged or cut short" in refusal(file_store(path))


def test_one_changed_letter_in_the_key_is_recognised(tmp_path: Path) -> None:
    path = key_file(tmp_path / "zenv.key", os.urandom(32))
    line = path.read_text()
    path.write_text(line[:20] + ("B" if line[20] == "A" else "A") + line[21:])
    assert "damaged" in refusal(file_store(path))


@pytest.mark.parametrize(
    "text",
    ["", "zenv", "-----BEGIN OPENSSH PRIVATE KEY-----", b64encode(bytes(32)).decode(), "\x00\xff" * 40],
)
def test_a_foreign_file_is_not_taken_for_a_key(tmp_path: Path, text: str) -> None:
    path = tmp_path / "zenv.key"
    path.write_text(text, encoding="latin-1")
    path.chmod(0o600)
    assert "does not hold a zenv key" in refusal(file_store(path))


def test_the_key_of_another_ledger_is_recognised_by_its_fingerprint(tmp_path: Path) -> None:
    ours, theirs = os.urandom(32), os.urandom(32)
    store = file_store(key_file(tmp_path / "zenv.key", theirs))
    assert credentials.master_key(store, credentials.key_check(theirs)) == theirs
    with pytest.raises(KeyUnavailable, match="belongs to another ledger"):
        credentials.master_key(store, credentials.key_check(ours))


def test_the_fingerprint_is_16_hex_digits_that_stay_the_same() -> None:
    assert credentials.key_check(bytes(32)) == credentials.key_check(bytes(32))
    assert len(credentials.key_check(bytes(32))) == 16
    assert int(credentials.key_check(bytes(32)), 16) >= 0


# --- the order of look-up


def test_the_key_is_looked_up_in_the_documented_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    systemd, named, value, kept = (os.urandom(32) for _ in range(4))
    store = file_store(key_file(tmp_path / "kept.key", kept))
    assert credentials.master_key(store) == kept
    monkeypatch.setenv("ZENV_KEY", credentials.key_line(value))
    assert credentials.master_key(store) == value
    monkeypatch.setenv("ZENV_KEY_FILE", str(key_file(tmp_path / "named.key", named)))
    assert credentials.master_key(store) == named
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert credentials.master_key(store) == named, "other credentials of the unit are none of our business"
    key_file(tmp_path / "zenv.key", systemd, 0o440)
    assert credentials.master_key(store) == systemd


def test_a_given_key_that_cannot_be_read_is_an_error_and_no_reason_to_look_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = file_store(key_file(tmp_path / "kept.key", os.urandom(32)))
    monkeypatch.setenv("ZENV_KEY", "short")
    assert "ZENV_KEY does not hold" in refusal(store)
    monkeypatch.setenv("ZENV_KEY_FILE", str(tmp_path / "missing.key"))
    assert "missing.key" in refusal(store)
    (tmp_path / "zenv.key").write_text("nonsense")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert "zenv.key does not hold" in refusal(store)


def test_the_key_in_the_environment_may_be_plain_base64_in_either_alphabet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    master = bytes([251, 255, 190]) * 10 + b"ab"
    for text in (b64encode(master).decode(), b64encode(master, b"-_").decode()):
        monkeypatch.setenv("ZENV_KEY", text + "\n")
        assert credentials.given_key() == master
    monkeypatch.setenv("ZENV_KEY", b64encode(master[:31]).decode())
    with pytest.raises(KeyUnavailable):
        credentials.given_key()


def test_where_a_key_is_given_init_makes_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZENV_KEY_FILE", str(key_file(tmp_path / "given.key", os.urandom(32))))
    with installed(MemoryKeyring()) as ring:
        credentials.create_master_key(KEYRING)
        credentials.create_master_key(file_store(tmp_path / "zenv.key"))
        assert ring.kept == {}
    assert not (tmp_path / "zenv.key").exists()


# --- a command


def test_a_command_prints_the_key() -> None:
    master = os.urandom(32)
    for text in (credentials.key_line(master), b64encode(master).decode()):
        credentials.create_master_key(printing(text))
        assert credentials.master_key(printing(text)) == master


def test_a_command_gets_no_shell_and_no_input(tmp_path: Path) -> None:
    line = credentials.key_line(os.urandom(32))
    probe = "import sys; open(sys.argv[1], 'w').write(sys.argv[2] + sys.stdin.read()); print(sys.argv[3])"
    seen = tmp_path / "seen"
    with typed(b"typed by a person"):
        credentials.master_key(command_store(sys.executable, "-c", probe, str(seen), "$(id); *", line))
    assert seen.read_text() == "$(id); *"


def test_a_command_that_fails_is_named_and_its_output_is_not_repeated() -> None:
    store = command_store(sys.executable, "-c", "import sys; print('marker-7731'); sys.exit('marker-7732')")
    sentence = refusal(store)
    assert "exit code 1" in sentence
    assert "marker" not in sentence
    assert "marker" not in refusal(printing("marker-7733"))


def test_a_command_that_does_not_exist_is_a_clear_error(tmp_path: Path) -> None:
    assert "cannot be run: No such file" in refusal(command_store(str(tmp_path / "vault")))


def test_a_command_that_never_answers_is_ended_with_the_helpers_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "COMMAND_LIMIT_S", 1.0)
    helper = f"sleep 600 & echo $! > {tmp_path / 'helper'}; wait"
    assert "did not answer within 1 s" in refusal(command_store("sh", "-c", helper))
    assert has_ended(int((tmp_path / "helper").read_text()))


@pytest.mark.parametrize("detail", ["", "pass show zenv", "[]", '["pass", 1]', '{"pass": 1}'])
def test_a_remembered_command_must_be_a_list_of_words(detail: str) -> None:
    with pytest.raises(SettingsError, match="not a list of words"):
        credentials.master_key(KeyStore("command", detail, LEDGER))


# --- sealing


def test_what_was_sealed_opens_and_shows_nothing_of_itself() -> None:
    key = credentials.sub_key(os.urandom(32), "secrets")
    sealed = credentials.seal(key, b"marker-4711", "a|b")
    assert b"marker" not in sealed
    assert credentials.unseal(key, sealed, "a|b") == b"marker-4711"
    assert credentials.seal(key, b"marker-4711", "a|b") != sealed, "a nonce was used twice"


def test_a_sealed_value_does_not_open_elsewhere_nor_under_another_key_nor_changed() -> None:
    key = os.urandom(32)
    sealed = credentials.seal(key, b"marker-4711", "order|1|person")
    attempts = [
        (key, sealed, "order|2|person"),
        (os.urandom(32), sealed, "order|1|person"),
        (key, sealed[:-1] + bytes([sealed[-1] ^ 1]), "order|1|person"),
        (key, sealed[:-1], "order|1|person"),
        (key, b"\x02" + sealed[1:], "order|1|person"),
        (key, sealed[:20], "order|1|person"),
        (key, b"", "order|1|person"),
    ]
    for with_key, value, place in attempts:
        with pytest.raises(KeyUnavailable) as caught:
            credentials.unseal(with_key, value, place)
        assert caught.value.message
        assert "marker" not in "".join(traceback.format_exception(caught.value))


def test_each_purpose_has_a_key_of_its_own() -> None:
    master = os.urandom(32)
    keys = {credentials.sub_key(master, purpose) for purpose in ("secrets", "personal", "key-check")}
    assert len(keys) == 3
    assert master not in keys
    assert {len(key) for key in keys} == {32}


def test_the_sealed_form_stays_readable_by_later_versions() -> None:
    key = credentials.sub_key(bytes(32), "secrets")
    assert key.hex() == SECRETS_KEY_OF_ZEROS
    assert credentials.unseal(key, bytes.fromhex(SEALED_BY_0_1), "a|b") == b"hello"


# Written once by the first version: a change of either is a change of format, and needs a new version byte.
SECRETS_KEY_OF_ZEROS = "f9866951d783956568475685877d22ef3c4e35530dde689b06d7d3baa8f454ad"
SEALED_BY_0_1 = "01684d99a7cfd1c4b852e16c587ec0ec39381d64cf38cc397ef4383c419915779079"


# --- secrets


def test_a_secret_comes_back_and_never_shows_when_printed() -> None:
    master = os.urandom(32)
    sealed = credentials.seal_secret(master, "shop", "refresh_token", "Atzr|marker-5512")
    secret = credentials.open_secret(lambda: master, "shop", "refresh_token", sealed)
    assert secret.value == "Atzr|marker-5512"
    assert b"marker" not in sealed
    for shown in (repr(secret), str(secret), f"{secret}", f"{[secret]}", "%s" % secret):  # noqa: UP031 - all ways
        assert "marker" not in shown
        assert "Secret(***)" in shown


@pytest.mark.parametrize(("connection", "field"), [("shop", "client_secret"), ("other", "refresh_token")])
def test_a_secret_does_not_open_for_another_connection_or_field(connection: str, field: str) -> None:
    master = os.urandom(32)
    sealed = credentials.seal_secret(master, "shop", "refresh_token", "x")
    with pytest.raises(KeyUnavailable):
        credentials.open_secret(lambda: master, connection, field, sealed)


def test_the_environment_stands_in_for_a_secret_without_any_key_store(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_key() -> bytes:
        raise AssertionError("the master key was asked for")

    monkeypatch.setenv("ZENV_SECRET_AMAZON_US_REFRESH_TOKEN", "from-ci")
    assert credentials.open_secret(no_key, "amazon-us", "refresh_token", b"sealed") == Secret("from-ci")
    assert credentials.open_secret(no_key, "amazon-us", "refresh_token", None) == Secret("from-ci")


def test_a_missing_secret_names_the_variable_that_can_give_it() -> None:
    with pytest.raises(SettingsError, match="shop has no client_secret") as caught:
        credentials.open_secret(lambda: bytes(32), "shop", "client_secret", None)
    assert "ZENV_SECRET_SHOP_CLIENT_SECRET" in caught.value.hint


def test_importing_credentials_loads_no_heavy_library() -> None:
    heavy = "{'keyring', 'cryptography', 'sqlite3', 'pysqlite3', 'subprocess', 'logging', 'secretstorage'}"
    code = f"import sys, zenv.credentials, zenv.privacy; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "set()\n"
