"""What the daemon and the server log: to stderr, a line per record, `key=value`, with nothing personal in it."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from datetime import UTC, datetime

from zenv import privacy

TOLD = ("zenv.daemon", "zenv.sync", "zenv.housekeeping", "zenv.server")
"""Who speaks at INFO."""

_VALUE = r'(?:"(?:[^"\\]|\\.)*"|[^\s"=]*)'
_FIELDS = re.compile(rf"(?:\w+ )?\w+={_VALUE}(?: \w+={_VALUE})*")
_PRIORITY = {"DEBUG": 7, "INFO": 6, "WARNING": 4, "ERROR": 3, "CRITICAL": 2}


def fields(**values: object) -> str:
    """`key=value` for a log line; a value with blanks is quoted."""
    return " ".join(f"{name}={_quoted(str(value))}" for name, value in values.items())


def _quoted(text: str) -> str:
    return text if text and not re.search(r'[\s"=]', text) else json.dumps(text, ensure_ascii=False)


class LogLine(logging.Formatter):
    """One line per record, key=value: for journald with its priority, elsewhere with the time in UTC.

    Never a traceback: it may hold data. What went wrong is told by whoever caught it.
    """

    def __init__(self, journal: bool) -> None:
        super().__init__()
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        text = privacy.strip_control(record.getMessage())
        line = text if _FIELDS.fullmatch(text) else fields(msg=text)
        if self._journal:
            return f"<{_PRIORITY.get(record.levelname, 5)}>{line}"
        stamp = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        return f"{stamp} level={record.levelname.lower()} {line}"


def under_journald() -> bool:
    """Whether stderr is the journal itself: then it knows the time, and takes priorities."""
    told = os.environ.get("JOURNAL_STREAM", "")
    found = os.fstat(sys.stderr.fileno())
    return told == f"{found.st_dev}:{found.st_ino}"


def log_to_stderr() -> None:
    """The daemon's own lines and a line per run; of everything else only what is wrong, and nothing unredacted."""
    privacy.quiet_libraries()
    logging.getLogger("apscheduler").setLevel(logging.ERROR)  # it warns whenever a tick takes longer than its pause
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LogLine(under_journald()))
    logging.getLogger().addHandler(handler)
    ours = logging.getLogger("zenv")
    if ours.isEnabledFor(logging.INFO):  # --verbose: all that zenv says, but each line once
        ours.handlers.clear()
        return
    for name in TOLD:
        logging.getLogger(name).setLevel(logging.INFO)
