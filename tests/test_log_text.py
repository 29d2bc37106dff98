"""Text without what must not be read: control characters, and secrets in log lines."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from zenv import privacy


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Zażółć gęślą 東京 🚚", "Zażółć gęślą 東京 🚚"),
        ("\x1b[31mred\x1b[0m", "[31mred[0m"),
        ("one\r\ntwo\tthree\x85four", "one two three four"),
        ("\x00\x07\x7f\x9b31m", "31m"),
        ("", ""),
    ],
)
def test_control_characters_are_stripped_and_words_stay_apart(text: str, clean: str) -> None:
    assert privacy.strip_control(text) == clean


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What a handler writes that knows nothing of redaction."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    root, factory, level = logging.getLogger(), logging.getLogRecordFactory(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield written
    root.removeHandler(handler)
    root.setLevel(level)
    logging.setLogRecordFactory(factory)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("GET https://s3.example/doc?X-Sig=marker&b=1 200", "GET https://s3.example/doc?*** 200"),
        ('"GET /feeds?token=marker HTTP/1.1" 200', '"GET /feeds?*** HTTP/1.1" 200'),
        ("https://user:marker@proxy.example:8080/", "https://***@proxy.example:8080/"),
        ("refresh_token=Atzr|IwEBmarker-_x, next", "refresh_token=Atzr|***, next"),
        ("header Atza|marker", "header Atza|***"),
        ("the line zenv-key-1:AbC_-9= is", "the line zenv-key-1:*** is"),
        ("zenv-part-1:AbC", "zenv-part-1:***"),
        ("client amzn1.oa2-cs.v1.marker", "client amzn1.oa2-cs.***"),
        ("the pass is s3cr3t marker/+!", "the pass is ***"),
        ("form: s3cr3t%20marker%2F%2B%21", "form: ***"),
        (
            "3 orders recorded; why? see https://docs.example/x",
            "3 orders recorded; why? see https://docs.example/x",
        ),
    ],
)
def test_a_log_line_shows_no_query_token_or_known_secret(log: io.StringIO, line: str, shown: str) -> None:
    privacy.quiet_libraries(["s3cr3t marker/+!"])
    logging.getLogger("some.library").warning("%s", line)
    logging.getLogger().info(line)
    assert log.getvalue() == f"{shown}\n{shown}\n"


def test_a_secret_learned_later_is_masked_in_tracebacks_too(log: io.StringIO) -> None:
    net = privacy.quiet_libraries()
    net.learn("marker-secret")
    try:
        raise ValueError("bad answer for marker-secret")
    except ValueError:
        logging.getLogger("zenv.sync").exception("failed with %r", ["marker-secret"], stack_info=True)
    assert "marker" not in log.getvalue()
    assert "ValueError: bad answer for ***" in log.getvalue()
    assert "failed with ['***']" in log.getvalue()


def test_a_short_or_empty_secret_does_not_hide_plain_words(log: io.StringIO) -> None:
    privacy.quiet_libraries(["", "or"])
    logging.getLogger().info("orders of today")
    assert log.getvalue() == "orders of today\n"


def test_a_wrong_log_call_does_not_stop_the_work(log: io.StringIO) -> None:
    privacy.quiet_libraries(["marker-secret"])
    logging.getLogger().info("%d orders, marker-secret", "three")
    assert log.getvalue() == "a log line could not be put together: '%d orders, ***'\n"


def test_httpx_no_longer_logs_urls(log: io.StringIO) -> None:
    privacy.quiet_libraries()
    for name in ("httpx", "httpcore.http11"):
        logging.getLogger(name).info("HTTP Request: GET https://s3.example/doc")
    assert log.getvalue() == ""


def test_the_repr_of_the_filter_shows_no_secret() -> None:
    assert "marker" not in repr(privacy.RedactingFilter(["marker-secret"]))
