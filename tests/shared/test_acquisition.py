"""What is chosen: where samples disagree, weighed by who is asked, spread over the embedding on request."""

import numpy as np
import pandas as pd
import pytest

from tests.conftest import describe_model
from zoobot.config import AcquireSettings
from zoobot.errors import PredictionError, SettingError
from zoobot.shared.acquisition import acquire, measure_information, spread_out
from zoobot.shared.predictions import write_part
from zoobot.shared.schemas import Schema

TREE = Schema({"smooth": ["_yes", "_no"], "bar": ["_yes", "_no"]}, {"smooth": None, "bar": "smooth_no"}, name="tiny")


def galaxy(smooth, bar):
    """Concentrations `(answer, sample)` with these fractions of yes in each sample."""
    return np.array([[10 * s, 10 * (1 - s), 10 * b, 10 * (1 - b)] for s, b in zip(smooth, bar, strict=True)]).T


@pytest.fixture
def predictions(tmp_path):
    agree = galaxy([0.5, 0.5], [0.5, 0.5])
    disagree = galaxy([0.1, 0.9], [0.5, 0.5])
    of_bar = galaxy([0.01, 0.01], [0.1, 0.9])
    of_bar_unasked = galaxy([0.99, 0.99], [0.1, 0.9])
    values = np.stack([agree, disagree, of_bar, of_bar_unasked, disagree]).astype(np.float32)
    names = ["agree", "disagree", "of_bar", "unasked", "labelled"]
    table = pd.DataFrame({"id_str": names, "file_loc": "a.jpg", "ra": 1.0, "model_split": ["", "", "", "", "train"]})
    (tmp_path / "P").mkdir()
    write_part(tmp_path / "P" / "part-00000.parquet", table, values, TREE, describe_model(TREE), [])
    return tmp_path / "P"


def test_galaxies_whose_samples_disagree_come_first(predictions, tmp_path, zoobot):
    done = zoobot("acquire", predictions, "--n", 3, "--output", tmp_path / "next.csv")
    assert done.code == 0, done.err
    assert "Chose 3 of 4 galaxies" in done.out
    found = pd.read_csv(tmp_path / "next.csv")
    assert found["id_str"].tolist() == ["of_bar", "disagree", "unasked"] or found["id_str"][0] == "disagree"
    assert set(found["id_str"]) == {"of_bar", "disagree", "unasked"}
    assert {"ra", "information", "smooth_information", "bar_information"} <= set(found)
    assert not any(column.endswith("_fraction") for column in found)


def test_information_is_that_of_a_plain_loop_of_the_formula(predictions):
    concentrations = np.stack([galaxy([0.1, 0.9], [0.3, 0.4]), galaxy([0.2, 0.6], [0.9, 0.1])])
    found = measure_information(concentrations, TREE)
    for row, samples in enumerate(concentrations):
        for question, (first, last) in enumerate(TREE.question_index_groups):
            fractions = [a[first : last + 1] / a[first : last + 1].sum() for a in samples.T]
            mean = np.mean(fractions, axis=0)
            entropy = lambda p: -sum(x * np.log(x) for x in p)  # noqa: E731
            expected = entropy(mean) - np.mean([entropy(p) for p in fractions])
            asked = 1 if question == 0 else np.mean([a[1] / a[:2].sum() for a in samples.T])
            assert found[row, question] == pytest.approx(expected * asked)


def test_one_question_and_labelled_galaxies(predictions, tmp_path):
    table = acquire(predictions, tmp_path / "a.parquet", settings=AcquireSettings(n=1, question=["bar"])).table
    assert table["id_str"].tolist() == ["of_bar"]
    everyone = acquire(predictions, tmp_path / "b.csv", settings=AcquireSettings(include_labelled=True)).table
    assert len(everyone) == 5


def test_the_choice_is_spread_over_the_embedding(predictions, tmp_path):
    table = pd.DataFrame({"id_str": ["disagree", "of_bar", "unasked", "agree"], "feat_0": [0.0, 0.1, 0.2, 9.0]})
    table.to_csv(tmp_path / "e.csv", index=False)
    found = acquire(predictions, tmp_path / "a.csv", tmp_path / "e.csv", AcquireSettings(n=2)).table
    assert "agree" in set(found["id_str"])
    table.iloc[:1].to_csv(tmp_path / "e.csv", index=False)
    with pytest.raises(PredictionError, match="Only 1 of 4 galaxies are in the embeddings"):
        acquire(predictions, tmp_path / "a.csv", tmp_path / "e.csv", AcquireSettings(n=2))


def test_rows_far_from_each_other():
    features = np.array([[0.0], [1.0], [10.0], [4.0]], np.float32)
    assert spread_out(features, 3) == [0, 2, 3]
    assert sorted(spread_out(features, 9)) == [0, 1, 2, 3]
    assert sorted(spread_out(np.zeros((3, 2), np.float32), 3)) == [0, 1, 2]


def test_what_cannot_be_chosen(predictions, tmp_path):
    with pytest.raises(SettingError, match=r"The tree 'tiny' has no question 'bars'. Did you mean 'bar'"):
        acquire(predictions, tmp_path / "a.csv", settings=AcquireSettings(question=["bars"]))
    table = pd.DataFrame({"id_str": ["a"], "model_split": ["train"]})
    one = np.ones((1, 4, 2), np.float32)
    for samples, message in ((one, "was in the model's own catalog"), (one[:, :, :1], "one sample, which cannot")):
        (tmp_path / message).mkdir()
        write_part(tmp_path / message / "part-00000.parquet", table, samples, TREE, describe_model(TREE), [])
        with pytest.raises(PredictionError, match=message):
            acquire(tmp_path / message, tmp_path / "a.csv")
