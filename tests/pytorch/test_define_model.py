import numpy as np
import pytest
import torch
from torch import nn

from zoobot.config import TrainSettings
from zoobot.errors import ModelError
from zoobot.pytorch.estimators.define_model import DirichletHead, ZoobotTree
from zoobot.shared.schemas import get_schema

GZ2 = get_schema("gz2")


@pytest.mark.parametrize("bounds", [(0.05, 100.05), (1.0, 101.0)])
def test_concentrations_stay_in_their_bounds(bounds):
    head = DirichletHead(8, 30, dropout=0.0, bounds=bounds)
    concentrations = head(torch.randn(100, 8) * 1000)
    assert concentrations.min() >= bounds[0]
    assert concentrations.max() <= bounds[1]


def test_the_head_starts_from_given_concentrations():
    head = DirichletHead(8, 3, dropout=0.0, bounds=(0.05, 100.05))
    head.start_from([0.3, 7.0, 50.0])
    np.testing.assert_allclose(head(torch.zeros(1, 8)).detach(), [[0.3, 7.0, 50.0]], rtol=1e-4)


@pytest.mark.parametrize("architecture", ["test_resnet", "test_efficientnet", "test_vit", "test_convnext"])
@pytest.mark.parametrize("color", [False, True])
def test_any_timm_encoder_in_grey_or_color(architecture, color):
    model = ZoobotTree(GZ2, TrainSettings(architecture=architecture, image_size=64, color=color)).eval()
    images = torch.randint(0, 256, (2, 3 if color else 1, 64, 64), dtype=torch.uint8)
    concentrations = model(images)
    assert concentrations.shape == (2, 30)
    torch.testing.assert_close(model(images / 255), concentrations)


def test_the_head_stays_float32_under_autocast(tiny):
    model = ZoobotTree(GZ2, tiny).eval()
    with torch.autocast("cpu", torch.bfloat16):
        assert model(torch.rand(2, 1, 48, 48)).dtype == torch.float32


def test_an_unknown_architecture_names_its_neighbour():
    with pytest.raises(ModelError, match=r"timm has no architecture 'resnet19'. Did you mean 'resnet\d+"):
        ZoobotTree(GZ2, TrainSettings(architecture="resnet19"))


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (nn.Conv2d(1, 4, 3), r"returns shape \(1, 4, 46, 46\): pool over"),
        (nn.Sequential(nn.Flatten(), nn.Linear(7, 4)), r"cannot take images of 1 x 48 x 48"),
    ],
)
def test_an_encoder_that_does_not_fit(tiny, encoder, message):
    with pytest.raises(ModelError, match=message):
        ZoobotTree(GZ2, tiny, encoder)


def test_weight_decay_spares_biases_and_norms(tiny):
    model = ZoobotTree(GZ2, tiny.model_copy(update={"schedule": "constant"}))
    groups = model.configure_optimizers().param_groups
    spared = next(group for group in groups if group["weight_decay"] == 0)
    assert all(parameter.ndim == 1 for parameter in spared["params"])
