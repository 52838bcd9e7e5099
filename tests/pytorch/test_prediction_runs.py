"""Samples, several models, shares and runs that are killed: the same galaxies, once each, with the same numbers."""

import json
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import torch

from zoobot.config import CalibrateSettings, PredictSettings
from zoobot.errors import CatalogError, ModelError, OutputError, PredictionError, SettingError
from zoobot.pytorch.devices import find_own_device
from zoobot.pytorch.predictions.predict_on_catalog import predict
from zoobot.pytorch.training.train_with_pytorch_lightning import train
from zoobot.shared import image_sources
from zoobot.shared.adjustments import adjust
from zoobot.shared.catalogs import galaxy_hash
from zoobot.shared.dropout_masks import dropout_masks
from zoobot.shared.images import read_image
from zoobot.shared.predictions import read_predictions
from zoobot.shared.shares import Share, claimed, find_share
from zoobot.shared.tables import ParquetRows
from zoobot.shared.temperatures import calibrate


@pytest.fixture(scope="module")
def whole(trained, simulated, tmp_path_factory):
    """Predictions of all galaxies in parts of 8, undisturbed."""
    folder = tmp_path_factory.mktemp("whole") / "P"
    predict(trained.folder, simulated / "catalog.csv", folder, PARTS)
    return read_predictions(folder)


@pytest.fixture(scope="module")
def another(simulated, tiny, tmp_path_factory):
    """A model of the same tree that sees larger images."""
    settings = tiny.model_copy(update={"seed": 5, "epochs": 1, "image_size": 56})
    return train(simulated / "catalog.csv", "gz2", tmp_path_factory.mktemp("another") / "RUN", settings)


@pytest.fixture
def reads(monkeypatch):
    """The files that are read, in order."""
    files = []
    read_galaxy = image_sources.read_galaxy

    def note(given, reading):
        files.append(given)
        return read_galaxy(given, reading)

    monkeypatch.setattr(image_sources, "read_galaxy", note)
    return files


PARTS = PredictSettings(part_size=8, batch_size=3)


def assert_same(folder, expected):
    found = read_predictions(folder)
    assert found.id_str == expected.id_str
    np.testing.assert_allclose(found.concentrations, expected.concentrations, rtol=1e-5)


# --- samples ---


@pytest.mark.parametrize("sample_by", ["dropout", "views", "both"])
def test_samples_differ_are_reproducible_and_read_each_image_once(trained, simulated, tmp_path, reads, sample_by):
    settings = PARTS.model_copy(update={"samples": 4, "sample_by": sample_by, "seed": 3})
    predict(trained.folder, simulated / "catalog.csv", tmp_path / "P", settings)
    assert len(reads) == 60
    found = read_predictions(tmp_path / "P")
    assert found.concentrations.shape == (60, 30, 4)
    assert (np.ptp(found.concentrations, axis=2) > 0).all(axis=1).mean() > 0.95
    some = pd.read_csv(simulated / "catalog.csv", dtype={"id_str": str}).iloc[[40, 7]]
    some["file_loc"] = [str(simulated / file) for file in some["file_loc"]]
    predict(trained.folder, some, tmp_path / "Q", settings)
    again = read_predictions(tmp_path / "Q")
    np.testing.assert_allclose(again.concentrations, found.concentrations[[40, 7]], rtol=1e-4)
    predict(trained.folder, some, tmp_path / "R", settings.model_copy(update={"seed": 4}))
    assert (read_predictions(tmp_path / "R").concentrations != again.concentrations).any()


