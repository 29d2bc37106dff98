"""Record docs/picture.svg, the picture of the README, from a real run of `zenv demo` in the active environment.

The command's answer goes to a pseudo-terminal, so that it is drawn as a person sees it; the steps it tells on stderr
come before it, without the progress bar. rich turns the whole into SVG.
"""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

PICTURE = Path(__file__).with_name("picture.svg")
WIDTH = 104
COMMAND = [sys.executable, "-m", "zenv", "demo"]


def main() -> None:
    """Run the demo and write the picture."""
    steps, answer = run_demo()
    console = Console(record=True, width=WIDTH, file=open(os.devnull, "w"))  # noqa: SIM115  # lives as long as we do
    console.print(Text.assemble(("$ ", "bold green"), ("zenv demo", "bold")))
    for line in [*steps.splitlines(), *answer.splitlines()]:
        console.print(Text.from_ansi(line), soft_wrap=True)
    svg = console.export_svg(title="zenv", theme=MONOKAI, unique_id="zenv")
    # whoever looks at the picture would fetch the fonts that rich names from the network
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    PICTURE.write_text("\n".join(line.rstrip() for line in svg.splitlines() if line.strip()) + "\n", "utf-8")
    print(f"recorded {PICTURE}")


def run_demo() -> tuple[str, str]:
    """What the demo told on stderr, and its answer as drawn at a terminal. Raises CalledProcessError."""
    keeper, terminal = pty.openpty()
    here = os.environ | {"COLUMNS": str(WIDTH), "TERM": "xterm-256color", "TZ": "UTC"}
    with subprocess.Popen(COMMAND, stdout=terminal, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env=here) as demo:
        os.close(terminal)
        assert demo.stderr is not None
        with ThreadPoolExecutor() as pool:  # both at once: a terminal holds only some thousand bytes
            answered = pool.submit(read_all, keeper)
            steps = demo.stderr.read().decode()
        answer = answered.result()
    if demo.returncode:
        raise subprocess.CalledProcessError(demo.returncode, COMMAND, stderr=steps)
    return steps, answer


def read_all(keeper: int) -> str:
    """Everything that was written to the terminal; Linux reports its end as an I/O error."""
    content = b""
    with os.fdopen(keeper, "rb", buffering=0) as reader:
        while True:
            try:
                chunk = reader.read(65536)
            except OSError:
                return content.decode().replace("\r\n", "\n")
            if not chunk:
                return content.decode().replace("\r\n", "\n")
            content += chunk


if __name__ == "__main__":
    main()
