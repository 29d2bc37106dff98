"""`zenv key`: what it says, what it moves, and that the key shows nowhere but where it was asked for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cli_driver import Zenv, a_shop, an_empty_home  # noqa: F401  # the fixtures shop and zenv
from tests.keystores import ForgetfulKeyring, LockedKeyring, MemoryKeyring, installed
from zenv import credentials
from zenv.credentials.keys import parse_key
from zenv.errors import BadInput, KeyUnavailable
from zenv.ledger.book import open_book

as_root = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("systemd-creds"),
    reason="systemd-creds seals for root only, and on a machine with systemd",
)


@pytest.fixture(autouse=True)
def no_key_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CREDENTIALS_DIRECTORY", "ZENV_KEY_FILE", "ZENV_KEY"):
        monkeypatch.delenv(name, raising=False)


def key_of(zenv: Zenv) -> str:
    return (zenv.home / "master.key").read_text().strip()


def with_person(zenv: Zenv) -> Zenv:
    zenv.good("orders", "create", "--line", "MUG=1", "--recipient", stdin="name=Jane\n")
    return zenv


def opens(zenv: Zenv) -> bool:
    return "Jane" in zenv.good("orders", "show", "M-1", "--with-personal-data").out


# --- show and export --------------------------------------------------------------------------------------


def test_show_says_where_the_key_is_and_never_the_key(shop: Zenv) -> None:
    shown = shop.data("key", "show")
    master = credentials.whole(parse_key(key_of(shop), "the file"))
    assert shown["kind"] == "file" and shown["detail"] == str(shop.home / "master.key")
    assert shown["fingerprint"] == credentials.key_check(master)
    assert shown["opens"] is True and shown["rotation"] == ""
    answer = shop.good("key", "show")
    assert key_of(shop).removeprefix("zenv-key-1:") not in answer.out + answer.err + json.dumps(shown)


def test_show_says_that_the_key_comes_from_the_environment(shop: Zenv, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZENV_KEY", key_of(shop))
    (shop.home / "master.key").unlink()
    shown = shop.data("key", "show")
    assert shown["read_from"] == "ZENV_KEY" and shown["kind"] == "file" and shown["opens"] is True


def test_show_of_a_key_that_does_not_open_says_why_and_ends_with_its_exit_code(shop: Zenv) -> None:
    (shop.home / "master.key").unlink()
    answer = shop("key", "show")
    assert answer.code == 78 and "opens\tno" in answer.out and "cannot be read" in answer.err


def test_export_in_a_pipe_wants_a_word(shop: Zenv) -> None:
    answer = shop("key", "export")
    assert answer.code == 2 and "--yes" in answer.err and "zenv-key-1:" not in answer.out + answer.err


def test_the_exported_line_opens_the_ledger_where_the_key_is_lost(shop: Zenv, tmp_path: Path) -> None:
    answer = with_person(shop).good("key", "export", "--yes")
    assert answer.out == key_of(shop) + "\n"
    assert "opens all that is sealed" in answer.err and "zenv-key-1:" not in answer.err
    (shop.home / "master.key").unlink()
    copy = tmp_path / "copy"
    copy.write_text(answer.out)
    copy.chmod(0o600)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZENV_KEY_FILE", str(copy))
        assert opens(shop)
        moved = shop.data("key", "move", "--to", "file")
    assert moved["left"] == [f"ZENV_KEY_FILE ({copy})"]
    assert opens(shop) and key_of(shop) + "\n" == answer.out


def test_at_a_terminal_the_key_is_shown_only_after_a_yes(shop: Zenv) -> None:
    assert "zenv-key-1:" not in shop.at_terminal("key", "export", typed=("n",)).out
    assert key_of(shop) in shop.at_terminal("key", "export", typed=("y",)).out


def test_init_says_to_keep_a_recovery_code(zenv: Zenv) -> None:
    answer = zenv.good("init", "--company", "M", "--country", "DE", "--time-zone", "UTC", "--currency", "EUR",
                       "--key-store", "file")  # fmt: skip
    assert "zenv key export" in answer.out


# --- a part -----------------------------------------------------------------------------------------------


def test_I13_a_part_of_the_key_opens_persons_and_never_a_connection_s_secret(
    shop: Zenv, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = with_person(shop).good("key", "export", "--only", "personal,pepper", "--yes")
    assert answer.out.startswith("zenv-part-1:") and "opens only: personal, pepper" in answer.err
    pepper = credentials.sub_key(credentials.whole(parse_key(key_of(shop), "")), "pepper")
    monkeypatch.setenv("ZENV_KEY", answer.out.strip())
    assert opens(shop)
    with open_book(shop.home) as book:
        assert book.sub_key("pepper") == pepper
        for closed in (book.master_key, lambda: book.sub_key("secrets")):
            with pytest.raises(KeyUnavailable, match="opens personal, pepper only"):
                closed()
    assert shop("key", "export", "--yes").code == 78
    assert shop("key", "move", "--to", "keyring").code == 78
    assert shop.data("key", "show")["read_from"] == "ZENV_KEY"


def test_a_part_is_made_of_what_may_be_handed_out_alone(shop: Zenv) -> None:
    for parts in ("secrets", "personal,secrets", ",", "all"):
        answer = shop("key", "export", "--only", parts, "--yes")
        assert answer.code == 65 and "zenv-part-1:" not in answer.out, parts


def test_a_part_of_another_ledger_s_key_or_a_damaged_one_is_recognised(
    shop: Zenv, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_person(shop)
    line = credentials.part_line(os.urandom(32), ["personal"])
    monkeypatch.setenv("ZENV_KEY", line)
    assert "another ledger" in shop("orders", "show", "M-1", "--with-personal-data").err
    monkeypatch.setenv("ZENV_KEY", line[:-9] + "A" + line[-8:])
    assert "damaged" in shop("orders", "show", "M-1", "--with-personal-data").err


def test_a_part_is_repeated_by_no_repr_and_a_key_store_keeps_only_whole_keys(tmp_path: Path) -> None:
    part = parse_key(credentials.part_line(bytes(32), ["pepper"]), "")
    assert isinstance(part, credentials.PartKey) and repr(part.keys["pepper"]) not in repr(part)
    path = tmp_path / "part.key"
    path.write_text(credentials.part_line(bytes(32), ["pepper"]))
    path.chmod(0o600)
    with pytest.raises(KeyUnavailable, match="opens pepper only"):
        credentials.master_key(credentials.KeyStore("file", str(path), "x"))
    with pytest.raises(BadInput):
        credentials.part_line(bytes(32), [])


# --- move -------------------------------------------------------------------------------------------------


def test_a_key_moves_and_its_old_place_is_empty(shop: Zenv, tmp_path: Path) -> None:
    with_person(shop)
    line = key_of(shop)
    with installed(MemoryKeyring()) as ring:
        moved = shop.data("key", "move", "--to", "keyring")
        assert moved["left"] == [] and not (shop.home / "master.key").exists()
        assert list(ring.kept.values()) == [line] and opens(shop)
        shop.good("key", "move", "--to", "file", "--key-file", str(tmp_path / "other.key"))
        assert ring.kept == {} and opens(shop)
    assert (tmp_path / "other.key").read_text().strip() == line
    assert (tmp_path / "other.key").stat().st_mode & 0o777 == 0o600


def test_a_move_to_where_the_key_is_already_changes_nothing(shop: Zenv) -> None:
    line = key_of(shop)
    assert shop.data("key", "move", "--to", "file")["left"] == []
    assert key_of(shop) == line


def test_a_key_moves_behind_a_command_that_prints_it_and_no_other(shop: Zenv, tmp_path: Path) -> None:
    with_person(shop)
    copy = tmp_path / "the vault"
    shutil.copy(shop.home / "master.key", copy)
    wrong = shop("key", "move", "--to", "command", "--command", "echo " + credentials.key_line(bytes(32)))
    assert wrong.code == 79 and "holds another key" in wrong.err
    assert shop("key", "move", "--to", "command", "--command", "false").code == 78
    assert (shop.home / "master.key").exists() and opens(shop)
    shop.good("key", "move", "--to", "command", "--command", f"cat '{copy}'")
    assert not (shop.home / "master.key").exists() and opens(shop)
    left = shop.data("key", "move", "--to", "file")["left"]
    assert left and "cat" in left[0], "a command's place cannot be emptied, and that is said"


def test_another_key_is_never_overwritten_by_a_move(shop: Zenv, tmp_path: Path) -> None:
    other = tmp_path / "other.key"
    other.write_text(credentials.key_line(bytes(32)) + "\n")
    other.chmod(0o600)
    answer = shop("key", "move", "--to", "file", "--key-file", str(other))
    assert answer.code == 79 and other.read_text() == credentials.key_line(bytes(32)) + "\n"
    assert shop.data("key", "show")["detail"] == str(shop.home / "master.key")


def test_a_move_into_a_keyring_that_is_locked_or_loses_the_key_changes_nothing(shop: Zenv) -> None:
    with_person(shop)
    for ring, said in ((LockedKeyring(), "is locked"), (ForgetfulKeyring(), "did not give it back")):
        with installed(ring):
            answer = shop("key", "move", "--to", "keyring")
        assert answer.code == 75 and said in answer.err
        assert opens(shop) and shop.data("key", "show")["kind"] == "file"


def test_a_move_while_a_rotation_is_unfinished_is_refused(shop: Zenv) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("zenv.ledger.keys._seal_anew", _stopped)
        assert shop("key", "rotate").code == 70
    assert "zenv key rotate" in shop.data("key", "show")["rotation"]
    answer = shop("key", "move", "--to", "keyring")
    assert answer.code == 79 and "zenv key rotate" in answer.err
    shop.good("key", "rotate")
    assert shop.data("key", "show")["rotation"] == ""


def _stopped(*_: object) -> None:
    raise RuntimeError("the power went")


@pytest.mark.parametrize(
    "words",
    [
        ("--to", "keyring", "--key-file", "x"),
        ("--to", "command"),
        ("--to", "file", "--command", "x"),
        ("--to", "command", "--command", "cat 'x"),
    ],
)
def test_options_that_contradict_each_other_are_refused(shop: Zenv, words: tuple[str, ...]) -> None:
    before = shop.data("key", "show")
    assert shop("key", "move", *words).code == 65
    assert shop.data("key", "show") == before


# --- rotate -----------------------------------------------------------------------------------------------


def test_rotate_makes_a_new_key_and_says_what_comes_next(shop: Zenv) -> None:
    before = key_of(with_person(shop))
    answer = shop.good("key", "rotate")
    assert "zenv key export" in answer.out and key_of(shop) != before and opens(shop)
    assert shop.data("key", "show")["fingerprint"] == credentials.key_check(parse_key(key_of(shop), "the file"))


def test_the_recovery_code_of_before_a_rotation_is_recognised_as_old(
    shop: Zenv, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = key_of(with_person(shop))
    shop.good("key", "rotate")
    monkeypatch.setenv("ZENV_KEY", before)
    answer = shop("orders", "show", "M-1", "--with-personal-data")
    assert answer.code == 78 and "before the key was rotated" in answer.err


# --- systemd ----------------------------------------------------------------------------------------------


@as_root
def test_a_key_is_sealed_for_this_machine_and_rotated_there(shop: Zenv, tmp_path: Path) -> None:
    line, sealed = key_of(with_person(shop)), tmp_path / "etc" / "zenv.key.cred"
    shop.good("key", "move", "--to", "systemd", "--key-file", str(sealed))
    assert sealed.stat().st_mode & 0o777 == 0o600 and b"zenv-key" not in sealed.read_bytes()
    told = subprocess.run(["systemd-creds", "decrypt", "--name=zenv.key", sealed, "-"], capture_output=True, text=True)
    assert told.stdout == line and not (shop.home / "master.key").exists()
    assert opens(shop)
    shop.good("key", "rotate")
    assert opens(shop) and [path.name for path in sealed.parent.iterdir()] == [sealed.name]
    shop.good("key", "move", "--to", "file")
    assert key_of(shop) != line and opens(shop) and not list(sealed.parent.iterdir())


@as_root
def test_the_service_is_given_the_key_and_others_are_told_how_to_run_as_it(
    shop: Zenv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line, sealed = key_of(with_person(shop)), tmp_path / "zenv.key.cred"
    shop.good("key", "move", "--to", "systemd", "--key-file", str(sealed))
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    answer = shop("orders", "show", "M-1", "--with-personal-data")
    assert answer.code == 78 and "sealed for the service" in answer.err
    assert "sudo" in answer.err and "LoadCredentialEncrypted" in answer.err
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / "zenv.key").write_text(line)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    assert opens(shop)


def test_without_systemd_a_move_to_it_changes_nothing(shop: Zenv, tmp_path: Path) -> None:
    with_person(shop)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(tmp_path))
        answer = shop("key", "move", "--to", "systemd", "--key-file", str(tmp_path / "x.cred"))
    assert answer.code == 78 and "systemd-creds cannot be run" in answer.err
    assert opens(shop) and not (tmp_path / "x.cred").exists()


def test_a_secret_of_kubernetes_behind_its_link_is_taken_as_a_credential(
    shop: Zenv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are links into a folder of that version, and open to all users of the container."""
    with_person(shop)
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data" / "zenv.key").write_text(key_of(shop))
    (tmp_path / "..data" / "zenv.key").chmod(0o444)
    (tmp_path / "zenv.key").symlink_to("..data/zenv.key")
    (shop.home / "master.key").unlink()
    monkeypatch.setenv("ZENV_KEY_FILE", str(tmp_path / "zenv.key"))
    assert shop("orders", "show", "M-1", "--with-personal-data").code == 78
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert opens(shop)


