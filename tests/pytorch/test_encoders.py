"""Encoders from anywhere give what timm's own loading, or the model they came from, gives."""

import json
import pickle
from dataclasses import replace

import pytest
import timm
import torch
from torch import nn

from zoobot.config import FinetuneSettings
from zoobot.errors import ModelError, SettingError
from zoobot.pytorch.estimators import encoders
from zoobot.pytorch.estimators.encoders import load_encoder
from zoobot.pytorch.estimators.recipes import Recipe

GREY, COLOR = torch.rand(2, 1, 64, 64), torch.rand(2, 3, 64, 64)


def timm_model(name, channels=3, **options):
    torch.manual_seed(channels)
    return timm.create_model(name, num_classes=0, in_chans=channels, **options).eval()


def same(encoder, expected, images):
    torch.testing.assert_close(encoder.eval()(images), expected(images), rtol=0, atol=1e-6)


def save_in_hub_layout(model, folder, **changes):
    timm.models.save_for_hf(model, folder, safe_serialization=True)
    config = json.loads((folder / "config.json").read_text())
    config["pretrained_cfg"]["input_size"] = [3, 64, 64]
    (folder / "config.json").write_text(json.dumps({**config, **changes}))
    return folder


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub without network: `OWNER/NAME` is a folder here."""
    import huggingface_hub

    asked = []

    def find(repository, revision, allow_patterns):
        asked.append((repository, revision))
        if not (tmp_path / repository).is_dir():
            raise OSError("We couldn't connect to the hub\nto load this file.")
        return str(tmp_path / repository)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", find)
    return tmp_path, asked


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("name", ["test_convnext", "test_resnet"])
def test_channels_are_found_in_the_weights_of_a_hub_repository(hub, name, channels):
    folder, asked = hub
    model = timm_model(name, channels)
    save_in_hub_layout(model, folder / "someone" / "encoder")
    found = load_encoder("hf_hub:someone/encoder@main")
    images = torch.rand(2, channels, 64, 64)
    assert (found.channels, asked) == (channels, [("someone/encoder", "main")])
    same(found.module, model, images)
    local = load_encoder(f"local-dir:{folder}/someone/encoder")
    same(local.module, model, images)


def test_a_classifier_in_the_layout_loses_its_head_and_a_pickled_file_is_read(tmp_path):
    model = timm.create_model("test_resnet", num_classes=7, in_chans=1).eval()
    save_in_hub_layout(model, tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    expected = model.forward_head(model.forward_features(GREY), pre_logits=True)
    torch.testing.assert_close(load_encoder(f"local-dir:{tmp_path}").module.eval()(GREY), expected)
    (tmp_path / "model.safetensors").unlink()
    torch.testing.assert_close(load_encoder(f"local-dir:{tmp_path}").module.eval()(GREY), expected)


def test_random_weights_of_the_same_make(tmp_path):
    model = timm_model("test_resnet", 1)
    save_in_hub_layout(model, tmp_path)
    random = load_encoder(f"local-dir:{tmp_path}", pretrained=False)
    assert {name: tensor.shape for name, tensor in random.module.state_dict().items()} == {
        name: tensor.shape for name, tensor in model.state_dict().items()
    }
    assert not torch.equal(random.module.eval()(GREY), model(GREY))


def test_a_timm_name_has_any_channels_and_standardises_itself(monkeypatch):
    found = load_encoder("test_vit", channels=1, image_size=64, pretrained=False)
    assert found.expects == {"image_size": 64}
    plain = timm_model("test_vit", 1, img_size=64)
    plain.load_state_dict(found.module.model.state_dict())
    config = timm.get_pretrained_cfg("test_vit")
    mean, std = (sum(values) / 3 for values in (config.mean, config.std))
    torch.testing.assert_close(found.module.eval()(GREY), plain((GREY - mean) / std))
    made = []
    create = timm.create_model

    def without_network(name, pretrained, **options):
        made.append((name, pretrained))
        return create(name, pretrained=False, **options)

    monkeypatch.setattr(encoders.timm, "create_model", without_network)
    assert load_encoder("hf_hub:timm/test_vit.r160_in1k").channels == 3
    assert made == [("test_vit.r160_in1k", True)]


def test_a_module_in_memory():
    module = nn.Sequential(nn.Conv2d(4, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    found = load_encoder(module)
    assert (found.module, found.channels, found.recipe) == (module, 4, None)
    with pytest.raises(SettingError, match="An encoder of your own comes as it is"):
        load_encoder(module, pretrained=False)


def test_the_encoder_of_a_model_folder_with_what_it_saw(trained):
    found = load_encoder(trained.folder)
    images = torch.rand(2, 1, 48, 48)
    assert torch.equal(found.module(images), trained.model.encoder(images))
    settings = found.adapt(FinetuneSettings(label=["ring"]))
    assert (settings.image_size, settings.crop_bounds, settings.color) == (48, (0.6, 0.8), False)
    assert found.adapt(FinetuneSettings(label=["ring"], crop_bounds=(0.9, 1.0))).crop_bounds == (0.9, 1.0)


# --- checkpoints of versions 1 and 2 ---


def save_checkpoint(path, model, hyper_parameters, **more):
    """As Lightning writes them: an encoder of timm, and a head of dropout, linear and sigmoid for 34 answers."""
    weights = {f"encoder.{name}": tensor for name, tensor in model.state_dict().items()}
    head = {"head.1.linear.weight": torch.zeros(34, 8), "head.1.linear.bias": torch.zeros(34)}
    content = {"state_dict": {**weights, **head}, "hyper_parameters": hyper_parameters, "epoch": 3, **more}
    torch.save(content, path)
    return path


@pytest.mark.parametrize(
    ("channels", "hyper_parameters"),
    [
        (1, {"architecture_name": "test_efficientnet", "channels": 3, "timm_kwargs": {"drop_path_rate": 0.2}}),
        (3, {"architecture_name": "test_efficientnet", "timm_kwargs": {}, "head_kwargs": {}, "output_dim": 34}),
    ],
)
def test_checkpoints_give_equal_features(tmp_path, channels, hyper_parameters):
    model = timm_model("test_efficientnet", channels)
    found = load_encoder(save_checkpoint(tmp_path / "zoobot.ckpt", model, hyper_parameters))
    images = torch.rand(2, channels, 64, 64)
    same(found.module, model, images)
    assert found.channels == channels
    assert found.expects == {"image_size": 224, "color": channels == 3}


def test_the_old_name_of_efficientnet(tmp_path):
    model = timm_model("efficientnet_b0", 1)
    path = save_checkpoint(tmp_path / "zoobot.ckpt", model, {"architecture_name": "efficientnet"})
    same(load_encoder(path).module, model, GREY)


def test_a_checkpoint_made_by_hand(tmp_path):
    """The weights of a tiny network, each of its own value: its features are known without timm's loading."""
    model = timm_model("test_resnet", 1)
    weights = {
        name: torch.full_like(tensor, 0.002 * (1 + place % 5)) if tensor.is_floating_point() else tensor
        for place, (name, tensor) in enumerate(model.state_dict().items())
    }
    model.load_state_dict(weights)
    path = save_checkpoint(tmp_path / "a.ckpt", model, {"architecture_name": "test_resnet"})
    same(load_encoder(path).module, model, GREY)


