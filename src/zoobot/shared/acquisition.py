"""Which galaxies volunteers should see next, so that a model learns most: the verb `acquire`.

Where the samples of a model's predictions disagree, an answer tells it something; where they agree that volunteers will
be of two minds, it does not. The measure is the mutual information of the next volunteer's answers and the model
(Walmsley et al. 2020, MNRAS 491, 1554; Houlsby et al. 2011, arXiv:1112.5745).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from zoobot.config import AcquireSettings
from zoobot.errors import PredictionError, SettingError, did_you_mean
from zoobot.shared import mixtures
from zoobot.shared.dirichlet import FloatArray
from zoobot.shared.embeddings import read_embeddings
from zoobot.shared.predictions import SPLIT_COLUMN, Predictions, iter_predictions
from zoobot.shared.schemas import Schema
from zoobot.shared.tables import write_table


@dataclass(frozen=True)
class AcquiredGalaxies:
    """What was chosen, the first to be seen first, and the table that was written."""

    table: pd.DataFrame
    path: Path
    n_candidates: int

    def __str__(self) -> str:
        told = self.table["information"]
        return (
            f"Chose {len(self.table):,} of {self.n_candidates:,} galaxies: {self.path}\n"
            f"The next volunteer's answers tell {told.mean():.3f} nats on average, {told.max():.3f} at most."
        )


def acquire(
    predictions: str | Path,
    output: str | Path,
    embeddings: str | Path | None = None,
    settings: AcquireSettings | None = None,
) -> AcquiredGalaxies:
    """Choose galaxies for the next round of labels.

    Args:
        predictions: a folder of `zoobot predict`, with several samples or models.
        output: the table: CSV or Parquet. The catalog's own columns, then `information` in nats, and of each question
            `<question>_information`.
        embeddings: spread the choice over these: the most informative first, then again and again the galaxy that is
            farthest from all that are chosen, among the `pool` x `n` most informative.
        settings: see `zoobot.config.AcquireSettings`.

    Raises:
        PredictionError: there are no predictions, one sample alone, or no galaxy left.
        SettingError: no such question.
    """
    settings = settings or AcquireSettings()
    tables = [_measure_part(part, settings) for part in iter_predictions(predictions)]
    candidates = pd.concat(tables, ignore_index=True)
    if not settings.include_labelled:
        candidates = candidates[candidates[SPLIT_COLUMN].fillna("") == ""]
    if not len(candidates):
        raise PredictionError(
            f"Every galaxy in '{predictions}' was in the model's own catalog. Predict others, or give "
            "--include-labelled."
        )
    candidates = candidates.sort_values("information", ascending=False, kind="stable").reset_index(drop=True)
    if embeddings is None:
        chosen = candidates.head(settings.n)
    else:
        chosen = _spread(candidates.head(settings.n * settings.pool), Path(embeddings), settings.n)
    return AcquiredGalaxies(chosen, write_table(chosen, output), len(candidates))


def measure_information(concentrations: npt.ArrayLike, schema: Schema) -> FloatArray:
    """What the next volunteer's answer to each question would tell the model, in nats, `(galaxy, question)`.

    The mutual information, times the share of volunteers who are asked.

    Args:
        concentrations: `(galaxy, answer, sample)`.
    """
    groups = schema.question_index_groups
    asked = schema.proportion_asked(mixtures.mean(concentrations, groups))
    information: FloatArray = mixtures.entropy(concentrations, groups).mutual_information * asked
    return information


def spread_out(features: npt.NDArray[np.float32], n: int) -> list[int]:
    """Rows that are far from each other: the first, then each time the one farthest from all before it."""
    chosen = [0]
    nearest = np.full(len(features), np.inf)
    while len(chosen) < min(n, len(features)):
        nearest = np.minimum(nearest, ((features - features[chosen[-1]]) ** 2).sum(axis=1))
        nearest[chosen] = -1
        chosen.append(int(nearest.argmax()))
    return chosen


def _measure_part(part: Predictions, settings: AcquireSettings) -> pd.DataFrame:
    if part.concentrations.shape[2] == 1:
        raise PredictionError(
            "These predictions have one sample, which cannot disagree. Predict with --samples 5, or several models."
        )
    places = _find_questions(settings.question, part.schema)
    information = measure_information(part.concentrations, part.schema)[:, places]
    fractions = [f"{label}_fraction" for label in part.schema.label_cols]
    names = [f"{part.schema.questions[place].text}_information" for place in places]
    measured = pd.DataFrame(information, columns=names).assign(information=information.sum(axis=1))
    own = part.table.drop(columns=fractions).reset_index(drop=True)
    return pd.concat([own, measured[["information", *names]]], axis=1)


def _find_questions(wanted: Sequence[str], schema: Schema) -> list[int]:
    names = [question.text for question in schema.questions]
    for name in wanted:
        if name not in names:
            raise SettingError(f"The tree '{schema.name}' has no question '{name}'.{did_you_mean(name, names)}")
    return [names.index(name) for name in wanted] or list(range(len(names)))


def _spread(candidates: pd.DataFrame, embeddings: Path, n: int) -> pd.DataFrame:
    found = read_embeddings(embeddings)
    rows = pd.Series(np.arange(len(found.table)), index=found.table["id_str"].astype(str))
    there = candidates[candidates["id_str"].astype(str).isin(rows.index)]
    if len(there) < min(n, len(candidates)):
        raise PredictionError(
            f"Only {len(there):,} of {len(candidates):,} galaxies are in the embeddings '{embeddings}'. Embed the rest."
        )
    features = found.features[rows.loc[there["id_str"].astype(str)].to_numpy()]
    return there.iloc[spread_out(features, n)].reset_index(drop=True)
