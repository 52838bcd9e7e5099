import json
import os
import signal
import subprocess
import sys

import lightning as L
import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from tests.pytorch.conftest import TINY
from zoobot.config import PrepareSettings, TrainSettings
from zoobot.errors import CatalogError, DeviceMemoryError, ImageError, ModelError, OutputError, SettingError
from zoobot.pytorch.datasets.galaxy_datamodule import GalaxyDataModule
from zoobot.pytorch.estimators.define_model import ZoobotTree
from zoobot.pytorch.estimators.model_folder import load_model
from zoobot.pytorch.predictions.predict_on_catalog import predict
from zoobot.pytorch.training.train_with_pytorch_lightning import train
from zoobot.shared import training_curves
from zoobot.shared.catalogs import load_catalog
from zoobot.shared.predictions import read_predictions
from zoobot.shared.preparation import prepare
from zoobot.shared.provenance import find_processor
from zoobot.shared.schemas import get_schema
from zoobot.shared.training_runs import count_cores


def own_encoder():
    return nn.Sequential(nn.Conv2d(1, 4, 5, stride=4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def test_the_best_epoch_is_kept_and_returned(trained):
    losses = trained.metrics["history"]["validation/loss"]
    assert trained.metrics["best_epoch"] == int(np.argmin(losses)) + 1
    assert trained.metrics["validation_loss"] == pytest.approx(min(losses), rel=1e-5)
    checkpoint = torch.load(trained.folder.parent / "checkpoints" / "best.ckpt", weights_only=True)
    for name, tensor in trained.model.state_dict().items():
        assert torch.equal(tensor, checkpoint["state_dict"][name])


def test_the_rate_of_each_epoch_is_kept_and_falls_to_0(trained):
    rates = trained.metrics["history"]["learning rate"]
    assert trained.model.settings.learning_rate > rates[0] > rates[1] == pytest.approx(0, abs=1e-6)


def test_each_epoch_is_timed(simulated, tiny, tmp_path, monkeypatch):
    now = [0.0]

    def lasting(seconds, step):
        def run(*given):
            now[0] += seconds
            return step(*given)

        return run

    monkeypatch.setattr(training_curves, "perf_counter", lambda: now[0])
    monkeypatch.setattr(ZoobotTree, "training_step", lasting(2, ZoobotTree.training_step))
    monkeypatch.setattr(ZoobotTree, "validation_step", lasting(10, ZoobotTree.validation_step))
    trained = train(simulated / "catalog.csv", "gz2", tmp_path / "RUN", tiny)
    images = (pd.read_parquet(trained.folder / "galaxies.parquet")["split"] == "train").sum()
    assert trained.metrics["timing"] == {"seconds": [16, 16], "images per second": [round(images / 6, 2)] * 2}
    assert "seconds" not in trained.metrics["history"]
    log = pd.read_csv(tmp_path / "RUN" / "logs" / "version_0" / "metrics.csv")
    assert log["seconds"].dropna().tolist() == [16, 16]
    said = f"32 s, {images / 6:.1f} images/s"
    assert f"Training time:   {said}" in str(trained)
    hardware = json.loads((trained.folder / "config.json").read_text())["hardware"]
    assert hardware == {"device": find_processor(), "devices": 1, "cores": count_cores()}
    assert f"- Training time: {said}, on {find_processor()}" in (trained.folder / "README.md").read_text()


def test_the_model_folder_holds_everything_and_loads(trained):
    names = {path.name for path in trained.folder.iterdir()}
    assert names == {
        "weights.safetensors",
        "config.json",
        "schema.json",
        "metrics.json",
        "galaxies.parquet",
        "README.md",
    }
    config = json.loads((trained.folder / "config.json").read_text())
    assert config["split"]["seed"] == 0
    assert config["split"]["fractions"] == [0.7, 0.1, 0.2]
    assert sum(config["split"]["galaxies"].values()) == 60
    images = torch.rand(3, 1, 48, 48)
    assert torch.equal(load_model(trained.folder)(images), trained.model(images))


def test_losses_of_every_question_are_logged(trained):
    log = pd.read_csv(trained.folder.parent / "logs" / "version_0" / "metrics.csv")
    for question in get_schema("gz2").questions:
        assert log[f"train/question/{question.text}"].notna().sum() == TINY["epochs"]
        assert log[f"validation/question/{question.text}"].notna().sum() == TINY["epochs"]


def test_a_finished_run_is_not_trained_again(trained, simulated, tiny):
    before = (trained.folder / "weights.safetensors").stat().st_mtime_ns
    again = train(simulated / "catalog.csv", "gz2", trained.folder.parent, tiny)
    assert (trained.folder / "weights.safetensors").stat().st_mtime_ns == before
    assert again.metrics == trained.metrics


def test_the_folder_of_another_run_is_refused(trained, simulated):
    other = TrainSettings(**{**TINY, "epochs": 3})
    with pytest.raises(OutputError, match=r"holds another run:\n- epochs: 2 there, 3 now\nChoose another"):
        train(simulated / "catalog.csv", "gz2", trained.folder.parent, other)


def test_same_seed_same_weights(trained, simulated, tiny, tmp_path):
    again = train(simulated / "catalog.csv", "gz2", tmp_path / "RUN", tiny)
    for name, tensor in trained.model.state_dict().items():
        assert torch.equal(tensor, again.model.state_dict()[name])


KILLED = """
import json, sys, time
from zoobot.config import PrepareSettings, TrainSettings
from zoobot.pytorch.datasets.galaxy_datamodule import GalaxyDataModule
from zoobot.pytorch.estimators.define_model import ZoobotTree
from zoobot.pytorch.training.train_with_pytorch_lightning import train

step = ZoobotTree.training_step
def slow_step(self, batch, batch_idx):
    if self.trainer.current_epoch == 2 and batch_idx == 1:
        print("in the middle of the third epoch", flush=True)
        time.sleep(60)
    return step(self, batch, batch_idx)
ZoobotTree.training_step = slow_step
train(sys.argv[1], "gz2", sys.argv[2], TrainSettings(**json.loads(sys.argv[3])))
"""


def test_goes_on_after_sigkill_in_the_middle_of_an_epoch(simulated, tmp_path):
    settings = {**TINY, "epochs": 4}
    catalog, run = simulated / "catalog.csv", tmp_path / "RUN"
    command = [sys.executable, "-c", KILLED, str(catalog), str(run), json.dumps(settings)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert "third epoch" in process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
    assert not (run / "model").exists()
    resumed = train(catalog, "gz2", run, TrainSettings(**settings))
    assert resumed.metrics["history"]["epoch"] == [1, 2, 3, 4]
    logs = [pd.read_csv(run / "logs" / f"version_{n}" / "metrics.csv") for n in (0, 1)]
    assert [log["epoch"].unique().tolist() for log in logs] == [[0, 1], [2, 3]]
    for name, values in resumed.metrics["timing"].items():
        assert values == pd.concat(logs)[name].dropna().tolist()
        assert len(values) == 4
    assert "Going on after epoch 2." in (run / "log.txt").read_text()


def test_ctrl_c_in_training_is_a_keyboard_interrupt(simulated, tiny, tmp_path, monkeypatch):
    def interrupt(self, batch, batch_idx):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(ZoobotTree, "training_step", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(simulated / "catalog.csv", "gz2", tmp_path / "RUN", tiny)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert train(simulated / "catalog.csv", "gz2", tmp_path / "RUN", tiny).metrics["history"]["epoch"] == [1, 2]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_run_that_goes_on_sees_what_an_uninterrupted_one_sees(simulated, tmp_path, monkeypatch, workers):
    seen, step = [], ZoobotTree.training_step

    def record(self, batch, batch_idx):
        seen.append((self.trainer.current_epoch, batch[0].sum().item()))
        if (self.trainer.current_epoch, batch_idx) == stop_at:
            raise RuntimeError("stopped")
        return step(self, batch, batch_idx)

    monkeypatch.setattr(ZoobotTree, "training_step", record)
    settings = TrainSettings(**{**TINY, "workers": workers})
    stop_at = None
    train(simulated / "catalog.csv", "gz2", tmp_path / "WHOLE", settings)
    whole = [views for views in seen if views[0] == 1]
    stop_at = (1, 0)
    with pytest.raises(RuntimeError, match="stopped"):
        train(simulated / "catalog.csv", "gz2", tmp_path / "RUN", settings)
    stop_at = None
    seen.clear()
    train(simulated / "catalog.csv", "gz2", tmp_path / "RUN", settings)
    assert seen == whole


def test_a_moved_run_is_refused(simulated, tmp_path, monkeypatch):
    def stop(self, batch, batch_idx):
        if self.trainer.current_epoch == 1:
            raise RuntimeError("stopped")
        return step(self, batch, batch_idx)

    step = ZoobotTree.training_step
    monkeypatch.setattr(ZoobotTree, "training_step", stop)
    with pytest.raises(RuntimeError, match="stopped"):
        train(simulated / "catalog.csv", "gz2", tmp_path / "RUN", TrainSettings(**TINY))
    (tmp_path / "RUN").rename(tmp_path / "MOVED")
    with pytest.raises(OutputError, match=r"(?s)MOVED' was begun in '.*RUN'. Move it back"):
        train(simulated / "catalog.csv", "gz2", tmp_path / "MOVED", TrainSettings(**TINY))


def test_a_diverged_training_is_no_success(simulated, tmp_path, monkeypatch):
    monkeypatch.setattr(ZoobotTree, "forward", lambda self, images: self.head(self.encoder(images / 255)) * torch.nan)
    with pytest.raises(ModelError, match=r"diverged: the validation loss is not a number.*--learning-rate"):
        train(simulated / "catalog.csv", "gz2", tmp_path / "RUN", TrainSettings(**{**TINY, "epochs": 1}))
    assert not (tmp_path / "RUN" / "model").exists()


def test_mixed_precision(simulated, tmp_path):
    settings = TrainSettings(**{**TINY, "epochs": 1, "precision": "bf16-mixed"})
    trained = train(simulated / "catalog.csv", "gz2", tmp_path / "RUN", settings)
    assert np.isfinite(trained.metrics["validation_loss"])


class OwnData(L.LightningDataModule):
    def train_dataloader(self):
        rng = torch.Generator().manual_seed(0)
        images = torch.rand(20, 1, 48, 48, generator=rng)
        votes = torch.randint(0, 20, (20, 30), generator=rng).float()
        return DataLoader(TensorDataset(images, votes), batch_size=10)

    val_dataloader = train_dataloader


def test_own_data_and_own_encoder(simulated, tiny, tmp_path):
    trained = train(OwnData(), "gz2", tmp_path / "RUN", tiny, encoder=own_encoder())
    with pytest.raises(ModelError, match=r"encoder of your own, which zoobot cannot build. In Python"):
        load_model(trained.folder)
    loaded = load_model(trained.folder, own_encoder())
    images = torch.rand(2, 1, 48, 48)
    assert torch.equal(loaded(images), trained.model(images))
    predict(trained.folder, simulated / "catalog.csv", tmp_path / "P", loaded=loaded)
    assert set(read_predictions(tmp_path / "P").table["model_split"]) == {""}


def test_own_data_needs_validation(tiny, tmp_path):
    class NoValidation(L.LightningDataModule):
        train_dataloader = OwnData.train_dataloader

    with pytest.raises(SettingError, match="NoValidation has no val_dataloader"):
        train(NoValidation(), "gz2", tmp_path / "RUN", tiny)


def test_another_encoder_is_another_run(tiny, tmp_path):
    train(OwnData(), "gz2", tmp_path / "RUN", tiny, encoder=own_encoder())
    with pytest.raises(OutputError, match="- encoder:"):
        train(OwnData(), "gz2", tmp_path / "RUN", tiny)


@pytest.mark.parametrize("batch_size", [1, 1000])
def test_a_batch_of_one_and_a_catalog_smaller_than_a_batch(simulated, tmp_path, batch_size):
    settings = TrainSettings(**{**TINY, "epochs": 1, "batch_size": batch_size})
    trained = train(simulated / "catalog.csv", "gz2", tmp_path / "RUN", settings)
    assert np.isfinite(trained.metrics["validation_loss"])


def test_early_stopping_under_a_constant_rate(simulated, tmp_path):
    settings = TrainSettings(
        **{**TINY, "epochs": 50, "schedule": "constant", "patience": 1, "learning_rate": 0.3, "optimizer": "adam"}
    )
    trained = train(simulated / "catalog.csv", "gz2", tmp_path / "RUN", settings)
    n_epochs = len(trained.metrics["history"]["epoch"])
    assert trained.metrics["best_epoch"] == n_epochs - 1 < 50


@pytest.fixture
def with_bad_images(simulated, tmp_path):
    table = pd.read_csv(simulated / "catalog.csv", dtype={"id_str": str})
    table["file_loc"] = [str(simulated / file_loc) for file_loc in table["file_loc"]]
    whole = (simulated / "images" / "sim_000000.jpg").read_bytes()
    (tmp_path / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    table.loc[4, "file_loc"] = str(tmp_path / "truncated.jpg")
    table.loc[9, "file_loc"] = str(tmp_path / "missing.jpg")
    table.to_csv(tmp_path / "catalog.csv", index=False)
    return tmp_path / "catalog.csv"


def test_unreadable_images_stop_training_before_the_first_epoch(with_bad_images, tiny, tmp_path):
    with pytest.raises(ImageError, match=r"(?s)2 of 60 images cannot be read:.*truncated.jpg.*missing.jpg.*drop"):
        train(with_bad_images, "gz2", tmp_path / "RUN", tiny)
    dropping = TrainSettings(**{**TINY, "epochs": 1, "on_bad_image": "drop"})
    train(with_bad_images, "gz2", tmp_path / "RUN", dropping)
    assert pd.read_csv(tmp_path / "RUN" / "rejected.csv")["id_str"].tolist() == ["sim_000004", "sim_000009"]
    assert "2 of 60 images" in (tmp_path / "RUN" / "log.txt").read_text()


def test_unreadable_images_can_be_dropped(with_bad_images, tmp_path, caplog):
    settings = TrainSettings(**{**TINY, "epochs": 1, "on_bad_image": "drop"})
    trained = train(with_bad_images, "gz2", tmp_path / "RUN", settings)
    counts = json.loads((trained.folder / "config.json").read_text())["split"]["galaxies"]
    assert sum(counts.values()) == 58
    assert "2 of 60 images cannot be read; their galaxies are left out" in caplog.text


def test_rows_that_cannot_be_used_stop_training_or_are_left_out(with_bad_images, tmp_path, caplog):
    table = pd.read_csv(with_bad_images, dtype={"id_str": str})
    table.loc[2, "bar_no"] = -1
    table.to_csv(with_bad_images, index=False)
    settings = {**TINY, "epochs": 1, "on_bad_image": "drop"}
    with pytest.raises(CatalogError, match=r"(?s)negative in 1 row.*'sim_000002'.*--on-bad-row drop"):
        train(with_bad_images, "gz2", tmp_path / "RUN", TrainSettings(**settings))
    trained = train(with_bad_images, "gz2", tmp_path / "RUN", TrainSettings(**settings, on_bad_row="drop"))
    assert "1 of 60 rows of the catalog" in caplog.text
    rejected = pd.read_csv(tmp_path / "RUN" / "rejected.csv")
    assert rejected["id_str"].tolist() == ["sim_000002", "sim_000004", "sim_000009"]
    assert rejected["value"][0] == "-1"
    counts = json.loads((trained.folder / "config.json").read_text())["split"]["galaxies"]
    assert sum(counts.values()) == 57


def test_out_of_memory_names_the_batch_size(simulated, tiny, tmp_path, monkeypatch):
    def run_out(self, batch, batch_idx):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(ZoobotTree, "training_step", run_out)
    with pytest.raises(DeviceMemoryError, match=r"does not hold a batch of 16 images. Try --batch-size 8"):
        train(simulated / "catalog.csv", "gz2", tmp_path / "RUN", tiny)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_device_that_is_not_there(simulated, tmp_path):
    with pytest.raises(SettingError, match=r"--device gpu: torch finds no such device .* It has: cpu"):
        train(simulated / "catalog.csv", "gz2", tmp_path / "RUN", TrainSettings(**{**TINY, "device": "gpu"}))


def test_several_devices_are_gpus(simulated, tmp_path):
    settings = TrainSettings(**{**TINY, "devices": 99})
    with pytest.raises(SettingError, match="--devices 99 asks for so many GPUs"):
        train(simulated / "catalog.csv", "gz2", tmp_path / "RUN", settings)


def test_an_unknown_architecture_leaves_no_folder(simulated, tmp_path):
    with pytest.raises(ModelError, match="timm has no architecture 'resnet_18'"):
        train(simulated / "catalog.csv", "gz2", tmp_path / "RUN", TrainSettings(architecture="resnet_18"))
    assert not (tmp_path / "RUN").exists()


def test_damaged_weights(trained, tmp_path):
    import shutil

    shutil.copytree(trained.folder, tmp_path / "model")
    (tmp_path / "model" / "weights.safetensors").write_bytes(b"1234567890")
    with pytest.raises(ModelError, match="missing or do not fit"):
        load_model(tmp_path / "model")


def test_the_run_folder_in_place_of_the_model_folder(trained):
    with pytest.raises(ModelError, match=r"no model folder: it has no config.json. Did you mean '.*/RUN/model'\?"):
        load_model(trained.folder.parent)


# --- prepared images ---


@pytest.fixture(scope="module")
def prepared(simulated, tmp_path_factory):
    """The simulated galaxies at their own 64 pixels: the views are those of the files."""
    folder = tmp_path_factory.mktemp("prepared") / "store"
    return prepare(simulated / "catalog.csv", "gz2", folder, PrepareSettings(image_size=64)).folder


@pytest.mark.parametrize("shard_format", ["store", "tfrecord", "webdataset"])
def test_training_and_prediction_from_a_prepared_folder_equal_those_from_files(
    simulated, trained, tiny, tmp_path, shard_format, zoobot
):
    settings = PrepareSettings(format=shard_format, image_size=64, shard_size=25)
    folder = prepare(simulated / "catalog.csv", "gz2", tmp_path / "p", settings).folder
    again = train(folder, None, tmp_path / "RUN", tiny)
    assert again.metrics["history"] == trained.metrics["history"]
    from_files, from_folder = (
        predict(trained.folder, data, tmp_path / f"predictions{number}")
        for number, data in enumerate((simulated / "catalog.csv", folder))
    )
    files, stored = (read_predictions(done.folder) for done in (from_files, from_folder))
    assert files.id_str == stored.id_str
    np.testing.assert_array_equal(files.concentrations, stored.concentrations)


def test_workers_do_not_change_what_is_learned(prepared, tiny, tmp_path):
    alone, helped = (
        train(prepared, None, tmp_path / str(workers), tiny.model_copy(update={"workers": workers, "epochs": 1}))
        for workers in (0, 2)
    )
    assert alone.metrics["history"] == helped.metrics["history"]


def test_views_on_the_device_are_those_of_the_cpu(prepared, tiny):
    catalog = load_catalog(prepared, get_schema("gz2"))
    of_cpu, of_device = (
        GalaxyDataModule(catalog, tiny.model_copy(update={"augment_on": where})) for where in ("cpu", "device")
    )
    for loader in ("train_dataloader", "val_dataloader"):
        expected, given = (next(iter(getattr(module, loader)())) for module in (of_cpu, of_device))
        images, votes = of_device.on_after_batch_transfer(given, 0)
        assert torch.equal(votes, expected[1])
        assert images.shape == expected[0].shape
        # both interpolate from the same pixels; OpenCV in steps of 1/32 pixel, rounded
        difference = (images * 255 - expected[0]).abs()
        assert difference.mean() < 0.5
        assert difference.max() < 6


def test_training_on_the_device_needs_prepared_images(simulated, prepared, tiny, tmp_path):
    settings = tiny.model_copy(update={"augment_on": "device", "epochs": 1})
    with pytest.raises(SettingError, match="--augment-on device needs prepared images"):
        train(simulated / "catalog.csv", "gz2", tmp_path / "a", settings)
    assert np.isfinite(train(prepared, None, tmp_path / "b", settings).metrics["validation_loss"])


def test_colour_of_a_prepared_folder_is_taken_or_refused(simulated, tiny, tmp_path, caplog):
    settings = PrepareSettings(image_size=48, color=True)
    folder = prepare(simulated / "catalog.csv", "gz2", tmp_path / "p", settings).folder
    once = tiny.model_copy(update={"epochs": 1})
    model = train(folder, None, tmp_path / "RUN", once).model
    assert (model.channels, model.settings.color) == (3, True)
    assert "prepare them with --image-size 69" in caplog.text
    grey = prepare(simulated / "catalog.csv", "gz2", tmp_path / "grey", PrepareSettings(image_size=48)).folder
    with pytest.raises(SettingError, match="- color: False there, True wanted"):
        train(grey, None, tmp_path / "c", once.model_copy(update={"color": True}))
    with pytest.raises(SettingError, match="- color: False there, True wanted"):
        predict(tmp_path / "RUN" / "model", grey, tmp_path / "d")


def test_any_number_of_bands_trains_and_predicts(simulated, tiny, tmp_path):
    catalog = load_catalog(simulated / "catalog.csv", get_schema("gz2"))
    table = catalog.table.drop(columns="file_loc")
    for number, band in enumerate("ugriz"):
        table[f"file_loc_{band}"] = np.roll([files[0] for files in catalog.image_files], number)
    settings = tiny.model_copy(update={"epochs": 1, "color": True})
    trained = train(table, "gz2", tmp_path / "RUN", settings)
    assert trained.model.channels == 5
    assert load_model(trained.folder).channels == 5
    assert predict(trained.folder, table, tmp_path / "predictions").n_predicted == 60
    other_way = table[[*(name for name in table if "file_loc" not in name), *(f"file_loc_{band}" for band in "zirgu")]]
    with pytest.raises(SettingError, match=r"trained on the bands u, g, r, i, z, in this order; .* has z, i, r, g, u"):
        predict(trained.folder, other_way, tmp_path / "other")
    with pytest.raises(SettingError, match=r"trained on images of 5 bands; those of the catalog .* have 3"):
        predict(trained.folder, simulated / "catalog.csv", tmp_path / "three")


def test_schema_is_needed_where_the_catalog_knows_none(simulated, tiny, tmp_path, zoobot):
    with pytest.raises(SettingError, match="--schema is missing"):
        train(simulated / "catalog.csv", None, tmp_path / "RUN", tiny)
