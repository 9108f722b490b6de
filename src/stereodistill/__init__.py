"""Monocular depth networks from a pair of cameras, without a single label.

The names in `__all__` are the public API; each is imported at its first use, so that `import stereodistill`
stays fast and free of torch.
"""

from importlib import import_module

_HOME = {
    "DepthMap": "predict",
    "MonoPredictor": "predict",
    "Prediction": "types",
    "Rig": "types",
    "StereoPair": "types",
    "StereoPredictor": "predict",
    "UserError": "errors",
    "View": "types",
    "evaluate": "evaluation",
    "export": "onnx_export",
    "fit": "fitting",
    "from_pretrained": "predict",
    "label": "labels",
    "load_teacher": "predict",
    "open_dataset": "data",
    "push_to_hub": "weights",
    "train": "engine.train",
}
__all__ = ["__version__", *_HOME]


def __getattr__(name: str):
    if name == "__version__":
        from importlib.metadata import version

        value = version("stereodistill")
    elif name in _HOME:
        value = getattr(import_module(f"stereodistill.{_HOME[name]}"), name)
    else:
        raise AttributeError(f"module 'stereodistill' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
