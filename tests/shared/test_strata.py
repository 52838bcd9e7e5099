"""Strata of a catalog's columns, whatever stands in them; their scores against those of the whole."""

import numpy as np
import pandas as pd
import pytest

from tests.shared.test_metrics import SCHEMA, naive_errors, naive_losses, simulate
from zoobot.config import EvaluateSettings
from zoobot.errors import CatalogError
from zoobot.shared.catalogs import load_catalog
from zoobot.shared.metrics import HELD_OUT, evaluate
from zoobot.shared.strata import BLANK, OTHERS, find_strata, score_strata

N = 100


def catalog_with(values):
    _, catalog = simulate(len(values), splits=["test"])
    return load_catalog(catalog.assign(mag=values), SCHEMA)


def named(values):
    strata, names = find_strata(catalog_with(values), "mag")
    assert strata.shape == (len(values),)
    return [names[position] for position in strata], names


@pytest.fixture(scope="module")
def evaluation():
    predictions, catalog = simulate(N, splits=["test"])
    rng = np.random.default_rng(0)
    catalog["mag"] = rng.uniform(14, 18, N)
    catalog["survey"] = np.resize(["sdss", "decals", None], N)
    catalog["one"] = 1.5
    return evaluate(predictions, catalog)


def strata_of(evaluation, column):
    return score_strata(evaluation.catalog, column, evaluation.scores[HELD_OUT], SCHEMA)


# --- which stratum ---


def test_numbers_fall_into_five_equal_parts_in_order():
    values = np.random.default_rng(0).permutation(np.arange(N) / 7 + 12)
    got, names = named(values)
    assert [got.count(name) for name in names] == [20] * 5
    assert [names.index(name) for name in got] == (np.argsort(np.argsort(values)) // 20).tolist()
    assert names[1] == "14.83 to 17.66"


def test_blank_numbers_have_a_stratum_of_their_own():
    got, names = named([np.nan, *np.arange(10.0), np.nan])
    assert names[-1] == got[0] == got[-1] == BLANK
    assert [got.count(name) for name in names] == [2] * 6


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (["b", "a", "b", "a", "b", "c"], ["a", "b", "c"]),
        (["b", None, "b", "a", np.nan, "b"], ["a", "b", BLANK]),
        ([True, False, True, True, True, True], ["False", "True"]),
        ([7] * 6, ["7"]),
        ([np.nan] * 6, [BLANK]),
        ([None] * 6, [BLANK]),
        ([1.0, 2.0, 2.0, np.nan, 3.0, 1.0], ["1.0", "2.0", "3.0", BLANK]),
        (pd.array([1, 2, None, 4, 5, 3], "Int64"), ["1", "2", "3", "4", "5", BLANK]),
        (pd.Categorical(["b", "a", None, "b", "a", "b"]), ["a", "b", BLANK]),
        (pd.array([True, None, False, True, True, True], "boolean"), ["False", "True", BLANK]),
        (
            pd.to_datetime(["2020-01-01", None, "2021-01-01"] * 2),
            ["2020-01-01 00:00:00", "2021-01-01 00:00:00", BLANK],
        ),
    ],
)
def test_other_values_are_strata_by_name(values, names):
    got, found = named(values)
    assert found == names
    assert got == [BLANK if pd.isna(value) else str(value) for value in pd.Series(values).astype(object)]


def test_only_the_twelve_commonest_values_are_named():
    values = [f"v{number:02d}" for number in range(15) for _ in range(20 - number)] + [None]
    got, names = named(values)
    assert names == [*(f"v{number:02d}" for number in range(12)), OTHERS, BLANK]
    assert got == [value if value in names else OTHERS if value else BLANK for value in values]


def test_nullable_and_mostly_equal_numbers_work():
    got, names = named(pd.array([None, *range(10)], "Int64"))
    assert (names[-1], got[0], len(names)) == (BLANK, BLANK, 6)
    got, names = named([0] * 94 + [1, 2, 3, 4, 5, 6])
    assert sum(map(got.count, names)) == N


@pytest.mark.parametrize("column", ["id_str", "file_loc", "smooth_yes"])
def test_every_column_of_the_catalog_can_be_asked_for(column):
    strata, names = find_strata(catalog_with(np.arange(30)), column)
    assert ((strata >= 0) & (strata < len(names))).all()


def test_missing_column_is_refused_with_a_guess():
    with pytest.raises(CatalogError) as caught:
        find_strata(catalog_with([1.0]), "magn")
    assert str(caught.value) == "The catalog in memory has no column 'magn'. Did you mean 'mag'?"


