"""Lists as CSV and XLSX beside JSON. A cell that a spreadsheet would run as a formula is disarmed."""

import csv
import datetime as dt
import io

import xlsxwriter
from rest_framework.renderers import BaseRenderer

# Some spreadsheets take the full-width forms for the plain ones.
DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
MADE_AT = dt.datetime(2000, 1, 1)  # fixed: the same rows give the same bytes, and so the same ETag


def flat(value):
    """One cell: lists joined by semicolons, objects in them as "name: value" pairs."""
    if isinstance(value, list | tuple):
        return "; ".join(str(flat(item)) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{key}: {flat(part)}" for key, part in value.items() if part not in (None, ""))
    return value


def guarded(value):
    """Disarm text that begins like a formula; numbers stay numbers."""
    return "'" + value if isinstance(value, str) and value.startswith(DANGEROUS) else value


def table_of(data, renderer_context=None) -> tuple[list[str], list[dict]]:
    """Columns and rows of an answer. An object inside a row becomes columns of its own: `pillars_S`."""
    if isinstance(data, dict) and "results" in data:
        data = data["results"]
    if isinstance(data, dict):
        data = [data]
    rows = []
    for entry in data:
        row = {}
        for key, value in entry.items():
            if isinstance(value, dict):
                row.update({f"{key}_{part}": guarded(flat(inner)) for part, inner in value.items()})
            else:
                row[key] = guarded(flat(value))
        rows.append(row)
    columns = list(dict.fromkeys(key for row in rows for key in row))
    view = (renderer_context or {}).get("view")
    if not rows and hasattr(view, "columns"):
        columns = view.columns()
    return columns, rows


def _plain(value):
    return str(value).lower() if isinstance(value, bool) else value


class CSVRenderer(BaseRenderer):
    media_type = "text/csv"
    format = "csv"
    charset = "utf-8"

    def render(self, data, accepted_media_type=None, renderer_context=None):
        columns, rows = table_of(data, renderer_context)
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(columns)
        writer.writerows([_plain(row.get(name)) for name in columns] for row in rows)
        return out.getvalue().encode("utf-8")


class XLSXRenderer(BaseRenderer):
    media_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    format = "xlsx"
    charset = None
    render_style = "binary"

    def render(self, data, accepted_media_type=None, renderer_context=None):
        columns, rows = table_of(data, renderer_context)
        out = io.BytesIO()
        options = {
            "in_memory": True,
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "nan_inf_to_errors": True,
        }
        with xlsxwriter.Workbook(out, options) as book:
            book.set_properties({"created": MADE_AT})
            sheet = book.add_worksheet("data")
            bold = book.add_format({"bold": True})
            for column, name in enumerate(columns):
                sheet.write_string(0, column, name, bold)
                for index, row in enumerate(rows, start=1):
                    value = row.get(name)
                    if isinstance(value, str):
                        sheet.write_string(index, column, value[:32_767])
                    else:
                        sheet.write(index, column, value)
            sheet.freeze_panes(1, 1)
        return out.getvalue()
