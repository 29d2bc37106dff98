"""zenv with a planted leak, as a process of its own: python -m tests.assessor.leaky "NAME OF THE LEAK" WORDS..."""

from __future__ import annotations

import os
import sys
import threading
import time

from tests.assessor.mutants import planted
from zenv.cli import main

if __name__ == "__main__":
    if "faketime" in os.environ.get("LD_PRELOAD", ""):
        # libfaketime breaks sleeping until a moment of the monotonic clock, as Python does, once the wall is far ahead
        time.sleep = lambda seconds: threading.Event().wait(seconds) and None
    with planted(sys.argv[1]):
        raise SystemExit(main(sys.argv[2:]))
