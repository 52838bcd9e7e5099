import shutil

import numpy as np
import pandas as pd
import pytest
import torch

from zoobot.config import PredictSettings
from zoobot.errors import CatalogError, ImageError, ModelError, OutputError
from zoobot.pytorch.estimators.define_model import DirichletHead, ZoobotTree
from zoobot.pytorch.predictions.predict_on_catalog import predict
from zoobot.shared.adjustments import adjust
from zoobot.shared.images import read_image
from zoobot.shared.predictions import read_predictions


@pytest.fixture(scope="module")
def predicted(trained, simulated, tmp_path_factory):
    folder = tmp_path_factory.mktemp("predicted") / "P"
    predict(trained.folder, simulated / "catalog.csv", folder, PredictSettings(part_size=25, batch_size=7))
    return read_predictions(folder)


def test_each_galaxy_gets_the_model_s_concentrations(predicted, trained, simulated):
    adjustments = trained.model.settings.adjustments
    for row in (0, 30, 59):
        image = adjust(read_image(simulated / predicted.table["file_loc"][row]), adjustments)
        with torch.no_grad():
            expected = trained.model(torch.tensor(image.transpose(2, 0, 1)[None]))
        np.testing.assert_allclose(predicted.concentrations[row, :, 0], expected[0], rtol=1e-4)


def test_order_columns_and_splits_travel_along(predicted, trained, simulated):
    catalog = pd.read_csv(simulated / "catalog.csv", dtype={"id_str": str})
    assert predicted.id_str == catalog["id_str"].tolist()
    np.testing.assert_array_equal(predicted.table["ra"], catalog["ra"])
    split = pd.read_parquet(trained.folder / "galaxies.parquet")
    assert dict(zip(predicted.id_str, predicted.table["model_split"], strict=True)) == dict(split.to_numpy())


def test_only_id_str_and_file_loc_are_needed(trained, simulated, tmp_path):
    table = pd.DataFrame({"id_str": ["a new one"], "file_loc": [str(simulated / "images" / "sim_000003.jpg")]})
    predict(trained.folder, table, tmp_path / "P")
    assert read_predictions(tmp_path / "P").table["model_split"].tolist() == [""]


def with_bad_rows(simulated, n=6):
    table = pd.read_csv(simulated / "catalog.csv", dtype={"id_str": str}).head(n)
    table["file_loc"] = [str(simulated / file_loc) for file_loc in table["file_loc"]]
    shutil.copy(simulated / "catalog.csv", simulated / "images" / "misnamed.jpg")
    table.loc[[0, 3], "file_loc"] = ["nowhere.jpg", str(simulated / "images" / "misnamed.jpg")]
    return table


def test_bad_images_cost_a_row_not_the_run(trained, simulated, tmp_path):
    result = predict(trained.folder, with_bad_rows(simulated), tmp_path / "P", PredictSettings(part_size=2))
    rejected = pd.read_csv(tmp_path / "P" / "rejected.csv")
    assert rejected["id_str"].tolist() == ["sim_000000", "sim_000003"]
    assert "There is no file" in rejected["reason"][0]
    assert "is not an image" in rejected["reason"][1]
    assert read_predictions(tmp_path / "P").id_str == ["sim_000001", "sim_000002", "sim_000004", "sim_000005"]
    assert "Predicted 4 galaxies" in str(result)
    assert f"Left out, with the reason of each, in {tmp_path / 'P' / 'rejected.csv'}: 2" in str(result)


def test_rows_that_cannot_be_used_stop_the_run_or_are_left_out(trained, simulated, tmp_path, caplog):
    table = with_bad_rows(simulated)
    table.loc[[1, 4], "id_str"] = ["", "sim_000002"]
    with pytest.raises(
        CatalogError, match=r"(?s)id_str is blank in 1 row.*earlier row too in 1 row.*--on-bad-row drop"
    ):
        predict(trained.folder, table, tmp_path / "P")
    assert not (tmp_path / "P").exists()
    result = predict(trained.folder, table, tmp_path / "P", PredictSettings(on_bad_row="drop"))
    assert "2 of 6 rows of the catalog in memory are left out" in caplog.text
    assert read_predictions(tmp_path / "P").id_str == ["sim_000002", "sim_000005"]
    rejected = pd.read_csv(tmp_path / "P" / "rejected.csv", dtype=str, keep_default_na=False)
    assert rejected["row"].tolist() == ["2", "5", "", ""]
    assert rejected["id_str"].tolist() == ["", "sim_000002", "sim_000000", "sim_000003"]
    assert (result.n_predicted, len(result.rejected)) == (2, 4)


