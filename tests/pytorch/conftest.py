from pathlib import Path

import pytest

from zoobot.config import TrainSettings
from zoobot.pytorch.training.train_with_pytorch_lightning import TrainedModel, train

TINY = {"architecture": "test_resnet", "image_size": 48, "epochs": 2, "batch_size": 16, "device": "cpu"}


@pytest.fixture(scope="session")
def tiny() -> TrainSettings:
    return TrainSettings(**TINY)


@pytest.fixture(scope="session")
def trained(simulated: Path, tiny: TrainSettings, tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    return train(simulated / "catalog.csv", "gz2", tmp_path_factory.mktemp("trained") / "RUN", tiny)
