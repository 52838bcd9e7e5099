import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from keras import layers

from tests.tensorflow.conftest import TINY
from zoobot.config import KerasTrainSettings, PrepareSettings
from zoobot.errors import ImageError, ModelError, OutputError, SettingError
from zoobot.shared import training_curves
from zoobot.shared.preparation import prepare
from zoobot.shared.provenance import find_processor
from zoobot.shared.schemas import get_schema
from zoobot.shared.training_runs import count_cores
from zoobot.tensorflow.estimators.define_model import ZoobotTree
from zoobot.tensorflow.estimators.model_folder import load_label_model, load_model
from zoobot.tensorflow.training import fitting, losses
from zoobot.tensorflow.training.epochs import KeptEpochs, ProgressBar
from zoobot.tensorflow.training.optimizers import OneCycle
from zoobot.tensorflow.training.train_with_keras import compile_model, train

GZ2 = get_schema("gz2")
ROOT = Path(__file__).parents[2]


def write_labelled(simulated, folder):
    """The simulated galaxies with a class to learn; the path of their catalog."""
    table = pd.read_csv(simulated / "catalog.csv", dtype={"id_str": str})
    table["file_loc"] = [str(simulated / file) for file in table["file_loc"]]
    table.assign(ring=np.arange(len(table)) % 2).to_csv(folder / "catalog.csv", index=False)
    return folder / "catalog.csv"


def own_encoder():
    return keras.Sequential(
        [keras.Input((48, 48, 1)), layers.Conv2D(4, 5, 4, activation="relu"), layers.GlobalAveragePooling2D()]
    )


def test_the_best_epoch_is_kept_and_returned(trained):
    validation = trained.metrics["history"]["validation/loss"]
    assert trained.metrics["best_epoch"] == int(np.argmin(validation)) + 1
    assert trained.metrics["validation_loss"] == min(validation)
    assert "free constant baseline" in str(trained)


def test_the_rate_is_that_of_the_last_step_of_each_epoch(trained):
    # of torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.002, total_steps=6), at the third step and the sixth
    expected = [0.0016234913, 8e-9]
    np.testing.assert_allclose(trained.metrics["history"]["learning rate"], expected, rtol=1e-5)
    log = pd.read_csv(trained.folder.parent / "metrics.csv")
    np.testing.assert_allclose(log["learning rate"], expected, rtol=1e-5)


def test_each_epoch_is_timed(tiny, tmp_path, monkeypatch):
    now = [0.0]

    class Lasting(ProgressBar):
        def on_train_batch_end(self, batch, logs=None):
            now[0] += 2

        def on_test_batch_end(self, batch, logs=None):
            now[0] += 10

    monkeypatch.setattr(training_curves, "perf_counter", lambda: now[0])
    monkeypatch.setattr(fitting, "ProgressBar", Lasting)
    data = tf.data.Dataset.from_tensor_slices((np.zeros((42, 48, 48, 1)), np.ones((42, 30))))
    trained = train((data.batch(16), data.batch(60)), "gz2", tmp_path / "RUN", tiny, encoder=own_encoder())
    assert trained.metrics["timing"] == {"seconds": [16, 16], "images per second": [7, 7]}
    assert "seconds" not in trained.metrics["history"]
    assert pd.read_csv(tmp_path / "RUN" / "metrics.csv")["seconds"].tolist() == [16, 16]
    assert "Training time:   32 s, 7.0 images/s" in str(trained)
    hardware = json.loads((trained.folder / "config.json").read_text())["hardware"]
    assert hardware == {"device": find_processor(), "devices": 1, "cores": count_cores()}
    assert f"- Training time: 32 s, 7.0 images/s, on {find_processor()}" in (trained.folder / "README.md").read_text()


