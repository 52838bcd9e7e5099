"""Embeddings are the encoder's own features; similar and unusual galaxies are found in them; labels are predicted."""

import base64
import re

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from tests.pytorch.test_encoders import save_in_hub_layout, timm_model
from zoobot.config import EmbedSettings, FinetuneSettings, PredictSettings
from zoobot.errors import ModelError, OutputError, PredictionError, SettingError
from zoobot.frameworks import similar
from zoobot.pytorch.predictions.predict_on_catalog import predict
from zoobot.pytorch.training import representations
from zoobot.pytorch.training.finetune_on_catalog import finetune
from zoobot.pytorch.training.representations import ZoobotEncoder, embed
from zoobot.shared.adjustments import adjust
from zoobot.shared.anomalies import anomalies
from zoobot.shared.embeddings import read_embeddings
from zoobot.shared.images import read_image
from zoobot.shared.number_parts import read_numbers
from zoobot.shared.predictions import read_predictions
from zoobot.shared.principal_components import load_components

PARTS = EmbedSettings(part_size=25, batch_size=8, device="cpu")


@pytest.fixture(scope="module")
def embedded(trained, simulated, tmp_path_factory):
    folder = tmp_path_factory.mktemp("embedded") / "E"
    return embed(trained.folder, simulated / "catalog.csv", folder, PARTS.model_copy(update={"pca": 8})).folder


def test_features_are_those_of_the_encoder(embedded, trained, simulated):
    found = read_embeddings(embedded)
    assert len(found.table) == 60
    assert set(found.table["model_split"]) == {"train", "validation", "test"}
    for row in (0, 31):
        view = adjust(read_image(found.table["file_loc"][row]), trained.model.settings.adjustments)
        with torch.no_grad():
            features = ZoobotEncoder.load_from_name(trained.folder)(torch.tensor(view.transpose(2, 0, 1)[None]))
        np.testing.assert_allclose(found.features[row], features[0], rtol=2e-3, atol=1e-4)
    raw = pd.read_parquet(embedded / "part-00000.parquet")
    assert raw["feat_0"].dtype == np.float16
    assert len(raw) == 25


def test_it_goes_on_where_it_stopped_and_keeps_encoders_apart(embedded, trained, simulated, tmp_path, monkeypatch):
    embed(trained.folder, simulated / "catalog.csv", tmp_path / "E", PARTS)
    (tmp_path / "E" / "part-00001.parquet").unlink()
    asked = []
    batches = representations.number_batches
    monkeypatch.setattr(representations, "number_batches", lambda *given: asked.append(given[5]) or batches(*given))
    embed(trained.folder, simulated / "catalog.csv", tmp_path / "E", PARTS)
    assert asked == [[range(25, 50)]]
    np.testing.assert_array_equal(read_embeddings(tmp_path / "E").features, read_embeddings(embedded).features)
    save_in_hub_layout(timm_model("test_resnet", 1), tmp_path / "hub")
    with pytest.raises(OutputError, match="- model:"):
        embed(f"local-dir:{tmp_path}/hub", simulated / "catalog.csv", tmp_path / "E", PARTS)


def test_principal_components_join_by_id_and_are_used_again(embedded, trained, simulated, tmp_path):
    table = pd.read_parquet(embedded / "pca_8.parquet")
    assert list(table)[:5] == ["id_str", "ra", "dec", "file_loc", "feat_pca_0"]
    components = load_components(embedded / "pca_8.npz")
    np.testing.assert_allclose(
        table.filter(like="feat_pca_").to_numpy(), components.transform(read_embeddings(embedded).features), atol=1e-5
    )
    some = pd.read_csv(simulated / "catalog.csv", dtype={"id_str": str}).tail(7)
    some["file_loc"] = [str(simulated / file) for file in some["file_loc"]]
    some = some.drop(columns=["ra", "dec"])
    again = embed(trained.folder, some, tmp_path / "E", EmbedSettings(pca_from=embedded / "pca_8.npz"))
    merged = pd.read_parquet(again.components).merge(table, on="id_str", suffixes=("", "_whole"))
    assert len(merged) == 7
    assert list(pd.read_parquet(again.components))[:3] == ["id_str", "file_loc", "feat_pca_0"]
    np.testing.assert_allclose(merged["feat_pca_3"], merged["feat_pca_3_whole"], atol=1e-2)


