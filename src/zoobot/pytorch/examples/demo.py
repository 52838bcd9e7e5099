"""The demo with PyTorch: what `make demo` and `zoobot demo` run."""

from pathlib import Path

from zoobot.config import DemoSettings, TrainSettings
from zoobot.pytorch.predictions.predict_on_catalog import predict
from zoobot.pytorch.training.train_with_pytorch_lightning import TrainedModel, train
from zoobot.shared.demonstrations import Demo, demonstrate
from zoobot.shared.schemas import Schema


def run_demo(output: str | Path, settings: DemoSettings | None = None) -> Demo:
    """`zoobot.shared.demonstrations.demonstrate` with PyTorch."""
    settings = settings or DemoSettings()

    def train_quickly(catalog: Path, schema: Schema, run: Path) -> TrainedModel:
        training = TrainSettings(
            architecture="regnety_002",  # the most that is learned in two minutes on two cores
            image_size=64,
            crop_bounds=(0.85, 1.0),  # simulated galaxies fill their images
            epochs=settings.epochs,
            learning_rate=3e-3,
            dropout=0.1,
            seed=settings.seed,
        )
        return train(catalog, schema, run, training)

    return demonstrate(output, settings, train_quickly, predict)
