"""(a) What starting costs: `zenv --help` and a list command, beside a bare Typer application with the same tree.

The bare application is written out from zenv's own commands: the same nouns, verbs, options and help texts in one
file, in Typer's own manner, doing nothing. The bare list command reads the same view with the standard library's
sqlite3 and draws the same rows with rich. Both sides run at a pseudo-terminal, because that is where people wait.
"""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench import ingest, ledgers
from bench.measure import Candidate, Target, compare, heading, in_turn, say
from zenv import cli
from zenv.ledger.book import open_book
from zenv.ledger.home import LEDGER

HEAVY = ("sqlmodel", "sqlalchemy", "httpx", "keyring", "apscheduler", "cryptography", "pydantic")
ZENV = "import sys; from zenv.cli import main; sys.exit(main())"
COUNT = """
import sys
from zenv.cli import main
main(sys.argv[1:])
print(len(sys.modules), *({heavy} & set(sys.modules)), file=sys.stderr)
"""
ORDERS = 50


def run(quick: bool) -> None:
    """Compare the two, then count the modules."""
    rounds = 2 if quick else 21
    with ledgers.scratch() as folder:
        bare = folder / "bare.py"
        bare.write_text(bare_application())
        plain = folder / "plain.py"
        plain.write_text(bare_application(rich_help=False))
        _with_orders(folder / "home")
        _help(bare, plain, folder / "home", rounds)
        _list(bare, folder / "home", rounds)
        _count_modules(folder / "home")


def _with_orders(home: Path) -> None:
    skus = [f"SKU-{number:05d}" for number in range(100)]
    ledgers.stocked(home, skus, quantity=1_000)
    with open_book(home, "bench", lambda: ledgers.NOW) as book:
        ingest.record(book, ledgers.orders(ORDERS, skus, shipped=False))
    ledgers.at_rest(home)


def _help(bare: Path, plain: Path, home: Path, rounds: int) -> None:
    heading("(a) the help of the root command")
    medians = in_turn(
        {
            "python -c pass": _command(home, "-c", "pass"),
            "bare Typer application, same tree": _command(home, str(bare), "--help"),
            "bare Typer application, without rich": _command(home, str(plain), "--help"),
            "zenv --help": _command(home, "-c", ZENV, "--help"),
            "zenv --version": _command(home, "-c", ZENV, "--version"),
        },
        rounds,
    )
    compare(medians, "bare Typer application, same tree", {"zenv --help": Target(most=1.1)})


def _list(bare: Path, home: Path, rounds: int) -> None:
    heading(f"(a) a list of {ORDERS} orders, drawn at a terminal")
    for line in (_shown(home, "-c", ZENV, "orders", "list"), _shown(home, str(bare), "orders", "list")):
        assert line.count("701-00000") == ORDERS, line
    medians = in_turn(
        {
            "typer + sqlite3 + rich": _command(home, str(bare), "orders", "list"),
            "zenv orders list": _command(home, "-c", ZENV, "orders", "list"),
            "zenv --json orders list": _command(home, "-c", ZENV, "--json", "orders", "list"),
        },
        rounds,
    )
    compare(medians, "typer + sqlite3 + rich", {"zenv orders list": Target(most=1.3)})


