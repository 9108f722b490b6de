"""The learning rate as a function of the step alone, so that a resumed run needs no scheduler state."""

from __future__ import annotations

import math

from stereodistill.engine.recipe import OptimizerSpec


def learning_rate(spec: OptimizerSpec, step: int, num_steps: int) -> float:
    """Rate of optimiser step `step` (0-based) out of `num_steps`."""
    if step < spec.warmup_steps:
        return spec.lr * (step + 1) / spec.warmup_steps
    progress = min(step / max(num_steps, 1), 1.0)
    if spec.schedule == "cosine":
        fallen = max(progress - spec.hold, 0.0) / (1 - spec.hold)
        floor = spec.final_ratio
        return spec.lr * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * fallen)))
    if spec.schedule == "halving":
        return spec.lr * 0.5 ** sum(progress >= share for share in spec.halve_at)
    return spec.lr
