"""Networks of the `transformers` library as students: depth models as they are, backbones under our decoder.

Weights are self-contained: the library's own configuration is an option of the network, so that loading them needs the
library (extra `[hf]`) but no hub.  Reading a foreign model from a folder or the hub is `weights.transformer`'s work.
"""

from stereodistill.models.hf_mono.backbone import HfBackbone
from stereodistill.models.hf_mono.depth import HfDepth
from stereodistill.models.hf_mono.library import backbone_config, library, network_class
from stereodistill.models.hf_mono.pictures import Pictures

__all__ = ["HfBackbone", "HfDepth", "Pictures", "backbone_config", "library", "network_class"]
