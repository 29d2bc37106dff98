"""The packing slip: what lies in the package, for whoever packs it and whoever opens it."""

from __future__ import annotations

from fpdf.enums import TableBordersLayout, TableCellFillMode
from fpdf.fonts import FontFace

from zenv.errors import Refused
from zenv.pdf import Slip
from zenv.pdf.sheet import FONT, Sheet

LETTER = ("US", "CA", "MX")
"""Where paper is 8.5 x 11 inches; elsewhere it is A4."""
MARGIN = 15.0
LONGEST_NAME = 300
"""Of an item's name so much is printed; its SKU is printed whole."""
LONGEST_ADDRESS = 110.0
"""An address that takes more of a page, in mm, is none."""


class _Page(Sheet):
    """Every page says whose slip it is and how many there are."""

    number = ""

    def footer(self) -> None:
        self.set_y(-12)
        self.set_font(FONT, "", 8)
        self.set_text_color(90)
        self.cell(0, 5, f"Order {self.number}   page {self.page_no()} of {{nb}}", align="R")
        self.set_text_color(0)


def draw(slip: Slip) -> bytes:
    """The slip as PDF. Refused when a letter of it cannot be drawn."""
    with _Page("letter" if slip.country in LETTER else "a4", slip.ordered, MARGIN) as page:
        return _drawn(page, slip)


def _drawn(page: _Page, slip: Slip) -> bytes:
    page.number = page.readable("order's number", slip.number)
    page.set_title(f"Packing slip {slip.number}")
    page.set_auto_page_break(True, 20)
    address = [page.readable(f"recipient's {name}", text) for name, text in slip.to.lines()]
    gift = page.readable("gift message", slip.gift_message)
    page.add_page()
    _head(page, slip)
    _address(page, address)
    _table(page, slip)
    if gift:
        _gift(page, gift)
    return page.whole()


def _head(page: _Page, slip: Slip) -> None:
    page.set_font(FONT, "B", 18)
    page.multi_cell(page.epw * 0.6, 8, page.readable("company's name", slip.company), align="L")
    page.set_xy(MARGIN + page.epw * 0.6, MARGIN)
    page.set_font(FONT, "", 14)
    page.cell(page.epw * 0.4, 8, "Packing slip", align="R")
    page.set_line_width(0.5)
    page.line(MARGIN, 36, MARGIN + page.epw, 36)
    right = MARGIN + page.epw * 0.55
    page.barcode(slip.number, right, 40, page.epw * 0.45, 12)
    page.set_y(55)
    units = sum(line.quantity for line in slip.lines)
    about = (("Order", page.number), ("Ordered on", f"{slip.ordered:%Y-%m-%d}"),
             ("Package", slip.package), ("Units", str(units)))  # fmt: skip
    for title, text in about:
        page.set_x(right + 4)
        page.set_font(FONT, "", 10)
        page.cell(24, 6, title)
        page.set_font(FONT, "B", 11)
        page.multi_cell(page.epw * 0.45 - 28, 6, text, align="L", new_x="LMARGIN", new_y="NEXT")


def _address(page: _Page, address: list[str]) -> None:
    below = page.get_y()
    page.set_y(41)
    page.set_font(FONT, "B", 9)
    page.cell(0, 5, "SHIP TO" if address else "", new_x="LMARGIN", new_y="NEXT")
    page.set_font(FONT, "", 13)
    for line in address:
        page.multi_cell(page.epw * 0.5, 6, line, align="L", new_x="LMARGIN", new_y="NEXT")
        if page.page > 1 or page.get_y() > 41 + LONGEST_ADDRESS:
            raise Refused("The address is too long for a packing slip; nothing was printed.")
    page.set_y(max(page.get_y(), below) + 8)


def _table(page: _Page, slip: Slip) -> None:
    page.set_font(FONT, "", 11)
    page.set_line_width(0.2)
    head = FontFace(emphasis="BOLD", size_pt=9, fill_color=(235, 235, 235))
    with page.table(
        col_widths=(9, 20, 55, page.epw - 84), text_align=("CENTER", "RIGHT", "LEFT", "LEFT"), headings_style=head,
        borders_layout=TableBordersLayout.HORIZONTAL_LINES, cell_fill_mode=TableCellFillMode.NONE, line_height=6,
        padding=1.2, first_row_as_headings=True,
    ) as table:  # fmt: skip
        table.row(("", "Quantity", "SKU", "Item"))
        for line in slip.lines:
            row = table.row()
            row.cell("[  ]")
            row.cell(str(line.quantity), style=FontFace(emphasis="BOLD", size_pt=13))
            row.cell(page.readable(f"SKU {line.sku}", line.sku), style=FontFace(emphasis="BOLD"))
            row.cell(page.readable(f"name of {line.sku}", line.name[:LONGEST_NAME]))


def _gift(page: _Page, gift: str) -> None:
    page.ln(8)
    page.set_font(FONT, "B", 9)
    page.cell(0, 6, "A MESSAGE FOR YOU", new_x="LMARGIN", new_y="NEXT")
    page.set_font(FONT, "", 13)
    page.multi_cell(0, 7, gift, align="L", border=1, padding=3)
