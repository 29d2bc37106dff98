"""`python -m bench [--quick] [NAME ...]`: run all benches, or the named ones."""

from __future__ import annotations

import argparse
import importlib
import platform
import sqlite3

from zenv.ledger.sqlite import module

NAMES = ("start", "ingest", "fetch", "levels", "feeds", "idle", "outage", "people", "network")


def main() -> None:
    """Run what was asked for, one after the other."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--quick", action="store_true", help="small sizes, one round: does it run at all?")
    asked = parser.parse_args()
    unknown = set(asked.names) - set(NAMES)
    if unknown:
        parser.error(f"there is no bench {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    print(f"Python {platform.python_version()}, ledger on SQLite {module.sqlite_version}"
          f" (standard library {sqlite3.sqlite_version}), {platform.machine()}")  # fmt: skip
    for name in asked.names or NAMES:
        importlib.import_module(f"bench.{name}").run(asked.quick)


if __name__ == "__main__":
    main()
