"""Weights -> ONNX with dynamic batch and size, written only when it agrees with PyTorch."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Container, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from stereodistill.errors import UserError
from stereodistill.io.files import atomic_path, write_bytes
from stereodistill.models.layers import for_inference
from stereodistill.progress import progress as show_progress
from stereodistill.weights import WeightsHeader, load_weights, weights_hash

if TYPE_CHECKING:
    import onnx

INPUTS = {"mono": ("image",), "stereo": ("left", "right")}
OUTPUT = "disparity"
TOLERANCE = 1e-4
"""Largest disagreement with PyTorch, relative to the disparity (absolute below 1 px)."""
PARITY_SIZES = ((96, 160), (128, 224), (192, 320))
PARITY_BATCHES = (1, 4)
TRACED_SIZE = (64, 128)


def export(weights: str | Path, out: str | Path, *, tolerance: float = TOLERANCE, progress: bool = False) -> Path:
    """Write `out` (`.onnx`) and its header beside it (`.json`, also in the model's metadata); returns `out`.

    Inputs: `image` (mono) or `left`, `right` (stereo), float32 (B, 3, H, W), RGB in [0, 1], any B, H, W.
    Output: `disparity` (B, 1, H, W) in pixels of the input's width W.  Networks of transformers are written for one
    size, the weights' `input_size`, and any B: they compute with sizes as plain numbers.  Before anything is written
    the graph runs in onnxruntime at three sizes (or the one) and two batch sizes; a difference above `tolerance`
    raises UserError, as do a missing `[export]` extra and weights that cannot be loaded.  A stereo network takes a
    minute or two.
    """
    out = Path(out)
    if out.suffix.lower() != ".onnx":
        raise UserError(f"cannot export to {out.name!r}: the name must end in .onnx")
    _require_extra()
    model, header = load_weights(weights)
    network = FinestDisparity(for_inference(model), header.kind)
    with show_progress("export", progress) as report:
        report(0, 2, note="converting")
        proto = _convert(network, header)
        report(1, 2, note="comparing with PyTorch")
        worst = parity(proto, network, header)
        report(2, 2)
    if not worst <= tolerance:  # also refuses NaN
        raise UserError(f"{out}: not written: ONNX and PyTorch differ by {worst:.1e} (allowed {tolerance:.0e})")
    description = _description(header, weights_hash(weights), worst)
    for key, value in description.items():
        entry = proto.metadata_props.add()
        entry.key, entry.value = key, value if isinstance(value, str) else json.dumps(value)
    with atomic_path(out) as temporary:
        import_module("onnx").save(proto, str(temporary))
    write_bytes(out.with_suffix(".json"), json.dumps(description, indent=2).encode())
    return out


class FinestDisparity(nn.Module):
    """The network as the deployed graph knows it: images in, one disparity map out."""

    def __init__(self, network: nn.Module, kind: str):
        super().__init__()
        self.network = network
        self.num_inputs = len(INPUTS[kind])

    def forward(self, *images: Tensor) -> Tensor:
        return self.network(*images).disparities[0]


def parity(proto: onnx.ModelProto, network: FinestDisparity, header: WeightsHeader) -> float:
    """Largest relative difference between onnxruntime and PyTorch over all parity sizes and batches."""
    onnxruntime = import_module("onnxruntime")
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    names, worst = INPUTS[header.kind], 0.0
    one_size = _one_size(network, header)
    sizes = [*PARITY_SIZES, header.input_size] if header.input_size else list(PARITY_SIZES)
    for index, size in enumerate([one_size] if one_size else sizes):
        for batch in PARITY_BATCHES if index < len(PARITY_SIZES) else (1,):
            images = _parity_images(len(names), batch, size, seed=index)
            with torch.inference_mode():
                expected = network(*images).numpy()
            feed = {name: image.numpy() for name, image in zip(names, images)}
            found = session.run([OUTPUT], feed)[0]
            if found.shape != expected.shape:
                return float("inf")
            worst = max(worst, float(np.max(np.abs(found - expected) / np.maximum(np.abs(expected), 1))))
            if not np.isfinite(found).all():
                return float("nan")
    return worst


def _convert(network: FinestDisparity, header: WeightsHeader) -> onnx.ModelProto:
    names = INPUTS[header.kind]
    # Batch 1 and equal sides would be taken for constants.
    one_size = _one_size(network, header)
    example = _parity_images(len(names), 2, one_size or TRACED_SIZE, seed=0)
    dynamic = dict.fromkeys((0,) if one_size else (0, 2, 3), torch.export.Dim.DYNAMIC)
    try:
        with _quiet():
            program = _program(
                network,
                example,
                dynamic_shapes=(tuple(dynamic for _ in names),),
                input_names=list(names),
                output_names=[OUTPUT],
            )
    except Exception as error:  # the converter raises many private types; the user needs the network's name
        # The converter wraps what went wrong into pages of advice.
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        message = (str(cause).strip() or type(cause).__name__).splitlines()[0]
        raise UserError(f"{header.architecture} cannot be converted to ONNX: {message}") from error
    assert program is not None
    proto = program.model_proto  # a new copy at each access
    _name_dimensions(proto, names, dynamic)
    return proto


def _program(network: FinestDisparity, example: tuple[Tensor, ...], **options: Any) -> torch.onnx.ONNXProgram | None:
    """The converted graph; not optimised where the converter's optimiser fails, as it does at ZoeDepth."""
    try:
        return torch.onnx.export(network, example, dynamo=True, verbose=False, **options)
    except Exception:  # many private types; a graph that cannot be had at all fails a second time
        return torch.onnx.export(network, example, dynamo=True, verbose=False, optimize=False, **options)


def _one_size(network: FinestDisparity, header: WeightsHeader) -> tuple[int, int] | None:
    """The only size of a graph that cannot have all; raises UserError when the weights do not say which."""
    if not getattr(network.network, "exports_one_size", False):
        return None
    if header.input_size is None:
        raise UserError(f"{header.architecture} is exported for one size, and these weights name none (input_size)")
    return header.input_size


def _name_dimensions(proto: onnx.ModelProto, names: tuple[str, ...], dynamic: Container[int]) -> None:
    by_name = {value.name: value for value in (*proto.graph.input, *proto.graph.output)}
    assert set(by_name) == {*names, OUTPUT}, f"unexpected graph inputs or outputs: {sorted(by_name)}"
    for value in by_name.values():
        for axis, label in ((0, "batch"), (2, "height"), (3, "width")):
            if axis not in dynamic:
                continue
            value.type.tensor_type.shape.dim[axis].dim_param = label


def _parity_images(num: int, batch: int, size: tuple[int, int], seed: int) -> tuple[Tensor, ...]:
    """Smooth noise in [0, 1]; the right view is the left one moved by 6 px, so that a matcher finds something."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(batch, 3, size[0] // 4, size[1] // 4, generator=generator)
    image = nn.functional.interpolate(coarse, size=size, mode="bilinear", align_corners=False)
    return tuple(image.roll(-6 * index, dims=3) for index in range(num))


def _description(header: WeightsHeader, digest: str, worst: float) -> dict[str, Any]:
    """What a user of the graph must know, JSON values."""
    return {
        "header": header.model_dump(mode="json"),
        "inputs": "float32 (batch, 3, height, width), RGB in [0, 1]: " + ", ".join(INPUTS[header.kind]),
        "output": "disparity (batch, 1, height, width) in pixels of the input's width, > 0",
        "metres": "depth = focal_px * baseline_m / (disparity + doffs_px), rig scaled to the input's width",
        "weights_hash": digest,
        "parity": f"{worst:.1e}",
    }


def _require_extra() -> None:
    for module in ("onnx", "onnxscript", "onnxruntime"):
        try:
            import_module(module)
        except ImportError as error:
            raise UserError(f"export needs {module}: pip install 'stereodistill[export]'") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """The converter logs about packages it does without (torchvision)."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
