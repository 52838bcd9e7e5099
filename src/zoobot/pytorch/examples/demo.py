"""The main job on simulated galaxies, whose true answers are known: what `make demo` and `zoobot demo` run."""

import logging
import sys
from dataclasses import dataclass
from pathlib import Path

from rich.progress import Progress

from zoobot.config import CatalogCheckSettings, DemoSettings, EvaluateSettings, TrainSettings
from zoobot.pytorch.predictions.predict_on_catalog import predict
from zoobot.pytorch.training.train_with_pytorch_lightning import train
from zoobot.shared import catalog_reports, metrics, reports, simulation
from zoobot.shared.run_folders import open_run
from zoobot.shared.schemas import get_schema

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


def run_demo(output: str | Path, settings: DemoSettings | None = None) -> Demo:
    """Simulate galaxies and volunteers, check the catalog, train, predict and evaluate; called again, it goes on.

    Args:
        output: a folder, which gets `galaxies/`, `run/` with the model, `predictions/` and `report.html`.

    Raises:
        OutputError: `output` holds something else.
    """
    settings = settings or DemoSettings()
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
    training = TrainSettings(
        architecture="regnety_002",  # the most that is learned in two minutes on two cores
        image_size=64,
        crop_bounds=(0.85, 1.0),  # simulated galaxies fill their images
        epochs=settings.epochs,
        learning_rate=3e-3,
        dropout=0.1,
        seed=settings.seed,
    )
    trained = train(catalog, schema, folder / "run", training)
    predict(trained.folder, catalog, folder / "predictions")
    evaluation = metrics.evaluate(folder / "predictions", catalog, EvaluateSettings(seed=settings.seed))
    reports.write_report(evaluation, folder)
    return Demo(folder, evaluation)
