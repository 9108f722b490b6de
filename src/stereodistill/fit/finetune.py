"""Adapting the teacher to the user's pairs without labels, before it labels them."""

from __future__ import annotations

from pathlib import Path

from stereodistill.data import StereoDataset
from stereodistill.engine.recipe import load_recipe
from stereodistill.engine.samples import Subset
from stereodistill.errors import UserError
from stereodistill.fit.plan import FitPlan
from stereodistill.fit.show import train_shown
from stereodistill.predict import load_teacher
from stereodistill.predict.stereo import StereoPredictor


def finetune_teacher(
    out: Path, teacher: str, dataset: StereoDataset, plan: FitPlan, resume: bool, device: str, progress: bool
) -> Path:
    """Train a copy of `teacher` on the training pairs (Guo et al. 2018, eq. 4 to 7); returns its weights."""
    matcher = load_teacher(teacher, "cpu")
    if not isinstance(matcher, StereoPredictor):
        raise UserError(f"--finetune unsup needs a stereo network as teacher; {matcher.name} does not learn")
    height, width = dataset.load(0).size
    size = [min(256, height // 32 * 32), min(832, width // 32 * 32)]
    recipe = load_recipe(
        "finetune", [f"model.name={matcher.model.name}", f"model.weights={teacher}", f"augment.size={size}"]
    )
    recipe = recipe.model_copy(update={"model": recipe.model.model_copy(update={"options": matcher.model.options})})
    samples = Subset(dataset, plan.train_names)
    return train_shown(
        "fine-tuning the teacher", recipe, out, shown=progress, resume=resume, device=device, samples=samples
    )
