"""The command line: a table of commands, each of which parses, calls one function and prints its result.

A command's options are the fields of its settings class; their help is the fields' documentation. Frameworks are
imported only when a command runs.
"""

import importlib
import inspect
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic.fields import FieldInfo

import zoobot
from zoobot import config
from zoobot.errors import SettingError, ZoobotError
from zoobot.frameworks import choose_framework

INPUT_AT_FAULT, COMMAND_AT_FAULT, INTERRUPTED = 1, 2, 130


@dataclass(frozen=True)
class Command:
    """One verb: its function gets the inputs by name and, where the verb has any, the settings."""

    verb: str
    function: str
    summary: str
    example: str
    details: str = ""
    inputs: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    settings: type[config.Settings] | None = None
    group: str | None = None
    with_keras: tuple[str, type[config.Settings]] | None = None
    """Its function and settings with `--framework tensorflow`, where a verb is done by either framework."""


def _argument(help: str) -> Any:
    return typer.Argument(help=help, show_default=False)


def _option(help: str, default: Any = ...) -> Any:
    return typer.Option(default, help=help, show_default=default not in (..., None))


_CATALOG = (Path, _argument("Table with id_str, file_loc and votes: CSV, Parquet, FITS, VOTable or ECSV."))
_SCHEMA = (str, _option("Decision tree: a name ('zoobot schema list') or a YAML file."))
_FRAMEWORK = (
    Literal["pytorch", "tensorflow"] | None,
    _option("What computes: PyTorch, or Keras on TensorFlow; by default what made the model given, or PyTorch.", None),
)
_OUTPUT = (Path, _option("Folder to write; new, empty, or that of the same command."))
_EMBEDDINGS = _argument("Folder written by 'zoobot embed', or a table with id_str and columns feat_....")

