"""`zoobot finetune` with Keras: from a catalog and an encoder to a model folder that predicts the same once loaded."""

import re
import warnings

import keras
import numpy as np
import pandas as pd
import pytest

from tests.tensorflow.conftest import tiny_net
from zoobot.config import KerasFinetuneSettings, PredictSettings, PrepareSettings
from zoobot.errors import CatalogError, ModelError, OutputError, SettingError
from zoobot.shared.adjustments import adjust
from zoobot.shared.finetuning_runs import warm_up_then_cosine
from zoobot.shared.images import read_image
from zoobot.shared.label_columns import LabelTask
from zoobot.shared.number_parts import read_numbers
from zoobot.shared.predictions import read_predictions
from zoobot.shared.preparation import prepare
from zoobot.tensorflow.estimators.define_model import GalaxyModel
from zoobot.tensorflow.estimators.encoders import load_encoder
from zoobot.tensorflow.estimators.label_model import LabelHead
from zoobot.tensorflow.estimators.model_folder import load_label_model, load_model
from zoobot.tensorflow.predictions.predict_labels import predict_labels
from zoobot.tensorflow.predictions.predict_on_catalog import predict
from zoobot.tensorflow.training.epochs import ProgressBar
from zoobot.tensorflow.training.finetune_on_catalog import finetune

QUICK = {"epochs": 2, "batch_size": 16, "device": "cpu"}
IMAGES = np.random.default_rng(0).integers(0, 256, (3, 48, 48, 1), np.uint8)


def settings(*labels, **changes):
    return KerasFinetuneSettings(label=list(labels), **{**QUICK, **changes})


WANTED = settings("bright", linear_probe=True, n_blocks=1, epochs=4, learning_rate=0.01)


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
    return finetune(labelled, trained.folder, tmp_path_factory.mktemp("finetuned") / "RUN", WANTED)


def test_the_model_folder_reloads_and_says_the_same(finetuned, trained):
    loaded = load_label_model(finetuned.folder)
    probabilities = np.asarray(loaded(IMAGES))
    np.testing.assert_array_equal(probabilities, finetuned.model(IMAGES))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    assert loaded.task.classes == ["no", "yes"]
    assert loaded.settings.image_size == 48  # what the encoder saw
    card = (finetuned.folder / "README.md").read_text()
    for words in ("A model of bright", f"Started from: {trained.folder}", "test, accuracy"):
        assert words in card
    with pytest.raises(ModelError, match=r"answers no decision tree: it was finetuned on bright"):
        load_model(finetuned.folder)
    with pytest.raises(ModelError, match=r"answers the decision tree 'gz2', not labels"):
        load_label_model(trained.folder)


def test_the_best_epoch_s_validation_loss_is_that_of_the_model(finetuned, labelled, tmp_path):
    predict_labels(finetuned.folder, labelled, tmp_path / "P")
    found = read_numbers(tmp_path / "P", "labels")
    mine = found.table["model_split"] == "validation"
    true = (found.table["bright"] == "yes").to_numpy(int)
    losses = -np.log(found.values[np.arange(60), true])
    assert losses[mine].mean() == pytest.approx(finetuned.metrics["validation_loss"], rel=1e-3)
    assert finetuned.metrics["validation_loss"] == min(finetuned.metrics["history"]["validation/loss"])


def test_scores_of_each_part_with_the_linear_probe(finetuned):
    scores = finetuned.metrics["scores"]
    assert list(scores) == ["validation", "test", "validation, linear probe", "test, linear probe"]
    assert np.sum(scores["test"]["confusion"]) == sum(of["galaxies"] for of in scores["test"]["of_class"].values())
    split = pd.read_parquet(finetuned.folder / "galaxies.parquet")["split"].value_counts()
    assert split.to_dict() == {"train": 42, "validation": 8, "test": 10}
    assert "Scores, test:" in str(finetuned)


def test_each_epoch_has_its_rate_and_its_time(finetuned):
    steps, epochs = 3, WANTED.epochs
    ends = [(epoch * steps - 1) / steps for epoch in range(1, epochs + 1)]
    shares = [warm_up_then_cosine(end, WANTED.warmup_epochs, epochs, lowest=0.01) for end in ends]
    rates = finetuned.metrics["history"]["learning rate"]
    np.testing.assert_allclose(rates, WANTED.learning_rate * np.array(shares), rtol=1e-5)
    assert [len(values) for values in finetuned.metrics["timing"].values()] == [epochs, epochs]
    assert re.search(r"Training time:   \S+ s, \S+ images/s\nScores, validation:", str(finetuned))
    assert re.search(r"Training time: \S+ s, .*, on .* cores", (finetuned.folder / "README.md").read_text())