class Stranger:
    def __reduce__(self):
        return (print, ("code was run",))


def test_code_in_a_checkpoint_is_refused_and_not_run(tmp_path, capsys):
    path = tmp_path / "bad.ckpt"
    torch.save({"state_dict": {}, "hyper_parameters": {"x": Stranger()}}, path)
    with pytest.raises(ModelError, match=r"holds more than tensors and plain values, and is not loaded"):
        load_encoder(path)
    (tmp_path / "plain.ckpt").write_bytes(pickle.dumps(Stranger()))
    with pytest.raises(ModelError, match=r"not loaded|damaged"):
        load_encoder(tmp_path / "plain.ckpt")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"weights": {}}, "has no state_dict: it is none of Lightning"),
        ({"state_dict": {"head.bias": torch.zeros(1)}}, r"has no weights 'encoder.\*': it is none of a Zoobot"),
        ({"state_dict": {"encoder.a": torch.zeros(1)}}, "does not say its architecture"),
        (
            {"state_dict": {"encoder.a": torch.zeros(1)}, "hyper_parameters": {"architecture_name": "test_resnet"}},
            "are not those of the architecture 'test_resnet': no 'conv1.0.weight'",
        ),
    ],
)
def test_other_checkpoints(tmp_path, content, message):
    torch.save(content, tmp_path / "a.ckpt")
    with pytest.raises(ModelError, match=message):
        load_encoder(tmp_path / "a.ckpt")


