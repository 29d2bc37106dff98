"""zenv with a planted bug, as a process of its own: python -m tests.broken_zenv "NAME OF THE BUG" COMMAND LINE..."""

from __future__ import annotations

import sys

from tests.killing import CHANGES
from tests.year.mutants import changed
from zenv.cli import main

if __name__ == "__main__":
    with changed(*CHANGES[sys.argv[1]]):
        raise SystemExit(main(sys.argv[2:]))