# --- the key shows nowhere --------------------------------------------------------------------------------

WITNESS = """#!/bin/sh
tr '\\0' ' ' </proc/$$/cmdline >>"{told}"
tr '\\0' ' ' </proc/$PPID/cmdline >>"{told}"
exec {program} "$@"
"""


@as_root
def test_I13_the_key_is_in_no_argument_no_log_and_no_error(shop: Zenv, tmp_path: Path) -> None:
    """`systemd-creds` here first writes down its own command line and that of the zenv that started it."""
    witness, told = tmp_path / "bin" / "systemd-creds", tmp_path / "told"
    witness.parent.mkdir()
    witness.write_text(WITNESS.format(told=told, program=shutil.which("systemd-creds")))
    witness.chmod(0o755)
    sealed = ("--to", "systemd", "--key-file", str(tmp_path / "sealed"))
    keys, said = {key_of(shop)}, ""
    for words in (("move", *sealed), ("show",), ("rotate",), ("move", "--to", "keyring"), ("move", "--to", "file")):
        answer = shop.process("key", *words, "--verbose", PATH=f"{witness.parent}:{os.environ['PATH']}")
        said += answer.out + answer.err
    keys.add(key_of(shop))
    said += told.read_text()
    assert "--name=zenv.key" in said and "zenv key show" in said.replace("-m zenv", "zenv"), "the witness saw nothing"
    assert len(keys) == 2
    assert not any(key.removeprefix("zenv-key-1:") in said for key in keys)
