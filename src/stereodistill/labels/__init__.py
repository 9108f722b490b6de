"""A teacher's answers for every pair: made once, kept on disk, read as a data set."""

from stereodistill.labels.dataset import LabelledDataset
from stereodistill.labels.make import label

__all__ = ["LabelledDataset", "label"]
