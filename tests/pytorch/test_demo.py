import json

import pytest

from zoobot.config import DemoSettings, TrainSettings
from zoobot.pytorch.examples.demo import run_demo
from zoobot.shared.vote_scores import FREE_BASELINE


def test_the_demo_goes_through_and_goes_on(tmp_path, monkeypatch):
    def tiny(**settings):
        return TrainSettings(**{**settings, "architecture": "test_resnet", "image_size": 48})

    monkeypatch.setattr("zoobot.pytorch.examples.demo.TrainSettings", tiny)
    settings = DemoSettings(galaxies=60, epochs=1)
    demo = run_demo(tmp_path / "demo", settings)
    assert "Report:" in str(demo)
    assert {"report.html", "metrics.json", "galaxies", "run", "predictions"} <= {
        path.name for path in (tmp_path / "demo").iterdir()
    }
    metrics = json.loads((tmp_path / "demo" / "metrics.json").read_text())
    assert metrics["scores"]["held out"]["galaxies"] > 0
    before = (tmp_path / "demo" / "predictions" / "part-00000.parquet").stat().st_mtime_ns
    run_demo(tmp_path / "demo", settings)
    assert (tmp_path / "demo" / "predictions" / "part-00000.parquet").stat().st_mtime_ns == before


@pytest.mark.slow
def test_the_demo_learns_what_everybody_is_asked(tmp_path):
    demo = run_demo(tmp_path / "demo")
    questions = demo.evaluation.scores["held out"].questions.set_index("question")
    always_asked = [question.text for question in demo.evaluation.schema.questions if question.always_asked]
    assert always_asked == ["smooth-or-featured", "merging"]
    ratio = questions["error, model"] / questions[f"error, {FREE_BASELINE}"]
    assert (ratio[always_asked] <= 0.7).all(), ratio
