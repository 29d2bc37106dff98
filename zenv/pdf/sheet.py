"""A sheet of paper: its fonts, which characters they have, a barcode."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from datetime import UTC, date, datetime
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Self

from fpdf import FPDF

from zenv.errors import Refused
from zenv.pdf import code128

FONT = "Fira"
"""Latin, Greek and Cyrillic letters, drawn to be read from afar."""
FAR_EAST = "noto_cjk_sans_jp_regular"
"""The package with Chinese, Japanese and Korean characters: 16 MB, so it is installed by whoever ships there."""
SMALLEST_MODULE = 0.19
"""A thinner bar, in mm, is not read by every scanner."""


class Sheet(FPDF):
    """A PDF whose text is readable before it is drawn, and whose bytes follow from its content alone."""

    def __init__(self, format: str | tuple[float, float], made_on: date, margin: float) -> None:
        import fontpkg

        super().__init__(unit="mm", format=format)
        self.set_creation_date(datetime(made_on.year, made_on.month, made_on.day, tzinfo=UTC))
        self.set_margin(margin)
        self.add_font(FONT, "", fontpkg.path("Fira Sans", 400))
        self.add_font(FONT, "B", fontpkg.path("Fira Sans", 700))
        self.set_font(FONT, "", 11)
        self._drawn = set(self._characters(FONT.lower()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the files of the fonts, which are read as far as they are needed."""
        for font in self.fonts.values():
            font.ttfont.close()  # type: ignore[union-attr]  # of a font from a file

    def readable(self, what: str, text: str) -> str:
        """The text as it is drawn: composed, without invisible characters, a picture by its name in brackets.

        Refused, by the name of the field and of the script, when a letter or a digit of it has no glyph.
        """
        visible = [letter for letter in unicodedata.normalize("NFC", text) if not _is_invisible(letter)]
        lacking = {letter for letter in visible if not self._draws(letter)}
        scripts = sorted({_script(letter) for letter in lacking if unicodedata.category(letter)[0] in "LMN"})
        if scripts:
            raise Refused(f"The {what} is written in {', '.join(scripts)}, which no font here can draw; "
                          "nothing was printed.", _hint(scripts))  # fmt: skip
        return "".join(f"({_name(letter)})" if letter in lacking else letter for letter in visible)

    def barcode(self, text: str, x: float, y: float, width: float, height: float, *, centred: bool = False) -> None:
        """The text as Code 128, as wide as there is room; nothing where it would be too thin to be read."""
        bars = code128.widths(text)
        modules_wide = sum(bars) + 2 * code128.QUIET
        module = min(width / modules_wide, 0.5)
        if not bars or module < SMALLEST_MODULE:
            return
        at = x + code128.QUIET * module + (width - modules_wide * module) / 2 * centred
        self.set_fill_color(0)
        for place, modules in enumerate(bars):
            if place % 2 == 0:
                self.rect(at, y, modules * module, height, style="F")
            at += modules * module

    def whole(self) -> bytes:
        """The finished PDF."""
        return bytes(self.output())

    def _draws(self, letter: str) -> bool:
        if letter not in self._drawn and ord(letter) > 0x2000 and "cjk" not in self.fonts and find_spec(FAR_EAST):
            self.add_font("cjk", "", Path(str(import_module(FAR_EAST).FONT_PATH)))
            self.set_fallback_fonts(["cjk"], exact_match=False)
            self._drawn.update(self._characters("cjk"))
        return letter in self._drawn

    def _characters(self, font: str) -> Iterable[str]:
        cmap: dict[int, object] = self.fonts[font].cmap  # type: ignore[union-attr, assignment]  # of a font from a file
        return map(chr, cmap)


def _is_invisible(letter: str) -> bool:
    """Formatting marks and variation selectors: they say how, not what."""
    return unicodedata.category(letter) in ("Cf", "Cc") or 0xFE00 <= ord(letter) <= 0xFE0F


def _script(letter: str) -> str:
    return _name(letter).split()[0].split("-")[0].title().replace("Cjk", "CJK")


def _name(letter: str) -> str:
    return unicodedata.name(letter, "unknown character").lower()


def _hint(scripts: list[str]) -> str:
    if set(scripts) & {"CJK", "Hiragana", "Katakana", "Hangul"} and not find_spec(FAR_EAST):
        return "pip install 'zenv[cjk]'"
    return "Write it by hand, or in Latin letters, beside what is printed for the rest."