def test_a_run_begun_when_no_times_were_kept_goes_on(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    state = {"lines": [{"epoch": 1, "train/loss": 3.0, "validation/loss": 2.0}], "best_epoch": 1}
    (tmp_path / "checkpoints" / "state.json").write_text(json.dumps(state))
    history = KeptEpochs(tmp_path, 2, None, 0).history()
    assert history["validation/loss"] == [2.0]
    assert history["learning rate"] == history["seconds"] == history["images per second"] == [None]


def test_the_model_folder_holds_everything_and_loads(trained):
    names = {path.name for path in trained.folder.iterdir()}
    assert names == {
        "model.weights.h5",
        "config.json",
        "schema.json",
        "metrics.json",
        "galaxies.parquet",
        "README.md",
    }
    config = json.loads((trained.folder / "config.json").read_text())
    assert (config["framework"], config["architecture"]) == ("tensorflow", TINY["architecture"])
    assert {"keras", "zoobot"} <= set(config["versions"])
    images = np.random.default_rng(0).integers(0, 256, (3, 48, 48, 1), np.uint8)
    np.testing.assert_array_equal(load_model(trained.folder)(images), trained.model(images))


def test_losses_of_every_question_are_logged(trained):
    log = pd.read_csv(trained.folder.parent / "metrics.csv")
    for split in ("train", "validation"):
        of_questions = log[[f"{split}/question/{question.text}" for question in GZ2.questions]]
        np.testing.assert_allclose(of_questions.sum(axis=1), log[f"{split}/loss"], rtol=1e-5)


def test_a_finished_run_is_not_trained_again_and_another_is_refused(trained, simulated, tiny):
    before = (trained.folder / "model.weights.h5").stat().st_mtime_ns
    again = train(simulated / "catalog.csv", "gz2", trained.folder.parent, tiny)
    assert (trained.folder / "model.weights.h5").stat().st_mtime_ns == before
    assert again.metrics == trained.metrics
    with pytest.raises(OutputError, match=r"holds another run:\n- epochs: 2 there, 3 now\nChoose another"):
        train(simulated / "catalog.csv", "gz2", trained.folder.parent, tiny.model_copy(update={"epochs": 3}))


KILLED = """
import json, os, signal, sys
from tests.tensorflow.conftest import TINY
from zoobot.config import KerasTrainSettings
from zoobot.tensorflow.training import fitting, train_with_keras
from zoobot.tensorflow.training.epochs import ProgressBar

class Kill(ProgressBar):
    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == (1, 1):
            os.kill(os.getpid(), signal.SIGKILL)
    def on_epoch_end(self, epoch, logs=None):
        pass

fitting.ProgressBar = Kill
train_with_keras.train(sys.argv[1], "gz2", sys.argv[2], KerasTrainSettings(**TINY))
"""


def test_goes_on_after_sigkill_as_if_nothing_had_been(trained, simulated, tiny, tmp_path):
    catalog, run = simulated / "catalog.csv", tmp_path / "RUN"
    command = [sys.executable, "-c", KILLED, str(catalog), str(run)]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == -signal.SIGKILL
    assert not (run / "model").exists()
    timed_before = pd.read_csv(run / "metrics.csv")["seconds"].item()
    resumed = train(catalog, "gz2", run, tiny)
    assert "Going on after epoch 1." in (run / "log.txt").read_text()
    assert resumed.metrics["history"]["epoch"] == [1, 2]
    assert resumed.metrics["history"]["learning rate"] == trained.metrics["history"]["learning rate"]
    log = pd.read_csv(run / "metrics.csv")
    assert resumed.metrics["timing"] == {name: log[name].tolist() for name in ("seconds", "images per second")}
    assert log["seconds"][0] == timed_before
    np.testing.assert_allclose(
        resumed.metrics["history"]["train/loss"], trained.metrics["history"]["train/loss"], rtol=1e-3
    )


def test_patience_and_a_schedule_of_torch(simulated, tiny, tmp_path):
    stubborn = tiny.model_copy(
        update={"epochs": 9, "patience": 1, "schedule": "constant", "learning_rate": 1e-9, "optimizer": "adam"}
    )
    trained = train(simulated / "catalog.csv", "gz2", tmp_path / "RUN", stubborn)
    n_epochs = len(trained.metrics["history"]["epoch"])
    assert n_epochs < 9
    assert trained.metrics["history"]["learning rate"] == pytest.approx([1e-9] * n_epochs)
    rates = [float(OneCycle(2.0, 100)(step)) for step in range(100)]
    # of torch.optim.lr_scheduler.OneCycleLR(optimizer, 2.0, total_steps=100)
    np.testing.assert_allclose(
        [rates[step] for step in (0, 10, 29, 60, 99)],
        [0.08, 0.5903279, 2.0, 1.1785602, 8e-6],
        rtol=1e-4,
    )


def test_prepared_folders_and_views_in_the_model(simulated, tiny, tmp_path, zoobot):
    chosen = PrepareSettings(format="tfrecord", image_size=69, shard_size=16, color=True)
    folder = prepare(simulated / "catalog.csv", "gz2", tmp_path / "p", chosen).folder
    settings = tiny.model_copy(update={"epochs": 1, "augment_in_model": True})
    trained = train(folder, None, tmp_path / "RUN", settings)
    assert (trained.model.channels, trained.model.settings.color) == (3, True)
    grey = prepare(simulated / "catalog.csv", "gz2", tmp_path / "grey", PrepareSettings(image_size=69)).folder
    with pytest.raises(SettingError, match="- color: False there, True wanted"):
        train(grey, None, tmp_path / "c", settings.model_copy(update={"color": True}))
    refused = zoobot("train", folder, "--framework", "tensorflow", "--schema", "decals", "--output", tmp_path / "d")
    assert refused.code == 1
    assert "only in the given schema" in refused.err


def test_no_dropout_and_a_scaled_loss_in_float16(simulated, tiny, tmp_path):
    changes = {"epochs": 1, "dropout": 0.0, "precision": "16-mixed"}
    trained = train(simulated / "catalog.csv", "gz2", tmp_path / "RUN", tiny.model_copy(update=changes))
    assert np.isfinite(trained.metrics["validation_loss"])
    for precision, kind in (("16-mixed", keras.optimizers.LossScaleOptimizer), ("32", keras.optimizers.AdamW)):
        model = ZoobotTree(GZ2, tiny.model_copy(update={"precision": precision}))
        compile_model(model, 10, "cpu")
        assert isinstance(model.optimizer, kind)


def test_images_that_cannot_be_read_are_told_before_the_first_epoch(simulated, tiny, tmp_path):
    table = pd.read_csv(simulated / "catalog.csv", dtype={"id_str": str})
    table["file_loc"] = [str(simulated / file) for file in table["file_loc"]]
    table.loc[3, "file_loc"] = "nowhere.jpg"
    with pytest.raises(ImageError, match=r"(?s)1 of 60 images cannot be read.*--on-bad-image drop"):
        train(table, "gz2", tmp_path / "RUN", tiny)


def test_a_diverged_training_is_no_success(simulated, tiny, tmp_path, monkeypatch):
    call = ZoobotTree.call
    monkeypatch.setattr(ZoobotTree, "call", lambda *given, **more: call(*given, **more) * np.nan)
    with pytest.raises(ModelError, match=r"diverged: the validation loss is not a number.*--learning-rate"):
        train(simulated / "catalog.csv", "gz2", tmp_path / "RUN", tiny.model_copy(update={"epochs": 1}))


def test_own_data_and_own_encoder(tiny, tmp_path):
    rng = np.random.default_rng(0)
    images, votes = rng.random((20, 48, 48, 1), np.float32), rng.integers(0, 20, (20, 30)).astype(np.float32)
    data = tf.data.Dataset.from_tensor_slices((images, votes)).batch(10)
    trained = train((data, data), "gz2", tmp_path / "RUN", tiny, encoder=own_encoder())
    with pytest.raises(ModelError, match=r"encoder of your own, which zoobot cannot build. In Python"):
        load_model(trained.folder)
    loaded = load_model(trained.folder, own_encoder())
    np.testing.assert_array_equal(loaded(images), trained.model(images))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda data: (data.repeat(), data),
            "The training dataset does not know how many batches it has, or has no end",
        ),
        (lambda data: (data, data.repeat()), "The validation dataset does not know .* Give a finite one"),
        (lambda data: (data, np.zeros(3)), r"must be two tf.data.Dataset, .* Got \(_\w+Dataset, ndarray\) instead"),
        (lambda data: (data, data.take(0)), "The validation dataset is empty"),
        (lambda data: (data.map(lambda images, votes: images), data), r"must be \(images, labels\). Got TensorSpec"),
        (lambda data: (data,), r"for training and for validation. Got \(_\w+Dataset\) instead"),
    ],
)
def test_own_data_that_cannot_be_learned(tiny, tmp_path, change, message):
    data = tf.data.Dataset.from_tensor_slices((np.zeros((4, 48, 48, 1)), np.zeros((4, 30)))).batch(2)
    with pytest.raises(SettingError, match=message):
        train(change(data), "gz2", tmp_path / "RUN", tiny)


