"""Commands that use a model or its predictions: choose, share, calibrate, score and export."""

from pathlib import Path

from zoobot.commands.command import CATALOG, OUTPUT, Command, argument, option
from zoobot.config import (
    AcquireSettings,
    CalibrateSettings,
    EvaluateSettings,
    ExportSettings,
    ModelExportSettings,
    PushSettings,
)

COMMANDS = [
    Command(
        verb="acquire",
        function="zoobot.shared.acquisition:acquire",
        summary="Choose the galaxies that volunteers should see next.",
        details="Those whose answers would tell the model most: where samples of its predictions disagree.",
        example="zoobot acquire PREDICTIONS --n 500 --output next.csv",
        inputs={
            "predictions": (Path, argument("Folder written by 'zoobot predict' with --samples 5 or more.")),
            "output": (Path, option("Table to write: .csv or .parquet.")),
            "embeddings": (Path | None, option("Also spread the choice over these embeddings.", None)),
        },
        settings=AcquireSettings,
    ),
    Command(
        verb="push",
        function="zoobot.pytorch.estimators.hub_push:push",
        summary="Share a model on the Hugging Face hub.",
        details="Its encoder then loads by name here and in timm. Sign in before with 'hf auth login'.",
        example="zoobot push RUN/model me/my-encoder --output FOLDER --dry-run",
        inputs={
            "model": (Path, argument("Model folder, such as RUN/model.")),
            "name": (str, argument("Repository: OWNER/NAME.")),
            "output": (Path, option("Folder to write what is sent into; new or empty.")),
        },
        settings=PushSettings,
    ),
    Command(
        verb="calibrate",
        function="zoobot.shared.temperatures:calibrate",
        summary="Make a model as sure of its predictions as it should be.",
        details="Fits one temperature per question to the votes of the model's validation galaxies, and leaves them in "
        "the model folder; 'zoobot predict' applies them.",
        example="zoobot calibrate RUN/model PREDICTIONS catalog.csv",
        inputs={
            "model": (Path, argument("Model folder, such as RUN/model.")),
            "predictions": (Path, argument("This model's predictions of the catalog that it was trained on.")),
            "catalog": CATALOG,
        },
        settings=CalibrateSettings,
    ),
    Command(
        verb="export",
        group="predictions",
        function="zoobot.shared.prediction_exports:export",
        summary="Write predictions as one table.",
        details="For spreadsheets, TOPCAT, h5py and papers.",
        example="zoobot predictions export PREDICTIONS --table advanced --format fits",
        inputs={
            "predictions": (Path, argument("Folder written by 'zoobot predict'.")),
            "output": (Path | None, option("File to write; by default PREDICTIONS/TABLE.FORMAT.", None)),
        },
        settings=ExportSettings,
    ),
    Command(
        verb="evaluate",
        function="zoobot.shared.reports:evaluate",
        summary="Score predictions against votes; write a report.",
        details="Only galaxies that the model never saw are scored, by the split that training recorded.",
        example="zoobot evaluate PREDICTIONS catalog.csv --output REPORT",
        inputs={
            "predictions": (Path, argument("Folder written by 'zoobot predict'.")),
            "catalog": CATALOG,
            "output": OUTPUT,
            "schema": (str | None, option("Not needed: predictions know theirs. One given must equal it.", None)),
        },
        settings=EvaluateSettings,
    ),
    Command(
        verb="export",
        function="zoobot.pytorch.estimators.onnx_model:export",
        summary="Write a model as ONNX.",
        details="In the model folder, 'zoobot predict' uses it on a CPU: several times as fast.",
        example="zoobot export RUN/model --format onnx",
        inputs={
            "model": (Path, argument("Model folder, such as RUN/model.")),
            "output": (Path | None, option("File to write; by default model.onnx in the model folder.", None)),
        },
        settings=ModelExportSettings,
    ),
]
