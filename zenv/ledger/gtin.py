"""Trade item numbers: the digits under a barcode, checked on entry and compared by their 14-digit form.

GTIN-8, -12 (UPC), -13 (EAN) and -14 are one numbering; a shorter one is a longer one without its leading
zeros (GS1 General Specifications). A UPC and the EAN that is the same with a 0 before it therefore name the
same product, and both are kept as they were written. A book's old ISBN-10 becomes its EAN.
"""

from __future__ import annotations

from zenv.errors import BadInput

LENGTHS = (8, 12, 13, 14)


def read_gtin(text: str) -> str:
    """The GTIN as it is kept: 8, 12, 13 or 14 digits, leading zeros and all; "" stays "".

    Spaces and hyphens are dropped, an ISBN-10 is turned into its EAN-13. Raises BadInput with what is wrong.
    """
    code = "".join(character for character in text if character not in " -\u00a0\u2010\u2011\u2013").upper()
    if not code:
        return ""
    if len(code) == 10 and _all_digits(code[:9]) and (_all_digits(code[9]) or code[9] == "X"):
        return _from_isbn10(code)
    if not _all_digits(code):
        raise BadInput(f"{text!r} is not a GTIN: it has other characters than digits.")
    if len(code) not in LENGTHS:
        counted = f"it has {len(code)} digits, not 8, 12, 13 or 14{_lost(code)}"
        raise BadInput(f"{text!r} is not a GTIN: {counted}.")
    if not code.strip("0"):
        raise BadInput(f"{text!r} is not a GTIN: it is all zeros.")
    expected = check_digit(code[:-1])
    if code[-1] != expected:
        raise BadInput(f"{text!r} is not a GTIN: its check digit is {code[-1]}, it should be {expected}.")
    return code


def is_gtin(text: str) -> bool:
    """Whether `text` is a whole GTIN with the right check digit."""
    try:
        return bool(read_gtin(text))
    except BadInput:
        return False


def gtin14(code: str) -> str:
    """The form in which two GTINs are compared: 14 digits with leading zeros. `code` is a checked GTIN."""
    return code.zfill(14)


def spellings(code: str) -> tuple[str, ...]:
    """Every length in which a checked GTIN may have been kept: look a GTIN up by these."""
    significant = code.lstrip("0")
    return tuple(significant.zfill(length) for length in LENGTHS if len(significant) <= length)


def check_digit(digits: str) -> str:
    """The last digit for these digits: weights 3, 1, 3 ... from the right (GS1's check digit)."""
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(digits)))
    return str(-total % 10)


def _all_digits(text: str) -> bool:
    # str.isdigit alone also takes superscripts and other scripts' digits.
    return text.isascii() and text.isdigit()


def _lost(code: str) -> str:
    """A spreadsheet that took a barcode for a number drops its leading zeros: name the likely cause."""
    for length in LENGTHS:
        if len(code) < length <= len(code) + 2:
            whole = code.zfill(length)
            if whole[-1] == check_digit(whole[:-1]):
                return f" (with its leading zeros it would be {whole})"
    return ""


def _from_isbn10(code: str) -> str:
    total = sum((10 - place) * (10 if digit == "X" else int(digit)) for place, digit in enumerate(code))
    if total % 11:
        raise BadInput(f"{code!r} is not an ISBN: its check digit is wrong.")
    digits = "978" + code[:9]
    return digits + check_digit(digits)