def test_a_setting_of_pytorch_is_none_of_keras(simulated, tmp_path, zoobot):
    command = ("train", simulated / "catalog.csv", "--schema", "gz2", "--output", tmp_path / "X")
    refused = zoobot(*command, "--framework", "tensorflow", "--augment-on", "device")
    assert refused.code == 2
    assert "There is no setting 'augment_on'." in refused.err


MIRRORED = """
import itertools, json, sys
import numpy as np
import pandas as pd
import tensorflow as tf
cpus = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpus[0], [tf.config.LogicalDeviceConfiguration()] * 2)
import keras
from tests.tensorflow.conftest import TINY
from zoobot.config import KerasFinetuneSettings, KerasTrainSettings
from zoobot.shared import training_curves
from zoobot.tensorflow.training import finetune_on_catalog, train_with_keras
from zoobot.tensorflow.training.finetuneable import Finetuneable

training_curves.perf_counter = itertools.count().__next__  # as if the training of each epoch took a second
for verb in (train_with_keras, finetune_on_catalog):
    verb.find_device = lambda device, devices: "cpu"  # which has as many devices as are asked for
# Adam would hide a gradient of another scale, and makes much of the last bits of small ones
Finetuneable.build_optimizer = train_with_keras.build_optimizer = lambda *_: keras.optimizers.SGD(1e-3)
catalog, folder = sys.argv[1:]
labelled = pd.read_csv(catalog, dtype={"id_str": str}).head(56)
found = []
for devices, size in ((1, 64), (2, 32)):  # all of the 34 and 40 training galaxies at once
    chosen = {"devices": devices, "batch_size": size, "dropout": 0.0, "epochs": 4, "device": "cpu"}
    run = f"{folder}/{devices}"
    own = {"image_size": 48, "architecture": "StillNet", "seed": 3}
    trained = train_with_keras.train(labelled, "gz2", f"{run}/RUN", KerasTrainSettings(**chosen, **own))
    settings = KerasFinetuneSettings(label=["ring"], n_blocks=1, learning_rate=0.01, linear_probe=True, **chosen)
    finetuned = finetune_on_catalog.finetune(labelled, f"{folder}/1/RUN/model", f"{run}/RINGS", settings)
    made = [each.model(np.full((1, 48, 48, 1), 100, np.uint8)) for each in (trained, finetuned)]
    histories = [each.metrics["history"] for each in (trained, finetuned)]
    scores = {split: each["log_loss"] for split, each in finetuned.metrics["scores"].items()}
    images = [each.metrics["timing"]["images per second"] for each in (trained, finetuned)]
    made = [np.asarray(each).tolist() for each in made]
    found.append({"histories": histories, "made": made, "scores": scores, "images": images})
print(json.dumps(found))
"""