def test_an_encoder_of_the_hub_sees_as_it_should(simulated, tmp_path):
    save_in_hub_layout(timm_model("test_resnet", 1), tmp_path / "hub")
    embed(f"local-dir:{tmp_path}/hub", simulated / "catalog.csv", tmp_path / "E", EmbedSettings(device="cpu"))
    assert read_embeddings(tmp_path / "E").model["seen"]["image_size"] == 64
    save_in_hub_layout(timm_model("test_resnet", 3), tmp_path / "color")
    embed(f"local-dir:{tmp_path}/color", simulated / "catalog.csv", tmp_path / "C", EmbedSettings(device="cpu"))
    assert read_embeddings(tmp_path / "C").model["seen"]["color"] is True
    with pytest.raises(SettingError, match=r"expects images with image_size 64, and 80 was given"):
        embed(f"local-dir:{tmp_path}/hub", simulated / "catalog.csv", tmp_path / "X", EmbedSettings(image_size=80))


# --- similar ---


def test_a_turned_galaxy_finds_itself_by_name_and_by_image(embedded, tmp_path):
    table = read_embeddings(embedded).table
    galaxy, file = table["id_str"][5], table["file_loc"][5]
    found = similar(embedded, image=file, output=tmp_path / "near.csv")
    assert found.table["id_str"][0] == galaxy
    assert found.table["likeness"][0] == pytest.approx(1, abs=1e-3)
    others = similar(embedded, galaxy=galaxy).table
    assert galaxy not in set(others["id_str"])
    assert others["id_str"].tolist()[:19] == found.table["id_str"].tolist()[1:]
    assert (others["likeness"].diff().dropna() <= 0).all()
    assert pd.read_csv(tmp_path / "near.csv")["id_str"].tolist() == found.table["id_str"].tolist()


def test_a_gallery_is_self_contained_and_escaped(embedded, tmp_path, zoobot):
    table = pd.read_parquet(embedded / "pca_8.parquet")
    table.loc[3, "id_str"] = "<script>alert(1)</script>"
    table.loc[4, "file_loc"] = "/nowhere.jpg"
    table.to_parquet(tmp_path / "published.parquet")
    page = tmp_path / "a" / "page.html"
    done = zoobot("similar", tmp_path / "published.parquet", "--id", table["id_str"][0], "--k", 59, "--gallery", page)
    assert done.code == 0, done.err
    html = page.read_text()
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert "no image" in html
    assert not re.search(r"""(src|href)=["'](?!data:)""", html)
    first = re.search(r"data:image/jpeg;base64,([^\"]+)", html)[1]
    image = cv2.imdecode(np.frombuffer(base64.b64decode(first), np.uint8), cv2.IMREAD_COLOR)
    assert image.shape == (160, 160, 3)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (
            {"galaxy": "sim_00005"},
            PredictionError,
            "There is no galaxy 'sim_00005' in the embeddings. Did you mean",
        ),
        ({}, SettingError, "Give one galaxy: --id of one that is embedded, or --image"),
        ({"galaxy": "a", "image": "b.jpg"}, SettingError, "Give one galaxy"),
    ],
)
def test_what_cannot_be_compared(embedded, given, error, message):
    with pytest.raises(error, match=message):
        similar(embedded, **given)


def test_tables_without_features(simulated, tmp_path):
    with pytest.raises(PredictionError, match=r"has no columns feat_\.\.\.: it holds no embeddings"):
        read_embeddings(simulated / "catalog.csv")
    with pytest.raises(PredictionError, match=r"There are no embeddings in .* 'zoobot embed' makes them"):
        read_embeddings(tmp_path)
    pd.DataFrame({"id_str": ["a", "b"], "feat_0": [1.0, np.nan]}).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(PredictionError, match=r"are no numbers, such as those of 'b'"):
        read_embeddings(tmp_path / "t.csv")


