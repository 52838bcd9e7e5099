"""Scores against naive loops; only galaxies that the model never saw are scored, and the rest is counted."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.conftest import describe_model
from zoobot.config import EvaluateSettings
from zoobot.errors import CatalogError, PredictionError
from zoobot.shared import scores as all_scores
from zoobot.shared import vote_scores
from zoobot.shared.metrics import HELD_OUT, NOT_RECORDED, SEEN, evaluate
from zoobot.shared.predictions import SPLIT_COLUMN, Predictions
from zoobot.shared.schemas import Schema
from zoobot.shared.vote_scores import FREE_BASELINE, MODEL, PUBLISHED_BASELINE, SATURATED

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
    np.testing.assert_allclose(vote_scores.question_losses(votes, a, SCHEMA), expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(vote_scores.galaxy_losses(votes, a, SCHEMA), expected.sum(axis=1), rtol=1e-9)
    if n_samples == 1:
        np.testing.assert_array_equal(
            vote_scores.question_losses(votes, a[..., 0], SCHEMA), vote_scores.question_losses(votes, a, SCHEMA)
        )


def test_equal_samples_are_one_prediction_and_no_votes_cost_nothing():
    votes, a = np.array([[3, 4, 0, 0, 0.0]]), np.random.default_rng(0).uniform(1, 9, (1, 5, 1))
    once = vote_scores.question_losses(votes, a, SCHEMA)
    np.testing.assert_allclose(vote_scores.question_losses(votes, np.repeat(a, 4, axis=2), SCHEMA), once, rtol=1e-12)
    assert once[0, 1] == 0


def test_mixture_of_very_unlikely_samples_stays_finite():
    votes = np.array([[100_000, 0, 0, 0, 0.0]])
    a = np.array([[0.1, 100, 1, 1, 1], [0.2, 100, 1, 1, 1]]).T[None]
    assert np.isfinite(vote_scores.question_losses(votes, a, SCHEMA)).all()


@pytest.mark.parametrize("min_votes", [1, 5])
def test_fraction_errors_equal_a_naive_loop(min_votes):
    predictions, catalog = simulate(30)
    votes, fractions = catalog[SCHEMA.label_cols].to_numpy(), predictions.vote_fractions
    errors = vote_scores.fraction_errors(votes, fractions, SCHEMA, min_votes)
    np.testing.assert_allclose(errors, naive_errors(votes, fractions, min_votes), rtol=1e-12)
    assert np.isnan(errors).any()


def test_saturated_loss_is_that_of_the_observed_fractions_and_below_all_others():
    votes = simulate(30)[1][SCHEMA.label_cols].to_numpy()
    saturated = vote_scores.saturated_losses(votes, SCHEMA)
    for row, losses in zip(votes, saturated, strict=True):
        for columns, loss in zip(SLICES, losses, strict=True):
            n = row[columns].sum()
            expected = -stats.multinomial.logpmf(row[columns], n, row[columns] / n) if n else 0
            assert loss == pytest.approx(expected, rel=1e-9, abs=1e-12)
    rng = np.random.default_rng(0)
    for scale in (0.1, 10, 1e4):
        a = scale * (votes + rng.uniform(0.01, 1, votes.shape))
        assert (vote_scores.question_losses(votes, a, SCHEMA) >= saturated - 1e-9).all()
    near = vote_scores.question_losses(votes, 1e7 * (votes + 1e-7), SCHEMA)
    np.testing.assert_allclose(near, saturated, atol=1e-3)


def test_saturated_loss_of_weighted_votes_is_the_limit_too():
    votes = np.array([[2.5, 0.25, 0, 1.75, 3.5]])
    saturated = vote_scores.saturated_losses(votes, SCHEMA)
    np.testing.assert_allclose(vote_scores.question_losses(votes, 1e7 * (votes + 1e-8), SCHEMA), saturated, atol=1e-3)


def test_means_pass_over_what_is_unknown():
    values = np.array([[1, np.nan, 3], [np.nan] * 3, [2, 2, 5.0]])
    np.testing.assert_array_equal(vote_scores.known_means(values), [2, np.nan, 3])
    per_answer = np.array([[1, 3, 1, 2, 6], [1, np.nan, 0, 0, 0.0]])
    np.testing.assert_array_equal(vote_scores.mean_of_answers(per_answer, SCHEMA), [[2, 3], [np.nan, 0]])


def test_residuals_are_predicted_less_observed():
    votes, fractions = np.array([[3, 7, 1, 0, 0.0]]), np.array([[0.5, 0.5, 0.2, 0.3, 0.5]])
    residuals = vote_scores.fraction_residuals(votes, fractions, SCHEMA, 5)
    np.testing.assert_allclose(residuals, [[0.2, -0.2, np.nan, np.nan, np.nan]], rtol=1e-12)


# --- scores ---


def predicting(predictions, concentrations):
    """The same galaxies with other predictions: `(answer,)`, `(galaxy, answer)` or with samples."""
    a = np.asarray(concentrations, np.float32)
    shape = (len(predictions.table), 5, a.shape[2] if a.ndim == 3 else 1)
    a = a if a.ndim == 3 else a[..., np.newaxis]
    return dataclasses.replace(predictions, concentrations=np.broadcast_to(a, shape).copy())


def test_predictor_that_knows_only_the_mean_has_no_skill_and_the_saturated_one_all():
    predictions, catalog = simulate(300)
    constants = predictions.model["metrics"]["baselines"]
    constants[FREE_BASELINE] = np.float32(constants[FREE_BASELINE]).tolist()
    scores = evaluate(predicting(predictions, constants[FREE_BASELINE]), catalog).scores[HELD_OUT]
    assert scores.skill.value == pytest.approx(0, abs=1e-12)
    assert scores.skill.error == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(scores.questions[["skill", "skill, low", "skill, high"]], 0, atol=1e-12)
    votes = catalog[SCHEMA.label_cols].to_numpy()
    best = evaluate(predicting(predictions, 1e6 * (votes + 1e-6)), catalog).scores[HELD_OUT]
    assert 0.999 < best.skill.value <= 1
    assert (best.questions["skill"] > 0.999).all()
    assert best.error[MODEL].value < 1e-5
    real = evaluate(predictions, catalog).scores[HELD_OUT]
    model, free, bound = (real.loss[name].value for name in (MODEL, FREE_BASELINE, SATURATED))
    assert real.skill.value == pytest.approx((free - model) / (free - bound))
    assert 0 < real.skill.value < 1
    below, above = real.questions["skill, low"], real.questions["skill, high"]
    assert ((below < real.questions["skill"]) & (real.questions["skill"] < above)).all()


def test_vote_fraction_table_equals_naive_loops():
    predictions, catalog = simulate(300, splits=["test"])
    table = evaluate(predictions, catalog).scores[HELD_OUT].answers
    votes, fractions = catalog[SCHEMA.label_cols].to_numpy(), predictions.vote_fractions
    for answer, (_, row) in enumerate(table.iterrows()):
        columns = SLICES[0] if answer < 2 else SLICES[1]
        totals = votes[:, columns].sum(axis=1)
        off = np.array(
            [f - k / n for f, k, n in zip(fractions[:, answer], votes[:, answer], totals, strict=True) if n >= 5]
        )
        assert row["galaxies"] == len(off)
        measures = {"bias": off.mean(), "MAE": np.abs(off).mean(), "RMSE": np.sqrt((off**2).mean())}
        for name, value in measures.items():
            assert row[name] == pytest.approx(value, rel=1e-5, abs=1e-8)
            assert row[f"{name}, low"] < value < row[f"{name}, high"]
        width = row["bias, high"] - row["bias, low"]
        assert width == pytest.approx(2 * 1.96 * off.std(ddof=1) / np.sqrt(len(off)), rel=0.25)
        assert row["MAE, noise floor"] < row["MAE, high"]


def test_model_without_recorded_baselines_is_held_to_those_that_fit_its_galaxies():
    predictions, catalog = simulate(100, splits=["test"])
    predictions.model["metrics"]["baselines"] = {}
    scores = evaluate(predictions, catalog).scores[HELD_OUT]
    fits = vote_scores.fit_baselines(catalog[SCHEMA.label_cols].to_numpy(), SCHEMA)
    for name, fit in fits.items():
        losses = naive_losses(catalog[SCHEMA.label_cols].to_numpy(), np.tile(fit.concentrations, (100, 1))[..., None])
        assert scores.loss[name].value == pytest.approx(losses.sum(axis=1).mean())
    assert list(scores.loss) == [MODEL, FREE_BASELINE, PUBLISHED_BASELINE, SATURATED]


def test_weighted_votes_are_no_counts_so_have_neither_calibration_nor_panels():
    predictions, catalog = simulate(40, splits=["test"])
    catalog.loc[0, "smooth_yes"] += 0.5
    evaluation = evaluate(predictions, catalog, EvaluateSettings(weighted_votes=True))
    scores = evaluation.scores[HELD_OUT]
    assert scores.calibration is None
    assert scores.panels is None
    assert list(scores.tables) == ["questions", "vote_fractions", "classification", "searches"]
    assert np.isfinite([scores.skill.value, scores.loss[MODEL].value, scores.error[MODEL].value]).all()
    json.dumps(evaluation.to_dict(), allow_nan=False)
    assert "calibration" not in str(evaluation)


def test_right_predictor_is_told_so_in_words_and_the_tables_are_all_there():
    predictions, catalog = simulate(300, splits=["test"])
    evaluation = evaluate(predictions, catalog, EvaluateSettings(seed=1))  # by chance, seed 0 is one of the 5 %
    assert "calibration: no fault found 5" in str(evaluation)
    assert f"loss per galaxy, {SATURATED}" in str(evaluation)
    assert "skill, from constant (0) to saturated (1): 0." in str(evaluation)
    assert set(evaluation.scores[HELD_OUT].tables) == {
        "questions",
        "vote_fractions",
        "classification",
        "searches",
        "calibration",
        "reliability",
        "worth_in_volunteers",
    }


def test_galaxies_without_any_vote_have_unknown_scores():
    predictions, _ = simulate(20)
    a, baselines = predictions.concentrations, predictions.model["metrics"]["baselines"]
    scores = all_scores.score(
        np.zeros((20, 5)), a, predictions.vote_fractions, baselines, SCHEMA, EvaluateSettings(resamples=20)
    )
    assert scores.loss[MODEL].value == 0
    assert np.isnan([scores.skill.value, scores.skill.error, scores.error[MODEL].value]).all()
    assert scores.questions[["skill", "skill, low", "skill, high"]].isna().all(axis=None)
    json.dumps(scores.to_dict(), allow_nan=False)


def test_one_galaxy_has_every_table_and_strict_json():
    predictions, catalog = simulate(1, splits=["test"])
    evaluation = evaluate(predictions, catalog)
    json.dumps(evaluation.to_dict(), allow_nan=False)
    assert set(evaluation.scores[HELD_OUT].calibration.table["verdict"]) == {"too few galaxies"}


def test_one_galaxy_has_no_intervals():
    predictions, catalog = simulate(1, splits=["test"])
    scores = evaluate(predictions, catalog).scores[HELD_OUT]
    assert scores.questions[["skill, low", "skill, high"]].isna().all(axis=None)
    assert scores.answers.filter(regex="low|high").isna().all(axis=None)


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
    assert scores.error[MODEL].value == pytest.approx(np.nanmean(errors, axis=0).mean(), rel=1e-6)  # float32
    table = scores.questions.set_index("question")
    np.testing.assert_allclose(table[f"loss, {MODEL}"], losses.mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(table[f"error, {MODEL}"], np.nanmean(errors, axis=0), rtol=1e-6)
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
    assert score.value == pytest.approx(errors.mean(), rel=1e-6)
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
    assert list(evaluation.counts.values()) == [16, 0, 7, 10]
    assert evaluation.scores[HELD_OUT].n_galaxies == 24
    assert evaluation.left_out == [
        f"16 galaxies {SEEN_REASON}, such as g000, g001, g005",
        "7 galaxies of the catalog without predictions, such as new0, new1, new2",
        "10 galaxies with predictions but not in the catalog, or with too few votes there, such as g040, g041, g042",
    ]
    assert all(f"left out: {sentence}" in str(evaluation) for sentence in evaluation.left_out)


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


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 0, -1])
def test_predictions_that_cannot_be_are_left_out_and_counted(wrong):
    predictions, catalog = simulate(50, n_samples=3)
    predictions.concentrations[[0, 2, 4, 7, 8], 1, 2] = wrong  # one sample of one answer is enough
    evaluation = evaluate(predictions, catalog)
    reason = "with predictions that are not finite and above 0"
    assert evaluation.counts[reason] == 4  # the first was seen in training
    assert evaluation.counts[SEEN_REASON] == 20
    assert f"4 galaxies {reason}, such as g002, g004, g007" in evaluation.left_out
    assert evaluation.scores[HELD_OUT].n_galaxies == 26
    sound = np.ones(50, bool)
    sound[[0, 2, 4, 7, 8]] = False
    rest = dataclasses.replace(
        predictions,
        table=predictions.table[sound].reset_index(drop=True),
        concentrations=predictions.concentrations[sound],
    )
    assert evaluation.scores[HELD_OUT].loss == evaluate(rest, catalog).scores[HELD_OUT].loss


def test_what_is_left_out_and_of_which_galaxies_adds_up():
    predictions, catalog = simulate()
    predictions.concentrations[3] = np.nan
    evaluation = evaluate(predictions, catalog.tail(49), EvaluateSettings(include_seen=True))
    assert list(evaluation.counts.values()) == [0, 1, 0, 1]
    assert list(evaluation.examples.values()) == [[], ["g003"], [], ["g000"]]
    assert sum(scores.n_galaxies for scores in evaluation.scores.values()) == 48


# --- refusals ---


def test_predictions_that_all_cannot_be_are_refused():
    predictions, catalog = simulate()
    predictions.concentrations[:] = np.nan
    with pytest.raises(PredictionError) as caught:
        evaluate(predictions, catalog)
    assert str(caught.value) == (
        "All 30 predictions to score hold values that are not finite and above 0. Predict again: the model, or its "
        "images, are at fault."
    )


def test_a_galaxy_that_is_there_twice_is_refused():
    predictions, catalog = simulate()
    predictions.table.loc[1, "id_str"] = "g000"
    with pytest.raises(PredictionError, match=r"hold a galaxy twice, 'g000'\. Each must be there once"):
        evaluate(predictions, catalog)
    predictions, _ = simulate()
    with pytest.raises(CatalogError, match="g000"):
        evaluate(predictions, catalog.assign(id_str=["g000", *catalog["id_str"][:-1]]))


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
    assert str(all_scores.Estimate(12.34567, 0.0499)) == "12.346 ± 0.050"
