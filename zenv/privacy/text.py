"""Text without what must not be read: control characters, and secrets in log lines."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import logging

_BLANKS = re.compile(r"[\t\n\v\f\r\x85]+")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_MASKS = (
    (re.compile(r"(/[^\s?\"'<>]*)\?[^\s\"'<>]+"), r"\1?***"),  # query strings: signed URLs, tokens
    (re.compile(r"(://)[^\s/@]+@"), r"\1***@"),  # user:password in a URL
    (re.compile(r"\b(Atz[ar])\|[^\s\"'&,<>]+"), r"\1|***"),  # Login with Amazon's access and refresh tokens
    (re.compile(r"\bamzn1\.oa2-cs\.[\w.]+"), "amzn1.oa2-cs.***"),  # and its client secrets
    (re.compile(r"\b(zenv-(?:key|part)-1:)[\w=-]+"), r"\1***"),  # a master key, or a part of one
)


def strip_control(text: str) -> str:
    """`text` without C0 and C1 control characters, so that a remote's data cannot steer a terminal.

    A run of line breaks or tabs becomes one space, to keep the words beside it apart.
    """
    return _CONTROLS.sub("", _BLANKS.sub(" ", text))


class RedactingFilter:
    """The last net under the log: masks query strings, tokens and the secrets it was told of."""

    def __init__(self, known_secrets: Iterable[str] = ()) -> None:
        self._known: set[str] = set()
        for secret in known_secrets:
            self.learn(secret)

    def learn(self, secret: str) -> None:
        """Mask `secret` from now on, URL-quoted too; one below 4 characters would hide plain words."""
        from urllib.parse import quote

        if len(secret) >= 4:
            self._known |= {secret, quote(secret, safe="")}

    def clean(self, text: str) -> str:
        """`text` with what must not be read replaced by ***."""
        for secret in sorted(self._known, key=len, reverse=True):
            text = text.replace(secret, "***")
        for pattern, mask in _MASKS:
            text = pattern.sub(mask, text)
        return text

    def filter(self, record: logging.LogRecord) -> bool:
        """Clean a record's message, traceback and stack in place. Always lets the record through."""
        record.msg, record.args = self.clean(_message(record)), None
        if record.exc_info:
            record.exc_text = self.clean(_traceback(record.exc_info))
            record.exc_info = None  # or a handler could render the traceback anew, unmasked
        if record.stack_info:
            record.stack_info = self.clean(record.stack_info)
        return True


def quiet_libraries(known_secrets: Iterable[str] = ()) -> RedactingFilter:
    """Stop httpx from logging URLs, and put a RedactingFilter under every log line of this process.

    It is installed where records are made: a filter on the root logger would miss the records of other
    loggers, and one on its handlers would miss handlers that are added later.
    """
    import logging

    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    net = RedactingFilter(known_secrets)

    def redacted_record(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = logging.LogRecord(*args, **kwargs)
        net.filter(record)
        return record

    logging.setLogRecordFactory(redacted_record)
    return net


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # a wrong log call must not stop the work it reports on; logging's own handlers do the same
        return f"a log line could not be put together: {record.msg!r}"


def _traceback(exc_info: tuple[object, ...]) -> str:
    import traceback

    error = exc_info[1]
    return "".join(traceback.format_exception(error)).rstrip() if isinstance(error, BaseException) else ""
