"""`zoobot finetune`: from a catalog and an encoder to a model folder that predicts the same after loading."""

import re

import numpy as np
import pandas as pd
import pytest
import torch

from zoobot.config import FinetuneSettings, PrepareSettings
from zoobot.errors import CatalogError, ModelError, OutputError, SettingError
from zoobot.pytorch.datasets.galaxy_datamodule import GalaxyDataModule
from zoobot.pytorch.estimators.model_folder import load_label_model, load_model
from zoobot.pytorch.examples import finetune_model
from zoobot.pytorch.predictions.predict_on_catalog import predict
from zoobot.pytorch.training.finetune import FinetuneableZoobotClassifier
from zoobot.pytorch.training.finetune_on_catalog import finetune
from zoobot.pytorch.training.label_scores import predict_loader
from zoobot.shared.catalogs import load_catalog
from zoobot.shared.finetuning_runs import choose_n_blocks
from zoobot.shared.images import read_image
from zoobot.shared.predictions import read_predictions
from zoobot.shared.preparation import prepare

QUICK = {"epochs": 2, "batch_size": 16, "device": "cpu", "workers": 0}


def settings(*labels, **changes):
    return FinetuneSettings(label=list(labels), **{**QUICK, **changes})


@pytest.fixture(scope="module")
def labelled(simulated, tmp_path_factory):
    """The simulated galaxies with labels that can be seen: how bright each image is."""
    table = pd.read_csv(simulated / "catalog.csv", dtype={"id_str": str})
    table["file_loc"] = [str(simulated / file) for file in table["file_loc"]]
    light = np.array([read_image(file).mean() for file in table["file_loc"]])
    table["bright"] = np.where(light > np.median(light), "yes", "no")
    table["light"], table["dark"] = light, 255 - light
    table["share"] = np.argsort(np.argsort(light)) / 59
    table["other"] = 1 - table["share"]
    path = tmp_path_factory.mktemp("labelled") / "catalog.csv"
    table.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def finetuned(labelled, trained, tmp_path_factory):
    run = tmp_path_factory.mktemp("finetuned") / "RUN"
    return finetune(labelled, trained.folder, run, settings("bright", linear_probe=True, n_blocks=2, epochs=4))


def test_the_model_folder_reloads_and_says_the_same(finetuned):
    loaded = load_label_model(finetuned.folder)
    images = torch.randint(0, 256, (3, 1, 48, 48), dtype=torch.uint8)
    probabilities = loaded(images)
    torch.testing.assert_close(probabilities, finetuned.model(images), rtol=0, atol=1e-6)
    assert probabilities.sum(dim=1).tolist() == pytest.approx([1, 1, 1])
    assert loaded.task.classes == ["no", "yes"]
    assert loaded.settings.image_size == 48  # what the encoder saw
    card = (finetuned.folder / "README.md").read_text()
    assert "A model of bright" in card
    assert "test, accuracy" in card


def test_scores_of_each_part_with_the_linear_probe(finetuned):
    scores = finetuned.metrics["scores"]
    assert list(scores) == ["validation", "test", "validation, linear probe", "test, linear probe"]
    assert np.sum(scores["test"]["confusion"]) == sum(of["galaxies"] for of in scores["test"]["of_class"].values())
    split = pd.read_parquet(finetuned.folder / "galaxies.parquet")["split"].value_counts()
    assert split.to_dict() == {"train": 42, "validation": 8, "test": 10}
    assert re.search(r"Training time:   \S+ s, \S+ images/s\nScores, validation:", str(finetuned))
    assert [len(values) for values in finetuned.metrics["timing"].values()] == [4, 4]
    assert re.search(r"Training time: \S+ s, .*, on .* cores", (finetuned.folder / "README.md").read_text())


def test_the_same_seed_and_a_folder_that_is_done(finetuned, labelled, trained, tmp_path):
    wanted = settings("bright", linear_probe=True, n_blocks=2, epochs=4)
    again = finetune(labelled, trained.folder, tmp_path / "RUN", wanted)
    assert {**again.metrics, "timing": {}} == {**finetuned.metrics, "timing": {}}
    for name, tensor in again.model.state_dict().items():
        assert torch.equal(tensor, finetuned.model.state_dict()[name])
    before = (again.folder / "weights.safetensors").stat().st_mtime_ns
    assert finetune(labelled, trained.folder, tmp_path / "RUN", wanted).metrics == again.metrics
    assert (again.folder / "weights.safetensors").stat().st_mtime_ns == before
    with pytest.raises(OutputError, match="- n_blocks: 2 there, 0 now"):
        finetune(labelled, trained.folder, tmp_path / "RUN", wanted.model_copy(update={"n_blocks": 0}))


def test_several_numbers(labelled, trained, tmp_path):
    wanted = settings("light", "dark", task="regression", epochs=20, learning_rate=5e-3, n_blocks=1, dropout=0)
    done = finetune(labelled, trained.folder, tmp_path / "RUN", wanted)
    of_number = done.metrics["scores"]["validation"]["of_number"]
    assert set(of_number) == {"light", "dark"}
    assert of_number["light"]["r2"] > 0.3
    torch.testing.assert_close(
        load_label_model(done.folder)(torch.ones(1, 1, 48, 48)), done.model(torch.ones(1, 1, 48, 48))
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"label": ["share", "other"]},
        {"label": ["share", "other"], "multi_label": True, "class_weights": "balanced"},
        {"label": ["bright"], "class_weights": "balanced", "balanced_sampling": True, "label_smoothing": 0.1},
        {"label": ["share"], "task": "regression", "unit_interval": True, "loss": "mae", "batch_size": 1},
        {"label": ["bright"], "pretrained": False, "n_blocks": None},
    ],
)
def test_every_task_learns(labelled, trained, tmp_path, changes):
    done = finetune(labelled, trained.folder, tmp_path / "RUN", FinetuneSettings(**{**QUICK, "epochs": 1, **changes}))
    assert np.isfinite(done.metrics["validation_loss"])
    assert ("random weights" in (done.folder / "README.md").read_text()) == (changes.get("pretrained") is False)


