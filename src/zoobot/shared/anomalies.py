"""Galaxies that are like no other: the verb `anomalies`."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from zoobot.config import AnomalySettings
from zoobot.shared.embeddings import read_embeddings
from zoobot.shared.galleries import write_gallery
from zoobot.shared.similarity import measure_distance, measure_isolation
from zoobot.shared.tables import write_table


@dataclass(frozen=True)
class Anomalies:
    """What was found: the table of all galaxies, the most unusual first, and the files that were written."""

    table: pd.DataFrame
    path: Path
    gallery: Path | None

    def __str__(self) -> str:
        first = self.table.head(5)[["id_str", "isolation", "distance"]].to_string(index=False)
        pages = f"\nGallery: {self.gallery}" if self.gallery else ""
        return f"The most unusual of {len(self.table):,} galaxies:\n{first}\nTable: {self.path}{pages}"


def anomalies(
    embeddings: str | Path,
    output: str | Path,
    gallery: str | Path | None = None,
    settings: AnomalySettings | None = None,
) -> Anomalies:
    """Rank galaxies by how unusual their features are.

    Args:
        embeddings: a folder of `zoobot embed`, or a table of features.
        output: the table: CSV or Parquet. `isolation` (isolation forest) and `distance` (mean distance to the nearest
            galaxies) beside the embeddings' own columns; sorted by the mean of their ranks, the most unusual first.
        gallery: a page of the first galaxies.
        settings: see `zoobot.config.AnomalySettings`.

    Raises:
        PredictionError: there are no embeddings.
    """
    settings = settings or AnomalySettings()
    found = read_embeddings(embeddings)
    scores = pd.DataFrame(
        {
            "isolation": measure_isolation(found.features, settings.seed),
            "distance": measure_distance(found.features, settings.neighbours),
        }
    )
    unusual = scores.rank(ascending=False).mean(axis=1)
    order = unusual.sort_values(kind="stable").index
    table = pd.concat([found.table, scores], axis=1).loc[order].reset_index(drop=True)
    path = write_table(table, Path(output))
    page = None
    if gallery is not None:
        first = table.head(settings.shown)
        words = [f"isolation {row.isolation:.2f}, distance {row.distance:.2f}" for row in first.itertuples()]
        note = f"The {len(first):,} most unusual of {len(table):,} galaxies of {embeddings}."
        page = write_gallery(Path(gallery), "Unusual galaxies", first, words, found.model, note)
    return Anomalies(table, path, page)
