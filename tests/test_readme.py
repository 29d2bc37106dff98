"""The README is true: its set-up lines are what CI runs, its links lead somewhere, its commands exist and work."""

from __future__ import annotations

import getpass
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from tests.zfn.faces import free_port
from tests.zfn.processes import ANN, BOOKS, Face
from zenv import cli

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "bench/README.md",
         *(str(page.relative_to(ROOT)) for page in sorted((ROOT / "docs").rglob("*.md"))))  # fmt: skip
SET_UP = ("pip install . && zenv demo", "pip install -e '.[test]' && pytest")


def blocks(page: str) -> list[list[str]]:
    """The lines of the shell blocks of a page."""
    return [block.strip().splitlines() for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL)]


def tour() -> list[list[str]]:
    """The commands of the five minutes, as words."""
    (lines,) = (block for block in blocks(README) if block[0].startswith("zenv init"))
    return [shlex.split(line, comments=True) for line in lines]


@pytest.mark.parametrize("line", SET_UP)
def test_a_set_up_line_of_the_readme_is_what_ci_runs(line: str) -> None:
    assert [line] in blocks(README)
    assert line in (ROOT / ".ci" / "run").read_text("utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_every_link_within_the_project_leads_somewhere(page: str) -> None:
    here = (ROOT / page).parent
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", (ROOT / page).read_text("utf-8"))
    missing = [link for link in links if "://" not in link and not (here / link).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES)
def test_every_zenv_command_that_is_named_exists(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    code = [*re.findall(r"`([^`\n]+)`", text), *(line for block in blocks(text) for line in block)]
    command = re.compile(r"zenv ([a-z]+(?: [a-z][a-z-]*)*)")
    named = [found.group(1).split() for part in code if (found := command.match(part))]
    unknown = [" ".join(words) for words in named if not known(words)]
    assert unknown == []


def known(words: list[str]) -> bool:
    """Whether the words begin with a noun and, where the noun has verbs, one of them."""
    if words[0] not in cli.NOUNS:
        return False
    below: dict[str, Any] = getattr(cli.load(words[0]), "commands", {})
    return not below or len(words) < 2 or words[1] in below


def test_the_picture_shows_a_run_of_today_s_demo() -> None:
    from zenv.commands import demo
    from zenv.demo import Ending, Side

    answer = demo.answer(Ending([Side("listings", 1, 1)], 1.0, 1.0, "", ""), None)
    picture = (ROOT / "docs" / "picture.svg").read_text("utf-8").replace("&#160;", " ")
    for word in ("zenv demo", *answer.fields, *answer.parts, "recipients&#x27; names readable in the files"):
        assert word in picture, "run: make picture"
    assert "font-face" not in picture  # nothing is fetched by whoever looks


def shims(folder: Path) -> Path:
    """A folder for the PATH with a `zenv` that is this one."""
    made = folder / "bin"
    made.mkdir()
    shim = made / "zenv"
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m zenv "$@"\n')
    shim.chmod(0o755)
    return made


# ---- the five minutes, on a simulated Amazon ---------------------------------------------------------------


class Shop:
    """`zenv sim amazon` in the background, and a home for a ledger."""

    def __init__(self, folder: Path) -> None:
        self.shims = shims(folder)
        self.home = folder / "home"
        self.sim = self.start("zenv sim amazon --port 0 --items 12 --orders 4")
        self.introduction = "".join(iter(self.sim.stdout.readline, "Then: zenv sync now simulated\n"))  # type: ignore[union-attr]

    def start(self, line: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["bash", "-c", f"exec {line}"], env=self.environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip

    def environment(self) -> dict[str, str]:
        path = f"{self.shims}{os.pathsep}{os.environ['PATH']}"
        return os.environ | {"PATH": path, "ZENV_HOME": str(self.home)}

    def run(self, line: str) -> str:
        """Run a line as a person pastes it into a shell; it must end well."""
        done = subprocess.run(
            ["bash", "-c", line], env=self.environment(), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, cwd=ROOT,
        )  # fmt: skip
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        return done.stdout


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(tmp_path)
    yield shop
    if shop.sim.poll() is None:
        shop.sim.kill()
    shop.sim.communicate()


def test_the_five_minutes_of_the_readme_work_on_the_simulated_amazon(shop: Shop) -> None:
    shop.run("zenv init --company Teapots --country US --time-zone America/New_York --currency USD --key-store file")
    pasted = re.search(r"^zenv connect amazon .*?^END$", shop.introduction, re.DOTALL | re.MULTILINE)
    assert pasted is not None, shop.introduction
    assert "simulated is connected" in shop.run(pasted.group())
    for words in tour()[2:]:
        line = shlex.join(words).replace("amazon-us", "simulated")
        answer = shop.run(line.replace("NUMBER", number_to_ship(shop)) if "NUMBER" in line else line)
        if words[1] != "inbox":
            assert answer.count("\n") > (0 if words[2] == "ship" else 1), (line, answer)
    told = json.loads(shop.run("zenv --json sql 'SELECT told FROM shipments'"))["data"]
    assert told == [{"told": "confirmed"}]


# ---- a provider and its client, in two terminals -----------------------------------------------------------


def walk() -> list[tuple[str, list[str]]]:
    """Who types what: the blocks that begin with `# the provider` or `# the client`."""
    begun = [block for block in blocks(README) if block[0].startswith("# the ")]
    return [(block[0].removeprefix("# the "), block[1:]) for block in begun]


def test_the_two_terminals_of_the_readme_work(tmp_path: Path) -> None:
    def run(side: str, line: str) -> str:
        home, told = str(tmp_path / side), {"CODE": code, "USER": getpass.getuser()}
        for word, said in told.items():
            line = re.sub(rf"\b{word}\b", said, line)
        line = re.sub(r"export ZENV_HOME=\S+ && zenv init", f"zenv init --company {side} {shlex.join(BOOKS)}", line)
        line = line.replace("127.0.0.1:8470", face.address)
        done = subprocess.run(["bash", "-c", line], env=os.environ | {"PATH": path, "ZENV_HOME": home}, cwd=ROOT,
                              input=ANN, capture_output=True, text=True, check=False)  # fmt: skip
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        return done.stdout

    face, code = Face(tmp_path / "provider", f"127.0.0.1:{free_port()}", tmp_path / "log"), ""
    path = f"{shims(tmp_path)}{os.pathsep}{os.environ['PATH']}"
    try:
        for side, lines in walk():
            for line in lines:
                if line.startswith("zenv serve &"):
                    code = face.start().strip().rpartition(" ")[2]
                else:
                    answer = run(side, line)
        assert answer == "check\tsubject\ttext\tcommand\n", "both tell the same story"
        assert "shipped" in run("client", "zenv orders list") and "\t8\t" in run("client", "zenv stock levels")
    finally:
        face.stop()


def number_to_ship(shop: Shop) -> str:
    rows = json.loads(shop.run("zenv --json orders list --state ready"))["data"]
    return str(rows[0]["number"])


def test_the_tour_begins_with_init_and_connect() -> None:
    assert [words[1] for words in tour()[:2]] == ["init", "connect"]


def test_ctrl_c_ends_the_simulated_amazon_well(shop: Shop) -> None:
    seen = re.search(r"http://\S+/control/state", shop.introduction)
    assert seen is not None
    urllib.request.urlopen(seen.group()).close()  # now it serves
    shop.sim.send_signal(signal.SIGINT)
    out, err = shop.sim.communicate()
    assert (shop.sim.returncode, err) == (0, "")
    assert out.endswith("The simulated Amazon has ended.\n")


@pytest.mark.parametrize(("options", "sentence"), [
    ("--port 99999999", "--port 99999999 is not possible"),
    ("--items -1", "--items -1 is not possible"),
])  # fmt: skip
def test_an_impossible_number_for_the_simulated_amazon_is_refused(
    options: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["sim", "amazon", *options.split()]) == 65
    assert sentence in capsys.readouterr().err


def test_a_port_that_is_taken_is_said_in_a_sentence(shop: Shop) -> None:
    port = re.search(r"http://127\.0\.0\.1:(\d+)", shop.introduction)
    assert port is not None
    second = shop.start(f"zenv sim amazon --port {port.group(1)}")
    assert "cannot be listened on" in second.communicate()[1]
    assert second.returncode == 75


def test_every_noun_of_the_readme_loads() -> None:
    assert all(isinstance(cli.load(words[1]), typer.core.TyperCommand | typer.core.TyperGroup) for words in tour())
