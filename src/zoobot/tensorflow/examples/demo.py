"""The demo with Keras: what `make demo-tensorflow` and `zoobot demo --framework tensorflow` run."""

from pathlib import Path

from zoobot.config import DemoSettings, KerasTrainSettings
from zoobot.shared.demonstrations import Demo, demonstrate
from zoobot.shared.schemas import Schema
from zoobot.tensorflow.predictions.predict_on_catalog import predict
from zoobot.tensorflow.training.train_with_keras import TrainedModel, train


def run_demo(output: str | Path, settings: DemoSettings | None = None) -> Demo:
    """`zoobot.shared.demonstrations.demonstrate` with Keras."""
    settings = settings or DemoSettings()

    def train_quickly(catalog: Path, schema: Schema, run: Path) -> TrainedModel:
        training = KerasTrainSettings(
            architecture="MobileNetV3Small",  # the most that is learned in three minutes on two cores
            image_size=64,
            crop_bounds=(0.85, 1.0),  # simulated galaxies fill their images
            epochs=settings.epochs,
            learning_rate=3e-3,
            dropout=0.1,
            seed=settings.seed,
        )
        return train(catalog, schema, run, training)

    return demonstrate(output, settings, train_quickly, predict)
