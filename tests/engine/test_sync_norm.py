"""The layers that share their statistics between CPU processes, in a world of one."""

import pytest
import torch
import torch.distributed as dist
from torch import nn

from stereodistill.engine.sync_norm import GlobalBatchNorm2d, GlobalBatchNorm3d, synchronise_norms


@pytest.fixture
def world_of_one(tmp_path):
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(
    ("plain", "shared", "shape"),
    [(nn.BatchNorm2d, GlobalBatchNorm2d, (2, 3, 4, 5)), (nn.BatchNorm3d, GlobalBatchNorm3d, (2, 3, 2, 4, 5))],
)
def test_alone_it_is_the_layer_it_stands_for(world_of_one, plain, shared, shape):
    one, other = plain(3), shared(3)
    for _ in range(2):
        values = (3 * torch.randn(shape) + 1).requires_grad_()
        outputs = [one(values), other(values)]
        assert torch.allclose(*outputs, atol=1e-5)
        weight = torch.randn(shape)
        gradients = [torch.autograd.grad((y * weight).sum(), values, retain_graph=True)[0] for y in outputs]
        assert torch.allclose(*gradients, atol=1e-5)
    for name, value in one.state_dict().items():
        assert torch.allclose(value.float(), other.state_dict()[name].float(), atol=1e-5), name
    assert torch.allclose(one.eval()(values), other.eval()(values))


def test_every_norm_of_the_shipped_network_is_replaced():
    from types import SimpleNamespace

    from stereodistill.models import build

    two = SimpleNamespace(num_processes=2, device=torch.device("cpu"))
    model = synchronise_norms(build("lite_stereo", max_disparity_px=32, width=32), two)
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    assert {type(m) for m in norms} == {GlobalBatchNorm2d, GlobalBatchNorm3d}
