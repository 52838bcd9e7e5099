import numpy as np
import pandas as pd
import pytest

from zoobot.config import FinetuneSettings
from zoobot.errors import CatalogError, SettingError
from zoobot.shared.label_columns import read_labels

TABLE = pd.DataFrame(
    {
        "id_str": list("abcd"),
        "number": [0, 1, 2, 1],
        "name": ["ring", "spiral", "ring", "bar"],
        "yes": [True, False, False, True],
        "share_a": [0.25, 0.5, 1.0, 0.0],
        "share_b": [0.75, 0.5, 0.0, 1.0],
        "mass": [9.5, 10.0, 10.5, 12.0],
        "redshift": [0.1, 0.2, 0.3, 0.4],
    }
)


def read(columns, table=TABLE, **settings):
    return read_labels(table, FinetuneSettings(label=columns, **settings), "'x'")


def test_classes_as_numbers_names_and_yes_or_no():
    task, labels = read(["number"])
    assert (task.classes, labels.argmax(axis=1).tolist(), labels.sum()) == (["0", "1", "2"], [0, 1, 2, 1], 4)
    task, labels = read(["name"])
    assert (task.classes, labels.argmax(axis=1).tolist()) == (["bar", "ring", "spiral"], [1, 2, 1, 0])
    assert read(["yes"])[1].argmax(axis=1).tolist() == [1, 0, 0, 1]
    assert task.output_columns == ["name_bar_probability", "name_ring_probability", "name_spiral_probability"]


def test_shares_several_answers_and_numbers():
    task, labels = read(["share_a", "share_b"])
    assert (task.classes, task.multi_label) == (["share_a", "share_b"], False)
    np.testing.assert_array_equal(labels, TABLE[["share_a", "share_b"]].to_numpy(np.float32))
    assert read(["yes", "share_a"], multi_label=True)[0].multi_label
    task, labels = read(["mass", "redshift"], task="regression")
    assert (task.n_outputs, task.output_columns) == (2, ["mass_predicted", "redshift_predicted"])
    scaled = task.scaled_to(labels)
    np.testing.assert_allclose(scaled.centres, [10.5, 0.25])
    np.testing.assert_allclose(scaled.scales, TABLE[["mass", "redshift"]].std(ddof=0), rtol=1e-6)


@pytest.mark.parametrize(
    ("columns", "changes", "settings", "message"),
    [
        (["nmae"], {}, {}, "has no column 'nmae' to learn. Did you mean 'name'?"),
        (["number"], {"number": [0, 1, np.nan, 1]}, {}, "'number' is blank in 1 of 4 rows .* such as that of 'c'"),
        (["name"], {"name": ["a", " ", "b", "b"]}, {}, "'name' is blank in 1 of 4 rows .* such as that of 'b'"),
        (
            ["number"],
            {"number": [0, 1, -1, 1]},
            {},
            r"whole numbers from 0\. Got -1\. A number to predict .*regression",
        ),
        (["mass"], {}, {}, r"whole numbers from 0\. Got 9.5"),
        (["number"], {"number": [0, 1, 3, 1]}, {}, r"No galaxy of the catalog 'x' is of the class '2'\."),
        (["number"], {"number": [0, 1, 9, 1]}, {}, r"holds the class 9, but classes are numbered from 0 without gaps"),
        (["name"], {"name": ["ring"] * 4}, {}, "has one class only, 'ring'"),
        (["share_a", "share_b"], {"share_b": [0.7, 0.5, 0, 1]}, {}, r"the sum 1\. Got 0.95 for 'a'.*--multi-label"),
        (["share_a", "share_b"], {"share_a": [1.5, 0.5, 0, 1]}, {}, r"from 0 to 1\. Got 1.5 for 'a'"),
        (["share_a", "share_b"], {"share_a": [0] * 4, "share_b": [1] * 4}, {}, "is of the class 'share_a'"),
        (["mass"], {"mass": [1, 2, np.inf, 3]}, {"task": "regression"}, r"finite numbers\. Got 'inf' for 'c'"),
        (["name"], {}, {"task": "regression"}, r"finite numbers\. Got 'ring' for 'a'"),
        (["mass"], {}, {"task": "regression", "unit_interval": True}, r"from 0 to 1\. Got 9.5 for 'a'"),
    ],
)
def test_labels_that_cannot_be_learned(columns, changes, settings, message):
    with pytest.raises(CatalogError, match=message):
        read(columns, TABLE.assign(**changes), **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "label is missing: the column to learn, such as --task classification --label ring"),
        ({"task": "tree", "label": ["ring"]}, "The task tree learns the columns of its --schema"),
        ({"task": "regression", "label": ["a"], "multi_label": True}, "multi_label belongs to the task classification"),
        ({"label": ["a"], "loss": "mae"}, "loss belongs to the task regression. Got the task classification"),
        ({"label": ["a", "b"], "multi_label": True, "balanced_sampling": True}, "needs one class per galaxy"),
    ],
)
def test_settings_of_another_task_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        FinetuneSettings(**settings)
