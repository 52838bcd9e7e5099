"""Exports are read by other software (pandas, astropy, h5py), hold what they say, and are written in parts or not."""

import h5py
import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from astropy.table import Table
from scipy import stats

from tests.conftest import describe_model
from zoobot.config import ExportSettings
from zoobot.errors import OutputError, PredictionError
from zoobot.shared import dirichlet, mixtures
from zoobot.shared.catalogs import load_catalog
from zoobot.shared.prediction_exports import export, to_table
from zoobot.shared.predictions import read_predictions, write_part
from zoobot.shared.schemas import Schema, get_schema

SCHEMA = Schema(
    {"smooth": ["_yes", "_no"], "bar": ["_strong", "_weak", "_no"]},
    {"smooth": None, "bar": "smooth_no"},
    "small",
    display_text={"bar_strong": "a strong bär"},
)
TABLES, FORMATS = ("friendly", "advanced", "concentrations"), ("csv", "parquet", "hdf5", "fits")


@pytest.fixture(params=[1, 3])
def folder(request, tmp_path):
    """Nine galaxies in three parts, one of them empty."""
    rng = np.random.default_rng(0)
    for part, (first, end) in enumerate([(0, 5), (5, 5), (5, 9)]):
        galaxies = pd.DataFrame(
            {
                "id_str": [f"Jé{number}" for number in range(first, end)],
                "ra": np.arange(first, end) / 7,
                "survey": ["a", None, "bcd", "", "e"][: end - first],
                "model_split": [""] * (end - first),
            }
        )
        concentrations = rng.uniform(0.05, 100, (end - first, 5, request.param)).astype(np.float32)
        write_part(tmp_path / f"part-{part:05d}.parquet", galaxies, concentrations, SCHEMA, describe_model(SCHEMA), [])
    return tmp_path


def read(path):
    if path.suffix == ".csv":
        return pd.read_csv(path)
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    if path.suffix == ".fits":
        table = Table.read(path)
        table.convert_bytestring_to_unicode()
        return table.to_pandas()
    with h5py.File(path) as file:
        return pd.DataFrame(
            {name: file[name].asstr()[()] if file[name].dtype == object else file[name][()] for name in file}
        )


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("file_format", FORMATS)
def test_every_format_holds_every_galaxy_and_number(folder, table, file_format):
    if (table, file_format) == ("concentrations", "hdf5"):
        return
    settings = ExportSettings(table=table, format=file_format)
    done = export(folder, settings=settings)
    assert (done.path, done.n_galaxies) == (folder / f"{table}.{file_format}", 9)
    expected = to_table(read_predictions(folder), settings)
    found = read(done.path)
    assert set(found.columns) == set(expected.columns)
    for name in expected:
        if expected[name].dtype.kind in "biuf":
            np.testing.assert_allclose(found[name].astype(float), expected[name], rtol=1e-5, equal_nan=True)
        elif file_format != "fits":
            assert found[name].astype(object).fillna("").tolist() == expected[name].fillna("").tolist()
    assert not list(folder.glob(".*"))


def test_hdf5_of_concentrations_is_one_array_with_its_names(folder):
    predictions = read_predictions(folder)
    with h5py.File(export(folder, settings=ExportSettings(table="concentrations", format="hdf5")).path) as file:
        np.testing.assert_array_equal(file["predictions"][()], predictions.concentrations)
        assert file["id_str"].asstr()[()].tolist() == predictions.id_str
        assert file["label_cols"].asstr()[()].tolist() == SCHEMA.label_cols


def test_friendly_table_is_blank_where_hardly_anybody_would_be_asked(folder):
    predictions = read_predictions(folder)
    table = to_table(predictions, ExportSettings(asked=0.5))
    fractions = predictions.vote_fractions
    asked = fractions[:, 1] >= 0.5
    assert 0 < asked.sum() < 9
    assert table["bar_strong_fraction"].notna().tolist() == asked.tolist()
    words = ["a strong bär", *(answer.display_text for answer in SCHEMA.questions[1].answers[1:])]
    expected = np.where(asked, np.array(words, object)[fractions[:, 2:].argmax(axis=1)], "")
    assert table["bar_label"].tolist() == expected.tolist()
    assert (table["smooth_label"] != "").all()


def test_advanced_table_holds_what_its_columns_say(folder):
    predictions = read_predictions(folder)
    settings = ExportSettings(table="advanced", interval=0.8, volunteers=20)
    table = to_table(predictions, settings)
    a = predictions.concentrations.astype(float)
    total = a[:, :2].sum(axis=1)
    for end, probability in (("low", 0.1), ("high", 0.9)):
        held = stats.beta.cdf(table[f"smooth_yes_{end}"].to_numpy(float)[:, None], a[:, 0], total - a[:, 0]).mean(
            axis=1
        )
        np.testing.assert_allclose(held, probability, atol=1e-4)
    fractions = dirichlet.mean(a, SCHEMA.question_index_groups)
    votes = 20 * (fractions[:, 1] * fractions[:, 3]).mean(axis=1)
    np.testing.assert_allclose(table["bar_weak_expected_votes"], votes, rtol=1e-5)
    np.testing.assert_allclose(table["bar_proportion_asked"], fractions[:, 1].mean(axis=1), rtol=1e-5)
    entropy = mixtures.entropy(a, SCHEMA.question_index_groups)
    np.testing.assert_allclose(table["bar_entropy"], entropy.total[:, 1], rtol=1e-5)


def test_fits_columns_have_descriptions_and_units(folder):
    path = export(folder, settings=ExportSettings(table="advanced", format="fits", volunteers=30)).path
    with fits.open(path) as hdus:
        header, columns = hdus[1].header, hdus[1].columns
        place = columns.names.index("bar_no_expected_votes") + 1
        assert header[f"TCOMM{place}"] == "expected votes of 30 volunteers"
        assert header[f"TUNIT{place}"] == "count"
        assert hdus[1].data["id_str"][1] == "J\\xe91"  # FITS has ASCII only


def test_real_galaxies_open_in_pandas_astropy_and_h5py(shared_data, tmp_path):
    """Made-up concentrations, but the names, votes and paths of a real catalog."""
    catalog = load_catalog(shared_data / "gz2" / "catalog.csv", get_schema("gz2"))
    rng = np.random.default_rng(0)
    concentrations = rng.uniform(0.05, 100, (750, 30, 2)).astype(np.float32)
    table = catalog.table.assign(model_split="")
    model = describe_model(catalog.schema)
    write_part(tmp_path / "part-00000.parquet", table, concentrations, catalog.schema, model, [])
    for kind in TABLES:
        for file_format in FORMATS:
            found = export(tmp_path, settings=ExportSettings(table=kind, format=file_format)).path
            if (kind, file_format) != ("concentrations", "hdf5"):
                assert read(found)["id_str"].tolist() == catalog.id_str


def test_command_and_its_errors(folder, tmp_path, zoobot):
    done = zoobot("predictions", "export", folder, "--table", "advanced", "--output", tmp_path / "new" / "a.csv")
    assert (done.code, done.out) == (0, f"Wrote 9 galaxies: {tmp_path / 'new' / 'a.csv'}\n")
    with pytest.raises(PredictionError, match="There are no predictions in"):
        export(tmp_path / "none")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"'.*file/a\.csv' cannot be written: "):
        export(folder, tmp_path / "file" / "a.csv")
