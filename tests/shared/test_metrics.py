"""Scores against naive loops; only galaxies that the model never saw are scored, and the rest is counted."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.conftest import describe_model
from zoobot.config import EvaluateSettings
from zoobot.errors import CatalogError, PredictionError
from zoobot.shared import metrics
from zoobot.shared.predictions import SPLIT_COLUMN, Predictions
from zoobot.shared.schemas import Schema
from zoobot.shared.vote_scores import FREE_BASELINE, HELD_OUT, MODEL, NOT_RECORDED, PUBLISHED_BASELINE, SEEN, evaluate

SCHEMA = Schema({"smooth": ["_yes", "_no"], "bar": ["_strong", "_weak", "_no"]}, {"smooth": None, "bar": None}, "small")
SLICES = [slice(0, 2), slice(2, 5)]
SPLITS = ["train", "validation", "test", "test", ""]
SEEN_REASON = "seen in training or used to choose the best epoch (--include-seen scores them)"


def simulate(n_galaxies=50, seed=0, spread=0.4, n_samples=1, splits=SPLITS, **config):
    """Predictions that know each galaxy's true concentrations, and the votes that follow from them."""
    rng = np.random.default_rng(seed)
    concentrations = rng.gamma(spread, 5 / spread, (n_galaxies, 5)) + 0.1
    votes = np.zeros((n_galaxies, 5))
    for columns, n in zip(SLICES, (rng.integers(10, 40, n_galaxies), rng.integers(0, 20, n_galaxies)), strict=True):
        for row in range(n_galaxies):
            votes[row, columns] = rng.multinomial(n[row], rng.dirichlet(concentrations[row, columns]))
    ids = [f"g{number:03d}" for number in range(n_galaxies)]
    split = np.resize(splits, n_galaxies).astype(object)
    catalog = pd.DataFrame({"id_str": ids, "file_loc": "a.jpg"})
    catalog[SCHEMA.label_cols] = votes
    table = pd.DataFrame({"id_str": ids, SPLIT_COLUMN: split})
    samples = np.repeat(concentrations[..., None], n_samples, axis=2).astype(np.float32)
    return Predictions(table, samples, SCHEMA, describe_model(SCHEMA, votes[split == "train"], **config)), catalog


def naive_losses(votes, concentrations):
    """Negative log of the mean over samples of scipy's Dirichlet-multinomial probability."""
    return np.array(
        [
            [
                -np.log(
                    np.mean(
                        [
                            stats.dirichlet_multinomial.pmf(k[s].astype(int), a[s, sample], int(k[s].sum()))
                            for sample in range(a.shape[1])
                        ]
                    )
                )
                for s in SLICES
            ]
            for k, a in zip(votes, concentrations, strict=True)
        ]
    )


def naive_errors(votes, fractions, min_votes):
    errors = np.full((len(votes), 2), np.nan)
    for row in range(len(votes)):
        for question, columns in enumerate(SLICES):
            total = votes[row, columns].sum()
            if total >= min_votes:
                errors[row, question] = np.abs(votes[row, columns] / total - fractions[row, columns]).mean()
    return errors


# --- the numbers ---