def _count_modules(home: Path) -> None:
    heading("(a) modules loaded")
    for words in (("--help",), ("--version",), ("orders", "list")):
        done = subprocess.run(
            [sys.executable, "-c", COUNT.format(heavy=set(HEAVY)), *words], env=_environment(home),
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        count, *heavy = done.stderr.splitlines()[-1].split()
        say("zenv " + " ".join(words), count, f"heavy ones: {', '.join(heavy) or 'none'}")
        # a command with parameters may need Typer's own pydantic; help and version must not
        forbidden = set(heavy) - ({"pydantic"} if "list" in words else set())
        assert not forbidden, f"zenv {' '.join(words)} loads {heavy}"


# ---- running one side --------------------------------------------------------------------------------------


def _environment(home: Path) -> dict[str, str]:
    here = {"ZENV_HOME": str(home), "LEDGER": str(home / LEDGER), "COLUMNS": "160", "TERM": "xterm-256color"}
    path = os.pathsep.join(filter(None, (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH"))))
    return os.environ | here | {"PYTHONPATH": path}


def _command(home: Path, *words: str) -> Candidate:
    def once() -> float:
        begun = time.perf_counter()
        _shown(home, *words)
        return time.perf_counter() - begun

    return once


def _shown(home: Path, *words: str) -> str:
    """What a Python with these arguments writes to its terminal. Raises RuntimeError with it when it fails."""
    keeper, terminal = pty.openpty()
    command = [sys.executable, *words]
    with subprocess.Popen(command, stdout=terminal, stderr=terminal, stdin=terminal, env=_environment(home)) as child:
        os.close(terminal)
        content = b"".join(_chunks(keeper))
    os.close(keeper)
    if child.returncode:
        raise RuntimeError(f"{command} ended with {child.returncode}: {content.decode()}")
    return content.decode()


def _chunks(keeper: int) -> Iterator[bytes]:
    while True:
        try:
            chunk = os.read(keeper, 65536)
        except OSError:  # Linux's way of saying that the other side has closed the terminal
            return
        if not chunk:
            return
        yield chunk


# ---- the bare application ----------------------------------------------------------------------------------

BARE_HEAD = """
from __future__ import annotations
import os
from typing import Annotated, Optional
import typer

def _list_orders():
    import sqlite3
    from rich.console import Console
    from rich.table import Table
    connection = sqlite3.connect(f"file:{{os.environ['LEDGER']}}?mode=ro", uri=True)
    cursor = connection.execute(
        "SELECT number, connection, state, placed_at, ship_by, units, open, total, currency, city, country"
        " FROM orders ORDER BY placed_at DESC, number LIMIT 50")
    table = Table(*(column[0] for column in cursor.description))
    for row in cursor:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    Console().print(table)

root = typer.Typer(help={help!r}, rich_markup_mode={markup!r}, no_args_is_help=True)

@root.callback()
def _root(home: Annotated[Optional[str], typer.Option("--home", help="The folder of the ledger.")] = None,
          json: Annotated[bool, typer.Option("--json", help="Answer with one JSON document.")] = False,
          quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing when all is well.")] = False) -> None:
    pass
"""


def bare_application(rich_help: bool = True) -> str:
    """The source of a Typer application with zenv's nouns, verbs, options and help, doing nothing but `orders list`."""
    markup = "rich" if rich_help else None
    parts = [BARE_HEAD.format(help="A bare application with the same tree.", markup=markup)]
    for number, (noun, help) in enumerate(cli.NOUNS.items()):
        command = cli.load(noun)
        verbs = getattr(command, "commands", None)
        if verbs is None:
            parts.append(_function("root", f"f{number}", noun, command))
            continue
        parts.append(f"n{number} = typer.Typer(help={help!r}, rich_markup_mode={markup!r}, no_args_is_help=True)")
        parts.append(f"root.add_typer(n{number}, name={noun!r})")
        parts += [_function(f"n{number}", f"f{number}_{place}", f"{noun} {verb}", below)
                  for place, (verb, below) in enumerate(verbs.items())]  # fmt: skip
    return "\n".join([*parts, "root()", ""])


def _function(owner: str, name: str, path: str, command: Any) -> str:
    params = ", ".join(_parameter(place, param) for place, param in enumerate(_own_params(command)))
    body = "_list_orders()" if path == "orders list" else "pass"
    return (f"@{owner}.command({path.split()[-1]!r}, help={command.help!r})\n"
            f"def {name}({params}) -> None:\n    {body}")  # fmt: skip


def _own_params(command: Any) -> list[Any]:
    return sorted(command.params, key=lambda param: (param.param_type_name == "option", not param.required))


def _parameter(place: int, param: Any) -> str:
    help = getattr(param, "help", None)
    if param.param_type_name == "argument":
        kind, default = ("str", "") if param.required else ("Optional[str]", " = None")
        return f"p{place}: Annotated[{kind}, typer.Argument(help={help!r})]{default}"
    kind, default = ("bool", False) if param.is_flag else ("Optional[str]", None)
    return f"p{place}: Annotated[{kind}, typer.Option({param.opts[0]!r}, help={help!r})] = {default}"
