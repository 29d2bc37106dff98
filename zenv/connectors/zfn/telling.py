"""What a provider is told: snapshots by the hundred, one receipt each, and the steps of joining and parting."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from zenv import wire
from zenv.connectors.http import Operation
from zenv.connectors.zfn.api import INBOUNDS, ORDERS, PARTING, REQUEST, SHARE, Api, ask
from zenv.errors import BadReply, Refused, ZenvError
from zenv.facts import Announcement, Farewell, Handover, ItemShare, Receipt, RequestLink

NOT_LIKE_THIS = (413, 422)
"""The statuses that refuse a whole batch, for its size or for one record in it."""


def share_items(api: Api, messages: Sequence[ItemShare]) -> Iterator[Receipt]:
    """Tell items, as they are now."""

    def said(some: Sequence[ItemShare]) -> BaseModel:
        now = {"said_at": api.world.now()}
        return wire.SharedItems(items=[one.item.model_copy(update=now) for one in some])

    return _batches(api, SHARE, messages, said)


def hand_over(api: Api, messages: Sequence[Handover]) -> Iterator[Receipt]:
    """Tell orders."""
    return _batches(api, ORDERS, messages, lambda some: wire.HandedOrders(orders=[one.order for one in some]))


def announce(api: Api, messages: Sequence[Announcement]) -> Iterator[Receipt]:
    """Tell inbounds."""
    return _batches(
        api, INBOUNDS, messages, lambda some: wire.AnnouncedInbounds(inbounds=[one.inbound for one in some])
    )


def _batches(
    api: Api, operation: Operation, messages: Sequence[Any], said: Callable[[Sequence[Any]], BaseModel]
) -> Iterator[Receipt]:
    for start in range(0, len(messages), wire.MOST_AT_ONCE):
        yield from _batch(api, operation, messages[start : start + wire.MOST_AT_ONCE], said)


def _batch(
    api: Api, operation: Operation, messages: Sequence[Any], said: Callable[[Sequence[Any]], BaseModel]
) -> Iterator[Receipt]:
    try:
        answers = ask(api.wire, operation, wire.Answers, said=said(messages)).answers
    except BadReply as error:
        if error.remote is None or error.remote.status not in NOT_LIKE_THIS:
            raise
        if len(messages) == 1:
            yield Receipt(messages[0].key, "refused", reason="the provider cannot read it")
            return
        # One that cannot be taken does not hold up the others: halve until it stands alone.
        middle = len(messages) // 2
        for half in (messages[:middle], messages[middle:]):
            yield from _batch(api, operation, half, said)
        return
    if len(answers) != len(messages):
        raise BadReply(f"{api.name} answered {len(answers)} of {len(messages)} messages; they are told again.")
    for message, answer in zip(messages, answers, strict=True):
        yield _receipt(message.key, answer)


def _receipt(key: int, answer: wire.Answer) -> Receipt:
    if answer.outcome == "taken":
        return Receipt(key, "done", remote_ref=answer.number)
    return Receipt(key, "refused", remote_ref=answer.number, reason=answer.reason)


def take_steps(api: Api, messages: Sequence[RequestLink | Farewell]) -> Iterator[Receipt]:
    """Ask to become a client, or take leave. What the provider refuses, it refuses for good."""
    for message in messages:
        try:
            _request(api, message) if isinstance(message, RequestLink) else _part(api, message)
        except Refused as error:
            yield Receipt(message.key, "refused", reason=_code(error))
        else:
            yield Receipt(message.key, "done")


def _code(error: ZenvError) -> str:
    return (error.remote.code if error.remote is not None else "") or "not possible"


def _request(api: Api, message: RequestLink) -> None:
    try:
        said = wire.Request(company_id=message.company_id, company_name=message.company_name, user=message.user,
                            warehouse=message.warehouse, secret=api.secrets["request_secret"])  # fmt: skip
    except ValidationError:
        raise Refused("A name in the request is too long for the provider.", "zenv warehouses edit --help") from None
    ask(api.asking, REQUEST, wire.Requested, said=said)


def _part(api: Api, message: Farewell) -> None:
    api.wire.call(PARTING, json=wire.Parting(stage=message.stage).model_dump(mode="json"))
