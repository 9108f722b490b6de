"""What a recipe may say.  Defaults live here; a recipe states differences only."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from stereodistill.config import Config
from stereodistill.data.augment.pair import AugmentMono, AugmentStereo
from stereodistill.data.tolerant import OnError
from stereodistill.losses import (
    DistillLoss,
    GodardLoss,
    JointLoss,
    SpacesLoss,
    SupervisedLoss,
    UnsupervisedLoss,
    ViewSynthesisLoss,
)

Size = tuple[int, int]


class ModelSpec(Config):
    """Which network, and what it starts from."""

    name: str
    """Of this package, or `hf:ORG/NAME` and `hf:FOLDER`: a model of transformers, which it then starts from."""
    options: dict[str, Any] = {}
    weights: str | None = None
    """Start from these weights (name, folder, hub id) instead of a random initialisation."""
    encoder_weights: str | None = None
    """Start the encoder from ImageNet weights: `efficientnet_lite0` (shipped, for `lite0_mono`), a file in the
    publishers' naming, or `hub:ORG/NAME` to download one."""
    freeze_encoder_epochs: float = Field(default=0.0, ge=0)
    """Train the decoder alone for so long (Guo et al. 2018, suffix pt: the first epoch)."""


class SynthSource(Config):
    """Procedural worlds, a new scene for every sample unless `num` makes it a finite set."""

    source: Literal["synth"] = "synth"
    worlds: dict[str, float] = {"flying": 1.0}
    """World -> share of the samples."""
    options: dict[str, dict[str, Any]] = {}
    """World -> fields of its configuration (`FlyingConfig`, `StreetConfig`, `RoomConfig`)."""
    size: Size = (320, 640)
    """(height, width)."""
    sizes: dict[str, Size] = {}
    """World -> size of its pictures, where it is not `size`."""
    baseline_m: float | None = Field(default=None, gt=0)
    """Disparity is what a rig with this baseline would have measured, whatever the world's own rigs.  A network that
    sees one picture can then learn one scale from many rigs (`CommonBaseline`), and its weights know metres."""
    num: PositiveInt | None = None
    reuse: dict[str, PositiveInt] = {}
    """World -> number of different scenes: they stay in memory and come back under other crops and other light.
    For worlds that render more slowly than the network learns."""
    cache: str | None = None
    """Folder in which the scenes of `reuse` are kept instead of in memory; runs with the same worlds share them."""


class PairsSource(Config):
    """Stereo pairs on disk; `labels` adds a teacher's cached disparity (see `label`)."""

    source: Literal["pairs"] = "pairs"
    path: str
    layout: str = "auto"
    labels: str | None = None
    min_confidence: float = Field(default=0.0, ge=0, le=1)
    """Labels that the teacher trusts less are unknown; 0 keeps every positive disparity, as Guo et al. 2018 do."""
    fill: str | None = None
    """Folder of labels by a second teacher, a mono network (`label --teacher MONO`): what `labels` do not know or trust
    takes its disparity, brought to the trusted labels' scale in each picture."""
    names: tuple[str, ...] | None = None
    """Use only these pairs (`fit` keeps its held-out stretches away from training with it)."""
    on_error: OnError = "stop"
    """At a corrupt or missing file: stop, or train on the next readable pair instead and report it at the end."""