def test_samples_of_dropout_and_views_are_those_of_the_model_itself(trained, simulated, tmp_path):
    model = trained.model
    table = pd.DataFrame({"id_str": ["g"], "file_loc": [str(simulated / "images" / "sim_000003.jpg")]})
    image = read_image(table["file_loc"][0])
    galaxy = galaxy_hash("g", 0)

    def features(key):
        view = adjust(image, model.settings.adjustments, key)
        return model.encoder(torch.tensor(view.transpose(2, 0, 1)[None]).float() / 255)

    masks = torch.tensor(dropout_masks([galaxy], 2, model.head.linear.in_features, model.settings.dropout))[0]
    with torch.no_grad():
        expected = {
            "dropout": [model.head(features(None) * masks[sample]) for sample in (0, 1)],
            "views": [model.head(features((0, sample, galaxy))) for sample in (0, 1)],
            "both": [model.head(features((0, sample, galaxy)) * masks[sample]) for sample in (0, 1)],
        }
    for sample_by, samples in expected.items():
        predict(trained.folder, table, tmp_path / sample_by, PredictSettings(samples=2, sample_by=sample_by))
        found = read_predictions(tmp_path / sample_by).concentrations[0]
        np.testing.assert_allclose(found, np.stack([sample[0].numpy() for sample in samples], axis=1), rtol=1e-4)


def test_masks_leave_out_each_feature_as_often_as_they_should_and_independently():
    masks = dropout_masks(np.arange(400, dtype=np.uint64), 5, 200, 0.3)
    left_out = masks == 0
    assert np.unique(masks).tolist() == [0, np.float32(1 / np.float32(0.7))]
    assert left_out.mean() == pytest.approx(0.3, abs=4 * np.sqrt(0.21 / masks.size))
    for axes in ((0, 1), (0, 2), (1, 2)):
        n = masks.size / left_out.mean(axis=axes).size
        assert np.abs(left_out.mean(axis=axes) - 0.3).max() < 5.5 * np.sqrt(0.21 / n)
    np.testing.assert_array_equal(dropout_masks([7], 5, 200, 0.3)[0], masks[7])
    flat = left_out.reshape(2000, 200).astype(float)
    correlations = np.corrcoef(flat[:100])[np.triu_indices(100, 1)]
    assert np.abs(correlations).max() < 5.5 / np.sqrt(200)
    assert (dropout_masks([1], 2, 50, 0.0) == 1).all()


def test_samples_of_a_model_without_dropout_are_refused(simulated, tiny, tmp_path):
    settings = tiny.model_copy(update={"dropout": 0.0, "epochs": 1})
    model = train(simulated / "catalog.csv", "gz2", tmp_path / "RUN", settings).folder
    with pytest.raises(
        SettingError, match=r"dropout 0, so its samples of dropout are all alike\. Give --sample-by views"
    ):
        predict(model, simulated / "catalog.csv", tmp_path / "P", PredictSettings(samples=2))


# --- several models ---


def test_samples_of_several_models_stand_side_by_side_and_share_the_reading(
    trained, another, simulated, tmp_path, reads, zoobot
):
    models = (trained.folder, another.folder)
    done = zoobot(
        "predict", *models, simulated / "catalog.csv", "--output", tmp_path / "P", "--samples", 2, "--part-size", 25
    )
    assert done.code == 0, done.err
    assert len(reads) == 60
    found = read_predictions(tmp_path / "P")
    alone = []
    for number, model in enumerate(models):
        predict(model, simulated / "catalog.csv", tmp_path / str(number), PredictSettings(samples=2))
        alone.append(read_predictions(tmp_path / str(number)).concentrations)
    np.testing.assert_allclose(found.concentrations, np.concatenate(alone, axis=2), rtol=1e-5)
    splits = [pd.read_parquet(model / "galaxies.parquet").set_index("id_str")["split"] for model in models]
    learned = set().union(*(split.index[split == "train"] for split in splits))
    assert set(np.array(found.id_str)[found.table["model_split"] == "train"]) == learned
    report = zoobot("evaluate", tmp_path / "P", simulated / "catalog.csv", "--output", tmp_path / "REPORT")
    assert report.code == 0, report.err


