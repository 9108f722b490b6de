"""Self-describing weights: a folder with `model.safetensors` and `config.json`.  Nothing is ever unpickled.

`config.json` holds the header: what the tensors are, what they were trained for and how good they are.  The
options of the network stand beside the header's fields at the top level, as `PyTorchModelHubMixin` writes and
reads them.  The same text is kept in the metadata of `model.safetensors`, so that the file alone can be loaded.
Files of other programs are only imported (`guo2018`, `imagenet`), by a reader that runs no code.
"""

from stereodistill.weights.create import create_model
from stereodistill.weights.guo2018 import import_released
from stereodistill.weights.header import WeightsHeader
from stereodistill.weights.imagenet import load_encoder
from stereodistill.weights.locate import CONFIG, TENSORS
from stereodistill.weights.store import catalogue, load_weights, push_to_hub, read_header, save_weights, weights_hash

__all__ = [
    "CONFIG",
    "TENSORS",
    "WeightsHeader",
    "catalogue",
    "create_model",
    "import_released",
    "load_encoder",
    "load_weights",
    "push_to_hub",
    "read_header",
    "save_weights",
    "weights_hash",
]
