"""zenv on a server: a real systemd is booted as PID 1 in a container over this machine's files, and zenv is set up
there as docs/always_on.md says; then it is reloaded, killed, hung and stopped. What holds is in systemd/driver.sh."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

HERE = Path(__file__).parent
BOOT, DRIVER = HERE / "systemd" / "boot.sh", HERE / "systemd" / "driver.sh"


def missing() -> str:
    """What keeps this machine from booting a systemd of its own."""
    if os.geteuid() != 0:
        return "needs root"
    if not shutil.which("systemd-nspawn"):
        return "needs systemd-nspawn (Debian: systemd-container)"
    if "overlay" not in Path("/proc/filesystems").read_text():
        return "needs overlayfs"
    return ""


def boot(driver: Path) -> subprocess.CompletedProcess[str]:
    words = [str(BOOT), str(driver), str(HERE.parent), sys.executable, sysconfig.get_path("purelib")]
    return subprocess.run(words, capture_output=True, text=True, timeout=240, check=False)


pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "-")


def test_under_a_booted_systemd_zenv_lives_as_a_service_does() -> None:
    done = boot(DRIVER)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all held\nEXIT=0" in done.stdout
    held = [line for line in done.stdout.splitlines() if line.startswith("ok: ")]
    assert len(held) == sum(line.startswith(("ok ", "soon ")) for line in DRIVER.read_text().splitlines())


def test_a_driver_that_fails_inside_fails_outside(tmp_path: Path) -> None:
    """The planted mutant: the boot can tell."""
    (tmp_path / "driver").write_text("#!/bin/sh\necho inside; exit 3\n")
    done = boot(tmp_path / "driver")
    assert done.returncode == 1
    assert done.stdout.startswith("inside\nEXIT=3\n")
