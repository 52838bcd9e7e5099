"""Commands that find features in galaxies, and galaxies by their features."""

from pathlib import Path

import typer

from zoobot.commands.command import OUTPUT, Command, argument, option
from zoobot.config import AnomalySettings, EmbedSettings, MapSettings, SimilarSettings

EMBEDDINGS = argument("Folder written by 'zoobot embed', or a table with id_str and columns feat_....")

COMMANDS = [
    Command(
        verb="embed",
        function="zoobot.pytorch.training.representations:embed",
        summary="Write the features that an encoder finds in galaxies.",
        details="For 'zoobot similar', 'zoobot anomalies' and models of your own. Interrupted and started again, it "
        "goes on where it stopped.",
        example="zoobot embed RUN/model catalog.csv --output EMBEDDINGS --pca 40",
        inputs={
            "model": (
                str,
                argument(
                    "Encoder: a model folder, hf_hub:OWNER/NAME, local-dir:FOLDER, a timm name or a checkpoint. With "
                    "TensorFlow: a model folder or a name of keras.applications."
                ),
            ),
            "catalog": (
                Path,
                argument("A table with id_str and file_loc, a prepared folder, a folder of images or one image."),
            ),
            "output": OUTPUT,
        },
        settings=EmbedSettings,
        with_keras=("zoobot.tensorflow.training.representations:embed", EmbedSettings),
    ),
    Command(
        verb="similar",
        function="zoobot.frameworks:similar",
        summary="Find the galaxies most like a given one.",
        details="By the angle between features; exact.",
        example="zoobot similar EMBEDDINGS --id gz2_130549 --gallery alike.html",
        inputs={
            "embeddings": (Path, EMBEDDINGS),
            "galaxy": (str | None, typer.Option(None, "--id", help="id_str of an embedded galaxy.")),
            "image": (Path | None, option("Or an image file.", None)),
            "output": (Path | None, option("Table to write: .csv or .parquet.", None)),
            "gallery": (Path | None, option("Page to write: .html.", None)),
        },
        settings=SimilarSettings,
    ),
    Command(
        verb="anomalies",
        function="zoobot.shared.anomalies:anomalies",
        summary="Find galaxies that are like no other.",
        details="By an isolation forest and by the distance to the nearest galaxies.",
        example="zoobot anomalies EMBEDDINGS --output anomalies.csv --gallery anomalies.html",
        inputs={
            "embeddings": (Path, EMBEDDINGS),
            "output": (Path, option("Table to write: .csv or .parquet.")),
            "gallery": (Path | None, option("Page to write: .html.", None)),
        },
        settings=AnomalySettings,
    ),
    Command(
        verb="map",
        function="zoobot.shared.embedding_maps:draw_map",
        summary="Draw galaxies where they are in an embedding.",
        details='Needs UMAP: pip install -e ".[umap]".',
        example="zoobot map EMBEDDINGS --output map.png",
        inputs={
            "embeddings": (Path, EMBEDDINGS),
            "output": (Path, option("Picture to write: .png.")),
            "table": (Path | None, option("Table of each galaxy's place to write: .csv or .parquet.", None)),
        },
        settings=MapSettings,
    ),
]
