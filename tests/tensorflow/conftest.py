import os
from pathlib import Path

import keras
import pytest
from keras import layers

from zoobot.config import KerasTrainSettings
from zoobot.tensorflow.training.train_with_keras import TrainedModel, train


def tiny_net(input_shape: tuple[int, int, int], **_: object) -> keras.Model:
    """An encoder that is built and traced in a moment."""
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Rescaling(2.0, -1.0),
            layers.Conv2D(8, 5, strides=4),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2D(16, 3, strides=2, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dropout(0.1),
        ]
    )


def still_net(input_shape: tuple[int, int, int], **_: object) -> keras.Model:
    """One without batch norm and dropout, which looks at each galaxy alone."""
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Conv2D(8, 5, strides=4, activation="relu"),
            layers.Conv2D(16, 3, strides=2, activation="relu"),
            layers.GlobalAveragePooling2D(),
        ]
    )


keras.applications.TinyNet = tiny_net
keras.applications.StillNet = still_net

TINY = {"architecture": "TinyNet", "image_size": 48, "epochs": 2, "batch_size": 16, "device": "cpu"}


@pytest.fixture(scope="session")
def tiny() -> KerasTrainSettings:
    return KerasTrainSettings(**TINY)


@pytest.fixture(scope="session")
def trained(simulated: Path, tiny: KerasTrainSettings, tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    return train(simulated / "catalog.csv", "gz2", tmp_path_factory.mktemp("trained") / "RUN", tiny)


@pytest.fixture(scope="session")
def torch_python() -> Path:
    """The interpreter of the other framework's environment, for tests that compare the two through files."""
    python = Path(os.environ.get("ZOOBOT_TORCH_PYTHON", Path(__file__).parents[2] / ".venv" / "bin" / "python"))
    if not python.is_file():
        pytest.skip(f"PyTorch is needed in '{python}' ('make test' makes it; or set ZOOBOT_TORCH_PYTHON)")
    return python
