"""Studies: a table of rows, each the end of a chain of stages, compared under one protocol."""

from stereodistill.study.load import load_study, study_names
from stereodistill.study.page import run_study
from stereodistill.study.plan import Study, row_names

__all__ = ["Study", "load_study", "row_names", "run_study", "study_names"]
