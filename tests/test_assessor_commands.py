"""Every command there is, in every manner, with a marked person in all that Amazon says: only who asks is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.assessor import play, table, tree
from tests.assessor.household import Household, household
from tests.assessor.search import traces
from tests.assessor.suites import says_nobody

SOME_FAULTS = ("500", "truncated_json", "half_body")


def uncovered() -> set[str]:
    return set(tree.commands()) - table.covered()


def test_I13_every_command_is_used_by_the_assessor_and_a_new_one_is_missed() -> None:
    assert (uncovered(), table.covered() - set(tree.commands())) == (set(), set())


def test_the_planted_mutant_a_command_nobody_uses_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "TABLE", [use for use in table.TABLE if use.path != "orders slip"])
    assert uncovered() == {"zenv orders slip"}


@pytest.mark.parametrize("manner", [play.MIXED, *(pytest.param(one, marks=pytest.mark.whole) for one in play.MANNERS)])
def test_I13_no_command_shows_or_leaves_anybody_who_was_not_asked_for(tmp_path: Path, manner: str) -> None:
    with household(tmp_path / "house") as house:
        play.prepare(house)
        said = list(play.every_command(house, manner))
        assert play.wrongs(house, said) == []
        assert house.traces() == []
        assert any(house.said(one.answer) for one in said if one.use.shows), "nobody was there to be shown"
        assert traces(house.prints, house.person), "nobody was there to be printed"


def everything_goes_wrong(house: Household, faults: tuple[str, ...], kills: int) -> list[str]:
    said = [who for answer in play.trouble(house, faults, kills) for who in house.said(answer)]
    return said + house.traces()


def test_I13_whatever_goes_wrong_nobody_is_named_in_a_log_and_nobody_lies_in_a_file(tmp_path: Path) -> None:
    with household(tmp_path / "house") as house:
        assert everything_goes_wrong(house, SOME_FAULTS, kills=2) == []


@pytest.mark.whole
def test_I13_whatever_goes_wrong_in_every_way(tmp_path: Path) -> None:
    with household(tmp_path / "house") as house:
        assert everything_goes_wrong(house, play.FAULTS, kills=20) == []
        assert says_nobody(house) == []
