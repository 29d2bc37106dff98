"""GTINs are checked when they enter, keep their zeros, and are compared by their 14-digit form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenv.errors import BadInput
from zenv.ledger.gtin import LENGTHS, check_digit, gtin14, is_gtin, read_gtin, spellings

gtins = (
    st.sampled_from(LENGTHS)
    .flatmap(lambda length: st.text("0123456789", min_size=length - 1, max_size=length - 1))
    .filter(lambda digits: digits.strip("0"))
    .map(lambda digits: digits + check_digit(digits))
)


@pytest.mark.parametrize("code", [
    "40170725",  # GTIN-8
    "036000291452",  # UPC-A
    "4006381333931",  # EAN-13
    "00012345600012",  # GTIN-14
    "680242554716",  # from the published All Listings report
])  # fmt: skip
def test_published_codes_are_accepted_as_they_are_written(code: str) -> None:
    assert read_gtin(code) == code


def test_spaces_and_hyphens_are_dropped_and_leading_zeros_kept() -> None:
    assert read_gtin(" 0 36000-29145 2\u00a0") == "036000291452"


def test_nothing_stays_nothing() -> None:
    assert read_gtin("  ") == ""
    assert not is_gtin("")


@pytest.mark.parametrize(("text", "says"), [
    ("4006381333932", "check digit is 2, it should be 1"),
    ("40063813339", "11 digits"),
    ("B01I53BE4O", "other characters than digits"),
    ("00000000", "all zeros"),
    ("\u0664006381333931", "other characters than digits"),  # an Arabic-Indic four
    ("36000291452", "with its leading zeros it would be 036000291452"),
    ("0306406153", "not an ISBN"),
    ("1234567890123456", "16 digits"),
])  # fmt: skip
def test_a_bad_gtin_is_refused_with_what_is_wrong_with_it(text: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        read_gtin(text)
    assert not is_gtin(text)


@pytest.mark.parametrize(("isbn", "ean"), [("0-306-40615-2", "9780306406157"), ("080442957X", "9780804429573")])
def test_an_old_isbn_becomes_its_ean(isbn: str, ean: str) -> None:
    assert read_gtin(isbn) == ean


def test_a_upc_equals_the_ean_with_a_zero_before_it() -> None:
    assert gtin14("036000291452") == gtin14("0036000291452")
    assert set(spellings("036000291452")) == {"036000291452", "0036000291452", "00036000291452"}


@given(gtins)
def test_every_spelling_is_the_same_number_and_itself_a_gtin(code: str) -> None:
    assert code in spellings(code)
    assert {gtin14(spelling) for spelling in spellings(code)} == {gtin14(code)}
    assert all(is_gtin(spelling) for spelling in spellings(code))


@given(gtins, st.data())
def test_one_wrong_digit_is_always_noticed(code: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(code) - 1))
    wrong = data.draw(st.sampled_from([digit for digit in "0123456789" if digit != code[place]]))
    assert not is_gtin(code[:place] + wrong + code[place + 1 :])
