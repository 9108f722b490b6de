"""Labels as other trainers read them: metric depth beside the photo, in the files that those trainers expect.

A format is a class in a file of its own and a line in `formats.py`.
"""

from stereodistill.labels.export.job import ExportSummary, export_labels, refuse_early

__all__ = ["ExportSummary", "export_labels", "refuse_early"]
