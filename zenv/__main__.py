"""`python -m zenv` is the same as `zenv`."""

from __future__ import annotations

import sys

from zenv.cli import main

sys.exit(main())