def test_two_devices_learn_what_one_learns_from_the_whole_batch(simulated, tmp_path):
    command = [sys.executable, "-c", MIRRORED, str(write_labelled(simulated, tmp_path)), str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    one, two = json.loads(done.stdout.splitlines()[-1])
    for of_one, of_two in zip(one["histories"], two["histories"], strict=True):
        for name in ("train/loss", "validation/loss"):
            np.testing.assert_allclose(of_two[name], of_one[name], rtol=1e-5)
    for made_by_one, made_by_two in zip(one["made"], two["made"], strict=True):
        np.testing.assert_allclose(made_by_two, made_by_one, rtol=1e-4)
    assert two["scores"] == pytest.approx(one["scores"], rel=1e-4)
    assert two["images"] == one["images"] == [[34] * 4, [40] * 4]
    assert [history["learning rate"] for history in two["histories"]] == [pytest.approx([1e-3] * 4)] * 2


ON_JAX = """
import sys
import keras
from tests.tensorflow.conftest import TINY
from zoobot.config import KerasFinetuneSettings, KerasTrainSettings
from zoobot.tensorflow.training.finetune_on_catalog import finetune
from zoobot.tensorflow.training.train_with_keras import train
catalog, folder = sys.argv[1:]
trained = train(catalog, "gz2", f"{folder}/RUN", KerasTrainSettings(**TINY))
settings = KerasFinetuneSettings(label=["ring"], epochs=1, device="cpu", n_blocks=1)
finetune(catalog, trained.folder, f"{folder}/RINGS", settings)
assert keras.backend.backend() == "jax"
"""


@pytest.mark.slow
def test_models_made_on_jax_predict_on_tensorflow(trained, simulated, tmp_path):
    pytest.importorskip("jax")
    command = [sys.executable, "-c", ON_JAX, str(write_labelled(simulated, tmp_path)), str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, env={**os.environ, "KERAS_BACKEND": "jax"})
    images = np.zeros((2, 48, 48, 1), np.uint8)
    assert np.isfinite(np.asarray(load_model(tmp_path / "RUN" / "model")(images))).all()
    probabilities = load_label_model(tmp_path / "RINGS" / "model")(images)
    np.testing.assert_allclose(np.asarray(probabilities).sum(axis=1), 1, rtol=1e-5)
    metrics = json.loads((tmp_path / "RUN" / "model" / "metrics.json").read_text())
    assert metrics["history"]["learning rate"] == pytest.approx(trained.metrics["history"]["learning rate"])
    seconds, rates = metrics["timing"].values()
    assert all(rate * whole > 41.9 for whole, rate in zip(seconds, rates, strict=True))  # 42 images in less than that


def test_the_documented_imports():
    from zoobot.shared import label_metadata, schemas

    schema = schemas.Schema(label_metadata.decals_pairs, label_metadata.gz2_and_decals_dependencies)
    multiquestion_loss = losses.get_multiquestion_loss(schema.question_index_groups)
    assert callable(multiquestion_loss)
    assert KerasTrainSettings(preset="decals").architecture == "EfficientNetB0"
