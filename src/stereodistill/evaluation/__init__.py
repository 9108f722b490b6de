"""Metrics, protocols and `evaluate`."""

from stereodistill.evaluation.evaluate import evaluate, score_image
from stereodistill.evaluation.metrics import depth_metrics, mean_metrics, stereo_metrics
from stereodistill.evaluation.protocols import PROTOCOLS, Protocol, find_protocol
from stereodistill.evaluation.sources import Constant, Source, constant_baseline, load_source

__all__ = [
    "PROTOCOLS",
    "Constant",
    "Protocol",
    "Source",
    "constant_baseline",
    "depth_metrics",
    "evaluate",
    "find_protocol",
    "load_source",
    "mean_metrics",
    "score_image",
    "stereo_metrics",
]
