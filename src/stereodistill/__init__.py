"""Monocular depth networks from a pair of cameras, without a single label.

The names in `__all__` are the public API; each is imported at its first use, so that `import stereodistill`
stays fast and free of torch.
"""

from importlib import import_module

_HOME = {
    "DepthMap": "predict",
    "MonoPredictor": "predict",
    "Rig": "types",
    "StereoPair": "types",
    "StereoPredictor": "predict",
    "UserError": "errors",
    "View": "types",
    "check": "data",
    "create_model": "weights",
    "evaluate": "evaluation",
    "export": "onnx_export",
    "fit": "fitting",
    "from_pretrained": "predict",
    "label": "labels",
    "list_models": "models",
    "load_teacher": "predict",
    "open_dataset": "data",
    "push_to_hub": "weights",
    "train": "engine.train",
    "write_world": "worlds",
}
_CALLED = {"check": "check_dataset"}
"""Public name -> what it is called at home, where that differs."""
_ROOMS = ("synth",)
"""Packages that are reached as they are: `sd.synth.render(...)`, `sd.synth.SynthDataset(...)`."""
__all__ = ["__version__", *_HOME]


def __getattr__(name: str):
    if name == "__version__":
        from importlib.metadata import version

        value = version("stereodistill")
    elif name in _HOME:
        value = getattr(import_module(f"stereodistill.{_HOME[name]}"), _CALLED.get(name, name))
    elif name in _ROOMS:
        value = import_module(f"stereodistill.{name}")
    else:
        raise AttributeError(f"module 'stereodistill' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
