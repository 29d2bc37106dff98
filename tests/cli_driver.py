"""Runs zenv as people do: a command line in, what was printed and the exit code out."""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import pty
import select
import subprocess
import sys
import termios
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from zenv.cli import main

ROOT = Path(__file__).resolve().parents[1]
Typed = str | Callable[[str], str]
"""A line a person types, or how they find it in what was shown."""

PATIENCE_S = 20.0
QUESTION_MARKS = (b": ", b"]: ")


@dataclass(frozen=True)
class Answer:
    """What a command line printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """The data of a --json answer."""
        return json.loads(self.out)["data"]

    @property
    def error(self) -> Any:
        """The error of a --json answer."""
        return json.loads(self.out)["error"]

    @property
    def rows(self) -> list[dict[str, str]]:
        """A piped table, by column."""
        header, *lines = self.out.rstrip("\n").split("\n")
        return [dict(zip(header.split("\t"), line.split("\t"), strict=True)) for line in lines]


class Zenv:
    """`zenv("items", "list")` in one home; `good` insists on exit code 0."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def __call__(self, *words: str, stdin: str = "") -> Answer:
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            patch.setattr(sys, "stdin", io.StringIO(stdin))
            patch.setenv("ZENV_HOME", str(self.home))
            code = main(list(words))
        return Answer(code, out.getvalue(), err.getvalue())

    def good(self, *words: str, stdin: str = "") -> Answer:
        """Run a command that must succeed."""
        answer = self(*words, stdin=stdin)
        assert answer.code == 0, answer
        return answer

    def data(self, *words: str) -> Any:
        """The data a command answers with --json."""
        return self.good(*words, "--json").data

    def process(self, *words: str, stdin: str = "", **environment: str) -> Answer:
        """Run it as a process of its own."""
        done = subprocess.run(
            [sys.executable, "-m", "zenv", *words],
            input=stdin, capture_output=True, text=True, cwd=ROOT, timeout=60,
            env={**os.environ, "ZENV_HOME": str(self.home), **environment},
        )  # fmt: skip
        return Answer(done.returncode, done.stdout, done.stderr)

    def at_terminal(self, *words: str, typed: tuple[Typed, ...] = (), **environment: str) -> Answer:
        """Run it at a terminal of 100 columns, answering each question with the next line of `typed`."""
        master, terminal = pty.openpty()
        env = {**os.environ, "ZENV_HOME": str(self.home), "COLUMNS": "100", "TERM": "xterm", **environment}
        process = subprocess.Popen(
            [sys.executable, "-m", "zenv", *words],
            stdin=terminal, stdout=terminal, stderr=terminal, cwd=ROOT, env=env, start_new_session=True,
            preexec_fn=_own_terminal,
        )  # fmt: skip
        os.close(terminal)
        shown = _converse(master, list(typed))
        os.close(master)
        return Answer(process.wait(timeout=60), shown, "")


def _own_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY)  # so that Ctrl-C typed there reaches the process


def _converse(master: int, typed: list[Typed]) -> str:
    shown, since = b"", b""
    while True:
        if not select.select([master], [], [], PATIENCE_S)[0]:
            os.write(master, b"\x03")  # a question nobody is there to answer
        try:
            part = os.read(master, 65536)
        except OSError:  # Linux says EIO when the other side has closed
            part = b""
        if not part:
            return shown.decode().replace("\r\n", "\n")
        shown, since = shown + part, since + part
        if typed and since.endswith(QUESTION_MARKS):
            line = typed.pop(0)
            os.write(master, (line if isinstance(line, str) else line(shown.decode())).encode() + b"\n")
            since = b""


@pytest.fixture(name="zenv")
def an_empty_home(tmp_path: Path) -> Zenv:
    """zenv in an empty home."""
    return Zenv(tmp_path / "home")


@pytest.fixture(name="shop")
def a_shop(zenv: Zenv) -> Zenv:
    """zenv with the books of a company: a key file, the warehouse Main, two items."""
    zenv.good("init", "--company", "Mugs GmbH", "--country", "DE", "--time-zone", "Europe/Berlin", "--currency", "EUR",
              "--key-store", "file")  # fmt: skip
    zenv.good("items", "add", "MUG", "--name", "A mug", "--gtin", "4006381333931")
    zenv.good("items", "add", "CUP", "--name", "A cup")
    return zenv
