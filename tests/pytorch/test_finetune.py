"""Finetuning: frozen parts are frozen, all timm families have blocks, losses are those of the formulas."""

import copy

import lightning as L
import numpy as np
import pytest
import timm
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from zoobot.errors import CatalogError, SettingError
from zoobot.pytorch.training.blocks import find_blocks
from zoobot.pytorch.training.finetune import (
    FinetuneableZoobotClassifier,
    FinetuneableZoobotRegressor,
    FinetuneableZoobotTree,
    get_trainer,
)
from zoobot.pytorch.training.fitting import quiet_lightning
from zoobot.shared.finetuning_runs import warm_up_then_cosine
from zoobot.shared.schemas import get_schema

FAMILIES = ["test_efficientnet", "test_resnet", "test_convnext", "test_maxvit", "test_vit"]
IMAGES = torch.rand(6, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def encoder_of(name):
    options = {"img_size": 64} if timm.get_pretrained_cfg_value(name, "fixed_input_size") else {}
    torch.manual_seed(0)
    return timm.create_model(name, num_classes=0, drop_path_rate=0.5, **options)


def tensors_of(module):
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


class Data(L.LightningDataModule):
    def __init__(self, labels, images=IMAGES, batch_size=3):
        super().__init__()
        self.labels, self.images, self.batch_size = labels, images, batch_size

    def train_dataloader(self):
        return DataLoader(TensorDataset(self.images, self.labels), batch_size=self.batch_size)

    val_dataloader = test_dataloader = train_dataloader


@pytest.fixture
def fit(tmp_path):
    def run(model, labels, **changes):
        quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
        trainer = get_trainer(tmp_path, **{"max_epochs": 2, **quiet})
        with quiet_lightning():
            trainer.fit(model, Data(labels, **changes))
        return trainer

    return run


CLASSES = torch.tensor([0, 1, 2, 0, 1, 2])


@pytest.mark.parametrize("n_blocks", [0, 1])
@pytest.mark.parametrize("family", FAMILIES)
def test_frozen_means_frozen(family, n_blocks, fit):
    model = FinetuneableZoobotClassifier(3, encoder=encoder_of(family), image_size=64, n_blocks=n_blocks)
    before = {name: tensor.clone() for name, tensor in tensors_of(model).items()}
    blocks = find_blocks(model.encoder)
    learning = {id(parameter) for block in blocks[len(blocks) - n_blocks :] for parameter in block.parameters}
    modules = {id(module) for block in blocks[len(blocks) - n_blocks :] for module in block.modules}
    may_change = {name for name, parameter in model.encoder.named_parameters() if id(parameter) in learning}
    for name, module in model.encoder.named_modules():
        if id(module) in modules:
            may_change |= {f"{name}.{buffer}" for buffer, _ in module.named_buffers(recurse=False)}
    fit(model, CLASSES)
    model.train()
    assert {name for name, parameter in model.encoder.named_parameters() if parameter.requires_grad} == {
        name for name, parameter in model.encoder.named_parameters() if id(parameter) in learning
    }
    frozen = [module for module in model.encoder.modules() if id(module) not in modules]
    assert not any(module.training for module in frozen)
    after = tensors_of(model)
    changed = {name.removeprefix("encoder.") for name in after if not torch.equal(after[name], before[name])}
    assert changed - may_change == {"head.linear.weight", "head.linear.bias"}
    assert bool(changed & may_change) == (n_blocks > 0)


def test_a_frozen_encoder_sees_alike_in_training():
    model = FinetuneableZoobotClassifier(3, encoder=encoder_of("test_efficientnet")).train()
    assert torch.equal(model.encoder(IMAGES), model.encoder(IMAGES))
    assert torch.equal(model.encoder(IMAGES[:1]), copy.deepcopy(model.encoder).eval()(IMAGES[:1]))


@pytest.mark.parametrize("family", [*FAMILIES, "test_nfnet", "test_mambaout", "test_byobnet", "test_coatnet"])
def test_blocks_hold_every_parameter_and_module_once_and_rates_fall(family):
    encoder = encoder_of(family) if family in FAMILIES else timm.create_model(family, num_classes=0)
    blocks = find_blocks(encoder)
    assert len(blocks) >= 5
    found = [id(parameter) for block in blocks for parameter in block.parameters]
    assert sorted(found) == sorted(id(parameter) for parameter in encoder.parameters())
    modules = [id(module) for block in blocks for module in block.modules]
    assert sorted(modules) == sorted(id(module) for module in encoder.modules())
    assert min(sum(parameter.numel() for parameter in block.parameters) for block in blocks[-1:]) > 10_000


def test_learning_rates_fall_from_the_head_down_and_only_weights_decay():
    model = FinetuneableZoobotClassifier(3, encoder=encoder_of("test_resnet"), n_blocks=2, lr_decay=0.5)
    groups = model.configure_optimizers().param_groups
    rate_of = {id(parameter): group["lr"] for group in groups for parameter in group["params"]}
    decays = {id(parameter): group["weight_decay"] for group in groups for parameter in group["params"]}
    assert rate_of[id(model.head.linear.weight)] == 1e-4
    assert rate_of[id(next(model.encoder.layer4.parameters()))] == 0.5e-4
    assert rate_of[id(next(model.encoder.layer3.parameters()))] == 0.25e-4
    assert id(next(model.encoder.layer2.parameters())) not in rate_of
    assert decays[id(model.head.linear.bias)] == 0
    assert decays[id(model.head.linear.weight)] == 0.05


def test_blocks_that_were_frozen_before_learn_when_they_are_to():
    encoder = encoder_of("test_resnet")
    FinetuneableZoobotClassifier(3, encoder=encoder)
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    FinetuneableZoobotClassifier(3, encoder=encoder, n_blocks=5)
    assert all(parameter.requires_grad for parameter in encoder.parameters())


def test_too_many_blocks():
    with pytest.raises(SettingError, match=r"n_blocks must be at most 5: the encoder has no more\. Got 6 instead"):
        FinetuneableZoobotClassifier(3, encoder=encoder_of("test_resnet"), n_blocks=6)


def test_a_module_of_ones_own_has_its_parts_as_blocks():
    own = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert [len(block.parameters) for block in find_blocks(own)] == [2, 2]


def test_the_schedule():
    rates = [warm_up_then_cosine(epoch, 2, 10, 0.1) for epoch in (1, 2, 6, 10, 12)]
    np.testing.assert_allclose(rates, [0.5, 1.0, 0.55, 0.1, 0.1])


# --- losses and metrics against the formulas ---


def tiny(kind, *arguments, **named):
    return kind(*arguments, encoder=encoder_of("test_resnet"), **named)


def test_loss_of_classes():
    outputs, weights, smoothing = torch.randn(6, 3), [1.0, 2.0, 4.0], 0.1
    model = tiny(FinetuneableZoobotClassifier, 3, smoothing, weights)
    log_p = np.log(np.exp(outputs.numpy()) / np.exp(outputs.numpy()).sum(axis=1, keepdims=True))
    target = np.eye(3)[CLASSES] * (1 - smoothing) + smoothing / 3
    expected = -(target * np.array(weights) * log_p).sum(axis=1).mean()
    assert model.loss(CLASSES, outputs).item() == pytest.approx(expected, rel=1e-5)
    shares = torch.tensor(np.eye(3)[CLASSES]).float()
    assert model.loss(shares, outputs).item() == pytest.approx(expected, rel=1e-5)


def test_loss_of_several_answers():
    outputs, labels = torch.randn(6, 3), torch.rand(6, 3)
    model = tiny(FinetuneableZoobotClassifier, 3, 0.2, [1.0, 2.0, 3.0], multi_label=True)
    p = 1 / (1 + np.exp(-outputs.numpy()))
    target = labels.numpy() * 0.8 + 0.1
    expected = -(np.array([1, 2, 3]) * (target * np.log(p) + (1 - target) * np.log(1 - p))).mean()
    assert model.loss(labels, outputs).item() == pytest.approx(expected, rel=1e-5)
    assert model.predict(outputs).numpy() == pytest.approx(p, rel=1e-5)


@pytest.mark.parametrize(("name", "power"), [("mse", 2), ("mae", 1)])
def test_loss_of_numbers(name, power):
    outputs, labels = torch.randn(6, 2), torch.randn(6, 2) * 3 + 10
    model = tiny(FinetuneableZoobotRegressor, name, num_targets=2, centres=[10, 11], scales=[2, 4])
    predictions = outputs.numpy() * [2, 4] + [10, 11]
    assert model.predict(outputs).numpy() == pytest.approx(predictions, rel=1e-5)
    expected = (np.abs((labels.numpy() - predictions) / [2, 4]) ** power).mean()
    assert model.loss(labels, outputs).item() == pytest.approx(expected, rel=1e-5)


def test_numbers_of_the_unit_interval():
    model = tiny(FinetuneableZoobotRegressor, unit_interval=True)
    assert ((model(IMAGES) > 0) & (model(IMAGES) < 1)).all()


# --- what users do ---


def test_reproducible_from_the_seed_and_reloadable(fit, tmp_path):
    labels = torch.rand(6)
    found = []
    for _ in range(2):
        L.seed_everything(3, verbose=False)
        model = tiny(FinetuneableZoobotRegressor, n_blocks=1, seed=3, cosine_schedule=True, warmup_epochs=1)
        trainer = fit(model, labels)
        found.append(model.eval()(IMAGES))
    assert torch.equal(*found)
    trainer.save_checkpoint(tmp_path / "mine.ckpt")
    loaded = FinetuneableZoobotRegressor.load_from_checkpoint(tmp_path / "mine.ckpt", encoder=encoder_of("test_resnet"))
    torch.testing.assert_close(loaded.eval()(IMAGES), found[0], rtol=0, atol=1e-6)
    assert loaded.options == model.options


def test_a_tree_from_a_model_folder_and_a_batch_of_one(fit, trained):
    schema = get_schema("gz2")
    model = FinetuneableZoobotTree(schema, zoobot_checkpoint_loc=trained.folder, n_blocks=1)
    images = torch.randint(0, 256, (3, 1, 48, 48), dtype=torch.uint8)
    trainer = fit(model, torch.ones(3, 30), images=images, batch_size=1)
    assert torch.isfinite(trainer.callback_metrics["validation/loss"])
    assert model.eval()(images).shape == (3, 30)


def test_one_encoder_is_needed():
    with pytest.raises(SettingError, match=r"Give one of name, encoder and zoobot_checkpoint_loc. Got 0 of them"):
        FinetuneableZoobotClassifier(2)
    with pytest.raises(SettingError, match=r"There is no setting 'n_block'. Did you mean 'n_blocks'"):
        tiny(FinetuneableZoobotClassifier, 2, n_block=1)
    with pytest.raises(SettingError, match=r"class_weights must be 2 numbers, one of 0 .* a class. Got \[1.0, 2.0, 3"):
        tiny(FinetuneableZoobotClassifier, 2, class_weights=[1, 2, 3])
    with pytest.raises(SettingError, match=r"loss must be 'mse' or 'mae'. Got 'huber'"):
        tiny(FinetuneableZoobotRegressor, "huber")


@pytest.mark.parametrize(
    ("model", "labels", "message"),
    [
        ((FinetuneableZoobotClassifier, 3), torch.tensor([0, 1, 3]), "from 0 to 2. Got 0 to 3 instead"),
        ((FinetuneableZoobotClassifier, 3), torch.tensor([-1, 1, 2]), "from 0 to 2. Got -1 to 2 instead"),
        ((FinetuneableZoobotClassifier, 3), torch.rand(3, 2), r"shares of 3 classes .* the shape \(3, 2\)"),
        (
            (FinetuneableZoobotClassifier, 3),
            torch.full((3, 3), torch.nan),
            "from 0 to 1. Some labels are not, or",
        ),
        ((FinetuneableZoobotRegressor,), torch.tensor([0.1, torch.nan, 1]), "finite numbers. Some are NaN or infinite"),
        ((FinetuneableZoobotRegressor,), torch.rand(3, 2), r"must be \(galaxy, 1\). Got the shape \(3, 2\)"),
        ((FinetuneableZoobotRegressor, "mse", True), torch.tensor([0.1, 2, 1]), "With unit_interval, labels must be"),
        ((FinetuneableZoobotTree, get_schema("gz2")), torch.full((3, 30), -1.0), "of 0 or more, without NaN.*from -1"),
        ((FinetuneableZoobotTree, get_schema("gz2")), torch.ones(3, 34), r"votes \(galaxy, 30\)"),
    ],
)
def test_wrong_labels(model, labels, message):
    with pytest.raises(CatalogError, match=message):
        tiny(*model).training_step((IMAGES[:3], labels), 0)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (IMAGES * 255, r"expects uint8 images, or float ones from 0 to 1\. Got 0\S* to 25\S* instead: divide by 255"),
        ((IMAGES * 255).int(), r"expects uint8 images, or float ones from 0 to 1\. Got 0 to 25\S* instead"),
        (IMAGES - 0.5, r"Got -0.\S* to 0.\S* instead: divide by 255, and leave out any other normalisation"),
        (IMAGES[:, :1], "takes images of 3 channels; those of this batch have 1. Give --color"),
        (IMAGES[0], r"Images must be \(galaxy, channel, height, width\)"),
    ],
)
def test_wrong_images(images, message):
    with pytest.raises(SettingError, match=message):
        tiny(FinetuneableZoobotClassifier, 3).training_step((images, CLASSES), 0)