def test_bad_images_can_stop_the_run(trained, simulated, tmp_path):
    with pytest.raises(ImageError, match=r"(?s)nowhere.jpg.*--on-bad-image skip"):
        predict(trained.folder, with_bad_rows(simulated), tmp_path / "P", PredictSettings(on_bad_image="stop"))


def test_goes_on_with_the_parts_that_are_there(trained, simulated, tmp_path):
    settings = PredictSettings(part_size=20)
    predict(trained.folder, simulated / "catalog.csv", tmp_path / "P", settings)
    parts = sorted((tmp_path / "P").glob("part-*.parquet"))
    before = [part.read_bytes() for part in parts]
    parts[1].unlink()
    kept = parts[0].stat().st_mtime_ns
    predict(trained.folder, simulated / "catalog.csv", tmp_path / "P", settings)
    assert parts[0].stat().st_mtime_ns == kept
    assert [part.read_bytes() for part in parts] == before


def test_the_folder_of_other_predictions_is_refused(trained, simulated, tmp_path):
    predict(trained.folder, simulated / "catalog.csv", tmp_path / "P")
    with pytest.raises(OutputError, match="holds another run:\n- part_size: 10000 there, 20 now"):
        predict(trained.folder, simulated / "catalog.csv", tmp_path / "P", PredictSettings(part_size=20))


def test_csv_on_request(trained, simulated, tmp_path):
    predict(trained.folder, simulated / "catalog.csv", tmp_path / "P", PredictSettings(format="csv"))
    table = pd.read_csv(tmp_path / "P" / "predictions.csv")
    fractions = read_predictions(tmp_path / "P").vote_fractions
    np.testing.assert_allclose(table["smooth-or-featured_smooth_fraction"], fractions[:, 0], rtol=1e-5)
    assert table["smooth-or-featured_smooth_concentration"].gt(0).all()


def test_columns_that_predictions_write_are_refused(trained, simulated, tmp_path):
    table = pd.read_csv(simulated / "catalog.csv").assign(model_split="mine")
    with pytest.raises(CatalogError, match="already has columns that predictions write, such as 'model_split'"):
        predict(trained.folder, table, tmp_path / "P")


def test_a_column_of_mixed_values_is_refused_before_predicting(trained, simulated, tmp_path):
    table = pd.read_csv(simulated / "catalog.csv").head(2)
    table["note"] = pd.Series([1, "two"], dtype=object)
    with pytest.raises(CatalogError, match="has a column of mixed values"):
        predict(trained.folder, table, tmp_path / "P")
    assert not (tmp_path / "P").exists()


def test_another_model_as_loaded_is_refused(trained, simulated, tiny, tmp_path):
    other = ZoobotTree(trained.model.schema, tiny)
    with pytest.raises(ModelError, match="given as 'loaded' is not that of"):
        predict(trained.folder, simulated / "catalog.csv", tmp_path / "P", loaded=other)


def test_a_new_travelling_column_is_another_run(trained, simulated, tmp_path):
    table = pd.read_csv(simulated / "catalog.csv", dtype={"id_str": str}).head(3)
    table["file_loc"] = [str(simulated / file_loc) for file_loc in table["file_loc"]]
    predict(trained.folder, table, tmp_path / "P")
    with pytest.raises(OutputError, match="- catalog:"):
        predict(trained.folder, table.assign(redshift=0.1), tmp_path / "P")


def test_predictions_that_are_not_numbers_are_refused(trained, simulated, tmp_path, monkeypatch):
    monkeypatch.setattr(DirichletHead, "forward", lambda self, features: torch.full((len(features), 30), torch.nan))
    with pytest.raises(ModelError, match="concentrations that are not numbers"):
        predict(trained.folder, simulated / "catalog.csv", tmp_path / "P")


def test_a_model_folder_without_weights_is_damaged(trained, simulated, tmp_path):
    shutil.copytree(trained.folder, tmp_path / "model")
    (tmp_path / "model" / "weights.safetensors").unlink()
    with pytest.raises(ModelError, match="missing or do not fit"):
        predict(tmp_path / "model", simulated / "catalog.csv", tmp_path / "P")
