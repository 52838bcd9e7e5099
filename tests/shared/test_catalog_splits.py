"""Three tables that share out every galaxy once, by the documented hash, by group, and in equal shares of a class."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoobot.config import SplitSettings
from zoobot.errors import SettingError
from zoobot.shared.catalog_splits import split, split_in_classes
from zoobot.shared.catalogs import SPLITS, split_by_galaxy

IDS = [f"J{number:04d}" for number in range(600)]


def make_table(**columns):
    return pd.DataFrame({"id_str": IDS, "file_loc": [f"{galaxy}.jpg" for galaxy in IDS], **columns})


def read(folder, suffix="csv"):
    read_one = pd.read_csv if suffix == "csv" else pd.read_parquet
    tables = [read_one(folder / f"{name}.{suffix}").assign(split=name) for name in SPLITS]
    return pd.concat(tables).set_index("id_str").loc[IDS].reset_index()


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_tables_hold_every_galaxy_once_where_training_would_put_it(zoobot, tmp_path, suffix):
    make_table(ra=np.arange(600) / 7).to_csv(tmp_path / "c.csv", index=False)
    options = ("--seed", 3, "--split", 0.5, 0.2, 0.3, "--format", suffix)
    result = zoobot("catalog", "split", tmp_path / "c.csv", "--output", tmp_path / "S", *options)
    assert result.code == 0, result.err
    table = read(tmp_path / "S", suffix)
    assert table["split"].tolist() == split_by_galaxy(IDS, (0.5, 0.2, 0.3), 3).tolist()
    np.testing.assert_allclose(table["ra"], np.arange(600) / 7)
    assert table["file_loc"][5] == str(tmp_path / "J0005.jpg")
    assert "Split 600 galaxies of" in result.out
    assert f"{(table['split'] == 'train').sum()} galaxies (" in result.out


def test_a_galaxy_under_two_ids_stays_on_one_side(tmp_path):
    table = make_table(nsa_id=np.arange(600) // 2)
    assert split(table, tmp_path / "S", SplitSettings(group_by="nsa_id")).how.endswith(
        "by a hash of 'nsa_id' (300 groups) and seed 0."
    )
    sides = read(tmp_path / "S").groupby("nsa_id")["split"].nunique()
    assert (sides == 1).all()


@pytest.mark.parametrize("classes", [np.arange(600) % 3 == 0, ["a"] * 20 + ["b"] * 580, np.arange(600) * 0.37])
def test_each_table_has_its_share_of_each_class(tmp_path, classes):
    split(make_table(kind=classes), tmp_path / "S", SplitSettings(stratify="kind", split=(0.7, 0.1, 0.2)))
    table = read(tmp_path / "S")
    kind = pd.qcut(table["kind"], 10) if table["kind"].dtype == float else table["kind"]
    for _, members in table.groupby(kind, observed=True):
        for name, share in zip(SPLITS, (0.7, 0.1, 0.2), strict=True):
            assert abs((members["split"] == name).sum() - share * len(members)) <= 1


@given(st.lists(st.tuples(st.text(max_size=2), st.sampled_from("abc")), min_size=1), st.integers(0, 99), st.randoms())
def test_groups_stay_together_and_order_does_not_matter(rows, seed, random):
    class_of = dict(rows)
    keys = [key for key, _ in rows]
    where = split_in_classes(keys, [class_of[key] for key in keys], (0.5, 0.25, 0.25), seed)
    side = dict(zip(keys, where, strict=True))
    assert [side[key] for key in keys] == where.tolist()
    random.shuffle(keys)
    again = split_in_classes(keys, [class_of[key] for key in keys], (0.5, 0.25, 0.25), seed)
    assert again.tolist() == [side[key] for key in keys]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["--group-by", "nsa"], "has no column 'nsa' for --group-by. Did you mean 'nsa_id'?"),
        (["--stratify", "nsa_id"], "The column 'nsa_id' for --stratify is blank in 1 of 600 rows of the catalog"),
    ],
)
def test_missing_and_blank_columns_are_named(zoobot, tmp_path, settings, message):
    make_table(nsa_id=[np.nan, *range(599)]).to_csv(tmp_path / "c.csv", index=False)
    result = zoobot("catalog", "split", tmp_path / "c.csv", "--output", tmp_path / "S", *settings)
    assert (result.code, message in result.err) == (1, True), result.err
    assert not (tmp_path / "S").exists()


def test_fractions_that_do_not_add_up_are_refused():
    with pytest.raises(SettingError, match="split must be three fractions that sum to 1"):
        SplitSettings(split=(0.5, 0.5, 0.5))


def test_panoptes_galaxies_under_two_ids_stay_together(shared_data, tmp_path):
    table = pd.read_csv(shared_data / "panoptes" / "gz_decals_first_question_counts.csv.gz", dtype={"id_str": str})
    split(table.rename(columns={"png_loc": "file_loc"}), tmp_path / "S", SplitSettings(group_by="file_loc"))
    tables = pd.concat([pd.read_csv(tmp_path / "S" / f"{name}.csv").assign(split=name) for name in SPLITS])
    assert len(tables) == 4000
    twice = tables[tables["file_loc"].duplicated(keep=False)]
    assert len(twice) == 24
    assert (twice.groupby("file_loc")["split"].nunique() == 1).all()
