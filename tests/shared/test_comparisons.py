"""Several models on the same galaxies: differences are paired, and only of galaxies that none has seen."""

import dataclasses

import numpy as np
import pytest

from tests.conftest import describe_model
from tests.shared.test_metrics import SCHEMA, naive_errors, naive_losses, simulate
from zoobot.config import EvaluateSettings
from zoobot.errors import PredictionError
from zoobot.shared.comparisons import compare
from zoobot.shared.metrics import evaluate
from zoobot.shared.predictions import SPLIT_COLUMN
from zoobot.shared.schemas import Schema

GAINS = [f"{kind}, better by{bound}" for kind in ("loss", "error") for bound in ("", ", low", ", high")]


def changed(predictions, factor=1.0, splits=None, rows=slice(None)):
    """The same model, surer or less sure, or trained with another split, or with predictions of some galaxies."""
    table = predictions.table.assign(**({} if splits is None else {SPLIT_COLUMN: splits})).iloc[rows]
    a = predictions.concentrations[rows] * np.float32(factor)
    return dataclasses.replace(predictions, table=table.reset_index(drop=True), concentrations=a)


def compare_all(predictions, catalog, *others, **settings):
    settings = EvaluateSettings(**settings)
    names = [(f"other {number}", other) for number, other in enumerate(others)]
    return compare(evaluate(predictions, catalog, settings), names, "first", settings)


def test_a_model_is_no_better_than_itself():
    predictions, catalog = simulate(80)
    comparison = compare_all(predictions, catalog, predictions)
    assert comparison.n_galaxies == 48
    assert comparison.table["model"].tolist() == ["first", "other 0"]
    np.testing.assert_allclose(comparison.table[GAINS], 0, atol=1e-12)


def test_numbers_equal_naive_loops_and_gains_have_the_right_sign():
    predictions, catalog = simulate(200, splits=["test"])
    worse = changed(predictions, 20)
    worse.concentrations[:, 0] *= 0.5
    comparison = compare_all(predictions, catalog, worse)
    votes = catalog[SCHEMA.label_cols].to_numpy()
    for (_, row), model in zip(comparison.table.iterrows(), (predictions, worse), strict=True):
        losses = naive_losses(votes, model.concentrations.astype(float)).sum(axis=1)
        errors = np.nanmean(naive_errors(votes, model.vote_fractions, 5), axis=1)
        assert row["loss"] == pytest.approx(losses.mean(), rel=1e-9)
        assert row["error"] == pytest.approx(errors.mean(), rel=1e-9)
    first, second = comparison.table.to_dict(orient="records")
    for kind in ("loss", "error"):
        assert second[f"{kind}, better by"] == pytest.approx(first[kind] - second[kind])
        assert second[f"{kind}, better by, low"] < second[f"{kind}, better by"] < second[f"{kind}, better by, high"] < 0
    again = compare_all(worse, catalog, predictions).table.iloc[1]
    assert again["loss, better by"] == pytest.approx(-second["loss, better by"])
    assert again["loss, better by, low"] == pytest.approx(-second["loss, better by, high"])


def test_interval_of_a_gain_is_that_of_paired_differences():
    predictions, catalog = simulate(400, splits=["test"])
    other = changed(predictions, 1.3)
    row = compare_all(predictions, catalog, other, resamples=400).table.iloc[1]
    votes = catalog[SCHEMA.label_cols].to_numpy()
    first, second = (
        naive_losses(votes, model.concentrations.astype(float)).sum(axis=1) for model in (predictions, other)
    )
    error = (first - second).std(ddof=1) / 20
    width = row["loss, better by, high"] - row["loss, better by, low"]
    assert width == pytest.approx(2 * 1.96 * error, rel=0.2)
    assert width < 0.3 * 2 * 1.96 * first.std(ddof=1) / 20


@pytest.mark.parametrize("include_seen", [False, True])
def test_only_galaxies_that_no_model_saw_count(include_seen):
    predictions, catalog = simulate(40, splits=["train", "test", "test", "test"])
    other = changed(predictions, splits=np.resize(["test", "train", "test", ""], 40), rows=slice(0, 36))
    comparison = compare_all(predictions, catalog, other, include_seen=include_seen)
    assert comparison.n_galaxies == 18
    assert str(comparison).startswith(
        "18 galaxies that no model saw; better than the first by (95 % interval):\n  first"
    )


def test_predictions_that_are_not_numbers_leave_their_galaxies_out_for_all():
    predictions, catalog = simulate(40, splits=["test"])
    other = changed(predictions, 2)
    other.concentrations[:10] = np.nan
    comparison = compare_all(predictions, catalog, other)
    assert comparison.n_galaxies == 30
    assert comparison.table.notna().all(axis=None)


def test_galaxies_without_enough_votes_have_no_error_but_a_loss():
    predictions, catalog = simulate(40, splits=["test"])
    comparison = compare_all(predictions, catalog, changed(predictions, 2), votes_for_fractions=1000)
    assert comparison.table[["loss", "loss, better by", "loss, better by, low"]].notna().all(axis=None)
    assert comparison.table[["error", "error, better by", "error, better by, low"]].isna().all(axis=None)
    str(comparison)


def test_one_galaxy_decides_nothing():
    predictions, catalog = simulate(1, splits=["test"])
    row = compare_all(predictions, catalog, changed(predictions, 2)).table.iloc[1]
    assert row[[name for name in GAINS if name.endswith(("low", "high"))]].isna().all()


def test_another_tree_is_refused():
    predictions, catalog = simulate()
    tree = Schema({"a": ["_x", "_y"]}, {"a": None}, "strange")
    other = dataclasses.replace(
        predictions, schema=tree, concentrations=predictions.concentrations[:, :2], model=describe_model(tree)
    )
    with pytest.raises(PredictionError) as caught:
        compare_all(predictions, catalog, other)
    assert str(caught.value) == (
        "The predictions 'other 0' are for the tree 'strange', not for 'small'. Compare predictions of one tree."
    )


def test_no_galaxy_held_out_from_all_is_refused():
    predictions, catalog = simulate(40, splits=["test", "train", "test", "train"])
    seen = changed(predictions, splits=np.resize(["train", "test"], 40))
    half = changed(predictions, splits=np.resize(["train", "test", "test", "test"], 40), rows=slice(0, 40))
    other = changed(predictions, splits=np.resize(["test", "test", "train", "test"], 40))
    with pytest.raises(PredictionError, match="No galaxy is held out from all of the models to compare"):
        compare_all(predictions, catalog, half, other)
    with pytest.raises(PredictionError):
        compare_all(predictions, catalog, seen)


def test_refusal_names_the_predictions_at_fault():
    predictions, catalog = simulate()
    broken = changed(predictions, np.nan)
    with pytest.raises(PredictionError, match="other 0"):
        compare_all(predictions, catalog, broken)
