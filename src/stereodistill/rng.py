"""Randomness without state: every random choice is a function of (seed, epoch, sample)."""

import numpy as np


def rng(seed: int, epoch: int = 0, index: int = 0, purpose: int = 0) -> np.random.Generator:
    """A generator for one sample.

    Because nothing is carried from one sample to the next, a resumed run, a run with another number of
    workers and a sharded run draw exactly the same values.  `purpose` separates independent uses of the
    same sample (scene, augmentation, ...).
    """
    return np.random.default_rng([seed, epoch, index, purpose])


def epoch_order(seed: int, epoch: int, length: int) -> np.ndarray:
    """The order in which the samples of `epoch` are visited: a permutation of `range(length)`."""
    return np.random.default_rng([seed, epoch, 0x0DE5]).permutation(length)
