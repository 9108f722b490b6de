"""From samples to batches: which samples step k of rank r sees is a pure function of the recipe."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from stereodistill.data import StereoDataset
from stereodistill.errors import UserError
from stereodistill.rng import epoch_order, rng
from stereodistill.types import StereoPair, collate

AUGMENT, VARIANT = 1, 3
"""Purpose numbers of generators: of the augmentation, and of how a whole batch is prepared (scenes use 0 and 2)."""


Prepare = Callable[[StereoDataset, int, np.random.Generator], StereoPair]
"""(samples, index, generator) -> the augmented sample; it may read less of the files than a plain `load`."""


class Batches(Dataset):
    """Micro-batch k of this process, augmented and collated.

    `prepare`: one way of preparing a sample, or several, of which each step of `accumulate` micro-batches takes one,
    the same in every process (sizes, for example, that cannot be mixed in a batch).
    The stream of samples is one endless sequence of positions; epoch e visits a permutation that depends
    on (seed, e).  A global micro-batch takes the next positions, each process its own share of them.
    """

    def __init__(
        self,
        samples: StereoDataset,
        prepare: Prepare | Sequence[Prepare],
        *,
        seed: int,
        batch_size: int,
        rank: int = 0,
        num_ranks: int = 1,
        accumulate: int = 1,
    ):
        self.samples, self.seed = samples, seed
        self.variants = [prepare] if callable(prepare) else list(prepare)
        self.batch_size, self.rank, self.accumulate = batch_size, rank, accumulate
        self.per_rank = batch_size // num_ranks
        assert self.per_rank * num_ranks == batch_size, "the batch must divide by the number of processes"

    def __getitem__(self, number: int) -> StereoPair:
        first = number * self.batch_size + self.rank * self.per_rank
        prepare = self.variants[0]
        if len(self.variants) > 1:
            prepare = self.variants[
                int(rng(self.seed, 0, number // self.accumulate, VARIANT).integers(len(self.variants)))
            ]
        return collate([self._sample(first + i, prepare) for i in range(self.per_rank)])

    def _sample(self, position: int, prepare: Prepare) -> StereoPair:
        epoch, place = divmod(position, len(self.samples))
        index = place if getattr(self.samples, "endless", False) else int(self._order(epoch)[place])
        return prepare(self.samples, index, rng(self.seed, epoch, index, AUGMENT))

    @lru_cache(maxsize=2)  # noqa: B019 - lives as long as the run
    def _order(self, epoch: int) -> np.ndarray:
        return epoch_order(self.seed, epoch, len(self.samples))


def iterate(batches: Batches, start: int, stop: int, workers: int) -> Iterator[StereoPair]:
    """Micro-batches `start` .. `stop` - 1 in order, prepared ahead by worker processes.

    Raises:
        UserError: what a worker met, in its own words.
    """
    loader = DataLoader(
        _ErrorsAsItems(batches),
        batch_size=None,
        sampler=range(start, stop),
        num_workers=workers,
        # Its own: it draws a number from the usual one, which a network's dropout goes on with after a resume.
        generator=torch.Generator(),
        prefetch_factor=4 if workers else None,
        worker_init_fn=_one_thread,
    )
    for batch in loader:
        if isinstance(batch, UserError):
            raise batch
        yield batch


class _ErrorsAsItems(Dataset):
    """A worker's `UserError` comes back as an item: torch would put its whole traceback into the message."""

    def __init__(self, batches: Batches):
        self.batches = batches

    def __getitem__(self, number: int) -> StereoPair | UserError:
        try:
            return self.batches[number]
        except UserError as error:
            return error


def _one_thread(_: int) -> None:
    torch.set_num_threads(1)
    import cv2

    cv2.setNumThreads(0)
