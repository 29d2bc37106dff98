"""Nobody lies in a file, is named in an answer or a log, or is written anywhere even for a moment: each held by the
product, and each proved able to fail by leaks planted in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.assessor.household import Household, household
from tests.assessor.suites import leaves_nobody, says_nobody, writes_nobody
from tests.straced import needs_strace

Suite = Callable[[Household], list[str]]

LEAKS: list[tuple[Suite, str]] = [
    (leaves_nobody, "the name is written under the order"),
    (leaves_nobody, "the name is written under the order in base64"),
    (leaves_nobody, "the phone number is written under the order in base64 of UTF-16"),
    (leaves_nobody, "an unreadable payload is quoted"),
    (leaves_nobody, "a file is named after the person"),
    (leaves_nobody, "a paper is kept in clear"),
    (leaves_nobody, "redaction keeps a copy"),
    (says_nobody, "the log of requests holds the answer"),
    (says_nobody, "the log of a bug holds its text"),
    (says_nobody, "an answer in JSON shows the person unasked"),
]
MOMENTARY = ["a file in clear lies about for a moment", "a paper in clear lies about for a moment"]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Household]:
    with household(tmp_path_factory.mktemp("assessor") / "base") as made:
        yield made


def test_I13_C20_nobody_stands_readable_in_any_file_name_or_page(base: Household, tmp_path: Path) -> None:
    assert leaves_nobody(base.like(tmp_path / "house")) == []


def test_I13_no_answer_and_no_log_names_anybody_unasked(base: Household, tmp_path: Path) -> None:
    assert says_nobody(base.like(tmp_path / "house")) == []


@needs_strace
def test_I13_no_system_call_ever_writes_anybody_but_where_they_were_asked_for(base: Household, tmp_path: Path) -> None:
    assert writes_nobody(base.like(tmp_path / "house")) == []


def test_I13_what_a_buyer_writes_when_asking_to_cancel_is_not_kept(base: Household, tmp_path: Path) -> None:
    house = base.like(tmp_path / "house")
    number = house.order()
    house.good("sync", "now", "a", "orders")
    house.sim.request_cancel(number, f"{house.person['name']} has moved away")
    house.good("sync", "now", "a", "orders")
    assert "asks to cancel" in house.good("inbox").out
    assert house.traces() == []


@pytest.mark.parametrize(("suite", "leak"), LEAKS, ids=[leak for _, leak in LEAKS])
def test_the_planted_leak_is_found(base: Household, tmp_path: Path, suite: Suite, leak: str) -> None:
    assert suite(base.like(tmp_path / "house", mutant=leak)) != []


@needs_strace
@pytest.mark.parametrize("leak", [MOMENTARY[0], pytest.param(MOMENTARY[1], marks=pytest.mark.whole)])
def test_the_planted_momentary_leak_is_seen_by_strace_alone(base: Household, tmp_path: Path, leak: str) -> None:
    house = base.like(tmp_path / "house", mutant=leak)
    assert leaves_nobody(house) == []
    assert writes_nobody(house) != []
