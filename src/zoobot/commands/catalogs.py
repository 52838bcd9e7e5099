"""Commands about tables of galaxies and votes."""

from pathlib import Path

import typer

from zoobot.commands.command import CATALOG, OUTPUT, SCHEMA, Command, argument, option
from zoobot.config import CatalogCheckSettings, ConvertSettings, SplitSettings, ZooniverseSettings

COMMANDS = [
    Command(
        verb="check",
        group="catalog",
        function="zoobot.shared.catalog_reports:check",
        summary="Check a catalog against a decision tree.",
        details="Shows how many votes each question has, and every fault at once with what to do about it. Exit code 1 "
        "if rows cannot be used.",
        example="zoobot catalog check catalog.csv --schema gz2",
        inputs={
            "catalog": CATALOG,
            "schema": SCHEMA,
            "output": (Path | None, option("Folder for catalog_report.html and rejected.csv.", None)),
        },
        settings=CatalogCheckSettings,
    ),
    Command(
        verb="split",
        group="catalog",
        function="zoobot.shared.catalog_splits:split",
        summary="Split a catalog into training, validation and test tables.",
        details="Each galaxy's table follows from its id_str and the seed.",
        example="zoobot catalog split catalog.csv --output SPLITS",
        inputs={"catalog": (Path, argument("Table with id_str.")), "output": OUTPUT},
        settings=SplitSettings,
    ),
    Command(
        verb="convert",
        group="catalog",
        function="zoobot.shared.catalog_conversion:convert",
        summary="Make a catalog of a published table.",
        details="A mapping says which column of the table counts which answer.",
        example="zoobot catalog convert table.csv --from gz2 --file-template '{asset_id}.jpg' --output catalog.csv",
        inputs={
            "table": (Path, argument("Published table: CSV, Parquet, FITS, VOTable or ECSV.")),
            "mapping": (
                str,
                typer.Option(
                    ...,
                    "--from",
                    help="gz2, gz-decals, gz-decals-dr12, gz-hubble, gz-candels, kaggle-galaxy-zoo, or a YAML file.",
                ),
            ),
            "output": (Path, option("Catalog to write: .csv, .csv.gz or .parquet.")),
            "schema": (str | None, option("Decision tree to fill; by default the mapping's own.", None)),
        },
        settings=ConvertSettings,
    ),
    Command(
        verb="from-zooniverse",
        group="catalog",
        function="zoobot.shared.volunteer_answers:from_zooniverse",
        summary="Count the raw answers of volunteers.",
        details="One vote per volunteer, galaxy and question: the last one stands.",
        example="zoobot catalog from-zooniverse export.csv --mapping my_mapping.yaml --output catalog.parquet",
        inputs={
            "export": (Path, argument("Classification export (CSV), or one answer per line (JSON lines).")),
            "mapping": (str, option("What the export's tasks and answers are called here: a name or a YAML file.")),
            "output": (Path, option("Catalog to write: .csv, .csv.gz or .parquet.")),
        },
        settings=ZooniverseSettings,
    ),
]