def test_another_tree_predicts_and_evaluates_as_any_model(labelled, trained, tmp_path, zoobot):
    run = tmp_path / "RUN"
    done = zoobot(
        *("finetune", labelled, "--from", trained.folder, "--task", "tree", "--schema", "gz2"),
        *("--output", run, "--epochs", 1, "--device", "cpu", "--n-blocks", 1),
    )
    assert done.code == 0, done.err
    assert "free constant baseline" in done.out
    predict(run / "model", labelled, tmp_path / "P")
    found = read_predictions(tmp_path / "P")
    assert found.concentrations.shape == (60, 30, 1)
    assert load_model(run / "model").schema.name == "gz2"
    assert zoobot("evaluate", tmp_path / "P", labelled, "--output", tmp_path / "R").code == 0


def test_a_timm_name_for_the_channels_of_a_prepared_folder(labelled, tmp_path):
    table = pd.read_csv(labelled, dtype={"id_str": str}).head(30)
    folder = prepare(table, None, tmp_path / "P", PrepareSettings(image_size=64, color=True)).folder
    asked = settings("bright", pretrained=False, image_size=48)
    done = finetune(folder, "test_resnet", tmp_path / "RUN", asked)
    assert done.model.channels == 3
    data = GalaxyDataModule(
        load_catalog(folder, None), asked.model_copy(update={"augment_on": "device", "color": True}), np.eye(30)
    )
    whole, cut = next(iter(data.val_dataloader()))[0], predict_loader(SizeOfImages(), data, data.val_dataloader())
    assert whole.shape[2:] == (64, 64)
    assert (cut == 48).all()
    torch.testing.assert_close(
        load_label_model(done.folder)(torch.ones(1, 3, 48, 48)), done.model(torch.ones(1, 3, 48, 48))
    )


class SizeOfImages(torch.nn.Module):
    def forward(self, images):
        return torch.full((len(images), 2), images.shape[2])


def test_more_labels_more_blocks():
    assert [choose_n_blocks(n, 5, True) for n in (100, 1_000, 10_000)] == [1, 2, 5]
    assert choose_n_blocks(100, 5, False) == 5


@pytest.mark.parametrize(
    ("labels", "changes", "error", "message"),
    [
        (["brigt"], {}, CatalogError, "has no column 'brigt' to learn. Did you mean 'bright'"),
        (["bright"], {"image_size": 96}, SettingError, "expects images with image_size 48, and 96 was given"),
        (
            ["bright"],
            {"color": True},
            SettingError,
            "expects images with color False, and True was given. Leave out",
        ),
        (["bright"], {"n_blocks": 9}, SettingError, "n_blocks must be at most 5"),
        (["rare"], {}, CatalogError, "No training galaxy is of the class 'a'"),
    ],
)
def test_what_cannot_be_finetuned(labelled, trained, tmp_path, labels, changes, error, message):
    table = pd.read_csv(labelled, dtype={"id_str": str}).assign(rare=["a", *["b"] * 59])
    with pytest.raises(error, match=message):
        finetune(table, trained.folder, tmp_path / "RUN", settings(*labels, split=(0.4, 0.3, 0.3), **changes))


def test_a_classifier_answers_no_tree(finetuned):
    with pytest.raises(ModelError, match=r"answers no decision tree: it was finetuned on bright"):
        load_model(finetuned.folder)


def test_a_schema_belongs_to_a_tree(labelled, trained, tmp_path):
    with pytest.raises(SettingError, match=r"--schema belongs to --task tree. Got the task classification"):
        finetune(labelled, trained.folder, tmp_path / "RUN", settings("bright"), schema="gz2")
    with pytest.raises(SettingError, match="--schema is missing"):
        finetune(labelled, trained.folder, tmp_path / "RUN", FinetuneSettings(task="tree"))


def test_a_run_that_was_interrupted_goes_on(finetuned, labelled, trained, tmp_path, monkeypatch):
    wanted = settings("bright", linear_probe=True, n_blocks=2, epochs=4)
    step = FinetuneableZoobotClassifier.training_step

    def stop(self, batch, batch_idx):
        if self.trainer.current_epoch == 2:
            raise RuntimeError("stopped")
        return step(self, batch, batch_idx)

    with monkeypatch.context() as patched:
        patched.setattr(FinetuneableZoobotClassifier, "training_step", stop)
        with pytest.raises(RuntimeError, match="stopped"):
            finetune(labelled, trained.folder, tmp_path / "RUN", wanted)
    done = finetune(labelled, trained.folder, tmp_path / "RUN", wanted)
    assert done.metrics["history"]["epoch"] == [1, 2, 3, 4]
    assert "Going on after epoch 2." in (tmp_path / "RUN" / "log.txt").read_text()
    before, after = (run.metrics["history"]["validation/loss"][:2] for run in (finetuned, done))
    assert before == after


def test_the_example(labelled, trained, tmp_path, capsys):
    finetune_model.main(str(labelled), "bright", str(labelled), str(tmp_path / "results"), str(trained.folder))
    assert "Predicted 60 galaxies" in capsys.readouterr().out