def test_few_numbers_stand_in_the_order_of_numbers():
    assert named([10, 2, 1, 10, 2, 1])[1] == ["1", "2", "10"]


def test_names_of_parts_differ():
    names = named(1237648720693755904 + 1000 * np.arange(50))[1]
    assert len(set(names)) == len(names)


def test_a_value_named_blank_is_no_blank():
    names = named(["blank", None, "a", "a", "blank", "a"])[1]
    assert len(set(names)) == len(names)


def test_a_number_and_its_text_are_one_stratum():
    assert named([1, "1", 1, "a"])[1] == ["1", "a"]


@pytest.mark.parametrize("values", [[np.inf, *range(20)], [-np.inf, np.inf, *range(20)]])
def test_infinite_numbers_do_not_stop_the_report(values):
    got, names = named(values)
    assert len(got) == len(values)
    assert not any("nan" in name for name in names)


def test_lists_as_values_do_not_stop_the_report():
    assert len(named([[1, 2], [3], [1, 2]])[0]) == 3


# --- their scores ---


def test_one_stratum_of_all_galaxies_has_the_scores_of_all(evaluation):
    scores = evaluation.scores[HELD_OUT]
    table = strata_of(evaluation, "one").set_index("question")
    assert table.index.tolist() == ["all", "smooth", "bar"]
    assert (table["galaxies"] == N).all()
    assert table.loc["all", "loss"] == pytest.approx(scores.loss["model"].value)
    assert table.loc["all", "skill"] == pytest.approx(scores.skill.value)
    of_questions = scores.questions.set_index("question")
    for name in ("smooth", "bar"):
        assert table.loc[name, "skill"] == pytest.approx(of_questions.loc[name, "skill"])
        assert table.loc[name, "error"] == pytest.approx(of_questions.loc[name, "error, model"], rel=1e-6)
    accuracy = scores.classification.table.query("galaxies == 'all'").set_index("question")["accuracy"]
    assert table.loc["smooth", "accuracy"] == pytest.approx(accuracy["smooth"])
    held = scores.calibration.table.groupby("question")["90% interval holds"].mean()
    assert table.loc["smooth", "90% interval holds"] == pytest.approx(held["smooth"])


def test_error_over_all_questions_means_the_same_in_strata_and_scores(evaluation):
    table = strata_of(evaluation, "one").set_index("question")
    assert table.loc["all", "error"] == pytest.approx(evaluation.scores[HELD_OUT].error["model"].value, rel=1e-6)


def test_each_stratum_equals_naive_loops(evaluation):
    votes = evaluation.catalog.votes
    losses = naive_losses(votes, evaluation.concentrations.astype(float))
    errors = naive_errors(votes, evaluation.fractions, 5)
    table = strata_of(evaluation, "survey").set_index(["stratum", "question"])
    assert table.index.get_level_values("stratum").unique().tolist() == ["decals", "sdss", BLANK]
    for name in ("decals", "sdss", BLANK):
        here = evaluation.catalog.table["survey"].fillna(BLANK).to_numpy() == name
        assert table.loc[(name, "all"), "loss"] == pytest.approx(losses[here].sum(axis=1).mean())
        for position, question in enumerate(["smooth", "bar"]):
            row, known = table.loc[(name, question)], errors[here, position]
            known = known[~np.isnan(known)]
            assert row["galaxies"] == here.sum()
            assert row["loss"] == pytest.approx(losses[here, position].mean())
            assert row["error"] == pytest.approx(known.mean(), rel=1e-6)
            assert row["error, standard error"] == pytest.approx(known.std(ddof=1) / np.sqrt(len(known)), rel=1e-6)


def test_stratum_of_one_galaxy_without_votes_for_a_question_is_unknown_there():
    predictions, catalog = simulate(20, splits=["test"])
    catalog.loc[0, SCHEMA.label_cols[2:]] = 0
    catalog["survey"] = ["alone"] + ["rest"] * 19
    row = strata_of(evaluate(predictions, catalog), "survey").set_index(["stratum", "question"]).loc[("alone", "bar")]
    assert (row["galaxies"], row["loss"]) == (1, 0)
    assert row[["skill", "error", "error, standard error", "accuracy", "90% interval holds"]].isna().all()


def test_weighted_votes_have_strata_without_intervals():
    predictions, catalog = simulate(20, splits=["test"])
    catalog[SCHEMA.label_cols] = catalog[SCHEMA.label_cols] * 0.75
    evaluation = evaluate(predictions, catalog.assign(one=1), EvaluateSettings(weighted_votes=True))
    table = strata_of(evaluation, "one")
    assert table["90% interval holds"].isna().all()
    assert table["error"].notna().all()
