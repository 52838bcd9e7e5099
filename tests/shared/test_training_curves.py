import pytest

from zoobot.shared import training_curves
from zoobot.shared.training_curves import EpochClock, say_duration, say_timing, set_timing_apart

GPUS = {"hardware": {"device": "NVIDIA H100", "devices": 2, "cores": 16}}


def test_the_clock_tells_training_from_the_whole_epoch(monkeypatch):
    times = iter([0, 100, 130, 145, 200, 210, 250])
    monkeypatch.setattr(training_curves, "perf_counter", lambda: next(times))
    clock, found = EpochClock(), []
    for _ in range(2):
        clock.begin()
        clock.end_training()
        found.append(clock.read(600))
    assert found == [{"seconds": 45, "images per second": 20}, {"seconds": 50, "images per second": 60}]


def test_timing_stands_apart_from_what_the_same_run_has_again():
    curve = {"epoch": [1], "train/loss": [2.0], "seconds": [3.0], "images per second": [4.0]}
    assert set_timing_apart(curve) == {
        "history": {"epoch": [1], "train/loss": [2.0]},
        "timing": {"seconds": [3.0], "images per second": [4.0]},
    }


def test_the_time_of_all_epochs_and_the_speed_of_the_median_one():
    metrics = {"timing": {"seconds": [300, 45, 46], "images per second": [90, 1240.4, 1300]}}
    assert say_timing(metrics) == "6 min 31 s, 1,240 images/s"
    assert say_timing(metrics, {"hardware": {}}) == "6 min 31 s, 1,240 images/s"
    assert say_timing(metrics, GPUS) == "6 min 31 s, 1,240 images/s, on 2 x NVIDIA H100, 16 processor cores"
    slow = {"timing": {"seconds": [2], "images per second": [0.44]}}
    assert say_timing(slow, {"hardware": {**GPUS["hardware"], "devices": 1}}).endswith(
        "0.4 images/s, on NVIDIA H100, 16 processor cores"
    )


@pytest.mark.parametrize(
    "timing", [{}, {"timing": {}}, {"timing": {"seconds": [None, 1], "images per second": [2, 3]}}]
)
def test_what_is_not_known_of_every_epoch_is_not_said(timing):
    assert say_timing(timing, GPUS) == ""


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.482, "0.48 s"),
        (8.14, "8.1 s"),
        (45.2, "45 s"),
        (59.6, "1 min 0 s"),
        (391, "6 min 31 s"),
        (3599.7, "1 h 0 min"),
        (93781, "26 h 3 min"),
    ],
)
def test_durations(seconds, said):
    assert say_duration(seconds) == said
