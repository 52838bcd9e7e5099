import json

import pytest

from zoobot.config import KerasBenchSettings, PrepareSettings
from zoobot.shared.preparation import prepare
from zoobot.tensorflow.speed import bench

QUICK = {"architecture": "TinyNet", "image_size": 48, "batch_size": 4, "seconds": 0.01, "device": "cpu"}
MODEL = ["model: training step on one batch", "training", "model: forward pass on one batch"]


def test_every_format_is_measured_against_its_limit(simulated, tmp_path, zoobot):
    options = [part for name, value in QUICK.items() for part in (f"--{name.replace('_', '-')}", value)]
    given = (simulated / "catalog.csv", "--schema", "gz2", "--framework", "tensorflow")
    done = zoobot("bench", *given, "--output", tmp_path / "speed.json", *options)
    assert done.code == 0, done.err
    found = json.loads((tmp_path / "speed.json").read_text())
    assert [speed["what"] for speed in found["speeds"]] == [
        f"{source}: {what}"
        for source in ("files", "store", "tfrecord", "webdataset")
        for what in ("read, one process", "training batches")
    ] + MODEL
    rates = {speed["what"]: speed["images_per_second"] for speed in found["speeds"]}
    for speed in found["speeds"]:
        assert speed["images_per_second"] > 0
        if speed["limit"]:
            assert speed["share"] == pytest.approx(rates[speed["what"]] / rates[speed["limit"]])


def test_a_prepared_folder_is_measured_alone(simulated, tmp_path):
    chosen = PrepareSettings(format="tfrecord", image_size=64)
    folder = prepare(simulated / "catalog.csv", "gz2", tmp_path / "p", chosen).folder
    found = bench(folder, settings=KerasBenchSettings(**QUICK, augment_in_model=True))
    assert [speed.what for speed in found.speeds] == [
        "tfrecord: read, one process",
        "tfrecord: training batches",
        *MODEL,
    ]
