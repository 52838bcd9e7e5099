"""What is pushed loads again, here and in timm alone."""

import json

import pandas as pd
import pytest
import timm
import torch

from zoobot.config import FinetuneSettings, PushSettings, TrainSettings
from zoobot.errors import ModelError, OutputError, SettingError
from zoobot.pytorch.estimators.define_model import ZoobotTree
from zoobot.pytorch.estimators.encoders import load_encoder
from zoobot.pytorch.estimators.hub_push import MODEL, push
from zoobot.pytorch.estimators.model_folder import load_model, save_model
from zoobot.pytorch.estimators.recipes import Recipe
from zoobot.shared.schemas import get_schema

DRY = PushSettings(dry_run=True)


def test_the_round_trip(trained, tmp_path, zoobot):
    done = zoobot("push", trained.folder, "me/encoder", "--output", tmp_path / "hub", "--dry-run")
    assert (done.code, "Nothing was sent" in done.out) == (0, True), done.err
    images = torch.rand(2, 1, 48, 48)
    expected = trained.model.encoder(images)
    found = load_encoder(f"local-dir:{tmp_path}/hub")
    torch.testing.assert_close(found.module.eval()(images), expected, rtol=0, atol=1e-6)
    direct = load_encoder(trained.folder)
    asked = FinetuneSettings(label=["ring"])
    assert found.adapt(asked).model_dump() == direct.adapt(asked).model_copy(update={"max_shift": 0.05}).model_dump()
    alone = timm.create_model(f"local-dir:{tmp_path}/hub", pretrained=True, in_chans=1).eval()
    torch.testing.assert_close(alone(images), expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(load_model(tmp_path / "hub" / MODEL)(images), trained.model(images))
    card = (tmp_path / "hub" / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: timm\n")
    assert "validation loss" in card
    assert "hf_hub:me/encoder" in card


def test_an_encoder_that_standardises_keeps_doing_so(tmp_path):
    recipe = Recipe("test_vit", 3, {"img_size": 48}, [0.5, 0.4, 0.3], [0.2, 0.2, 0.2])
    settings = TrainSettings(architecture="test_vit", image_size=48, color=True)
    model = ZoobotTree(get_schema("gz2"), settings, recipe.build(), 3, [], recipe).eval()
    metrics = {"best_epoch": 1, "validation_loss": 1.0, "validation_loss_of_baselines": {}, "baselines": {}}
    galaxies = pd.DataFrame({"id_str": [], "split": []}, dtype=object)
    save_model(model, tmp_path / "model", metrics={**metrics, "history": {}}, galaxies=galaxies)
    images = torch.rand(2, 3, 48, 48)
    torch.testing.assert_close(load_model(tmp_path / "model")(images), model(images))
    push(tmp_path / "model", "me/encoder", tmp_path / "hub", DRY)
    found = load_encoder(f"local-dir:{tmp_path}/hub").module.eval()
    torch.testing.assert_close(found(images), model.encoder(images), rtol=0, atol=1e-5)


def test_it_is_sent(trained, tmp_path, monkeypatch):
    import huggingface_hub

    calls = []

    class Api:
        def create_repo(self, name, **options):
            calls.append((name, options))

        def upload_folder(self, **options):
            calls.append(options)

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    pushed = push(trained.folder, "me/encoder", tmp_path / "hub", PushSettings(private=True))
    assert pushed.address == "https://huggingface.co/me/encoder"
    assert calls[0] == ("me/encoder", {"private": True, "exist_ok": True})
    assert calls[1] == {"repo_id": "me/encoder", "folder_path": tmp_path / "hub"}
    config = json.loads((tmp_path / "hub" / "config.json").read_text())
    assert config["zoobot"]["expects"]["image_size"] == 48


def test_what_cannot_be_pushed(trained, tmp_path, monkeypatch):
    import huggingface_hub

    with pytest.raises(SettingError, match=r"must be OWNER/NAME. Got 'encoder' instead"):
        push(trained.folder, "encoder", tmp_path / "hub", DRY)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(OutputError, match="is not empty"):
        push(trained.folder, "me/encoder", tmp_path / "full", DRY)

    def offline():
        raise OSError("no network\nat all")

    monkeypatch.setattr(huggingface_hub, "HfApi", offline)
    with pytest.raises(ModelError, match=r"cannot be sent to the hub: no network\. What would be sent is in"):
        push(trained.folder, "me/encoder", tmp_path / "hub")