# --- what cannot be had, and what does not fit ---


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("hf_hub:someone/else", r"'hf_hub:someone/else' cannot be downloaded: We couldn't connect to the hub\. Check"),
        ("resnet19", r"There is no encoder 'resnet19': it is no folder, .* Did you mean 'resnet\d"),
        ("local-dir:nowhere", "'local-dir:nowhere' is no encoder: there is no 'nowhere/config.json'"),
        ("nowhere.ckpt", "There is no checkpoint 'nowhere.ckpt'"),
        ("test_resnet.nothing", r"Invalid pretrained tag \(nothing\) .* Its weights: test_resnet.r160_in1k"),
    ],
)
def test_what_cannot_be_had(hub, source, message):
    with pytest.raises(ModelError, match=message):
        load_encoder(source)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "config.json").write_text("{"), "is damaged, or not in the layout of timm"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"123"), "cannot be read: the file is damaged"),
        (lambda folder: (folder / "model.safetensors").unlink(), "There are no weights in"),
        (
            lambda folder: (folder / "config.json").write_text(
                (folder / "config.json").read_text().replace('"test_resnet"', '"test_convnext"')
            ),
            "are not those of the architecture 'test_convnext'",
        ),
        (
            lambda folder: (folder / "config.json").write_text(
                json.dumps({**json.loads((folder / "config.json").read_text()), "model_args": {"nonsense": 1}})
            ),
            "timm cannot build 'test_resnet' with {'nonsense': 1}",
        ),
    ],
)
def test_a_damaged_repository(tmp_path, damage, message):
    save_in_hub_layout(timm_model("test_resnet"), tmp_path)
    damage(tmp_path)
    with pytest.raises(ModelError, match=message):
        load_encoder(f"local-dir:{tmp_path}")


def test_a_repository_cannot_name_files_to_read():
    asked = {"checkpoint_path": "/etc/passwd", "pretrained": True, "in_chans": 7, "img_size": 64}
    built = Recipe("test_vit", 1, asked).build()
    assert built.patch_embed.img_size == (64, 64)
    assert built(GREY).shape[0] == 2


def test_other_images_than_the_encoder_expects_are_refused_with_the_remedy(tmp_path):
    save_in_hub_layout(timm_model("test_resnet", 1), tmp_path)
    found = load_encoder(f"local-dir:{tmp_path}")
    assert found.adapt(FinetuneSettings(label=["ring"])).image_size == 64
    with pytest.raises(SettingError, match=r"expects images with image_size 64, and 96 was given. Leave out --image-s"):
        found.adapt(FinetuneSettings(label=["ring"], image_size=96))
    with pytest.raises(SettingError, match=r"expects images with color False, and True was given. Leave out --color"):
        found.adapt(FinetuneSettings(label=["ring"], color=True))
    with pytest.raises(SettingError, match=r"takes greyscale images of 1 channel; those of 'x' have 3. Leave out --c"):
        found.refuse_other_channels(3, "'x'")
    banded = replace(found, bands=["g", "r"])
    banded.refuse_other_bands(["g", "r"], "the catalog 'x'")
    with pytest.raises(SettingError, match=r"the bands g, r, in this order; the catalog 'x' has r, g\. Order"):
        banded.refuse_other_bands(["r", "g"], "the catalog 'x'")
