import json

import pytest

from zoobot.config import BenchSettings, PrepareSettings
from zoobot.pytorch.speed import bench
from zoobot.shared.preparation import prepare

QUICK = {"architecture": "test_resnet", "image_size": 48, "batch_size": 4, "seconds": 0.01, "device": "cpu"}
MODEL = [
    "model: training step on one batch",
    "training",
    "model: forward pass on one batch",
    "prediction",
]


def test_every_format_is_measured_against_its_limit(simulated, tmp_path, zoobot):
    options = [part for name, value in QUICK.items() for part in (f"--{name.replace('_', '-')}", value)]
    output = tmp_path / "speed.json"
    done = zoobot(
        "bench",
        simulated / "catalog.csv",
        "--schema",
        "gz2",
        "--output",
        output,
        *options,
        "--workers",
        0,
        "--workers",
        1,
    )
    assert (done.code, done.err) == (0, "")
    found = json.loads(output.read_text())
    assert [speed["what"] for speed in found["speeds"]] == [
        f"{source}: {what}"
        for source in ("files", "store", "tfrecord", "webdataset")
        for what in ("read, one process", "training batches, 0 workers", "training batches, 1 workers")
    ] + MODEL
    rates = {speed["what"]: speed["images_per_second"] for speed in found["speeds"]}
    for speed in found["speeds"]:
        assert speed["images_per_second"] > 0
        assert speed["what"] in done.out
        if speed["limit"]:
            assert speed["share"] == pytest.approx(rates[speed["what"]] / rates[speed["limit"]])
    assert found["memory"]["most"] > found["memory"]["before training"] > 10


def test_a_prepared_folder_is_measured_alone(simulated, tmp_path):
    folder = prepare(simulated / "catalog.csv", "gz2", tmp_path / "p", PrepareSettings(image_size=64)).folder
    found = bench(folder, settings=BenchSettings(**QUICK, workers=[0], augment_on="device"))
    assert [speed.what for speed in found.speeds] == [
        "store: read, one process",
        "store: training batches, 0 workers",
        *MODEL,
    ]


def test_few_galaxies_are_read_again(simulated, tmp_path):
    folder = prepare(simulated / "catalog.csv", "gz2", tmp_path / "p", PrepareSettings(image_size=64)).folder
    found = bench(folder, settings=BenchSettings(**QUICK | {"batch_size": 32}, workers=[0]))
    assert min(speed.images_per_second for speed in found.speeds) > 0
