"""Several models, or runs of one, on the same galaxies: which is better, and is the difference more than chance?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from zoobot.config import EvaluateSettings
from zoobot.errors import PredictionError
from zoobot.shared.bootstrap import interval, resampled_means
from zoobot.shared.dirichlet import FloatArray
from zoobot.shared.metrics import Evaluation, evaluate
from zoobot.shared.predictions import Predictions
from zoobot.shared.vote_scores import fraction_errors, galaxy_losses, known_means


@dataclass(frozen=True)
class Comparison:
    """Predictions compared with the first of them.

    Args:
        table: one row per model: loss per galaxy and mean absolute error of vote fractions (over a galaxy's questions,
            then over galaxies), and of each how much better the model is than the first, with the 95 % interval of a
            bootstrap that draws the same galaxies for all.
        n_galaxies: those that all have predicted and none has seen.
    """

    table: pd.DataFrame
    n_galaxies: int

    def __str__(self) -> str:
        lines = [f"{self.n_galaxies:,} galaxies that no model saw; better than the first by (95 % interval):"]
        for _, row in self.table.iterrows():
            gains = "; ".join(
                f"{kind} {row[kind]:.3f}, better by {row[f'{kind}, better by']:.3f} "
                f"({row[f'{kind}, better by, low']:.3f} to {row[f'{kind}, better by, high']:.3f})"
                for kind in ("loss", "error")
            )
            lines.append(f"  {row['model']}: {gains}")
        return "\n".join(lines)


def compare(
    evaluation: Evaluation, others: Sequence[tuple[str, Predictions]], name: str, settings: EvaluateSettings
) -> Comparison:
    """Compare the evaluated predictions with others of the same galaxies.

    Args:
        evaluation: of the first predictions.
        others: names and predictions.
        name: what to call the first.

    Raises:
        PredictionError: no galaxy is held out from all of them, or one is for another tree.
    """
    alone = settings.model_copy(update={"by": [], "compare": []})
    evaluations = [(name, evaluation)]
    for other, predictions in others:
        if predictions.schema != evaluation.schema:
            raise PredictionError(
                f"The predictions '{other}' are for the tree '{predictions.schema.name}', not for "
                f"'{evaluation.schema.name}'. Compare predictions of one tree."
            )
        try:
            evaluations.append((other, evaluate(predictions, evaluation.catalog.table, alone)))
        except PredictionError as error:
            raise PredictionError(f"The predictions '{other}': {error}") from error
    common = sorted(set.intersection(*({*each.catalog.table["id_str"][each.unseen]} for _, each in evaluations)))
    if not common:
        raise PredictionError(
            "No galaxy is held out from all of the models to compare. Compare models that were trained with one split."
        )
    values = np.hstack([_per_galaxy(each, common) for _, each in evaluations])
    means, resampled = resampled_means(values, len(common), settings.seed, settings.resamples)
    rows = []
    for position, (label, _) in enumerate(evaluations):
        row: dict[str, Any] = {"model": label}
        for offset, kind in enumerate(("loss", "error")):
            gain = resampled[:, offset] - resampled[:, 2 * position + offset]
            low, high = interval(gain)
            row |= {kind: means[2 * position + offset]}
            row |= {f"{kind}, better by": means[offset] - means[2 * position + offset]}
            row |= {f"{kind}, better by, low": low, f"{kind}, better by, high": high}
        rows.append(row)
    return Comparison(pd.DataFrame(rows), len(common))


def _per_galaxy(evaluation: Evaluation, galaxies: Sequence[str]) -> FloatArray:
    """Loss and mean absolute error, `(galaxy, 2)`."""
    rows = pd.Index(evaluation.catalog.table["id_str"]).get_indexer(pd.Index(galaxies))
    votes, schema = evaluation.catalog.votes[rows], evaluation.schema
    errors = fraction_errors(votes, evaluation.fractions[rows], schema, evaluation.settings.votes_for_fractions)
    return np.column_stack([galaxy_losses(votes, evaluation.concentrations[rows], schema), known_means(errors)])
