import pytest
import torch

from stereodistill.engine.common_baseline import CommonBaseline
from stereodistill.ops.geometry import disparity_to_depth
from stereodistill.types import Rig, StereoPair, View


class Single:
    """One pair at a disparity of 6 px, its rightmost column unknown."""

    def __init__(self, rig):
        self.rig = rig

    def __len__(self):
        return 1

    def load(self, index, window=None):
        disparity = torch.full((1, 2, 8), 6.0)
        disparity[..., -1] = 0
        view = View(image=torch.rand(3, 2, 8), disparity=disparity, valid=disparity > 0)
        return StereoPair(left=view, right=view, rig=self.rig, name="a")


@pytest.mark.parametrize("doffs_px", [0.0, 1.5, -2.0])
def test_depth_survives_the_change_of_rig(doffs_px):
    rig = Rig(focal_px=10.0, baseline_m=0.2, width=8, doffs_px=doffs_px)
    before, after = Single(rig).load(0), CommonBaseline(Single(rig), 0.5).load(0)
    assert after.rig.baseline_m == 0.5 and after.rig.doffs_px == 0
    depths = [disparity_to_depth(p.left.disparity, p.rig)[0][p.left.valid] for p in (before, after)]
    assert torch.allclose(*depths) and torch.equal(before.left.valid, after.left.valid)


def test_the_same_rig_and_an_unknown_one_change_nothing():
    for rig in (Rig(focal_px=10.0, baseline_m=0.5, width=8), Rig.unknown(8)):
        samples = Single(rig)
        assert torch.equal(CommonBaseline(samples, 0.5).load(0).left.disparity, samples.load(0).left.disparity)
    assert CommonBaseline(Single(Rig(focal_px=10.0, baseline_m=0.2, width=8)), None).load(0).rig.baseline_m == 0.2