def test_models_of_other_trees_or_images_are_refused(trained, simulated, tiny, tmp_path):
    once = tiny.model_copy(update={"epochs": 1, "color": True})
    colour = train(simulated / "catalog.csv", "gz2", tmp_path / "C", once).folder
    with pytest.raises(ModelError, match=r"read images differently \(colour, stretch\)\. Predict with each by itself"):
        predict([trained.folder, colour], simulated / "catalog.csv", tmp_path / "P")
    votes = pd.read_csv(simulated / "catalog.csv", dtype={"id_str": str})
    votes["file_loc"] = [str(simulated / file) for file in votes["file_loc"]]
    votes = votes.rename(
        columns={"smooth-or-featured_smooth": "ring_yes", "smooth-or-featured_featured-or-disk": "ring_no"}
    )
    tree = tmp_path / "ring.yaml"
    tree.write_text("question_answer_pairs: {ring: [_yes, _no]}\ndependencies: {ring: null}\n")
    ring = train(votes, tree, tmp_path / "D", tiny.model_copy(update={"epochs": 1})).folder
    with pytest.raises(ModelError, match="answer different trees"):
        predict([trained.folder, ring], simulated / "catalog.csv", tmp_path / "P")


# --- temperatures ---


@pytest.fixture
def copies(trained, another, tmp_path):
    """Both models in folders of their own, without temperatures."""
    models = {"first": trained, "second": another}
    return [shutil.copytree(model.folder, tmp_path / name) for name, model in models.items()]


def test_predictions_are_divided_by_the_temperatures_that_calibrate_left(copies, simulated, tmp_path, zoobot):
    model, catalog = copies[0], simulated / "catalog.csv"

    def predict_into(name, *options):
        return zoobot("predict", model, catalog, "--output", tmp_path / name, "--part-size", 25, *options)

    assert predict_into("P").code == 0
    done = zoobot("calibrate", model, tmp_path / "P", catalog, "--min-galaxies", 1)
    assert done.code == 0, done.err
    record = json.loads((model / "temperatures.json").read_text())["questions"]
    for question, fitted in record.items():
        line = next(line for line in done.out.splitlines() if line.startswith(f"{question} "))
        assert line.split()[1] == f"{fitted['temperature']:.3f}"
        assert fitted["loss_after"] is None or fitted["loss_after"] <= fitted["loss_before"]
    smooth = record["smooth-or-featured"]["temperature"]
    assert smooth != 1

    assert predict_into("Q").code == 0
    plain, calibrated = read_predictions(tmp_path / "P"), read_predictions(tmp_path / "Q")
    for question in plain.schema.questions:
        expected = plain.concentrations[:, question.slice] / np.float32(record[question.text]["temperature"])
        np.testing.assert_array_equal(calibrated.concentrations[:, question.slice], expected)
    np.testing.assert_allclose(calibrated.vote_fractions, plain.vote_fractions, rtol=1e-5)
    assert calibrated.model["calibration"]["temperatures"]["smooth-or-featured"] == smooth
    assert "calibration" not in plain.model

    again = predict_into("P")
    assert (again.code, "- calibration: None there, [{'samples': 1, 'temperatures'" in again.err) == (1, True)
    assert predict_into("P", "--no-calibrated").code == 0
    assert predict_into("R", "--no-calibrated").code == 0
    np.testing.assert_array_equal(read_predictions(tmp_path / "R").concentrations, plain.concentrations)
    assert "made with temperatures already" in zoobot("calibrate", model, tmp_path / "Q", catalog).err
    assert "were fitted for --samples 1, not 2" in predict_into("S", "--samples", 2).err