@pytest.mark.parametrize("n_samples", [1, 3])
def test_losses_equal_scipys_mixture(n_samples):
    _, catalog = simulate(12)
    votes = catalog[SCHEMA.label_cols].to_numpy()
    a = np.random.default_rng(1).uniform(0.1, 50, (12, 5, n_samples))
    expected = naive_losses(votes, a)
    np.testing.assert_allclose(metrics.question_losses(votes, a, SCHEMA), expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(metrics.galaxy_losses(votes, a, SCHEMA), expected.sum(axis=1), rtol=1e-9)
    if n_samples == 1:
        np.testing.assert_array_equal(
            metrics.question_losses(votes, a[..., 0], SCHEMA), metrics.question_losses(votes, a, SCHEMA)
        )


def test_equal_samples_are_one_prediction_and_no_votes_cost_nothing():
    votes, a = np.array([[3, 4, 0, 0, 0.0]]), np.random.default_rng(0).uniform(1, 9, (1, 5, 1))
    once = metrics.question_losses(votes, a, SCHEMA)
    np.testing.assert_allclose(metrics.question_losses(votes, np.repeat(a, 4, axis=2), SCHEMA), once, rtol=1e-12)
    assert once[0, 1] == 0


def test_mixture_of_very_unlikely_samples_stays_finite():
    votes = np.array([[100_000, 0, 0, 0, 0.0]])
    a = np.array([[0.1, 100, 1, 1, 1], [0.2, 100, 1, 1, 1]]).T[None]
    assert np.isfinite(metrics.question_losses(votes, a, SCHEMA)).all()


@pytest.mark.parametrize("min_votes", [1, 5])
def test_fraction_errors_equal_a_naive_loop(min_votes):
    predictions, catalog = simulate(30)
    votes, fractions = catalog[SCHEMA.label_cols].to_numpy(), predictions.vote_fractions
    errors = metrics.fraction_errors(votes, fractions, SCHEMA, min_votes)
    np.testing.assert_allclose(errors, naive_errors(votes, fractions, min_votes), rtol=1e-12)
    assert np.isnan(errors).any()


# --- evaluate ---


def test_only_galaxies_the_model_never_saw_are_scored():
    predictions, catalog = simulate()
    held_out = np.isin(predictions.table[SPLIT_COLUMN], ["test", ""])
    evaluation = evaluate(predictions, catalog)
    assert list(evaluation.scores) == [HELD_OUT]
    assert evaluation.catalog.id_str == catalog["id_str"][held_out].tolist()
    votes = catalog[SCHEMA.label_cols].to_numpy()[held_out]
    a = predictions.concentrations[held_out].astype(float)
    scores = evaluation.scores[HELD_OUT]
    losses = naive_losses(votes, a)
    assert scores.n_galaxies == 30
    assert scores.loss[MODEL].value == pytest.approx(losses.sum(axis=1).mean(), rel=1e-9)
    assert scores.loss[MODEL].error == pytest.approx(losses.sum(axis=1).std(ddof=1) / np.sqrt(30), rel=1e-9)
    errors = naive_errors(votes, predictions.vote_fractions[held_out], 5)
    assert scores.error[MODEL].value == pytest.approx(np.nanmean(errors, axis=0).mean(), rel=1e-9)
    table = scores.questions.set_index("question")
    np.testing.assert_allclose(table[f"loss, {MODEL}"], losses.mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(table[f"error, {MODEL}"], np.nanmean(errors, axis=0), rtol=1e-9)
    totals = [votes[:, columns].sum(axis=1) for columns in SLICES]
    assert table["galaxies with votes"].tolist() == [(total > 0).sum() for total in totals]
    assert table["galaxies with 5 votes"].tolist() == [(total >= 5).sum() for total in totals]
    assert evaluation.counts[SEEN_REASON] == 20
    assert f"left out: 20 galaxies {SEEN_REASON}" in str(evaluation)


def test_baselines_are_scored_with_the_concentrations_that_training_recorded():
    predictions, catalog = simulate()
    constants = {FREE_BASELINE: [0.5, 1, 2, 3, 4.0], PUBLISHED_BASELINE: [5, 4, 3, 2, 1.0]}
    predictions.model["metrics"]["baselines"] = constants
    scores = evaluate(predictions, catalog).scores[HELD_OUT]
    held_out = np.isin(predictions.table[SPLIT_COLUMN], ["test", ""])
    votes = catalog[SCHEMA.label_cols].to_numpy()[held_out]
    model = naive_losses(votes, predictions.concentrations[held_out].astype(float)).sum(axis=1)
    for name, constant in constants.items():
        losses = naive_losses(votes, np.tile(constant, (30, 1))[..., None]).sum(axis=1)
        assert scores.loss[name].value == pytest.approx(losses.mean(), rel=1e-9)
        gain = losses - model
        assert scores.gain[name].value == pytest.approx(gain.mean(), rel=1e-7)
        assert scores.gain[name].error == pytest.approx(gain.std(ddof=1) / np.sqrt(30), rel=1e-7)
    assert list(scores.gain) == list(constants)


def test_predictor_that_knows_the_truth_beats_the_baselines():
    predictions, catalog = simulate(400)
    scores = evaluate(predictions, catalog).scores[HELD_OUT]
    for name in (FREE_BASELINE, PUBLISHED_BASELINE):
        assert scores.gain[name].value > 5 * scores.gain[name].error > 0
        assert scores.error[name].value > scores.error[MODEL].value + 5 * scores.error[MODEL].error


def test_bootstrap_error_of_one_question_is_the_standard_error_of_its_mean():
    predictions, catalog = simulate(400, splits=["test"])
    catalog[SCHEMA.label_cols[2:]] = 0
    score = evaluate(predictions, catalog).scores[HELD_OUT].error[MODEL]
    votes = catalog[SCHEMA.label_cols].to_numpy()
    errors = naive_errors(votes, predictions.vote_fractions, 5)[:, 0]
    assert score.value == pytest.approx(errors.mean(), rel=1e-9)
    assert score.error == pytest.approx(errors.std(ddof=1) / 20, rel=0.2)


def test_seen_galaxies_are_scored_apart_when_asked_for():
    predictions, catalog = simulate()
    evaluation = evaluate(predictions, catalog, EvaluateSettings(include_seen=True))
    assert [(kind, scores.n_galaxies) for kind, scores in evaluation.scores.items()] == [(HELD_OUT, 30), (SEEN, 20)]
    assert evaluation.scores[HELD_OUT].loss == evaluate(predictions, catalog).scores[HELD_OUT].loss
    assert evaluation.counts[SEEN_REASON] == 0
    splits = predictions.table.set_index("id_str")[SPLIT_COLUMN]
    for galaxy, kind in zip(evaluation.catalog.id_str, evaluation.kinds, strict=True):
        assert (kind == SEEN) == (splits[galaxy] in ("train", "validation"))


def test_galaxies_are_joined_by_name_whatever_their_order():
    predictions, catalog = simulate()
    plain = evaluate(predictions, catalog)
    shuffled = evaluate(predictions, catalog.sample(frac=1, random_state=1))
    assert shuffled.scores[HELD_OUT].loss[MODEL].value == pytest.approx(plain.scores[HELD_OUT].loss[MODEL].value)
    rows = [plain.catalog.id_str.index(galaxy) for galaxy in shuffled.catalog.id_str]
    np.testing.assert_array_equal(shuffled.fractions, plain.fractions[rows])
    np.testing.assert_array_equal(shuffled.catalog.votes, plain.catalog.votes[rows])


def test_what_is_not_in_both_is_counted():
    predictions, catalog = simulate()
    strangers = catalog.tail(7).assign(id_str=[f"new{number}" for number in range(7)])
    evaluation = evaluate(predictions, pd.concat([catalog.head(40), strangers], ignore_index=True))
    assert list(evaluation.counts.values()) == [16, 7, 10]
    assert evaluation.scores[HELD_OUT].n_galaxies == 24
    assert "left out: 7 galaxies of the catalog without predictions" in str(evaluation)
    assert "left out: 10 galaxies with predictions but not in the catalog" in str(evaluation)


def test_galaxies_with_few_votes_are_left_out():
    predictions, catalog = simulate()
    enough = catalog[["smooth_yes", "smooth_no"]].sum(axis=1) >= 25
    held_out = predictions.table[SPLIT_COLUMN].isin(["test", ""])
    evaluation = evaluate(predictions, catalog, EvaluateSettings(min_votes=25))
    assert evaluation.scores[HELD_OUT].n_galaxies == (enough & held_out).sum()


def test_where_no_split_was_recorded_everything_is_scored_and_named_so():
    predictions, catalog = simulate(splits=[""], split={"seed": 0, "galaxies": {}})
    evaluation = evaluate(predictions, catalog)
    assert {kind: scores.n_galaxies for kind, scores in evaluation.scores.items()} == {NOT_RECORDED: 50}
    assert "50 galaxies, split not recorded" in str(evaluation)


def test_a_single_galaxy_has_no_standard_error():
    predictions, catalog = simulate(1, splits=["test"])
    scores = evaluate(predictions, catalog).scores[HELD_OUT]
    for score in (scores.loss[MODEL], scores.gain[FREE_BASELINE], scores.error[MODEL]):
        assert np.isfinite(score.value)
        assert np.isnan(score.error)
        assert str(score).endswith(" ± –")


def test_question_without_votes_counts_for_nothing():
    predictions, catalog = simulate(splits=["test"])
    catalog[SCHEMA.label_cols[2:]] = 0
    scores = evaluate(predictions, catalog).scores[HELD_OUT]
    bar = scores.questions.set_index("question").loc["bar"]
    assert bar["galaxies with votes"] == 0
    assert bar[f"loss, {MODEL}"] == 0
    assert np.isnan(bar[f"error, {MODEL}"])
    assert np.isfinite(scores.error[MODEL].value)


def test_question_that_few_galaxies_reach_does_not_disturb_the_bootstrap():
    """Most resamples of three galaxies lack the only one with enough votes at some time."""
    predictions, catalog = simulate(3, splits=["test"])
    catalog[SCHEMA.label_cols] = 0
    catalog["smooth_yes"] = [1, 9, 1]
    scores = evaluate(predictions, catalog).scores[HELD_OUT]
    errors = naive_errors(catalog[SCHEMA.label_cols].to_numpy(), predictions.vote_fractions, 5)
    assert scores.error[MODEL].value == pytest.approx(errors[1, 0])


def test_no_galaxy_with_enough_votes_gives_no_error_rather_than_a_wrong_one():
    predictions, catalog = simulate(splits=["test"])
    scores = evaluate(predictions, catalog, EvaluateSettings(votes_for_fractions=1000)).scores[HELD_OUT]
    assert np.isnan(scores.error[MODEL].value)
    assert np.isfinite(scores.loss[MODEL].value)


def test_evaluation_as_plain_data_is_strict_json():
    predictions, catalog = simulate(splits=["test"])
    catalog[SCHEMA.label_cols[2:]] = 0
    for settings in (EvaluateSettings(), EvaluateSettings(votes_for_fractions=1000)):
        record = json.loads(json.dumps(evaluate(predictions, catalog, settings).to_dict(), allow_nan=False))
        assert record["scores"][HELD_OUT]["questions"][1][f"error, {MODEL}"] is None
    assert record["weights_sha256"] == predictions.model["weights_sha256"]


# --- refusals ---


def test_no_galaxy_in_common_is_refused_with_an_example_of_each():
    predictions, catalog = simulate()
    with pytest.raises(PredictionError) as caught:
        evaluate(predictions, catalog.assign(id_str=[f"J{number}" for number in range(50)]))
    assert str(caught.value) == (
        "The predictions and the catalog in memory have no id_str in common (such as 'g000' and 'J0')."
    )


def test_all_galaxies_seen_is_refused_with_the_remedy():
    predictions, catalog = simulate(splits=["train", "validation"])
    with pytest.raises(PredictionError) as caught:
        evaluate(predictions, catalog)
    assert str(caught.value) == (
        "The model was trained on all 50 galaxies that have both predictions and votes. Evaluate on others, or score "
        "these too with --include-seen."
    )
    seen = evaluate(predictions, catalog, EvaluateSettings(include_seen=True))
    assert seen.scores[SEEN].n_galaxies == 50


def test_another_schema_is_refused_and_the_same_is_allowed():
    predictions, catalog = simulate()
    with pytest.raises(
        PredictionError, match=r"for the tree 'small', which is not the schema asked for\. Leave --schema"
    ):
        evaluate(predictions, catalog, schema="gz2")
    assert evaluate(predictions, catalog, schema=SCHEMA).scores.keys() == {HELD_OUT}


def test_catalog_without_the_votes_is_refused():
    predictions, catalog = simulate()
    with pytest.raises(CatalogError, match="1 of the 5 vote columns of the schema 'small' are missing: 'bar_weak'"):
        evaluate(predictions, catalog.drop(columns="bar_weak"))


def test_estimate_reads_as_in_a_paper():
    assert str(metrics.Estimate(12.34567, 0.0499)) == "12.346 ± 0.050"