class OptimizerSpec(Config):
    """The optimiser and its learning-rate schedule over the whole run."""

    name: Literal["adamw", "muon"] = "adamw"
    """`muon` (`engine/optimizer.py`) is for networks with batch norms."""
    lr: float = Field(default=1e-4, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    schedule: Literal["cosine", "halving", "constant"] = "halving"
    halve_at: tuple[float, ...] = (0.4, 0.7, 0.9)
    """Shares of the run after which the rate is halved (Guo et al. 2018: epochs 20, 35, 45 of 50)."""
    warmup_steps: int = Field(default=0, ge=0)
    final_ratio: float = Field(default=0.01, ge=0, le=1)
    """Cosine: last learning rate as a share of the first."""
    hold: float = Field(default=0.0, ge=0, lt=1)
    """Cosine: share of the run before the rate starts to fall."""
    clip_norm: float | None = 1.0
    encoder_lr_ratio: float = Field(default=1.0, gt=0)
    """Learning rate of a pretrained encoder as a share of `lr`."""
    layer_decay: float = Field(default=1.0, gt=0, le=1)
    """Share of the next layer's learning rate that each layer of the encoder has, from its last to its first."""


class LoopSpec(Config):
    """How long, how large, how often."""

    steps: int | None = Field(default=None, ge=1, le=10**9)
    epochs: float | None = Field(default=None, gt=0, le=10**6)
    """Exactly one of `steps` and `epochs`; epochs need a finite set."""
    batch_size: int = Field(default=4, ge=1, le=65536)
    """Of one optimiser step, over all processes and accumulation rounds."""
    accumulate: int = Field(default=1, ge=1, le=65536)
    precision: Literal["f32", "bf16", "auto"] = "f32"
    """`auto`: the quicker of the two, measured at the start of a run on a few steps and kept for its resumption."""
    sync_norms: bool = True
    """Batch norms over the shares of all GPUs; without, and on CPUs, each process normalises by its own share, which
    is quicker and enough where a share holds some images."""
    freeze_norms: bool = False
    """Keep the statistics of batch norms as they are: for fine-tuning on few images."""
    ema_decay: float = Field(default=0.0, ge=0, lt=1)
    measure_norms: int = Field(default=0, ge=0, le=10**5)
    """After the last step, measure the statistics of batch norms anew on so many micro-batches, with the weights that
    are saved: averaged weights (`ema_decay`) have others than training left behind."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    workers: int = Field(default=1, ge=0, le=256)
    log_every: PositiveInt = 10
    checkpoint_every_s: float = Field(default=120.0, ge=0)
    validate_every: PositiveInt | None = None
    tensorboard: bool = False

    @model_validator(mode="after")
    def _norms_either_way(self) -> LoopSpec:
        if self.freeze_norms and self.measure_norms:
            raise ValueError("freeze_norms keeps the statistics that measure_norms would replace: choose one")
        return self


class _Recipe(Config):
    trains: ClassVar[Literal["mono", "stereo"]] = "stereo"
    cite: str = ""
    """Where the method and its numbers come from."""
    model: ModelSpec
    data: Annotated[SynthSource | PairsSource, Field(discriminator="source")] = SynthSource()
    optimizer: OptimizerSpec = OptimizerSpec()
    loop: LoopSpec

    @property
    def hash(self) -> str:
        """Short fingerprint of what the recipe asks for: a run resumes only under the same one.

        Defaults do not count, so that runs outlive new options.
        """
        asked = self.model_dump(include={"stage"})
        asked |= self.model_dump(mode="json", exclude={"cite"}, exclude_defaults=True)
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]


class StereoRecipe(_Recipe):
    """Train a stereo network on known disparity."""

    stage: Literal["supervised_stereo"] = "supervised_stereo"
    augment: AugmentStereo = AugmentStereo()
    loss: SupervisedLoss = SupervisedLoss()


class MonoRecipe(_Recipe):
    """Train a monocular network on known disparity (`supervised_mono`) or on a teacher's (`distill`)."""

    trains = "mono"
    stage: Literal["supervised_mono", "distill"]
    augment: AugmentMono = AugmentMono()
    loss: DistillLoss = DistillLoss()
    teacher: str | None = None
    """Stereo weights that run beside the student, for `spaces`: what they are made of is not in cached labels."""
    spaces: SpacesLoss = SpacesLoss()


class UnsupervisedRecipe(_Recipe):
    """Fine-tune a stereo network on pairs without labels, held by a frozen copy of itself."""

    stage: Literal["unsupervised_stereo"] = "unsupervised_stereo"
    augment: AugmentStereo = AugmentStereo()
    loss: UnsupervisedLoss = UnsupervisedLoss()


class ViewSynthesisRecipe(_Recipe):
    """Train a stereo network on pairs without labels by Godard et al. 2017's loss, with nothing to hold it."""

    stage: Literal["view_synthesis_stereo"] = "view_synthesis_stereo"
    augment: AugmentStereo = AugmentStereo()
    loss: GodardLoss = GodardLoss()


class UnsupervisedMonoRecipe(_Recipe):
    """Train a monocular network on pairs without labels."""

    trains = "mono"
    stage: Literal["unsupervised_mono"] = "unsupervised_mono"
    augment: AugmentMono = AugmentMono()
    loss: ViewSynthesisLoss = ViewSynthesisLoss()


class JointRecipe(_Recipe):
    """Train a mono and a stereo network together on pairs without labels, with distillation or without."""

    stage: Literal["joint"] = "joint"
    after: str | None = None
    """Recipe of the stage before.  Without `model.weights` it is trained first: its stage and loss, all else as here.
    Mono weights start the mono network alone, stereo weights both."""
    augment: AugmentMono = AugmentMono()
    loss: JointLoss = JointLoss()


Recipe = StereoRecipe | UnsupervisedRecipe | ViewSynthesisRecipe | MonoRecipe | UnsupervisedMonoRecipe | JointRecipe