COMMANDS = [
    Command(
        verb="list",
        group="schema",
        function="zoobot.shared.schemas:list_schemas",
        summary="List the decision trees of the Galaxy Zoo campaigns.",
        example="zoobot schema list",
    ),
    Command(
        verb="show",
        group="schema",
        function="zoobot.shared.schemas:show_schema",
        summary="Show the questions, answers and columns of a decision tree.",
        details="With --output, writes it as a schema file too, to start a tree of your own from.",
        example="zoobot schema show gz2 --output my_tree.yaml",
        inputs={
            "schema": (str, _argument("A name, or a YAML file.")),
            "output": (Path | None, _option("Schema file to write: .yaml.", None)),
        },
    ),
    Command(
        verb="check",
        group="schema",
        function="zoobot.shared.schemas:check_schema",
        summary="Check your own decision tree.",
        details="Shows every fault at once with what to do about it.",
        example="zoobot schema check my_tree.yaml",
        inputs={"file": (Path, _argument("YAML file of a decision tree."))},
    ),
    Command(
        verb="draw",
        group="schema",
        function="zoobot.shared.schema_drawings:draw",
        summary="Draw a decision tree.",
        details="With a catalog, each answer shows how many votes it has.",
        example="zoobot schema draw gz2 --output tree.svg",
        inputs={
            "schema": (str, _argument("A name, or a YAML file.")),
            "output": (Path, _option("Picture to write: .svg or .png.")),
            "catalog": (Path | None, _option("Table whose votes are shown.", None)),
        },
    ),
    Command(
        verb="check",
        group="catalog",
        function="zoobot.shared.catalog_reports:check",
        summary="Check a catalog against a decision tree.",
        details="Shows how many votes each question has, and every fault at once with what to do about it. Exit code 1 "
        "if rows cannot be used.",
        example="zoobot catalog check catalog.csv --schema gz2",
        inputs={
            "catalog": _CATALOG,
            "schema": _SCHEMA,
            "output": (Path | None, _option("Folder for catalog_report.html and rejected.csv.", None)),
        },
        settings=config.CatalogCheckSettings,
    ),
    Command(
        verb="split",
        group="catalog",
        function="zoobot.shared.catalog_splits:split",
        summary="Split a catalog into training, validation and test tables.",
        details="Each galaxy's table follows from its id_str and the seed.",
        example="zoobot catalog split catalog.csv --output SPLITS",
        inputs={"catalog": (Path, _argument("Table with id_str.")), "output": _OUTPUT},
        settings=config.SplitSettings,
    ),
    Command(
        verb="convert",
        group="catalog",
        function="zoobot.shared.catalog_conversion:convert",
        summary="Make a catalog of a published table.",
        details="A mapping says which column of the table counts which answer.",
        example="zoobot catalog convert table.csv --from gz2 --file-template '{asset_id}.jpg' --output catalog.csv",
        inputs={
            "table": (Path, _argument("Published table: CSV, Parquet, FITS, VOTable or ECSV.")),
            "mapping": (
                str,
                typer.Option(
                    ...,
                    "--from",
                    help="gz2, gz-decals, gz-decals-dr12, gz-hubble, gz-candels, kaggle-galaxy-zoo, or a YAML file.",
                ),
            ),
            "output": (Path, _option("Catalog to write: .csv, .csv.gz or .parquet.")),
            "schema": (str | None, _option("Decision tree to fill; by default the mapping's own.", None)),
        },
        settings=config.ConvertSettings,
    ),
    Command(
        verb="from-zooniverse",
        group="catalog",
        function="zoobot.shared.volunteer_answers:from_zooniverse",
        summary="Count the raw answers of volunteers.",
        details="One vote per volunteer, galaxy and question: the last one stands.",
        example="zoobot catalog from-zooniverse export.csv --mapping my_mapping.yaml --output catalog.parquet",
        inputs={
            "export": (Path, _argument("Classification export (CSV), or one answer per line (JSON lines).")),
            "mapping": (str, _option("What the export's tasks and answers are called here: a name or a YAML file.")),
            "output": (Path, _option("Catalog to write: .csv, .csv.gz or .parquet.")),
        },
        settings=config.ZooniverseSettings,
    ),
    Command(
        verb="prepare",
        function="zoobot.shared.preparation:prepare",
        summary="Decode every image once, into files that are fast to read.",
        details="The folder holds the votes too: 'zoobot train PREPARED' needs no schema. Interrupted and started "
        "again, it goes on where it stopped.",
        example="zoobot prepare catalog.csv --schema gz2 --output PREPARED --image-size 300",
        inputs={
            "catalog": (Path, _argument("Table with id_str, file_loc and votes; with --verify, a prepared folder.")),
            "schema": (str | None, _option("Decision tree; none for galaxies without votes, to predict.", None)),
            "output": (Path | None, _option("Folder to write; new, empty, or that of the same command.", None)),
            "verify": (bool, _option("Check every checksum of a prepared folder instead.", False)),
        },
        settings=config.PrepareSettings,
    ),
    Command(
        verb="train",
        function="zoobot.pytorch.training.train_with_pytorch_lightning:train",
        summary="Train a model from scratch on votes.",
        details="Takes a catalog, or a folder made by 'zoobot prepare'. Interrupted and started again, it goes on "
        "where it stopped.",
        example="zoobot train catalog.csv --schema gz2 --output RUN",
        inputs={
            "catalog": (Path, _argument("Table with id_str, file_loc and votes, or a prepared folder.")),
            "schema": (
                str | None,
                _option("Decision tree: a name or a YAML file. Prepared folders know theirs.", None),
            ),
            "output": _OUTPUT,
        },
        settings=config.TrainSettings,
        with_keras=("zoobot.tensorflow.training.train_with_keras:train", config.KerasTrainSettings),
    ),
    Command(
        verb="finetune",
        function="zoobot.pytorch.training.finetune_on_catalog:finetune",
        summary="Finetune a pretrained encoder on your own labels.",
        details="Classes, numbers, or the votes of another decision tree. Interrupted and started again, it goes on "
        "where it stopped.",
        example="zoobot finetune catalog.csv --from RUN/model --label ring --output RINGS",
        inputs={
            "catalog": (Path, _argument("Table with id_str, file_loc and labels, or a prepared folder.")),
            "encoder": (
                str,
                typer.Option(
                    ...,
                    "--from",
                    help="Encoder: hf_hub:OWNER/NAME, local-dir:FOLDER, a timm name, a model folder or a checkpoint. "
                    "With TensorFlow: a name of keras.applications or a model folder.",
                ),
            ),
            "output": _OUTPUT,
            "schema": (str | None, _option("For --task tree, the decision tree.", None)),
        },
        settings=config.FinetuneSettings,
        with_keras=("zoobot.tensorflow.training.finetune_on_catalog:finetune", config.KerasFinetuneSettings),
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
                _argument(
                    "Model folders, one or more, then the data: a table with id_str and file_loc, a prepared folder, a "
                    "folder of images, a quoted pattern such as 'images/*.jpg', or one image."
                ),
            ),
            "output": _OUTPUT,
        },
        settings=config.PredictSettings,
    ),
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
                _argument("Encoder: a model folder, hf_hub:OWNER/NAME, local-dir:FOLDER, a timm name or a checkpoint."),
            ),
            "catalog": (
                Path,
                _argument("A table with id_str and file_loc, a prepared folder, a folder of images or one image."),
            ),
            "output": _OUTPUT,
        },
        settings=config.EmbedSettings,
    ),
    Command(
        verb="similar",
        function="zoobot.pytorch.predictions.similar_galaxies:similar",
        summary="Find the galaxies most like a given one.",
        details="By the angle between features; exact.",
        example="zoobot similar EMBEDDINGS --id gz2_130549 --gallery alike.html",
        inputs={
            "embeddings": (Path, _EMBEDDINGS),
            "galaxy": (str | None, typer.Option(None, "--id", help="id_str of an embedded galaxy.")),
            "image": (Path | None, _option("Or an image file.", None)),
            "output": (Path | None, _option("Table to write: .csv or .parquet.", None)),
            "gallery": (Path | None, _option("Page to write: .html.", None)),
        },
        settings=config.SimilarSettings,
    ),
    Command(
        verb="anomalies",
        function="zoobot.shared.anomalies:anomalies",
        summary="Find galaxies that are like no other.",
        details="By an isolation forest and by the distance to the nearest galaxies.",
        example="zoobot anomalies EMBEDDINGS --output anomalies.csv --gallery anomalies.html",
        inputs={
            "embeddings": (Path, _EMBEDDINGS),
            "output": (Path, _option("Table to write: .csv or .parquet.")),
            "gallery": (Path | None, _option("Page to write: .html.", None)),
        },
        settings=config.AnomalySettings,
    ),
    Command(
        verb="map",
        function="zoobot.shared.embedding_maps:draw_map",
        summary="Draw galaxies where they are in an embedding.",
        details='Needs UMAP: pip install -e ".[umap]".',
        example="zoobot map EMBEDDINGS --output map.png",
        inputs={
            "embeddings": (Path, _EMBEDDINGS),
            "output": (Path, _option("Picture to write: .png.")),
            "table": (Path | None, _option("Table of each galaxy's place to write: .csv or .parquet.", None)),
        },
        settings=config.MapSettings,
    ),
    Command(
        verb="acquire",
        function="zoobot.shared.acquisition:acquire",
        summary="Choose the galaxies that volunteers should see next.",
        details="Those whose answers would tell the model most: where samples of its predictions disagree.",
        example="zoobot acquire PREDICTIONS --n 500 --output next.csv",
        inputs={
            "predictions": (Path, _argument("Folder written by 'zoobot predict' with --samples 5 or more.")),
            "output": (Path, _option("Table to write: .csv or .parquet.")),
            "embeddings": (Path | None, _option("Also spread the choice over these embeddings.", None)),
        },
        settings=config.AcquireSettings,
    ),
    Command(
        verb="push",
        function="zoobot.pytorch.estimators.hub_push:push",
        summary="Share a model on the Hugging Face hub.",
        details="Its encoder then loads by name here and in timm. Sign in before with 'hf auth login'.",
        example="zoobot push RUN/model me/my-encoder --output FOLDER --dry-run",
        inputs={
            "model": (Path, _argument("Model folder, such as RUN/model.")),
            "name": (str, _argument("Repository: OWNER/NAME.")),
            "output": (Path, _option("Folder to write what is sent into; new or empty.")),
        },
        settings=config.PushSettings,
    ),
    Command(
        verb="calibrate",
        function="zoobot.shared.temperatures:calibrate",
        summary="Make a model as sure of its predictions as it should be.",
        details="Fits one temperature per question to the votes of the model's validation galaxies, and leaves them in "
        "the model folder; 'zoobot predict' applies them.",
        example="zoobot calibrate RUN/model PREDICTIONS catalog.csv",
        inputs={
            "model": (Path, _argument("Model folder, such as RUN/model.")),
            "predictions": (Path, _argument("This model's predictions of the catalog that it was trained on.")),
            "catalog": _CATALOG,
        },
        settings=config.CalibrateSettings,
    ),
    Command(
        verb="export",
        group="predictions",
        function="zoobot.shared.prediction_exports:export",
        summary="Write predictions as one table.",
        details="For spreadsheets, TOPCAT, h5py and papers.",
        example="zoobot predictions export PREDICTIONS --table advanced --format fits",
        inputs={
            "predictions": (Path, _argument("Folder written by 'zoobot predict'.")),
            "output": (Path | None, _option("File to write; by default PREDICTIONS/TABLE.FORMAT.", None)),
        },
        settings=config.ExportSettings,
    ),
    Command(
        verb="evaluate",
        function="zoobot.shared.reports:evaluate",
        summary="Score predictions against votes; write a report.",
        details="Only galaxies that the model never saw are scored, by the split that training recorded.",
        example="zoobot evaluate PREDICTIONS catalog.csv --output REPORT",
        inputs={
            "predictions": (Path, _argument("Folder written by 'zoobot predict'.")),
            "catalog": _CATALOG,
            "output": _OUTPUT,
            "schema": (str | None, _option("Not needed: predictions know theirs. One given must equal it.", None)),
        },
        settings=config.EvaluateSettings,
    ),
    Command(
        verb="export",
        function="zoobot.pytorch.estimators.onnx_model:export",
        summary="Write a model as ONNX.",
        details="In the model folder, 'zoobot predict' uses it on a CPU: several times as fast.",
        example="zoobot export RUN/model --format onnx",
        inputs={
            "model": (Path, _argument("Model folder, such as RUN/model.")),
            "output": (Path | None, _option("File to write; by default model.onnx in the model folder.", None)),
        },
        settings=config.ModelExportSettings,
    ),
    Command(
        verb="bench",
        function="zoobot.pytorch.speed:bench",
        summary="Measure how fast this machine reads, trains and predicts.",
        details="Of a catalog, some galaxies are prepared in each format and compared with their files.",
        example="zoobot bench catalog.csv --schema gz2 --output speed.json",
        inputs={
            "catalog": (Path, _argument("Table with id_str, file_loc and votes, or a prepared folder.")),
            "schema": (
                str | None,
                _option("Decision tree: a name or a YAML file; prepared folders know theirs.", None),
            ),
            "output": (Path | None, _option("JSON file to write.", None)),
        },
        settings=config.BenchSettings,
        with_keras=("zoobot.tensorflow.speed:bench", config.KerasBenchSettings),
    ),
    Command(
        verb="demo",
        function="zoobot.pytorch.examples.demo:run_demo",
        summary="Do the main job on simulated galaxies.",
        details="Simulates galaxies and volunteers, checks the catalog, trains, predicts and evaluates.",
        example="zoobot demo --output demo",
        inputs={"output": _OUTPUT},
        settings=config.DemoSettings,
        with_keras=("zoobot.tensorflow.examples.demo:run_demo", config.DemoSettings),
    ),
]

