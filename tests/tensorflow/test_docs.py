"""Every block of the pages on TensorFlow, its example and its demo are executed."""

import json
import shutil
import sys
from itertools import islice

import pandas as pd
import pytest

from tests.documents import PAGES_OF_TENSORFLOW, run_page
from tests.tensorflow.conftest import TINY
from zoobot import config
from zoobot.config import DemoSettings, KerasTrainSettings
from zoobot.shared import report_figures
from zoobot.tensorflow.examples import finetune_model, train_model
from zoobot.tensorflow.examples.demo import run_demo


@pytest.fixture
def reader_folder(simulated, tmp_path, monkeypatch):
    shutil.copytree(simulated, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(config.KERAS_PRESETS, "laptop", TINY)
    # the report knows no framework: here its first figure, the training curve, will do, and the demo draws all
    figures = report_figures.all_figures
    monkeypatch.setattr(report_figures, "all_figures", lambda evaluation: islice(figures(evaluation), 1))
    return tmp_path


@pytest.mark.parametrize("page", PAGES_OF_TENSORFLOW)
def test_every_block_runs(page, reader_folder, zoobot):
    run_page(page, reader_folder, zoobot)


def test_the_example(reader_folder, monkeypatch, capsys):
    train_model.main("catalog.csv", "results")
    assert "Validation loss" in capsys.readouterr().out
    assert (reader_folder / "results" / "report" / "report.html").is_file()
    assert "torch" not in sys.modules


def test_the_example_of_finetuning(trained, reader_folder, capsys):
    pd.read_csv("catalog.csv", dtype={"id_str": str}).assign(ring=["yes", "no"] * 30).to_csv("rings.csv", index=False)
    finetune_model.main("rings.csv", "ring", "catalog.csv", "rings", str(trained.folder))
    assert "Predicted 60 galaxies" in capsys.readouterr().out


def test_the_demo_goes_through(tmp_path, monkeypatch):
    def tiny(**settings):
        return KerasTrainSettings(**{**settings, "architecture": "TinyNet", "image_size": 48})

    monkeypatch.setattr("zoobot.tensorflow.examples.demo.KerasTrainSettings", tiny)
    demo = run_demo(tmp_path / "demo", DemoSettings(galaxies=60, epochs=1))
    assert "Report:" in str(demo)
    assert json.loads((tmp_path / "demo" / "metrics.json").read_text())["scores"]["held out"]["galaxies"] > 0
