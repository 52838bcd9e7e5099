"""What is written is read back, with its names; what cannot be read is refused."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import describe_model
from zoobot.errors import PredictionError
from zoobot.shared.predictions import expected_fractions, read_predictions, read_rejected, write_csv, write_part
from zoobot.shared.schemas import Schema, get_schema

SCHEMA = Schema(
    {"smooth": ["_yes", "_no"], "bar": ["_strong", "_weak", "_no"]}, {"smooth": None, "bar": "smooth_no"}, "small"
)
MODEL = describe_model(SCHEMA)


def draw(n_galaxies, n_samples=1, schema=SCHEMA, seed=0):
    shape = (n_galaxies, len(schema.label_cols), n_samples)
    return np.random.default_rng(seed).uniform(0.05, 101, shape).astype(np.float32)


def name(n_galaxies, start=0, **columns):
    ids = [f"g{number:04d}" for number in range(start, start + n_galaxies)]
    return pd.DataFrame(
        {"id_str": ids, "model_split": ["train", ""] * (n_galaxies // 2) + [""] * (n_galaxies % 2)}
    ).assign(**columns)


def write(folder, concentrations, part=0, start=0, model=MODEL, schema=SCHEMA, rejected=(), **columns):
    galaxies = name(len(concentrations), start, **columns)
    write_part(folder / f"part-{part:05d}.parquet", galaxies, concentrations, schema, model, rejected)
    return galaxies


@given(st.integers(1, 12), st.sampled_from([1, 3]), st.integers(0, 99))
def test_a_part_is_read_back_exactly(tmp_path_factory, n_galaxies, n_samples, seed):
    folder, concentrations = tmp_path_factory.mktemp("part"), draw(n_galaxies, n_samples, seed=seed)
    galaxies = write(folder, concentrations)
    read = read_predictions(folder)
    np.testing.assert_array_equal(read.concentrations, concentrations)
    assert read.concentrations.dtype == np.float32
    assert read.id_str == galaxies["id_str"].tolist()
    assert (read.schema, read.schema.name, read.label_cols) == (SCHEMA, "small", SCHEMA.label_cols)
    assert read.model == MODEL
    assert list(read.table.columns) == ["id_str", "model_split", *(f"{label}_fraction" for label in SCHEMA.label_cols)]


@pytest.mark.parametrize("n_samples", [1, 3])
def test_fractions_are_means_over_samples(tmp_path, n_samples):
    concentrations = draw(5, n_samples)
    write(tmp_path, concentrations)
    a = concentrations.astype(float)
    naive = np.zeros((5, 5))
    for galaxy in range(5):
        for columns in (slice(0, 2), slice(2, 5)):
            fractions = [a[galaxy, columns, sample] / a[galaxy, columns, sample].sum() for sample in range(n_samples)]
            naive[galaxy, columns] = np.mean(fractions, axis=0)
    read = read_predictions(tmp_path)
    np.testing.assert_allclose(read.vote_fractions, naive, rtol=1e-12)
    np.testing.assert_allclose(expected_fractions(concentrations, SCHEMA), naive, rtol=1e-12)
    written = read.table[[f"{label}_fraction" for label in SCHEMA.label_cols]].to_numpy()
    assert written.dtype == np.float32
    np.testing.assert_allclose(written, naive, rtol=1e-6)


def test_parts_are_joined_in_the_order_of_their_numbers(tmp_path):
    sizes = [3, 0, 2, 1, 4, 1, 1, 1, 1, 1, 1, 1]
    pieces = [draw(size, 3, seed=part) for part, size in enumerate(sizes)]
    starts = np.cumsum([0, *sizes])
    for part in reversed(range(len(sizes))):
        rejected = [(f"bad{part}", "a.jpg", "is empty")] if sizes[part] == 0 else []
        write(tmp_path, pieces[part], part, int(starts[part]), rejected=rejected)
    read = read_predictions(tmp_path)
    assert read.id_str == [f"g{number:04d}" for number in range(sum(sizes))]
    np.testing.assert_array_equal(read.concentrations, np.concatenate(pieces))
    assert read_rejected(tmp_path / "part-00001.parquet") == [("bad1", "a.jpg", "is empty")]
    assert read_rejected(tmp_path / "part-00000.parquet") == []


def test_other_columns_travel_even_where_a_part_lacks_their_values(tmp_path):
    write(tmp_path, draw(2), 0, 0, ra=[1.5, 2.5], survey=["a", "ü"], n_obs=[1, 2], note=[None, None])
    write(tmp_path, draw(2), 1, 2, ra=[3.5, np.nan], survey=["b", None], n_obs=[3, 4], note=["x", "y"])
    table = read_predictions(tmp_path).table
    np.testing.assert_array_equal(table["ra"], [1.5, 2.5, 3.5, np.nan])
    assert table["survey"].tolist()[:3] == ["a", "ü", "b"]
    assert table["n_obs"].tolist() == [1, 2, 3, 4]
    assert table["note"].isna().tolist() == [True, True, False, False]


def test_name_of_the_folder_adds_no_column(tmp_path):
    (tmp_path / "seed=1").mkdir()
    write(tmp_path / "seed=1", draw(2))
    assert "seed" not in read_predictions(tmp_path / "seed=1").table


def test_a_part_is_plain_parquet_that_others_can_read(tmp_path):
    concentrations = draw(3, 3)
    write(tmp_path, concentrations)
    table = pq.read_table(tmp_path / "part-00000.parquet")
    assert table.schema.field("bar_weak_concentration").type == pa.list_(pa.float32())
    assert table.schema.field("bar_weak_fraction").type == pa.float32()
    assert table.column("bar_weak_concentration").to_pylist() == concentrations[:, 3].tolist()
    assert json.loads(table.schema.metadata[b"zoobot"])["schema"] == SCHEMA.to_dict()
    assert [path.name for path in tmp_path.iterdir()] == ["part-00000.parquet"]


def test_the_same_predictions_are_the_same_bytes(tmp_path):
    write(tmp_path, draw(4))
    first = (tmp_path / "part-00000.parquet").read_bytes()
    write(tmp_path, draw(4))
    assert (tmp_path / "part-00000.parquet").read_bytes() == first


def test_interrupted_writing_leaves_no_part(tmp_path, monkeypatch):
    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("zoobot.shared.run_folders.os.replace", fail)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, draw(2))
    with pytest.raises(PredictionError, match="There are no predictions in"):
        read_predictions(tmp_path)


def test_csv_holds_fractions_and_mean_concentrations(tmp_path):
    concentrations = draw(3, 3)
    write(tmp_path, concentrations[:2], 0, 0, ra=[1.0, 2.0])
    write(tmp_path, concentrations[2:], 1, 2, ra=[3.0])
    assert write_csv(tmp_path) == tmp_path / "predictions.csv"
    table = pd.read_csv(tmp_path / "predictions.csv")
    assert table["id_str"].tolist() == ["g0000", "g0001", "g0002"]
    assert table["ra"].tolist() == [1, 2, 3]
    np.testing.assert_allclose(table["bar_weak_concentration"], concentrations[:, 3].mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(table["bar_weak_fraction"], expected_fractions(concentrations, SCHEMA)[:, 3], rtol=1e-5)
    assert len(table.columns) == 3 + 2 * 5


# --- refusals ---


@pytest.mark.parametrize(
    "other",
    [
        {"model": {**MODEL, "weights_sha256": "f" * 64}},
        {"schema": Schema(SCHEMA.question_answer_pairs, {"smooth": None, "bar": None}, "small")},
    ],
)
def test_parts_of_several_models_or_trees_are_refused(tmp_path, other):
    write(tmp_path, draw(2), 0)
    write(tmp_path, draw(2), 1, 2, **other)
    with pytest.raises(
        PredictionError, match=r"mixes predictions of several models\. Keep one model's in one folder\."
    ):
        read_predictions(tmp_path)


def test_parts_with_different_numbers_of_samples_are_refused(tmp_path):
    write(tmp_path, draw(2, 1), 0)
    write(tmp_path, draw(2, 3), 1, 2)
    with pytest.raises(PredictionError, match="differ in the number of samples"):
        read_predictions(tmp_path)


def test_folder_without_predictions_is_refused(tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(PredictionError) as caught:
            read_predictions(folder)
        assert str(caught.value) == (
            f"There are no predictions in '{folder}' (files part-*.parquet). 'zoobot predict' makes them."
        )


def test_predictions_of_no_galaxy_are_refused(tmp_path):
    write(tmp_path, draw(0), rejected=[("a", "a.jpg", "is empty")])
    with pytest.raises(PredictionError, match=r"hold no galaxy: every image was rejected\."):
        read_predictions(tmp_path)


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-100])


def damage_a_column(path):
    """The footer stays whole, as after a faulty copy."""
    encoded = path.read_bytes()
    path.write_bytes(encoded[:4] + bytes(400) + encoded[404:])


@pytest.mark.parametrize(
    "damage",
    [
        cut_short,
        damage_a_column,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("no parquet"),
        lambda path: pd.DataFrame({"id_str": ["a"]}).to_parquet(path),
        lambda path: pq.write_table(pq.read_table(path).replace_schema_metadata({"zoobot": "{"}), path),
        lambda path: pq.write_table(pq.read_table(path).replace_schema_metadata({"zoobot": "{}"}), path),
        lambda path: pq.write_table(pq.read_table(path).drop_columns(["bar_weak_concentration"]), path),
    ],
)
def test_damaged_part_is_named(tmp_path, damage):
    for part in range(2):
        write(tmp_path, draw(2), part, 2 * part)
    damage(tmp_path / "part-00001.parquet")
    with pytest.raises(PredictionError, match=r"part-00001\.parquet' is damaged, or was not written by zoobot\.$"):
        read_predictions(tmp_path)


def test_every_published_tree_can_be_written(tmp_path):
    schema = get_schema("gz-evo-v2-public")
    write(tmp_path, draw(3, schema=schema), schema=schema)
    assert read_predictions(tmp_path).schema == schema
