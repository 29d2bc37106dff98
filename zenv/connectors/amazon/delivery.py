"""One receipt for every message, whatever happens on the way.

What is wrong with one message becomes its receipt. What closes the road (no login, no network, a spent rate limit, a
missing role) gives this message and all after it the receipt `retry`, and is then raised, so that the run shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from zenv.connectors.amazon.reading import Unreadable
from zenv.errors import BadReply, LoginNeeded, NotFound, Refused, Throttled, Unanswered, Unreachable, ZenvError
from zenv.facts import Message, Receipt

M = TypeVar("M", bound=Message)

IN_A_ROW = 3
"""Lost answers, or 403s, one after the other, after which it is not the messages' fault."""


def one_by_one(messages: Sequence[M], deliver: Callable[[M], Receipt]) -> Iterator[Receipt]:
    """Deliver each message by a call of its own; see the module for what becomes of errors."""
    trouble: list[ZenvError] = []
    worked = False
    for index, message in enumerate(messages):
        try:
            receipt = _receipt(message, deliver)
            trouble, worked = [], worked or receipt.outcome == "done"
        except (Unanswered, Refused) as error:
            trouble.append(error)
            receipt = _of_trouble(message, error, worked)
        except (LoginNeeded, Unreachable) as error:
            yield from stopped(messages[index:], error)
            raise
        yield receipt
        if len(trouble) >= IN_A_ROW:
            yield from stopped(messages[index + 1 :], trouble[-1])
            raise trouble[-1]
    if not worked and any(isinstance(error, Refused) for error in trouble):
        raise trouble[-1]


def _receipt(message: M, deliver: Callable[[M], Receipt]) -> Receipt:
    try:
        return deliver(message)
    except (BadReply, NotFound) as error:
        return Receipt(message.key, "refused", reason=error.message)
    except Unreadable as error:
        return Receipt(message.key, "unknown", reason=f"Amazon's answer makes no sense: {error}")


def _of_trouble(message: Message, error: ZenvError, worked: bool) -> Receipt:
    """A lost answer may have had its effect. A 403 is this message's own fault once another one was let through;
    before that it may be a missing role, and the message waits."""
    if isinstance(error, Unanswered):
        return Receipt(message.key, "unknown", reason=error.message)
    return Receipt(message.key, "refused" if worked else "retry", reason=error.message)


def stopped(messages: Iterable[Message], error: ZenvError) -> Iterator[Receipt]:
    """Receipts for messages that were not sent because of `error`."""
    wait = error.wait if isinstance(error, Throttled) else 0.0
    for message in messages:
        yield Receipt(message.key, "retry", reason=error.message, wait=wait)
