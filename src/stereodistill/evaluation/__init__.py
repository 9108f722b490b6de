"""Metrics, protocols and `evaluate`."""

from stereodistill.evaluation.estimate import UNITS, Estimate
from stereodistill.evaluation.evaluate import evaluate, shortfall
from stereodistill.evaluation.metrics import depth_metrics, log10_metrics, mean_metrics, stereo_metrics
from stereodistill.evaluation.options import find_protocol
from stereodistill.evaluation.predictions import open_predictions
from stereodistill.evaluation.protocols import PROTOCOLS, Protocol, crop_box
from stereodistill.evaluation.score import score_image
from stereodistill.evaluation.sources import Constant, Source, constant_baseline, load_source

__all__ = [
    "PROTOCOLS",
    "UNITS",
    "Constant",
    "Estimate",
    "Protocol",
    "Source",
    "constant_baseline",
    "crop_box",
    "depth_metrics",
    "evaluate",
    "find_protocol",
    "load_source",
    "log10_metrics",
    "mean_metrics",
    "open_predictions",
    "score_image",
    "shortfall",
    "stereo_metrics",
]