def test_each_model_s_samples_have_its_own_temperatures(copies, simulated, tmp_path):
    catalog, settings = simulated / "catalog.csv", PredictSettings(samples=2)
    predict(copies, catalog, tmp_path / "P", settings)
    predict(copies[1], catalog, tmp_path / "P1", settings)
    calibrate(copies[1], tmp_path / "P1", catalog, CalibrateSettings(min_galaxies=1))
    with pytest.raises(PredictionError, match="are not those of the model"):
        calibrate(copies[1], tmp_path / "P", catalog)
    predict(copies, catalog, tmp_path / "Q", settings)
    plain, calibrated = read_predictions(tmp_path / "P"), read_predictions(tmp_path / "Q")
    temperatures = calibrated.model["others"][0]["calibration"]["temperatures"]
    np.testing.assert_array_equal(calibrated.concentrations[..., :2], plain.concentrations[..., :2])
    for question in plain.schema.questions:
        expected = plain.concentrations[:, question.slice, 2:] / np.float32(temperatures[question.text])
        np.testing.assert_array_equal(calibrated.concentrations[:, question.slice, 2:], expected)
    assert temperatures["smooth-or-featured"] != 1


# --- what is predicted ---


def test_a_folder_a_pattern_and_one_image_are_predicted_and_told_in_words(trained, whole, simulated, tmp_path, zoobot):
    folder = predict(trained.folder, simulated / "images", tmp_path / "folder")
    assert folder.n_predicted >= 60
    for data, galaxies in ((simulated / "images" / "sim_00000?.jpg", 10), (simulated / "images" / "sim_000007.jpg", 1)):
        done = zoobot("predict", trained.folder, data, "--output", tmp_path / str(galaxies))
        assert (done.code, done.err) == (0, "")
        found = read_predictions(tmp_path / str(galaxies))
        assert len(found.id_str) == galaxies
        np.testing.assert_allclose(found.concentrations[-1 if galaxies == 1 else 7], whole.concentrations[7], rtol=1e-4)
        shares = sorted(whole.vote_fractions[7, :3], reverse=True)
        assert re.search(rf"sim_000007\n  .*\?  \w.* {shares[0]:.0%}, ", done.out)
    with pytest.raises(CatalogError, match=r"There is no image in '.*none\*\.png'"):
        predict(trained.folder, f"{tmp_path}/none*.png", tmp_path / "x")
    assert "Give a model and what to predict" in zoobot("predict", trained.folder, "--output", tmp_path / "x").err


# --- shares ---


def test_shares_make_the_same_table_as_one_process(trained, whole, simulated, tmp_path, zoobot):
    command = ("predict", trained.folder, simulated / "catalog.csv", "--output", tmp_path / "P", "--part-size", 8)
    first = zoobot(*command, "--batch-size", 3, "--shard", "1/3")
    assert "Predicted 24 galaxies" in first.out
    assert "Other shares have yet to make 5 parts." in first.out
    assert not (tmp_path / "P" / "rejected.csv").exists()
    for share in ("3/3", "2/3"):
        assert zoobot(*command, "--batch-size", 3, "--shard", share).code == 0
    assert (tmp_path / "P" / "rejected.csv").is_file()
    assert_same(tmp_path / "P", whole)


def test_slurm_script_makes_every_share(trained, whole, simulated, tmp_path, zoobot):
    command = ("predict", trained.folder, simulated / "catalog.csv", "--output", tmp_path / "my P")
    printed = zoobot(*command, "--slurm-script", 3, "--part-size", 8, "--batch-size", 3)
    assert printed.code == 0
    assert not (tmp_path / "my P").exists()
    script = tmp_path / "job.sh"
    script.write_text(printed.out)
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    assert "#SBATCH --array=1-3\n" in printed.out
    line = next(line for line in printed.out.splitlines() if line.startswith("zoobot predict"))
    for job in (1, 2, 3):
        words = shlex.split(line.replace("$SLURM_ARRAY_TASK_ID", str(job)))
        assert zoobot(*words[1:]).code == 0
    assert_same(tmp_path / "my P", whole)


