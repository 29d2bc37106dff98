"""Command lines in processes of their own, forked from a server that has imported zenv once: at a real terminal or
not, with a disk that is full, killed, or with a bug planted in the product."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import pty
import resource
import select
import signal
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.assessor.mutants import planted
from tests.cli_driver import Answer

forks = multiprocessing.get_context("forkserver")
forks.set_forkserver_preload(["zenv.cli", "zenv.daemon", "zenv.connectors.amazon.connector", "tests.assessor.process"])

CEILING_S = 60.0
IDLE_S = 3.0
"""A question nobody answers: after so long at a terminal, Ctrl-C is typed."""


@dataclass(frozen=True)
class Surroundings:
    """What a process finds around itself; `most_bytes` is the size at which a file of it is full."""

    folder: Path
    environment: Mapping[str, str]
    mutant: str = ""
    most_bytes: int = 0
    kill_after_s: float = 0.0
    stop: tuple[int, float] = (0, 0.0)
    """A signal, and after how many seconds it comes."""


@dataclass
class Line:
    """A command line, and what is typed to it."""

    words: tuple[str, ...]
    stdin: str = ""
    where: Surroundings = field(default_factory=lambda: Surroundings(Path.cwd(), {}))

    def run(self) -> Answer:
        """Out and err apart, nobody at a terminal."""
        with tempfile.TemporaryDirectory() as folder:
            out, err, given = (Path(folder) / name for name in ("out", "err", "in"))
            given.write_text(self.stdin)
            process = forks.Process(target=_piped, args=(self, str(given), str(out), str(err)))
            process.start()
            process.join(CEILING_S)
            shown = [path.read_text("utf-8", "replace") if path.exists() else "" for path in (out, err)]
            return Answer(_ended(process, shown[1]), *shown)

    def at_terminal(self) -> Answer:
        """At a terminal of a hundred columns, where everything is shown."""
        master, terminal = pty.openpty()
        process = forks.Process(target=_seated, args=(self, os.ttyname(terminal)))
        process.start()
        shown = _watch(master, process, self.stdin)
        os.close(terminal)
        os.close(master)
        process.join(CEILING_S)
        return Answer(_ended(process, shown), shown, "")


class NotZenv(Exception):
    """The process failed in what the test put around zenv: it proves nothing."""


def _ended(process: multiprocessing.process.BaseProcess, said: str) -> int:
    if process.exitcode is None:
        process.kill()
        process.join()
        raise NotZenv(f"it did not end: {said}")
    if process.exitcode == 1:  # zenv has no such exit code, Python has
        raise NotZenv(said)
    return process.exitcode


def _watch(master: int, process: multiprocessing.process.BaseProcess, typed: str) -> str:
    shown, since, asked = b"", time.monotonic(), bool(typed)
    while process.is_alive() or select.select([master], [], [], 0)[0]:
        if select.select([master], [], [], 0.02)[0]:
            shown, since = shown + os.read(master, 65536), time.monotonic()
        elif asked and time.monotonic() - since > 0.3:
            os.write(master, f"{typed}\n\x04".encode())
            asked = False
        elif time.monotonic() - since > IDLE_S:
            os.write(master, b"\x03")
            since = time.monotonic()
    return shown.decode("utf-8", "replace").replace("\r\n", "\n")


def _piped(line: Line, given: str, out: str, err: str) -> None:
    for number, (path, flags) in enumerate(((given, os.O_RDONLY), (out, os.O_WRONLY | os.O_CREAT),
                                            (err, os.O_WRONLY | os.O_CREAT))):  # fmt: skip
        os.dup2(os.open(path, flags, 0o600), number)
    _be_zenv(line)


def _seated(line: Line, terminal: str) -> None:
    os.setsid()
    descriptor = os.open(terminal, os.O_RDWR)
    fcntl.ioctl(descriptor, termios.TIOCSCTTY)
    for number in range(3):
        os.dup2(descriptor, number)
    os.environ |= {"COLUMNS": "100", "TERM": "xterm"}
    _be_zenv(line)


def _be_zenv(line: Line) -> None:
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(n, mode, closefd=False) for n, mode in enumerate("rww"))
    where = line.where
    os.environ |= where.environment
    os.chdir(where.folder)
    tempfile.tempdir = None
    _threaten(where)
    from zenv.cli import main

    with planted(where.mutant):
        code = main(list(line.words))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _threaten(where: Surroundings) -> None:
    if where.most_bytes:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (where.most_bytes, where.most_bytes))
    for number, seconds in ((signal.SIGKILL, where.kill_after_s), where.stop):
        if seconds:
            timer = threading.Timer(seconds, os.kill, (os.getpid(), number))
            timer.daemon = True
            timer.start()
