"""A sheet as an Excel workbook and back: one table of text and whole numbers. What columns mean is not known here."""

import io
import zipfile
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Final

from zentra_pipeline.queries.result_text import text_of

_UNFOLDED_BYTES: Final = 64 * 1024 * 1024
_PARTS: Final = 1_000
_EXACT: Final = 10**15  # beyond it a workbook's numbers lose digits
_CELL: Final = 32_767


def written(name: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """A workbook of one sheet with this name: a header, then the rows; long text is cut at what a cell holds."""
    from xlsxwriter import Workbook

    content = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with Workbook(content, options) as workbook:
        sheet = workbook.add_worksheet(name)
        sheet.freeze_panes(1, 0)
        heading = workbook.add_format({"bold": True})
        for place, column in enumerate(columns):
            sheet.write_string(0, place, column, heading)
            sheet.set_column(place, place, max(12, min(len(column) + 2, 30)))
        for number, row in enumerate(rows, start=1):
            for place, value in enumerate(row):
                if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _EXACT:
                    sheet.write_number(number, place, value)
                elif value is not None:
                    sheet.write_string(number, place, text_of(value)[:_CELL])
    return content.getvalue()


def read(content: bytes) -> list[list[str]]:
    """The rows of a workbook's first sheet as text, each as long as the header; ValueError where it is none."""
    from python_calamine import CalamineError, load_workbook

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = archive.infolist()
        if sum(part.file_size for part in parts) > _UNFOLDED_BYTES or len(parts) > _PARTS:
            raise ValueError("the workbook unfolds to more than is read")
        rows = load_workbook(io.BytesIO(content)).get_sheet_by_index(0).to_python(skip_empty_area=False)
    except (zipfile.BadZipFile, CalamineError, OSError, NotImplementedError, IndexError) as cause:
        raise ValueError("not a readable workbook") from cause
    texts = [[_text(value) for value in row] for row in rows]
    return [row for row in texts if any(row)]


def _text(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value.isoformat() if isinstance(value, date | datetime) else str(value)
