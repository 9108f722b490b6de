"""Stereo pairs: opening them (`open_dataset`), judging them (`check_dataset`), splitting and augmenting them."""

from stereodistill.data.check.doctor import check_dataset
from stereodistill.data.check.findings import CheckReport, Finding
from stereodistill.data.dataset import StereoDataset, Subset
from stereodistill.data.folder import PairDataset, open_dataset
from stereodistill.data.layouts import LAYOUTS, PairFiles
from stereodistill.data.published.listed import Entry, ListedPairs
from stereodistill.data.published.registry import DATASETS
from stereodistill.data.stretches import split_stretches

__all__ = [
    "DATASETS",
    "LAYOUTS",
    "CheckReport",
    "Entry",
    "Finding",
    "ListedPairs",
    "PairDataset",
    "PairFiles",
    "StereoDataset",
    "Subset",
    "check_dataset",
    "open_dataset",
    "split_stretches",
]
