import pytest

from zoobot.config import TrainSettings
from zoobot.pytorch.predictions.predict_on_catalog import predict
from zoobot.pytorch.training.train_with_pytorch_lightning import train
from zoobot.shared import metrics, vote_scores


@pytest.mark.slow
def test_a_short_training_on_gz2_beats_both_constant_baselines(shared_data, tmp_path):
    catalog = shared_data / "gz2" / "catalog.csv"
    trained = train(catalog, "gz2", tmp_path / "RUN", TrainSettings(epochs=12, image_size=64, learning_rate=1e-3))
    predict(trained.folder, catalog, tmp_path / "PREDICTIONS")
    scores = metrics.evaluate(tmp_path / "PREDICTIONS", catalog).scores["held out"]
    gain = scores.gain[vote_scores.FREE_BASELINE]
    assert gain.value > 1
    assert gain.value > 3 * gain.error
    assert scores.error["model"].value < 0.85 * scores.error[vote_scores.FREE_BASELINE].value
    assert scores.loss[vote_scores.PUBLISHED_BASELINE].value > scores.loss[vote_scores.FREE_BASELINE].value
