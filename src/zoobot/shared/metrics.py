"""How good predictions are: which galaxies can be scored, and their scores (`scores.py`)."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from zoobot.config import EvaluateSettings
from zoobot.errors import PredictionError
from zoobot.shared.catalogs import Catalog, load_catalog
from zoobot.shared.dirichlet import FloatArray
from zoobot.shared.predictions import SPLIT_COLUMN, Predictions, expected_fractions, read_predictions
from zoobot.shared.schemas import Schema, load_schema
from zoobot.shared.scores import Scores, score
from zoobot.shared.strata import refuse_missing_column

HELD_OUT = "held out"
SEEN = "seen in training"
NOT_RECORDED = "split not recorded"
_FEW = 3


@dataclass(frozen=True)
class Evaluation:
    """Predictions compared with votes.

    Args:
        scores: kind of galaxies (held out, seen in training) -> their scores; those seen in training come last.
        catalog: the scored galaxies, with votes.
        concentrations: `(galaxy, answer, sample)` of those galaxies.
        fractions: `(galaxy, answer)`, the predicted vote fractions of those galaxies.
        kinds: `(galaxy,)`, the kind of each.
        counts: how many galaxies were left out, and why; `examples` has the first few of each.
        n_unknown: how many of the held-out galaxies were not in the model's own catalog at all.
        model: the description of the model.
    """

    scores: dict[str, Scores]
    catalog: Catalog
    schema: Schema
    concentrations: npt.NDArray[np.float32]
    fractions: FloatArray
    kinds: npt.NDArray[np.str_]
    counts: dict[str, int]
    n_unknown: int
    model: dict[str, Any]
    settings: EvaluateSettings
    examples: dict[str, list[str]] = field(default_factory=dict)

    @property
    def left_out(self) -> list[str]:
        """One sentence for each reason for which galaxies were left out, with examples."""
        return [
            f"{count:,} galaxies {reason}, such as {', '.join(self.examples[reason])}"
            for reason, count in self.counts.items()
            if count
        ]

    @property
    def unseen(self) -> npt.NDArray[np.bool_]:
        """`(galaxy,)`, which galaxies the model did not learn from, as far as is known."""
        unseen: npt.NDArray[np.bool_] = self.kinds != SEEN
        return unseen

    @property
    def main(self) -> tuple[str, Scores]:
        """The kind of galaxies that figures show, and its scores: held out where there are any."""
        return next(iter(self.scores.items()))

    def to_dict(self) -> dict[str, Any]:
        return {
            "scores": {kind: scores.to_dict() for kind, scores in self.scores.items()},
            "left_out": self.counts,
            "held_out_but_not_in_the_training_catalog": self.n_unknown,
            "weights_sha256": self.model["weights_sha256"],
        }

    def __str__(self) -> str:
        lines = []
        for kind, scores in self.scores.items():
            lines.append(f"{scores.n_galaxies:,} galaxies, {kind} (value ± standard error)")
            for name, loss in scores.loss.items():
                gain = scores.gain.get(name)
                against = f"   model better by {gain}" if gain else ""
                lines.append(f"  loss per galaxy, {name}: {loss}{against}")
            lines.append(f"  skill, from constant (0) to saturated (1): {scores.skill}")
            for name, error in scores.error.items():
                lines.append(f"  mean absolute error of vote fractions, {name}: {error}")
            if scores.calibration is not None:
                verdicts = scores.calibration.table["verdict"].value_counts()
                lines.append("  calibration: " + "; ".join(f"{verdict} {n}" for verdict, n in verdicts.items()))
        if self.n_unknown:
            lines.append(
                f"of the held-out galaxies, {self.n_unknown:,} were not in the model's training catalog at all"
            )
        lines += [f"left out: {sentence}" for sentence in self.left_out]
        return "\n".join(lines)


def evaluate(
    predictions: str | Path | Predictions,
    catalog: str | Path | pd.DataFrame,
    settings: EvaluateSettings | None = None,
    *,
    schema: str | Path | Schema | None = None,
) -> Evaluation:
    """Score predictions against votes, by default only of galaxies that the model never saw.

    Args:
        predictions: a folder that `zoobot predict` wrote, or what `read_predictions` returned.
        catalog: a table with votes; galaxies are joined by `id_str`.
        schema: given, it must be the schema of the predictions.

    Raises:
        PredictionError: no galaxy in common, or none that the model never saw.
        CatalogError: the catalog does not fit the schema of the predictions.
    """
    settings = settings or EvaluateSettings()
    if not isinstance(predictions, Predictions):
        predictions = read_predictions(predictions)
    if schema is not None and load_schema(schema) != predictions.schema:
        raise PredictionError(
            f"The predictions are for the tree '{predictions.schema.name}', which is not the schema asked for. "
            "Leave --schema out."
        )
    votes_catalog = load_catalog(catalog, predictions.schema, settings)
    for column in settings.by:
        refuse_missing_column(votes_catalog, column)
    rows, predicted_rows = _join(votes_catalog, predictions)
    splits = predictions.table[SPLIT_COLUMN].to_numpy(dtype=object)[predicted_rows]
    kinds = _find_kinds(splits, predictions)
    is_sound = _find_sound(predictions.concentrations)[predicted_rows]
    unseen = np.isin(kinds, [HELD_OUT, NOT_RECORDED]) | settings.include_seen
    chosen = unseen & is_sound
    if not unseen.any():
        raise PredictionError(
            f"The model was trained on all {len(kinds):,} galaxies that have both predictions and votes. Evaluate "
            "on others, or score these too with --include-seen."
        )
    if not chosen.any():
        raise PredictionError(
            f"All {int(unseen.sum()):,} predictions to score hold values that are not finite and above 0. Predict "
            "again: the model, or its images, are at fault."
        )
    scored = votes_catalog.rows(rows[chosen])
    concentrations = predictions.concentrations[predicted_rows[chosen]]
    kinds_scored = kinds[chosen]
    fractions = expected_fractions(concentrations, predictions.schema)
    scores = {}
    for kind in (HELD_OUT, NOT_RECORDED, SEEN):
        here = kinds_scored == kind
        if here.any():
            of_kind = slice(None) if here.all() else here
            scores[kind] = score(
                scored.votes[of_kind],
                concentrations[of_kind],
                fractions[of_kind],
                predictions.model["metrics"]["baselines"],
                predictions.schema,
                settings,
            )
    joined = np.zeros(len(votes_catalog), bool)
    joined[rows] = True
    used = np.zeros(len(predictions.table), bool)
    used[predicted_rows] = True
    left_out = {
        "seen in training or used to choose the best epoch (--include-seen scores them)": (
            votes_catalog.table["id_str"],
            rows[~unseen],
        ),
        "with predictions that are not finite and above 0": (votes_catalog.table["id_str"], rows[unseen & ~is_sound]),
        "of the catalog without predictions": (votes_catalog.table["id_str"], np.flatnonzero(~joined)),
        "with predictions but not in the catalog, or with too few votes there": (
            predictions.table["id_str"],
            np.flatnonzero(~used),
        ),
    }
    return Evaluation(
        scores,
        scored,
        predictions.schema,
        concentrations,
        fractions,
        kinds_scored,
        {reason: len(positions) for reason, (_, positions) in left_out.items()},
        int(((kinds == HELD_OUT) & (splits == "")).sum()),
        predictions.model,
        settings,
        {reason: [str(name) for name in ids.iloc[at[:_FEW]]] for reason, (ids, at) in left_out.items()},
    )


def _join(catalog: Catalog, predictions: Predictions) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Rows of the catalog and of the predictions that belong to the same galaxies."""
    predicted = pd.Index(predictions.table["id_str"])
    if not predicted.is_unique:
        again = predicted[predicted.duplicated()][0]
        raise PredictionError(f"The predictions hold a galaxy twice, '{again}'. Each must be there once.")
    found = predicted.get_indexer(pd.Index(catalog.table["id_str"]))
    rows = np.flatnonzero(found >= 0)
    if not len(rows):
        raise PredictionError(
            f"The predictions and the catalog {catalog.source} have no id_str in common (such as "
            f"'{predictions.id_str[0]}' and '{catalog.id_str[0]}')."
        )
    return rows, found[rows]


def _find_sound(concentrations: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    return np.asarray(np.all(np.isfinite(concentrations) & (concentrations > 0), axis=(1, 2)), bool)


def _find_kinds(splits: npt.NDArray[np.object_], predictions: Predictions) -> npt.NDArray[np.str_]:
    if not predictions.model["config"]["split"]["galaxies"]:
        return np.full(len(splits), NOT_RECORDED)
    return np.where(np.isin(splits, ["train", "validation"]), SEEN, HELD_OUT)
