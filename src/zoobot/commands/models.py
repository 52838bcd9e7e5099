"""Commands of the main job: prepare images, make a model of them, predict with it."""

from pathlib import Path

import typer

from zoobot.commands.command import OUTPUT, Command, argument, option
from zoobot.config import (
    FinetuneSettings,
    KerasFinetuneSettings,
    KerasTrainSettings,
    PredictSettings,
    PrepareSettings,
    TrainSettings,
)

COMMANDS = [
    Command(
        verb="prepare",
        function="zoobot.shared.preparation:prepare",
        summary="Decode every image once, into files that are fast to read.",
        details="The folder holds the votes too: 'zoobot train PREPARED' needs no schema. Interrupted and started "
        "again, it goes on where it stopped.",
        example="zoobot prepare catalog.csv --schema gz2 --output PREPARED --image-size 300",
        inputs={
            "catalog": (Path, argument("Table with id_str, file_loc and votes; with --verify, a prepared folder.")),
            "schema": (str | None, option("Decision tree; none for galaxies without votes, to predict.", None)),
            "output": (Path | None, option("Folder to write; new, empty, or that of the same command.", None)),
            "verify": (bool, option("Check every checksum of a prepared folder instead.", False)),
        },
        settings=PrepareSettings,
    ),
    Command(
        verb="train",
        function="zoobot.pytorch.training.train_with_pytorch_lightning:train",
        summary="Train a model from scratch on votes.",
        details="Takes a catalog, or a folder made by 'zoobot prepare'. Interrupted and started again, it goes on "
        "where it stopped.",
        example="zoobot train catalog.csv --schema gz2 --output RUN",
        inputs={
            "catalog": (Path, argument("Table with id_str, file_loc and votes, or a prepared folder.")),
            "schema": (
                str | None,
                option("Decision tree: a name or a YAML file. Prepared folders know theirs.", None),
            ),
            "output": OUTPUT,
        },
        settings=TrainSettings,
        with_keras=("zoobot.tensorflow.training.train_with_keras:train", KerasTrainSettings),
    ),
    Command(
        verb="finetune",
        function="zoobot.pytorch.training.finetune_on_catalog:finetune",
        summary="Finetune a pretrained encoder on your own labels.",
        details="Classes, numbers, or the votes of another decision tree. Interrupted and started again, it goes on "
        "where it stopped.",
        example="zoobot finetune catalog.csv --from RUN/model --label ring --output RINGS",
        inputs={
            "catalog": (Path, argument("Table with id_str, file_loc and labels, or a prepared folder.")),
            "encoder": (
                str,
                typer.Option(
                    ...,
                    "--from",
                    help="Encoder: hf_hub:OWNER/NAME, local-dir:FOLDER, a timm name, a model folder or a checkpoint. "
                    "With TensorFlow: a name of keras.applications or a model folder.",
                ),
            ),
            "output": OUTPUT,
            "schema": (str | None, option("For --task tree, the decision tree.", None)),
        },
        settings=FinetuneSettings,
        with_keras=("zoobot.tensorflow.training.finetune_on_catalog:finetune", KerasFinetuneSettings),
    ),
    Command(
        verb="predict",
        function="zoobot.frameworks:predict_paths",
        summary="Predict how volunteers would answer.",
        details="Writes concentrations and vote fractions for every galaxy, part by part. Interrupted and started "
        "again, it goes on where it stopped.",
        example="zoobot predict RUN/model catalog.csv --output PREDICTIONS",
        inputs={
            "paths": (
                list[Path],
                argument(
                    "Model folders, one or more, then the data: a table with id_str and file_loc, a prepared folder, a "
                    "folder of images, a quoted pattern such as 'images/*.jpg', or one image."
                ),
            ),
            "output": OUTPUT,
        },
        settings=PredictSettings,
    ),
]
