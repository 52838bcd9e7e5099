"""The main job on simulated galaxies, whose true answers are known, with any framework."""

import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.progress import Progress

from zoobot.config import CatalogCheckSettings, DemoSettings, EvaluateSettings
from zoobot.shared import catalog_reports, metrics, reports, simulation
from zoobot.shared.run_folders import open_run
from zoobot.shared.schemas import Schema, get_schema

logger = logging.getLogger(__name__)

IMAGE_SIZE = 96


@dataclass(frozen=True)
class Demo:
    """What the demo made."""

    folder: Path
    evaluation: metrics.Evaluation

    def __str__(self) -> str:
        return "\n".join(
            [
                str(self.evaluation),
                "",
                f"Report:      {self.folder / 'report.html'}  (open it in a browser)",
                f"Model:       {self.folder / 'run' / 'model'}",
                f"Predictions: {self.folder / 'predictions'}",
                f"Catalog:     {self.folder / 'galaxies' / 'catalog.csv'}",
            ]
        )


def demonstrate(
    output: str | Path,
    settings: DemoSettings,
    train: Callable[[Path, Schema, Path], Any],
    predict: Callable[[Path, Path, Path], Any],
) -> Demo:
    """Simulate galaxies and volunteers, check the catalog, train, predict and evaluate; called again, it goes on.

    Args:
        output: a folder, which gets `galaxies/`, `run/` with the model, `predictions/` and `report.html`.
        train: from a catalog and its schema to a run's folder.
        predict: from a model and a catalog to a folder of predictions.

    Raises:
        OutputError: `output` holds something else.
    """
    folder = open_run(output, "demo", settings, {})
    schema = get_schema(settings.tree)
    galaxies = folder / "galaxies"
    catalog = galaxies / "catalog.csv"
    if not catalog.is_file():
        logger.info("Simulating %s galaxies and their volunteers.", f"{settings.galaxies:,}")
        with Progress(transient=True, disable=not sys.stderr.isatty()) as progress:
            task = progress.add_task("Simulating", total=settings.galaxies)
            simulation.simulate_catalog(
                galaxies,
                schema,
                settings.galaxies,
                settings.seed,
                IMAGE_SIZE,
                progress=lambda done, _: progress.update(task, completed=done),
            )
    logger.info("%s", catalog_reports.check(catalog, schema, settings=CatalogCheckSettings()))
    train(catalog, schema, folder / "run")
    predict(folder / "run" / "model", catalog, folder / "predictions")
    evaluation = metrics.evaluate(folder / "predictions", catalog, EvaluateSettings(seed=settings.seed))
    reports.write_report(evaluation, folder)
    return Demo(folder, evaluation)