def test_a_folder_that_is_done_and_another_run(finetuned, labelled, trained):
    run = finetuned.folder.parent
    before = (finetuned.folder / "model.weights.h5").stat().st_mtime_ns
    assert finetune(labelled, trained.folder, run, WANTED).metrics == finetuned.metrics
    assert (finetuned.folder / "model.weights.h5").stat().st_mtime_ns == before
    with pytest.raises(OutputError, match="- n_blocks: 1 there, 0 now"):
        finetune(labelled, trained.folder, run, WANTED.model_copy(update={"n_blocks": 0}))


def test_a_run_that_was_interrupted_goes_on_as_if_nothing_had_been(finetuned, labelled, trained, tmp_path, monkeypatch):
    run, begin = tmp_path / "RUN", ProgressBar.on_epoch_begin

    def stop(bar, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt
        begin(bar, epoch, logs)

    with monkeypatch.context() as patched:
        patched.setattr(ProgressBar, "on_epoch_begin", stop)
        with pytest.raises(KeyboardInterrupt):
            finetune(labelled, trained.folder, run, WANTED)
    done = finetune(labelled, trained.folder, run, WANTED)
    assert "Going on after epoch 2." in (run / "log.txt").read_text()
    for name in ("train/loss", "validation/loss"):
        np.testing.assert_allclose(done.metrics["history"][name], finetuned.metrics["history"][name], rtol=1e-3)


def test_several_numbers(labelled, trained, tmp_path):
    wanted = settings("light", "dark", task="regression", epochs=20, learning_rate=4e-2, n_blocks=1, dropout=0)
    done = finetune(labelled, trained.folder, tmp_path / "RUN", wanted)
    of_number = done.metrics["scores"]["validation"]["of_number"]
    assert set(of_number) == {"light", "dark"}
    assert of_number["light"]["r2"] > 0.3
    np.testing.assert_array_equal(load_label_model(done.folder)(IMAGES), done.model(IMAGES))


@pytest.mark.parametrize(
    "changes",
    [
        {"label": ["share", "other"]},
        {"label": ["share", "other"], "multi_label": True, "class_weights": "balanced"},
        {"label": ["bright"], "class_weights": "balanced", "balanced_sampling": True, "label_smoothing": 0.1},
        {"label": ["share"], "task": "regression", "unit_interval": True, "loss": "mae", "batch_size": 1},
        {"label": ["bright"], "pretrained": False, "augment_in_model": True, "precision": "bf16-mixed"},
        {"label": ["bright"], "precision": "16-mixed"},
    ],
)
def test_every_task_learns(labelled, trained, tmp_path, changes):
    wanted = KerasFinetuneSettings(**{**QUICK, "epochs": 1, **changes})
    done = finetune(labelled, trained.folder, tmp_path / "RUN", wanted)
    assert np.isfinite(done.metrics["validation_loss"])
    assert ("random weights" in (done.folder / "README.md").read_text()) == (changes.get("pretrained") is False)


def test_another_tree_predicts_as_any_model(labelled, trained, tmp_path, zoobot):
    run = tmp_path / "RUN"
    words = ("--task", "tree", "--schema", "gz2", "--output", run, "--epochs", 1, "--device", "cpu", "--n-blocks", 1)
    done = zoobot("finetune", labelled, "--from", trained.folder, *words)  # its framework is that of the folder
    assert done.code == 0, done.err
    assert "free constant baseline" in done.out
    predict(run / "model", labelled, tmp_path / "P")
    assert read_predictions(tmp_path / "P").concentrations.shape == (60, 30, 1)
    assert load_model(run / "model").schema.name == "gz2"


def test_labels_are_predicted_by_the_command_and_go_on(finetuned, labelled, tmp_path, zoobot):
    words = ("--output", tmp_path / "P", "--format", "csv", "--part-size", 25)
    done = zoobot("predict", finetuned.folder, labelled, *words)
    assert done.code == 0, done.err
    found = pd.read_csv(tmp_path / "P" / "predictions.csv")
    image = read_image(pd.read_csv(labelled)["file_loc"][30])
    expected = finetuned.model(adjust(image, finetuned.model.settings.adjustments)[None])
    np.testing.assert_allclose(
        found[["bright_no_probability", "bright_yes_probability"]].loc[[30]], expected, rtol=1e-4
    )
    (tmp_path / "P" / "part-00001.parquet").unlink()
    assert zoobot("predict", finetuned.folder, labelled, *words).code == 0
    again = pd.read_csv(tmp_path / "P" / "predictions.csv")
    pd.testing.assert_frame_equal(again, found, rtol=1e-4)
    with pytest.raises(SettingError, match="Leave out --samples: this model predicts labels"):
        predict(finetuned.folder, labelled, tmp_path / "Q", PredictSettings(samples=3))


def test_a_name_for_the_channels_of_records(labelled, tmp_path):
    table = pd.read_csv(labelled, dtype={"id_str": str}).head(30)
    chosen = PrepareSettings(image_size=64, color=True, format="tfrecord", shard_size=10)
    folder = prepare(table, None, tmp_path / "P", chosen).folder
    for number, changes in enumerate(({}, {"balanced_sampling": True})):
        wanted = settings("bright", pretrained=False, image_size=48, **changes)
        done = finetune(folder, "TinyNet", tmp_path / f"RUN{number}", wanted)
        assert done.model.channels == 3
    np.testing.assert_array_equal(load_label_model(done.folder)(IMAGES.repeat(3, 3)), done.model(IMAGES.repeat(3, 3)))


def test_an_encoder_of_ones_own(labelled, tmp_path):
    own = tiny_net((48, 48, 1))
    done = finetune(labelled, own, tmp_path / "RUN", settings("bright", image_size=48))
    with pytest.raises(ModelError, match="has an encoder of your own"):
        load_label_model(done.folder)
    loaded = load_label_model(done.folder, tiny_net((48, 48, 1)))
    np.testing.assert_array_equal(loaded(IMAGES), done.model(IMAGES))
    predict_labels(done.folder, labelled, tmp_path / "P", loaded=loaded)
    assert read_numbers(tmp_path / "P", "labels").values.shape == (60, 2)


@pytest.mark.parametrize(
    ("encoder", "changes", "error", "message"),
    [
        (None, {"label": ["brigt"]}, CatalogError, "has no column 'brigt' to learn. Did you mean 'bright'"),
        (None, {"image_size": 96}, SettingError, "expects images with image_size 48, and 96 was given"),
        (None, {"color": True}, SettingError, "expects images with color False, and True was given. Leave out"),
        (None, {"n_blocks": 9}, SettingError, "n_blocks must be at most 2"),
        (None, {"label": ["rare"]}, CatalogError, "No training galaxy is of the class 'a'"),
        ("TinyNte", {}, ModelError, r"There is no encoder 'TinyNte' for Keras: .* Did you mean 'TinyNet'\?"),
        ("hf_hub:a/b", {}, ModelError, "are PyTorch's: leave out --framework tensorflow"),
        (tiny_net((48, 48, 1)), {"pretrained": False}, SettingError, "An encoder of your own comes as it is"),
    ],
)
def test_what_cannot_be_finetuned(labelled, trained, tmp_path, encoder, changes, error, message):
    table = pd.read_csv(labelled, dtype={"id_str": str}).assign(rare=["a", *["b"] * 59])
    wanted = KerasFinetuneSettings(**{**QUICK, "label": ["bright"], "split": (0.4, 0.3, 0.3), **changes})
    with pytest.raises(error, match=message):
        finetune(table, encoder or trained.folder, tmp_path / "RUN", wanted)


# --- weights of photographs, which Keras would download ---


@pytest.mark.parametrize(
    ("architecture", "module"),
    [("EfficientNetB0", "efficientnet"), ("MobileNetV2", "mobilenet_v2"), ("VGG16", "vgg16")],
)
def test_weights_of_photographs_see_what_they_learned_from(architecture, module, tmp_path, monkeypatch):

    make = getattr(keras.applications, architecture)
    stand_in = make(include_top=False, weights=None, input_shape=(64, 64, 3))
    stand_in.save_weights(tmp_path / "learned.weights.h5")
    monkeypatch.setattr("keras.src.utils.file_utils.get_file", lambda *_, **__: str(tmp_path / "learned.weights.h5"))
    with warnings.catch_warnings(action="ignore"):
        published = make(include_top=False, weights="imagenet", input_shape=(64, 64, 3), pooling="avg")

    loaded = load_encoder(architecture, channels=1, image_size=64)
    images = np.random.default_rng(1).integers(0, 256, (2, 64, 64, 1), np.uint8)
    rgb = images.repeat(3, axis=3).astype(np.float32)
    expected = published(getattr(keras.applications, module).preprocess_input(rgb))
    head = LabelHead(LabelTask("regression", ["x"], centres=[0], scales=[1]), 0.0)
    model = GalaxyModel(loaded.module, head, 64, 1, loaded.recipe.scale)
    np.testing.assert_allclose(model.encode(images / np.float32(255)), expected, rtol=1e-3, atol=1e-4)
