"""Result tables and the self-contained HTML report."""

from stereodistill.report.curves import Chart, Curve, read_log
from stereodistill.report.page import write_report
from stereodistill.report.pictures import GalleryRow, Panel, gallery_row
from stereodistill.report.tables import Cell, Column, Row, Table

__all__ = [
    "Cell",
    "Chart",
    "Column",
    "Curve",
    "GalleryRow",
    "Panel",
    "Row",
    "Table",
    "gallery_row",
    "read_log",
    "write_report",
]
