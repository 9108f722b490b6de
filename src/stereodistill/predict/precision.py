"""In which precision a stereo network answers many pairs: bf16 takes half the time where a CPU is made for it.

Which is quicker is measured, since CPUs that know bf16 but no tiles of it (AMX) may be slower in it.
"""

from __future__ import annotations

import time
from typing import Literal, TypeAlias

import torch

from stereodistill.errors import UserError
from stereodistill.predict.stereo import Precision, StereoPredictor
from stereodistill.predict.teachers import Teacher

Asked: TypeAlias = Literal["auto", "f32", "bf16"]
PROBE = (192, 640)
"""Height and width of what is measured with."""
CLEARLY = 0.8
"""At this share of the time of float32, or less, its exactness is given up."""
_NUM_TIMED = 3


def settle_precision(teacher: Teacher, asked: str) -> Precision:
    """The precision for `teacher` on its device: `asked`, or for "auto" what `quicker_precision` measures.

    Raises:
        UserError: neither "auto", "f32" nor "bf16", or bf16 from a teacher that is no network.
    """
    if asked not in ("auto", "f32", "bf16"):
        raise UserError(f"precision is auto, f32 or bf16, found {asked!r}")
    if isinstance(teacher, StereoPredictor):
        if asked == "auto":
            return quicker_precision(teacher)
        return "bf16" if asked == "bf16" else "f32"
    if asked == "bf16":
        raise UserError(f"precision bf16 is for networks; the teacher {teacher.name} is none")
    return "f32"


def quicker_precision(teacher: StereoPredictor) -> Precision:
    """bf16 on a CPU where it is clearly quicker, for a network whose answers it hardly changes; else f32."""
    is_able = getattr(teacher.model, "holds_in_bf16", False) and teacher.device.type == "cpu"
    if not is_able or not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return "f32"
    return "bf16" if seconds(teacher, "bf16") <= CLEARLY * seconds(teacher, "f32") else "f32"


def seconds(teacher: StereoPredictor, precision: Precision) -> float:
    """Processor time of an answer to a pair of `PROBE`: other programs on the machine do not count."""
    views = torch.zeros(2, 3, *PROBE)
    predictor, taken = teacher.in_precision(precision), []
    for _ in range(1 + _NUM_TIMED):
        start = time.thread_time()
        with torch.inference_mode():
            predictor(views[:1], views[1:])
        taken.append(time.thread_time() - start)
    return min(taken)
