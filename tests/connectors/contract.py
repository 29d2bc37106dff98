"""What every connector must keep, whatever the remote: inherit `ConnectorContract` and say how to reach the simulator.

    class TestAmazon(ConnectorContract):
        @pytest.fixture
        def far_side(self): ...yield FarSide(...)

A `FarSide` names its faults by what they do; the contract arms them and looks at what comes through.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from zenv.connectors.base import Connector
from zenv.errors import LoginNeeded, Refused, Throttled, Unreachable, ZenvError
from zenv.facts import BadRecord, Fact, Page, RecipientFact

BEGINNING = datetime(1990, 1, 1, tzinfo=UTC)
"""Before any remote had a record."""
HEALING = ("throttled", "server_error", "html_error", "half_body", "truncated", "wrong_type", "reset", "lost")
"""Faults after which a read is simply tried again."""
LASTING = {
    "throttled": Throttled,
    "server_error": Unreachable,
    "html_error": Unreachable,
    "half_body": Unreachable,
    "truncated": Unreachable,
    "wrong_type": Unreachable,
    "reset": Unreachable,
    "lost": Unreachable,
    "redirect": Unreachable,
    "empty": ZenvError,
    "odd_400": ZenvError,
    "expired": LoginNeeded,
}


@dataclass
class FarSide:
    """The remote's simulator as the contract needs it.

    `stream` has at least two pages; `fault(name, times)` arms one of LASTING for its requests; `refs` are orders with
    a recipient; `secrets` and `persons` are texts that must never show anywhere. `later_cursor` is one of a run that
    is not the first and reads the same records. `period` are the dates of the oldest and the newest record of `stream`,
    each the only one of its date, with two pages from the one to the other.
    """

    connect: Callable[[], Connector]
    stream: str
    fault: Callable[[str, int], None]
    revoke: Callable[[], None]
    take_role: Callable[[], str]
    spoil_record: Callable[[], None]
    refs: tuple[str, ...]
    secrets: tuple[str, ...]
    persons: tuple[str, ...]
    push: Callable[[Connector], None]
    period: tuple[datetime, datetime]
    later_cursor: str | None = None


def facts_of(pages: list[Page]) -> list[Fact]:
    """All facts of some pages."""
    return [fact for page in pages for fact in page.facts]


def period_of(far_side: FarSide, since: datetime | None = None, until: datetime | None = None) -> list[Page]:
    """The pages of the whole period, or of one with other ends."""
    first, last = far_side.period
    return list(far_side.connect().period(far_side.stream, since or first, until or last))


def last_cursor(pages: list[Page], start: str | None = None) -> str | None:
    """The cursor a ledger would hold after recording these pages."""
    return next((page.cursor for page in reversed(pages) if page.cursor is not None), start)


def identity(fact: Fact) -> tuple[str, str]:
    """What a fact is about."""
    name = getattr(fact, "remote_id", "") or getattr(fact, "sku", "") or getattr(fact, "order", "")
    return type(fact).__name__, name or repr(fact)


class ConnectorContract:
    """Inherited by the tests of each connector."""

    @pytest.fixture
    def far_side(self) -> FarSide:
        raise NotImplementedError

    def test_check_says_who_we_are(self, far_side: FarSide) -> None:
        account = far_side.connect().check()
        assert account.external_id
        assert any(shop.participating for shop in account.marketplaces)

    def test_every_stream_its_tasks_name_can_be_pulled_and_ends_with_a_cursor(self, far_side: FarSide) -> None:
        connector = far_side.connect()
        for stream in {stream for task in connector.tasks for stream in task.streams}:
            assert last_cursor(list(connector.pull(stream, None))) is not None

    def test_every_secret_is_asked_for_with_words_that_help(self, far_side: FarSide) -> None:
        assert all(secret.prompt and secret.help for secret in far_side.connect().secrets)

    def test_pulling_twice_from_one_cursor_brings_the_same_facts(self, far_side: FarSide) -> None:
        connector = far_side.connect()
        once, twice = (facts_of(list(connector.pull(far_side.stream, None))) for _ in range(2))
        assert once and once == twice

    def test_a_run_that_dies_after_any_page_is_continued_without_a_gap(self, far_side: FarSide) -> None:
        connector = far_side.connect()
        whole = {identity(fact) for fact in facts_of(list(connector.pull(far_side.stream, None)))}
        pages = len(list(connector.pull(far_side.stream, None)))
        assert pages > 1
        for dies_after in range(1, pages):
            walk = connector.pull(far_side.stream, None)
            before = [next(walk) for _ in range(dies_after)]
            after = list(far_side.connect().pull(far_side.stream, last_cursor(before)))
            assert {identity(fact) for fact in facts_of(before + after)} == whole

    @pytest.mark.parametrize("name", HEALING)
    def test_a_read_survives_one_fault(self, far_side: FarSide, name: str) -> None:
        whole = facts_of(list(far_side.connect().pull(far_side.stream, None)))
        far_side.fault(name, 1)
        assert facts_of(list(far_side.connect().pull(far_side.stream, None))) == whole

    @pytest.mark.parametrize("name", LASTING)
    def test_a_lasting_fault_is_an_error_of_its_class_and_loses_nothing(self, far_side: FarSide, name: str) -> None:
        whole = {identity(fact) for fact in facts_of(list(far_side.connect().pull(far_side.stream, None)))}
        far_side.fault(name, 10_000)
        before: list[Page] = []
        with pytest.raises(LASTING[name]):
            before.extend(far_side.connect().pull(far_side.stream, None))
        far_side.fault(name, 0)
        after = list(far_side.connect().pull(far_side.stream, last_cursor(before)))
        assert {identity(fact) for fact in facts_of(before + after)} == whole

    def test_every_task_that_says_so_has_a_period(self, far_side: FarSide) -> None:
        connector = far_side.connect()
        dated = {task.dated for task in connector.tasks if task.dated}
        assert far_side.stream in dated and dated <= {stream for task in connector.tasks for stream in task.streams}
        for stream in dated:
            assert facts_of(list(connector.period(stream, BEGINNING, far_side.period[1])))

    def test_H69_a_period_has_pages_and_carries_no_cursor(self, far_side: FarSide) -> None:
        pages = period_of(far_side)
        assert len(pages) > 1 and {page.cursor for page in pages} == {None}
        whole = facts_of(list(far_side.connect().pull(far_side.stream, None)))
        assert {identity(fact) for fact in facts_of(pages)} == {identity(fact) for fact in whole}

    def test_H70_both_ends_of_a_period_belong_to_it(self, far_side: FarSide) -> None:
        whole = [identity(fact) for fact in facts_of(period_of(far_side))]
        (first, last), moment = far_side.period, timedelta(milliseconds=1)
        ends = [facts_of(period_of(far_side, end, end)) for end in (first, last)]
        assert [len(end) for end in ends] == [1, 1]
        inside = [identity(fact) for fact in facts_of(period_of(far_side, first + moment, last - moment))]
        assert sorted(inside + [identity(fact) for end in ends for fact in end]) == sorted(whole)

    def test_a_period_before_or_after_all_records_is_empty(self, far_side: FarSide) -> None:
        (first, last), day = far_side.period, timedelta(days=1)
        assert facts_of(period_of(far_side, first - day, first - timedelta(seconds=1))) == []
        assert facts_of(period_of(far_side, last + timedelta(milliseconds=1), last + day)) == []

    @pytest.mark.parametrize("name", HEALING)
    def test_a_period_survives_one_fault(self, far_side: FarSide, name: str) -> None:
        whole = facts_of(period_of(far_side))
        far_side.fault(name, 1)
        assert facts_of(period_of(far_side)) == whole

    @pytest.mark.parametrize("name", LASTING)
    def test_a_lasting_fault_in_a_period_is_an_error_of_its_class(self, far_side: FarSide, name: str) -> None:
        far_side.fault(name, 10_000)
        with pytest.raises(LASTING[name]):
            period_of(far_side)

    def test_a_period_after_a_withdrawn_authorisation_needs_a_new_login(self, far_side: FarSide) -> None:
        far_side.revoke()
        with pytest.raises(LoginNeeded):
            period_of(far_side)

    def test_a_record_of_a_period_with_an_unknown_word_is_set_aside_and_the_others_arrive(
        self, far_side: FarSide
    ) -> None:
        whole = facts_of(period_of(far_side))
        far_side.spoil_record()
        facts = facts_of(period_of(far_side))
        assert len(facts) == len(whole)
        assert [bool(fact.reason) for fact in facts if isinstance(fact, BadRecord)] == [True]

    def test_a_withdrawn_authorisation_needs_a_new_login(self, far_side: FarSide) -> None:
        far_side.revoke()
        with pytest.raises(LoginNeeded) as caught:
            list(far_side.connect().pull(far_side.stream, None))
        assert caught.value.hint

    def test_an_authorisation_withdrawn_in_mid_run_needs_a_new_login(self, far_side: FarSide) -> None:
        walk = far_side.connect().pull(far_side.stream, None)
        next(walk)
        far_side.revoke()
        with pytest.raises(LoginNeeded):
            list(walk)

    def test_a_missing_role_is_named(self, far_side: FarSide) -> None:
        role = far_side.take_role()
        with pytest.raises(Refused, match=role):
            list(far_side.connect().pull(far_side.stream, None))

    def test_a_record_with_an_unknown_word_is_set_aside_and_the_others_arrive(self, far_side: FarSide) -> None:
        whole = facts_of(list(far_side.connect().pull(far_side.stream, far_side.later_cursor)))
        far_side.spoil_record()
        facts = facts_of(list(far_side.connect().pull(far_side.stream, far_side.later_cursor)))
        assert len(facts) == len(whole)
        assert [bool(fact.reason) for fact in facts if isinstance(fact, BadRecord)] == [True]

    def test_a_person_has_no_printable_form(self, far_side: FarSide) -> None:
        facts = facts_of(list(far_side.connect().fetch("recipient", far_side.refs)))
        assert any(isinstance(fact, RecipientFact) for fact in facts)
        assert not any(marker in repr(facts) for marker in far_side.persons)

    def test_no_secret_and_no_person_in_logs_or_errors(
        self, far_side: FarSide, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        said: list[str] = []
        for name in ("", *LASTING):
            if name:
                far_side.fault(name, 10_000)
            said += self._everything(far_side.connect())
            said += self._push(far_side)
            if name:
                far_side.fault(name, 0)
        far_side.revoke()
        said += self._everything(far_side.connect())
        told = caplog.text + "".join(said)
        assert told.count("operation=") > 20
        for marker in (*far_side.secrets, *far_side.persons):
            assert marker not in told

    def _push(self, far_side: FarSide) -> list[str]:
        try:
            far_side.push(far_side.connect())
        except ZenvError as error:
            return [_all_of(error)]
        return []

    def _everything(self, connector: Connector) -> list[str]:
        said = []
        for stream in {stream for task in connector.tasks for stream in task.streams}:
            try:
                said += [repr(page) for page in connector.pull(stream, None)]
            except ZenvError as error:
                said.append(_all_of(error))
        return said


def _all_of(error: BaseException | None) -> str:
    """An error with all it was raised from, as a traceback would show it."""
    if error is None:
        return ""
    fields = getattr(error, "hint", ""), getattr(error, "remote", "")
    return f"{error!r} {error} {fields}" + _all_of(error.__cause__) + _all_of(error.__context__)