def test_an_image_needs_the_encoder_of_the_embeddings(embedded, trained, simulated, tmp_path):
    image = simulated / "images" / "sim_000003.jpg"
    pd.read_parquet(embedded / "pca_8.parquet").to_parquet(tmp_path / "published.parquet")
    with pytest.raises(PredictionError, match="do not say which encoder made them"):
        similar(tmp_path / "published.parquet", image=image)


# --- anomalies ---


def test_a_picture_that_is_no_galaxy_is_the_most_unusual(trained, simulated, tmp_path, zoobot):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    cv2.imwrite(str(tmp_path / "noise.png"), noise)
    table = pd.read_csv(simulated / "catalog.csv", dtype={"id_str": str})[["id_str", "file_loc"]]
    table["file_loc"] = [str(simulated / file) for file in table["file_loc"]]
    table.loc[len(table)] = ["noise", str(tmp_path / "noise.png")]
    embed(trained.folder, table, tmp_path / "E", PARTS)
    done = zoobot("anomalies", tmp_path / "E", "--output", tmp_path / "a.csv", "--gallery", tmp_path / "a.html")
    assert done.code == 0, done.err
    found = pd.read_csv(tmp_path / "a.csv")
    assert found["id_str"][0] == "noise"
    assert len(found) == 61
    assert (tmp_path / "a.html").stat().st_size > 20_000
    assert anomalies(tmp_path / "E", tmp_path / "b.csv").table["id_str"].tolist() == found["id_str"].tolist()


# --- labels ---


def test_labels_of_a_finetuned_model_are_predicted_part_by_part(trained, simulated, tmp_path, zoobot):
    table = pd.read_csv(simulated / "catalog.csv", dtype={"id_str": str})
    table["file_loc"] = [str(simulated / file) for file in table["file_loc"]]
    table["odd"] = ["odd", "even"] * 30
    asked = FinetuneSettings(label=["odd"], epochs=1, device="cpu")
    done = finetune(table, trained.folder, tmp_path / "RUN", asked)
    (tmp_path / "broken.jpg").write_bytes(b"nothing")
    table.loc[7, "file_loc"] = str(tmp_path / "broken.jpg")
    table.to_csv(tmp_path / "catalog.csv", index=False)
    command = ("predict", done.folder, tmp_path / "catalog.csv", "--output", tmp_path / "P", "--part-size", 25)
    result = zoobot(*command, "--format", "csv")
    assert (result.code, "Predicted 59 galaxies" in result.out) == (0, True), result.err
    found = read_numbers(tmp_path / "P", "labels")
    assert found.names == ["odd_even_probability", "odd_odd_probability"]
    view = adjust(read_image(table["file_loc"][20]), done.model.settings.adjustments)
    with torch.no_grad():
        expected = done.model(torch.tensor(view.transpose(2, 0, 1)[None]))[0]
    np.testing.assert_allclose(found.values[19], expected, atol=1e-6)
    assert pd.read_csv(tmp_path / "P" / "predictions.csv").shape[0] == 59
    assert pd.read_csv(tmp_path / "P" / "rejected.csv")["id_str"].tolist() == [table["id_str"][7]]
    split = pd.read_parquet(done.folder / "galaxies.parquet").set_index("id_str")["split"]
    assert (found.table["model_split"] == found.table["id_str"].map(split)).all()
    with pytest.raises(PredictionError, match="holds embeddings or labels, not predictions of votes"):
        read_predictions(tmp_path / "P")
    with pytest.raises(PredictionError, match=r"holds labels, not embeddings. 'zoobot embed' makes them"):
        read_numbers(tmp_path / "P", "embeddings")
    with pytest.raises(SettingError, match="Samples are of models of votes"):
        predict(done.folder, table, tmp_path / "Q", PredictSettings(samples=2))
    with pytest.raises(ModelError, match="Only models of votes are exported as ONNX"):
        predict(done.folder, table, tmp_path / "Q", PredictSettings(engine="onnx"))
    with pytest.raises(SettingError, match=r"Give a model of labels to predict_labels\(\.\.\., loaded="):
        predict(done.folder, table, tmp_path / "Q", loaded=done.model)
    assert zoobot("embed", done.folder, tmp_path / "catalog.csv", "--output", tmp_path / "E").code == 0