def test_a_share_that_runs_is_not_started_again(trained, simulated, tmp_path):
    (tmp_path / "P").mkdir()
    with claimed(Share(2, 3), tmp_path / "P"):
        with pytest.raises(OutputError, match=r"Another process is at work in '.*' on share 2 of 3"):
            predict(
                trained.folder, simulated / "catalog.csv", tmp_path / "P", PredictSettings(shard="2/3", part_size=8)
            )
        predict(trained.folder, simulated / "catalog.csv", tmp_path / "P", PredictSettings(shard="1/3", part_size=8))


@pytest.mark.parametrize(
    ("given", "environment", "expected"),
    [
        (None, {}, Share(1, 1)),
        ("2/5", {"RANK": "0", "WORLD_SIZE": "2"}, Share(2, 5)),
        (None, {"RANK": "1", "WORLD_SIZE": "2"}, Share(2, 2)),
        (None, {"SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "4"}, Share(4, 4)),
        (None, {"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}, Share(1, 1)),
        (None, {"RANK": "0", "WORLD_SIZE": "1"}, Share(1, 1)),
    ],
)
def test_share_is_given_or_found(given, environment, expected):
    assert find_share(given, environment) == expected


@pytest.mark.parametrize("given", ["0/3", "4/3", "3", "a/b", "1/0", "-1/2"])
def test_wrong_share_is_refused(given):
    with pytest.raises(SettingError, match=re.escape(f"such as 3/8. Got '{given}' instead")):
        find_share(given)


def test_two_ranks_under_torchrun_give_the_same_table_as_one_process(trained, whole, simulated, tmp_path):
    command = ["torch.distributed.run", "--nproc-per-node=2", "--no-python", f"{sys.prefix}/bin/zoobot", "predict"]
    given = [trained.folder, simulated / "catalog.csv", "--output", tmp_path / "P", "--part-size", 8, "--batch-size", 3]
    done = subprocess.run(
        [sys.executable, "-m", *command, *map(str, given), "--device", "cpu"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert "This is share 2 of 2" in done.stderr
    assert_same(tmp_path / "P", whole)


# --- tables that are read when they are needed ---


def test_a_parquet_catalog_gives_what_a_table_in_memory_gives(trained, whole, simulated, tmp_path):
    table = pd.read_csv(simulated / "catalog.csv", dtype={"id_str": str})
    table["file_loc"] = [str(simulated / file) for file in table["file_loc"]]
    bad = table.iloc[[5, 30]].assign(id_str=["", "lost"], file_loc=["x.jpg", "/nowhere.jpg"])
    mixed = pd.concat([table[:20], bad, table[20:]], ignore_index=True)
    mixed.to_parquet(tmp_path / "mixed.parquet", row_group_size=7)
    settings = PARTS.model_copy(update={"on_bad_row": "drop"})
    for data, name in ((mixed, "memory"), (tmp_path / "mixed.parquet", "parquet")):
        predict(trained.folder, data, tmp_path / name, settings)
    found = read_predictions(tmp_path / "parquet")
    pd.testing.assert_frame_equal(found.table, read_predictions(tmp_path / "memory").table)
    assert found.id_str == whole.id_str
    np.testing.assert_allclose(found.concentrations, whole.concentrations, rtol=1e-4)
    rejected = [pd.read_csv(tmp_path / name / "rejected.csv") for name in ("memory", "parquet")]
    pd.testing.assert_frame_equal(*rejected)
    assert rejected[0]["id_str"].fillna("").tolist() == ["", "lost"]


def test_rows_of_a_parquet_file_are_read_across_its_groups(tmp_path):
    table = pd.DataFrame({"id_str": [f"g{row}" for row in range(50)], "x": range(50)})
    table.to_parquet(tmp_path / "t.parquet", row_group_size=7)
    rows = ParquetRows(tmp_path / "t.parquet")
    for positions in ([0], [49], [6, 7], [3, 20, 48], list(range(50)), [13, 14, 20]):
        expected = table.iloc[positions].reset_index(drop=True)
        pd.testing.assert_frame_equal(rows.read(np.array(positions)), expected)


# --- killed ---


# From Python 3.12 on: the child has one thread, and none of its parent's
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_run_that_is_killed_again_and_again_loses_and_doubles_nothing(trained, whole, simulated, tmp_path):
    def start(folder):
        child = os.fork()
        if child:
            return child
        try:
            torch.set_num_threads(1)
            predict(trained.folder, simulated / "catalog.csv", folder, PARTS)
        finally:
            os._exit(0)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a child has none of its parent's threads
    begun = time.perf_counter()
    os.waitpid(start(tmp_path / "undisturbed"), 0)
    seconds = time.perf_counter() - begun
    chance = random.Random(0)
    killed, made = 0, set()
    while killed < 20:
        child = start(tmp_path / "P")
        time.sleep(chance.uniform(0, seconds))
        os.kill(child, signal.SIGKILL)
        killed += os.WIFSIGNALED(os.waitpid(child, 0)[1])
        parts = sorted((tmp_path / "P").glob("part-*"))
        made.add(len(parts))
        if len(parts) == 8:
            for part in chance.sample(parts, 5):
                part.unlink()
    torch.set_num_threads(threads)
    assert len(made) > 3  # they were killed at different points
    predict(trained.folder, simulated / "catalog.csv", tmp_path / "P", PARTS)
    assert_same(tmp_path / "P", whole)
    assert len(pd.read_csv(tmp_path / "P" / "rejected.csv")) == 0


def test_a_damaged_part_is_made_again(trained, whole, simulated, tmp_path, caplog):
    predict(trained.folder, simulated / "catalog.csv", tmp_path / "P", PARTS)
    part = tmp_path / "P" / "part-00002.parquet"
    part.write_bytes(part.read_bytes()[:-50])
    predict(trained.folder, simulated / "catalog.csv", tmp_path / "P", PARTS)
    assert "part-00002.parquet' is damaged, or was not written by zoobot. It is made again." in caplog.text
    assert_same(tmp_path / "P", whole)


def test_a_full_disk_loses_nothing_and_the_run_goes_on(trained, whole, simulated, tmp_path, monkeypatch, zoobot):
    from zoobot.shared import run_folders

    replace, count = os.replace, iter(range(100))

    def fill(source, target):
        if str(target).endswith(".parquet") and next(count) == 3:
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(run_folders.os, "replace", fill)
    command = ("predict", trained.folder, simulated / "catalog.csv", "--output", tmp_path / "P", "--part-size", 8)
    failed = zoobot(*command, "--batch-size", 3)
    assert failed.code == 1
    assert "part-00003.parquet' cannot be written: No space left on device" in failed.err
    assert zoobot(*command, "--batch-size", 3).code == 0
    assert_same(tmp_path / "P", whole)


@pytest.mark.parametrize(
    ("environment", "expected"), [({}, "cuda:0"), ({"LOCAL_RANK": "5"}, "cuda:1"), ({"SLURM_LOCALID": "0"}, "cuda:0")]
)
def test_each_process_of_a_machine_takes_its_own_gpu(monkeypatch, environment, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert str(find_own_device("gpu", environment)) == expected
    assert str(find_own_device("cpu", environment)) == "cpu"


@pytest.mark.slow
def test_a_command_that_is_killed_goes_on(trained, whole, simulated, tmp_path):
    given = [trained.folder, simulated / "catalog.csv", "--output", tmp_path / "P", "--device", "cpu"]
    command = [f"{sys.prefix}/bin/zoobot", "predict", *map(str, given), "--part-size", "8", "--batch-size", "3"]
    parts = tmp_path / "P"
    for kills in range(3):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and len(list(parts.glob("part-*"))) <= kills:
            time.sleep(0.005)
        process.kill()
        process.wait()
        for part in sorted(parts.glob("part-*"))[kills + 1 :]:
            part.unlink()  # what it made before the signal came
    subprocess.run(command, check=True, capture_output=True)
    assert_same(parts, whole)
