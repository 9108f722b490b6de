"""Adapting the teacher to the user's pairs without labels, before it labels them."""

from __future__ import annotations

from pathlib import Path

from stereodistill.data import StereoDataset, Subset
from stereodistill.engine.stages import load_recipe
from stereodistill.errors import UserError
from stereodistill.fitting.plan import FitPlan
from stereodistill.fitting.show import train_shown
from stereodistill.predict import Teacher, load_teacher
from stereodistill.predict.stereo import StereoPredictor


def finetune_teacher(
    out: Path,
    matcher: StereoPredictor,
    dataset: StereoDataset,
    plan: FitPlan,
    resume: bool,
    device: str,
    progress: bool,
) -> Teacher:
    """Train a copy of the teacher on the training pairs (Guo et al. 2018, eq. 4 to 7); returns it as a teacher."""
    height, width = dataset.size(0)
    size = [min(256, height // 32 * 32), min(832, width // 32 * 32)]
    changes = [f"model.name={matcher.model.name}", f"model.weights={plan.asked.teacher}", f"augment.size={size}"]
    recipe = load_recipe("finetune", changes)
    recipe = recipe.model_copy(update={"model": recipe.model.model_copy(update={"options": matcher.model.options})})
    samples = Subset(dataset, plan.train_names)
    weights = train_shown(
        "fine-tuning the teacher", recipe, out, shown=progress, resume=resume, device=device, samples=samples
    )
    return load_teacher(weights, device)


def require_network(matcher: Teacher) -> StereoPredictor:
    """The teacher, if it is a network; raises UserError for one that cannot be fine-tuned."""
    if not isinstance(matcher, StereoPredictor):
        raise UserError(f"--finetune unsup needs a stereo network as teacher; {matcher.name} does not learn")
    return matcher
