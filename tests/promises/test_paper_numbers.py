"""Every number of the two papers' recipes, written down again from the papers: Guo et al. 2018, Ye et al. 2021.

Where a paper is silent or its released code differs, the line says so; `docs/reproduction.md` has the list.
"""

from __future__ import annotations

from typing import Any

import pytest

from stereodistill.config import recipe_names
from stereodistill.engine.stages import load_recipe

BLANKS = {
    "START": "model.weights=w", "IMAGENET": "model.encoder_weights=w", "LABELS": "data.labels=labels",
}  # fmt: skip

# Guo et al.: section 3.4 "Training": the light of both views alike, always in the stereo stages, half of the time
# in the mono ones; nothing else happens to a camera.
JITTER = {"gamma": (0.8, 1.2), "brightness": (0.8, 1.2), "colour": (0.95, 1.05)}
NEUTRAL = {"contrast": (1.0, 1.0), "saturation": (1.0, 1.0), "grey_p": 0.0}
ALWAYS, HALF = {"p": 1.0, **JITTER, **NEUTRAL}, {"p": 0.5, **JITTER, **NEUTRAL}
OFF = dict.fromkeys(("per_view", "noise", "blur", "patches", "misalignment"), 0.0)

# Adam as in both papers; no decay of the weights, no clipping of the gradients.
ADAM = {"name": "adamw", "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0, "warmup_steps": 0, "clip_norm": None}
PLAIN = {
    "steps": None, "accumulate": 1, "ema_decay": 0.0, "measure_norms": 0, "freeze_norms": False, "precision": "auto",
}  # fmt: skip


def stereo(size: tuple[int, int]) -> dict[str, Any]:
    """Flip and swap with p = 0.5, scale 0.8 to 1.2, crop."""
    scale = {"scale_p": 1.0, "scale": (0.8, 1.2), "stretch_x": (1.0, 1.0)}
    return {"size": size, "swap_p": 0.5, "vertical_flip_p": 0.0, **scale, "shared": ALWAYS, **OFF}


def adam(lr: float, halve_at: tuple[float, ...]) -> dict[str, Any]:
    return {**ADAM, "lr": lr, "schedule": "halving", "halve_at": halve_at}


def loop(epochs: float, batch_size: int) -> dict[str, Any]:
    return {**PLAIN, "epochs": epochs, "batch_size": batch_size}


# Eq. 2 and 3: L1 and cross-entropy with equal weights; the released code counts disparities in 20 px.
SUPERVISED = {
    "unit_px": 20.0, "robust_px": None, "hidden_weight": 1.0, "visibility_weight": 1.0, "thin_weight": 1.0,
    "unlike_weight": 1.0, "close_pinholes": False, "smooth_px": 0.0, "max_disparity_px": None,
    "matching_weight": 0.0, "raw_matching_weight": 0.0,
}  # fmt: skip
# Eq. 4 to 7, gamma 1, 2, 3; SSIM, the threshold and the mean of the slopes are the released code's.
UNSUPERVISED = {
    "absolute_weight": 0.05, "relative_weight": 0.1, "floor": 0.1, "ssim_share": 0.85, "visible_above": 0.8,
    "slope": "mean",
}  # fmt: skip
# Godard et al. 2017, section 3.2: alpha = 0.85, weights 1, 0.1 and 1; first derivatives.
GODARD = {
    "photometric_weight": 1.0, "ssim_share": 0.85, "consistency_weight": 1.0, "smoothness_weight": 0.1,
    "smoothness_order": 1,
}  # fmt: skip
# Eq. 8, in hundredths of the width.
DISTILL = {"form": "l1", "confidence": "none", "unit_px": None}

# Section 3.4: Scene Flow at 768x384, batch 4, 50 epochs, 1e-4 halved at epochs 20, 35, 45; mono networks alike at
# 512x256, without crop and scale.
FIFTY = (0.4, 0.7, 0.9)
SCENE_FLOW = {
    "augment": stereo((384, 768)), "loss": SUPERVISED, "optimizer": adam(1e-4, FIFTY), "loop": loop(50, 4),
}  # fmt: skip
# Section 3.4: KITTI at 832x256; 2e-5 falling to 5e-6 (two halvings); 10 epochs without labels.
KITTI = {"augment": stereo((256, 832)), "optimizer": adam(2e-5, (0.4, 0.8)), "loop": loop(10, 4)}
MONO = {
    "augment": {"size": (256, 512), "swap_p": 0.5, "shared": HALF},
    "loss": DISTILL, "optimizer": adam(1e-4, FIFTY), "loop": loop(50, 4),
}  # fmt: skip
# The released code trains 200 epochs on 100 images, its stereo network halved at epochs 100, 140, 180.
MONO_100 = {**MONO, "loop": loop(200, 4)}
LIDAR = {"loss": {**SUPERVISED, "visibility_weight": 0.0}}
PSM = {  # Chang and Chen 2018, section 4: 10 epochs at 1e-3, crops of 512x256, batch 12, smooth L1 below 192 px
    "augment": {
        "size": (256, 512), "swap_p": 0.0, "vertical_flip_p": 0.0, "scale_p": 0.0, "shared": 0.0, **OFF,
    },
    "loss": {
        **SUPERVISED, "unit_px": 1.0, "smooth_px": 1.0, "max_disparity_px": 192.0, "earlier_weights": (0.5, 0.7),
    },
    "optimizer": {**ADAM, "lr": 1e-3, "schedule": "constant"},
    "loop": loop(10, 12),
}  # fmt: skip


def net(name: str, start: bool = False, encoder: bool = False, still: float = 0.0) -> dict[str, Any]:
    return {
        "name": name, "options": {}, "weights": "w" if start else None, "encoder_weights": "w" if encoder else None,
        "freeze_encoder_epochs": still,
    }  # fmt: skip


GUO = {
    "stereo_noft_round1": {"model": net("dispnet"), "data": "sceneflow:train", **SCENE_FLOW},
    "stereo_noft": {"model": net("dispnet", start=True), "data": "sceneflow:train", **SCENE_FLOW},
    "stereo_supft100": {
        "model": net("dispnet", start=True), "data": "kitti_raw:eigen_train100_lidar", **KITTI, **LIDAR,
        "optimizer": adam(2e-5, (0.5, 0.7, 0.9)), "loop": loop(200, 4),
    },
    "stereo_supftall": {
        "model": net("dispnet", start=True), "data": "kitti_raw:eigen_train_lidar", **KITTI, **LIDAR,
    },
    "stereo_unsupft": {
        "model": net("dispnet", start=True), "data": "kitti_raw:eigen_train", **KITTI, "loss": UNSUPERVISED,
    },
    "stereo_unsupft_godard": {
        "model": net("dispnet", start=True), "data": "kitti_raw:eigen_train", **KITTI, "loss": GODARD,
    },
    "psmnet_noft": {"model": net("psmnet"), "data": "sceneflow:train", **PSM},
    # Table 1, Direct Sup.
    "direct_s": {"model": net("vgg_mono"), "data": "sceneflow:train", **MONO},
    "direct_k": {"model": net("vgg_mono"), "data": "kitti_raw:eigen_train_lidar", **MONO},
    "direct_k100": {"model": net("vgg_mono"), "data": "kitti_raw:eigen_train100_lidar", **MONO_100},
    "direct_s_k": {"model": net("vgg_mono", start=True), "data": "kitti_raw:eigen_train_lidar", **MONO},
    "direct_s_k100": {"model": net("vgg_mono", start=True), "data": "kitti_raw:eigen_train100_lidar", **MONO_100},
    # Step 3; "pt": the encoder from ImageNet, still in the first epoch; "C,K": first Cityscapes.
    "mono": {"model": net("vgg_mono"), "data": "kitti_raw:eigen_train", **MONO},
    "mono_pt": {"model": net("vgg_mono", encoder=True, still=1.0), "data": "kitti_raw:eigen_train", **MONO},
    "mono_cityscapes": {"model": net("vgg_mono"), "data": "cityscapes:train", **MONO},
    "mono_pt_cityscapes": {"model": net("vgg_mono", encoder=True, still=1.0), "data": "cityscapes:train", **MONO},
    "mono_ck": {"model": net("vgg_mono", start=True), "data": "kitti_raw:eigen_train", **MONO},
}  # fmt: skip

# Ye et al., section IV: 512x256, batch 8, 50 epochs, 1e-4 halved at 3/5 and 4/5; their light is Godard et al.'s.
LIGHT = {"p": 0.5, "gamma": (0.8, 1.2), "brightness": (0.5, 2.0), "colour": (0.8, 1.2), **NEUTRAL}
YE = {
    "data": "kitti_raw:eigen_train",
    "augment": {"size": (256, 512), "swap_p": 0.5, "shared": LIGHT},
    "optimizer": adam(1e-4, (0.6, 0.8)),
    "loop": loop(50, 8),
}


def unsupervised(photometric: float) -> dict[str, Any]:
    """Section III: 0.85 SSIM + 0.15 L1, consistency 1, second derivatives 0.5 / 2^m."""
    return {
        "photometric_weight": photometric, "ssim_share": 0.85, "consistency_weight": 1.0, "smoothness_weight": 0.5,
        "smoothness_order": 2,
    }  # fmt: skip


def joint(passes: int, after: str, photometric: tuple[float, float], *spaces: float, **options: Any) -> dict[str, Any]:
    """Stage 2 and 3; the spaces' weights are 1, 0.1, 1, the long-range ones on features at 1/8 and 1/16."""
    weights = dict(zip(("output_weight", "feature_weight", "long_range_weight"), spaces or (0.0, 0.0, 0.0)))
    strides = {"feature_strides": (1, 2, 4, 8), "long_range_strides": (8, 16), "scaled": False}
    loss = {"mono": unsupervised(photometric[0]), "stereo": unsupervised(photometric[1])}
    return {
        **YE, "model": net("recursive") | {"options": {"num_recursions": passes, **options}},
        "after": f"ye2021/{after}", "loss": {**loss, "distillation": {**weights, **strides}},
    }  # fmt: skip


YE_ROWS = {
    "mono": {**YE, "model": net("recursive_mono"), "loss": unsupervised(1.0)},
    "stereo_k1": joint(1, "mono", (1.0, 1.0)),
    "stereo_k2": joint(2, "mono", (1.0, 1.0)),
    "stereo_k3": joint(3, "mono", (1.0, 1.0)),
    "stereo_k2_unrefined": joint(2, "mono", (1.0, 1.0), refine=False),
    "distill_output": joint(2, "stereo_k2", (0.7, 0.8), 1.0, 0.0, 0.0),
    "distill_feature": joint(2, "stereo_k2", (0.7, 0.8), 1.0, 0.1, 0.0),
    "distill_long_range": joint(2, "stereo_k2", (0.7, 0.8), 1.0, 0.0, 1.0),
    "full": joint(2, "stereo_k2", (0.7, 0.8), 1.0, 0.1, 1.0),
}
TABLE = {f"guo2018/{n}": row for n, row in GUO.items()} | {f"ye2021/{n}": row for n, row in YE_ROWS.items()}


def differences(found: Any, expected: Any, place: str) -> list[str]:
    """Where `found` is not what `expected` says; what it does not speak of is not looked at.  A number in place of
    an augmentation is its probability."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return [d for key, value in expected.items() for d in differences(found[key], value, f"{place}.{key}")]
    if isinstance(found, dict):
        return differences(found["p"], expected, f"{place}.p")
    return [] if found == expected else [f"{place}: {found}, the paper says {expected}"]


def test_all_recipes_of_the_papers_are_in_the_table():
    assert set(TABLE) == {name for name in recipe_names() if "/" in name}


@pytest.mark.parametrize("name", TABLE)
def test_numbers(name):
    expected = dict(TABLE[name])
    model, labelled = expected["model"], name.startswith("guo2018/mono")
    given = [BLANKS["START"]] if model["weights"] else []
    given += [BLANKS["IMAGENET"]] if model["encoder_weights"] else []
    recipe = load_recipe(name, [*given, *([BLANKS["LABELS"]] if labelled else [])]).model_dump()
    source = recipe.pop("data")
    assert (source["path"], source["labels"]) == (expected.pop("data"), "labels" if labelled else None)
    assert differences(recipe, expected, name) == []
