"""Folders and files that only their owner can open."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from zenv import privacy
from zenv.errors import SettingsError


def test_a_new_folder_and_its_parents_are_ours_alone(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        privacy.private_folder(tmp_path / "share" / "zenv")
    finally:
        os.umask(before)
    for folder in (tmp_path / "share", tmp_path / "share" / "zenv"):
        assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(("mode", "fine"), [(0o700, True), (0o755, True), (0o770, False), (0o702, False)])
def test_a_folder_others_can_write_into_is_refused(tmp_path: Path, mode: int, fine: bool) -> None:
    folder = tmp_path / "zenv"
    folder.mkdir()
    folder.chmod(mode)
    if fine:
        assert privacy.private_folder(folder) == folder
    else:
        with pytest.raises(SettingsError, match="other users can write"):
            privacy.private_folder(folder)


def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "zenv").touch()
    with pytest.raises(SettingsError, match="not a folder"):
        privacy.private_folder(tmp_path / "zenv")
    with pytest.raises(SettingsError, match="cannot be made"):
        privacy.private_folder(tmp_path / "zenv" / "below")


def test_a_new_file_is_ours_alone_and_an_existing_one_keeps_its_content(tmp_path: Path) -> None:
    path = privacy.private_file(tmp_path / "ledger.db")
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("content")
    assert privacy.private_file(path).read_text() == "content"


def test_a_symbolic_link_in_the_place_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SettingsError, match="not a regular file"):
        privacy.private_file(tmp_path / "link")
    assert not (tmp_path / "elsewhere").exists()
