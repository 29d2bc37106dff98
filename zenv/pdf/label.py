"""The address label: 102 x 152 mm (4 x 6 inches), as label printers take it."""

from __future__ import annotations

from zenv.errors import Refused
from zenv.pdf import Label
from zenv.pdf.sheet import FONT, Sheet

WIDTH, HEIGHT, MARGIN = 102.0, 152.0, 6.0
ADDRESS_TOP, ADDRESS_BOTTOM, FOOT = 30.0, 104.0, 110.0
SIZES = (20, 18, 16, 14, 12, 10, 8)
"""The largest at which the address fits, in points."""
LONGEST_SENDER = 100
"""So many letters of the company's name fit above the line."""
LEADING = 0.45
"""Millimetres of line height per point."""


def draw(label: Label) -> bytes:
    """The label as PDF. Refused when a letter of it cannot be drawn, or when the address has no room on it."""
    with Sheet((WIDTH, HEIGHT), label.ordered, MARGIN) as sheet:
        return _drawn(sheet, label)


def _drawn(sheet: Sheet, label: Label) -> bytes:
    sheet.set_auto_page_break(False)
    sheet.set_title(f"Label {label.number}")
    address = [(name, sheet.readable(f"recipient's {name}", text)) for name, text in label.to.lines()]
    number = sheet.readable("order's number", label.number)
    sheet.add_page()
    _sender(sheet, sheet.readable("company's name", label.company))
    _address(sheet, address)
    _foot(sheet, label, number)
    return sheet.whole()


def _sender(sheet: Sheet, company: str) -> None:
    sheet.set_font(FONT, "", 9)
    sheet.set_xy(MARGIN, MARGIN)
    name = company if len(company) <= LONGEST_SENDER else f"{company[:LONGEST_SENDER]}…"
    sheet.multi_cell(WIDTH - 2 * MARGIN, 3.7, f"From  {name}", align="L")
    sheet.line(MARGIN, 18, WIDTH - MARGIN, 18)
    sheet.set_xy(MARGIN, 21)
    sheet.set_font(FONT, "B", 10)
    sheet.cell(text="SHIP TO")


def _address(sheet: Sheet, address: list[tuple[str, str]]) -> None:
    for size in SIZES:
        if _written(sheet, address, size, dry=True) <= ADDRESS_BOTTOM - ADDRESS_TOP:
            _written(sheet, address, size, dry=False)
            return
    raise Refused("The address is too long for a label; nothing was printed.", "zenv orders slip NUMBER")


def _written(sheet: Sheet, address: list[tuple[str, str]], size: int, dry: bool) -> float:
    """Write the address, or see how high it would be."""
    top = ADDRESS_TOP
    for name, text in address:
        sheet.set_font(FONT, "B" if name in ("name", "city", "country") else "", size)
        sheet.set_xy(MARGIN, top)
        high = sheet.multi_cell(WIDTH - 2 * MARGIN, size * LEADING, text, align="L", dry_run=dry, output="HEIGHT")
        top += float(high)  # type: ignore[arg-type]  # a height was asked for
    return top - ADDRESS_TOP


def _foot(sheet: Sheet, label: Label, number: str) -> None:
    sheet.line(MARGIN, FOOT - 3, WIDTH - MARGIN, FOOT - 3)
    sheet.barcode(label.number, MARGIN, FOOT, WIDTH - 2 * MARGIN, 22, centred=True)
    sheet.set_xy(MARGIN, FOOT + 24)
    sheet.set_font(FONT, "B", 12)
    sheet.multi_cell(WIDTH - 2 * MARGIN, 5, number, align="C", max_line_height=5, new_x="LMARGIN", new_y="NEXT")
    sheet.set_font(FONT, "", 10)
    sheet.cell(WIDTH - 2 * MARGIN, 5, f"Package {label.package}", align="C")
