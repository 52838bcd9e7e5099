"""Scores of parts of a catalog: against magnitude, size, redshift, survey, or whatever else stands in its columns."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from zoobot.errors import CatalogError, did_you_mean
from zoobot.shared.catalogs import Catalog
from zoobot.shared.dirichlet import FloatArray
from zoobot.shared.schemas import Schema
from zoobot.shared.scores import Scores
from zoobot.shared.vote_scores import FREE_BASELINE, MODEL, SATURATED, known_means, mean_of_answers

N_BINS = 5
_MOST_VALUES = 12
BLANK, OTHERS = "(blank)", "(others)"


def score_strata(catalog: Catalog, column: str, scores: Scores, schema: Schema) -> pd.DataFrame:
    """Scores by the values of a column: numbers in five parts of equal size, the twelve commonest of other values.

    Args:
        catalog: the galaxies of the scores, in their order.

    Returns:
        One row per stratum and question, and `all` of them together: galaxies, loss, skill, mean absolute error of vote
        fractions with standard error and the galaxies that it is of, accuracy, and how much 90 % intervals hold. NaN
        where no galaxy counts.

    Raises:
        CatalogError: there is no such column.
    """
    strata, names = find_strata(catalog, column)
    rows = [
        {"column": column, "stratum": name, **row}
        for position, name in enumerate(names)
        for row in _score_stratum(np.flatnonzero(strata == position), scores, schema)
    ]
    return pd.DataFrame(rows)


def refuse_missing_column(catalog: Catalog, column: str) -> None:
    """Raise `CatalogError` unless the catalog has that column."""
    if column not in catalog.columns:
        raise CatalogError(
            f"The catalog {catalog.source} has no column '{column}'.{did_you_mean(column, catalog.columns)}"
        )


def find_strata(catalog: Catalog, column: str) -> tuple[npt.NDArray[np.intp], list[str]]:
    """The stratum of each galaxy, and the strata's names in order."""
    refuse_missing_column(catalog, column)
    values = catalog.table[column]
    if pd.api.types.is_numeric_dtype(values) and values.nunique() > N_BINS:
        numbers = values.to_numpy(float, na_value=np.nan)
        parts = pd.qcut(np.where(np.isfinite(numbers), numbers, np.nan), N_BINS, duplicates="drop")
        names = _name_parts(list(parts.categories))
        strata = np.asarray(parts.codes, np.intp)
    else:
        known = zip(values, values.notna(), strict=True)
        texts = pd.Series([str(value) if is_known else None for value, is_known in known], dtype=object)
        names = sorted(texts.value_counts().index[:_MOST_VALUES])
        if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
            names.sort(key=float)
        place = {name: position for position, name in enumerate(names)}
        strata = np.asarray([-1 if text is None else place.get(str(text), len(names)) for text in texts], np.intp)
        names += [OTHERS] if (strata == len(names)).any() else []
    if (strata < 0).any():
        strata[strata < 0] = len(names)
        names = [*names, BLANK]
    return strata, names


def _name_parts(parts: list[pd.Interval]) -> list[str]:
    """Edges with four digits, or as many more as it takes to tell the parts apart."""
    for digits in range(4, 18):
        names = [f"{part.left:.{digits}g} to {part.right:.{digits}g}" for part in parts]
        if len(set(names)) == len(names):
            break
    return names


def _score_stratum(rows: npt.NDArray[np.intp], scores: Scores, schema: Schema) -> list[dict[str, object]]:
    evidence = scores.evidence
    losses = {name: evidence.losses[name][rows] for name in (MODEL, FREE_BASELINE, SATURATED)}
    errors = mean_of_answers(np.abs(evidence.residuals[MODEL][rows].astype(float)), schema)
    correct = scores.classification.correct[rows]
    inside = np.full((len(rows), len(schema.answers)), np.nan)
    if scores.calibration is not None:
        u = scores.calibration.pit_of_galaxies[rows]
        inside = np.where(np.isnan(u), np.nan, np.abs(u - 0.5) <= 0.45)
    everything = [("all", range(len(schema.questions)))]
    each = [(question.text, range(position, position + 1)) for position, question in enumerate(schema.questions)]
    table = []
    for name, positions in [*everything, *each]:
        columns = list(positions)
        answers = [answer.index for position in columns for answer in schema.questions[position].answers]
        model, baseline, bound = (loss[:, columns].sum() for loss in losses.values())
        error = _known(known_means(errors[:, columns]))
        by_question = _known(known_means(errors[:, columns].T))
        table.append(
            {
                "question": name,
                "galaxies": len(rows),
                "loss": model / len(rows),
                "skill": (baseline - model) / (baseline - bound) if baseline > bound else np.nan,
                "galaxies with enough votes": len(error),
                "error": by_question.mean() if len(by_question) else np.nan,
                "error, standard error": error.std(ddof=1) / np.sqrt(len(error)) if len(error) > 1 else np.nan,
                "accuracy": float(known_means(correct[:, columns].reshape(1, -1))[0]),
                "90% interval holds": float(known_means(inside[:, answers].reshape(1, -1))[0]),
            }
        )
    return table


def _known(values: FloatArray) -> FloatArray:
    """Those that are not NaN."""
    return values[~np.isnan(values)]
