"""The settings of each verb, the same for Python and the command line.

Each class is one verb's settings: `TrainSettings(epochs=20)` in Python is `zoobot train ... --epochs 20`, or
`epochs: 20` in a file given with `--config`. The resolved settings are written beside every result.
"""

from zoobot.config.catalogs import (
    CatalogCheckSettings,
    CatalogSettings,
    ConvertSettings,
    SplitSettings,
    VoteSettings,
    ZooniverseSettings,
)
from zoobot.config.demo import DemoSettings
from zoobot.config.embeddings import AnomalySettings, EmbedSettings, MapSettings, SimilarSettings
from zoobot.config.evaluation import CalibrateSettings, EvaluateSettings
from zoobot.config.finetuning import TASK_OF_SETTING, AnyFinetuneSettings, FinetuneSettings, KerasFinetuneSettings
from zoobot.config.images import STRETCH_PARAMETERS, ImageSettings, PrepareSettings, Stretch
from zoobot.config.learning import KerasSettings, LearnSettings, TorchSettings
from zoobot.config.models import ModelExportSettings, PushSettings
from zoobot.config.predictions import AcquireSettings, ExportSettings, PredictSettings
from zoobot.config.settings import AnySettings, Settings, load_settings
from zoobot.config.speed import BenchSettings, KerasBenchSettings
from zoobot.config.training import KERAS_PRESETS, PRESETS, AnyTrainSettings, KerasTrainSettings, TrainSettings
from zoobot.config.values import Device, Fraction, Name, Precision

__all__ = [
    "KERAS_PRESETS",
    "PRESETS",
    "STRETCH_PARAMETERS",
    "TASK_OF_SETTING",
    "AcquireSettings",
    "AnomalySettings",
    "AnyFinetuneSettings",
    "AnySettings",
    "AnyTrainSettings",
    "BenchSettings",
    "CalibrateSettings",
    "CatalogCheckSettings",
    "CatalogSettings",
    "ConvertSettings",
    "DemoSettings",
    "Device",
    "EmbedSettings",
    "EvaluateSettings",
    "ExportSettings",
    "FinetuneSettings",
    "Fraction",
    "ImageSettings",
    "KerasBenchSettings",
    "KerasFinetuneSettings",
    "KerasSettings",
    "KerasTrainSettings",
    "LearnSettings",
    "MapSettings",
    "ModelExportSettings",
    "Name",
    "Precision",
    "PredictSettings",
    "PrepareSettings",
    "PushSettings",
    "Settings",
    "SimilarSettings",
    "SplitSettings",
    "Stretch",
    "TorchSettings",
    "TrainSettings",
    "VoteSettings",
    "ZooniverseSettings",
    "load_settings",
]