app = typer.Typer(
    help="Galaxy morphology with deep learning, trained on the votes of Galaxy Zoo volunteers.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
_GROUPS = {
    "schema": "Decision trees: which questions volunteers were asked.",
    "catalog": "Tables of galaxies and votes.",
    "predictions": "What a model said of galaxies.",
}


def main() -> None:
    """Run the command line."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("zoobot").setLevel(logging.INFO)
    app()


@contextmanager
def _one_message_for_each_fault() -> Iterator[None]:
    """Every fault that zoobot knows of ends in one message and an exit code."""
    try:
        yield
    except SettingError as error:
        _stop(str(error), COMMAND_AT_FAULT)
    except ZoobotError as error:
        _stop(str(error), INPUT_AT_FAULT)
    except KeyboardInterrupt:
        _stop("Interrupted. The same command goes on where this one stopped.", INTERRUPTED)


def _stop(message: str, code: int) -> None:
    typer.secho(message, fg=typer.colors.RED, err=True)
    sys.exit(code)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"zoobot {zoobot.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    pass


def _as_function(command: Command) -> Callable[..., None]:
    """A function for typer, with one parameter for each input and setting of the command."""

    @_one_message_for_each_fault()
    def call(**given: Any) -> None:
        arguments = {name: given.pop(name) for name in command.inputs}
        function, settings = command.function, command.settings
        if command.with_keras and choose_framework(given.pop("framework"), arguments.get("encoder")) == "tensorflow":
            function, settings = command.with_keras
        if settings is not None:
            file, changes = given.pop("config"), given.pop("changes")
            chosen = {name: value for name, value in given.items() if value is not None}
            arguments["settings"] = config.load_settings(settings, file, changes, chosen)
        module, name = function.split(":")
        result = getattr(importlib.import_module(module), name)(**arguments)
        typer.echo(str(result))

    parameters = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, (annotation, default) in _parameters(command).items()
    ]
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    call.__doc__ = "\n\n".join(filter(None, [command.summary, command.details, f"Example: {command.example}"]))
    return call


def _parameters(command: Command) -> dict[str, tuple[Any, Any]]:
    if command.settings is None:
        return dict(command.inputs)
    fields = command.settings.model_fields
    in_keras = command.with_keras[1].model_fields if command.with_keras else {}
    both = {**in_keras, **fields}
    return {
        **command.inputs,
        **({"framework": _FRAMEWORK} if command.with_keras else {}),
        **{
            name: (_or_none(described.annotation), _setting(name, described, in_keras.get(name)))
            for name, described in both.items()
        },
        "config": (
            Path | None,
            typer.Option(None, "--config", help="YAML file of settings.", show_default=False),
        ),
        "changes": (
            list[str],
            typer.Option([], "--set", help="One setting as key=value; repeatable.", show_default=False),
        ),
    }


def _or_none(annotation: Any) -> Any:
    return annotation | None


def _setting(name: str, described: FieldInfo, in_keras: FieldInfo | None) -> Any:
    """An option that is None unless given, so that presets and files can fill it; its help says the default."""
    default, help_text = described.default, _help(described)
    if in_keras is not None and _help(in_keras) != help_text:
        help_text += f" With TensorFlow: {_help(in_keras)}"
    flag = "--" + name.replace("_", "-")
    declaration = f"{flag}/--no-{flag[2:]}" if default is True else flag
    return typer.Option(None, declaration, help=help_text, show_default=False)


def _help(described: FieldInfo) -> str:
    default, text = described.default, str(described.description)
    if default in (None, []) or isinstance(default, bool):
        return text
    shown = " ".join(f"{part:g}" for part in default) if isinstance(default, tuple) else default
    return f"{text} [default: {shown}]"


def _build() -> None:
    groups = {name: typer.Typer(help=help, no_args_is_help=True) for name, help in _GROUPS.items()}
    for name, group in groups.items():
        app.add_typer(group, name=name)
    for command in COMMANDS:
        parent = groups[command.group] if command.group else app
        parent.command(command.verb)(_as_function(command))


_build()
