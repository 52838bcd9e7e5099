"""Temperatures: found where they are known, and refused where they do not belong."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.conftest import describe_model
from zoobot.config import CalibrateSettings, PredictSettings
from zoobot.errors import CatalogError, ModelError, OutputError, PredictionError
from zoobot.shared.model_folders import TEMPERATURES, file_checksum, read_model_folder, write_model_folder
from zoobot.shared.predictions import SPLIT_COLUMN, read_predictions, write_part
from zoobot.shared.schemas import Schema
from zoobot.shared.shares import slurm_script
from zoobot.shared.temperatures import calibrate, divide_by_temperatures, fit_temperatures

SCHEMA = Schema({"smooth": ["_yes", "_no"], "bar": ["_strong", "_weak", "_no"]}, {"smooth": None, "bar": None}, "small")
SLICES = {"smooth": slice(0, 2), "bar": slice(2, 5)}


def simulate(n_galaxies, n_samples=1, seed=0):
    """True concentrations `(galaxy, answer, sample)`, and votes of their mixture; half are not asked about the bar."""
    rng = np.random.default_rng(seed)
    concentrations = rng.gamma(0.8, 4, (n_galaxies, 5, n_samples)) + 0.1
    votes = np.zeros((n_galaxies, 5))
    for row in range(n_galaxies):
        for columns, n in zip(SLICES.values(), (30, 20 * (row % 2)), strict=True):
            sample = rng.integers(n_samples)
            votes[row, columns] = rng.multinomial(n, rng.dirichlet(concentrations[row, columns, sample]))
    return concentrations, votes


def naive_loss(votes, concentrations):
    """Mean over galaxies with votes of minus the log of scipy's probabilities, averaged over samples."""
    losses = [
        -np.log(np.mean([stats.dirichlet_multinomial.pmf(k.astype(int), a, int(k.sum())) for a in samples.T]))
        for k, samples in zip(votes, concentrations, strict=True)
        if k.sum() > 0
    ]
    return np.mean(losses)


# --- the fit ---


@pytest.mark.parametrize("n_samples", [1, 3])
@pytest.mark.parametrize("true", [0.25, 1.0, 4.0])
def test_known_temperatures_are_found_within_their_error(true, n_samples):
    a, votes = simulate(2000, n_samples)
    fitted = fit_temperatures(votes, true * a, SCHEMA)
    assert [found.galaxies for found in fitted.values()] == [2000, 1000]
    for found in fitted.values():
        assert abs(found.temperature - true) < 3.5 * found.error
        assert found.error < 0.1 * true
        assert found.loss_after <= found.loss_before
        if true != 1:
            assert found.loss_after < found.loss_before - 0.02


def test_errors_are_the_spread_of_repeated_fits():
    repeats = [fit_temperatures(votes, 4 * a, SCHEMA) for a, votes in (simulate(200, seed=seed) for seed in range(60))]
    for question in SLICES:
        temperatures, errors = np.array([(fits[question].temperature, fits[question].error) for fits in repeats]).T
        # the spread of 60 numbers is known to 9 %
        assert errors.mean() == pytest.approx(temperatures.std(ddof=1), rel=0.3)


@pytest.mark.parametrize("n_samples", [1, 3])
def test_fits_equal_a_naive_search(n_samples):
    a, votes = simulate(60, n_samples, seed=1)
    fitted = fit_temperatures(votes, 3 * a, SCHEMA, min_galaxies=20)
    grid = np.geomspace(0.5, 20, 120)
    for question, columns in SLICES.items():
        losses = [naive_loss(votes[:, columns], 3 * a[:, columns] / temperature) for temperature in grid]
        found = fitted[question]
        assert found.temperature == pytest.approx(grid[np.argmin(losses)], rel=0.04)
        assert found.loss_after <= min(losses) + 1e-9
        assert found.loss_before == pytest.approx(naive_loss(votes[:, columns], 3 * a[:, columns]), rel=1e-9)


def test_questions_with_few_votes_or_none_keep_1():
    a, votes = simulate(40)
    votes[:, SLICES["bar"]] = 0
    bar = fit_temperatures(votes, 4 * a, SCHEMA)["bar"]
    assert (bar.temperature, bar.error, bar.loss_before, bar.loss_after, bar.galaxies) == (1, None, None, None, 0)
    votes[:3, 2] = 5
    bar = fit_temperatures(votes, 4 * a, SCHEMA)["bar"]
    assert (bar.temperature, bar.error, bar.galaxies) == (1, None, 3)
    assert bar.loss_before == bar.loss_after == pytest.approx(naive_loss(votes[:, 2:], 4 * a[:, 2:]))
    assert fit_temperatures(votes, 4 * a, SCHEMA, min_galaxies=3)["bar"].temperature != 1


def test_a_temperature_beyond_the_limit_stands_at_it_without_an_error():
    a, votes = simulate(300)
    smooth = fit_temperatures(votes, 1000 * a, SCHEMA)["smooth"]
    assert (smooth.temperature, smooth.error) == (pytest.approx(20, rel=1e-3), None)


def test_each_sample_is_divided_by_its_own():
    a = np.random.default_rng(0).uniform(1, 9, (4, 5, 2)).astype(np.float32)
    divided = divide_by_temperatures(a, [[2, 4], [1, 8]], SCHEMA.question_index_groups)
    assert divided.dtype == np.float32
    for sample, (smooth, bar) in enumerate([(2, 1), (4, 8)]):
        np.testing.assert_array_equal(divided[:, :2, sample], a[:, :2, sample] / smooth)
        np.testing.assert_array_equal(divided[:, 2:, sample], a[:, 2:, sample] / bar)


# --- what is refused, without a model ---


@pytest.fixture
def made(tmp_path):
    """A model folder with weights that say nothing, its predictions and the votes: 100 of 150 galaxies validate it."""
    a, votes = simulate(150)
    names = [f"g{row:03d}" for row in range(150)]
    split = np.resize(["validation", "validation", "test"], 150).astype(object)
    config = describe_model(SCHEMA)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights.safetensors").write_bytes(b"weights")
    galaxies = pd.DataFrame({"id_str": names, "split": split})
    write_model_folder(tmp_path / "model", SCHEMA, config["config"], config["metrics"], galaxies)
    catalog = pd.DataFrame({"id_str": names, "file_loc": "a.jpg"})
    catalog[SCHEMA.label_cols] = votes

    def predict(name, factor=4, model=None, rows=slice(None)):
        (tmp_path / name).mkdir(exist_ok=True)
        table = pd.DataFrame({"id_str": names, SPLIT_COLUMN: split})[rows]
        model = model or read_model_folder(tmp_path / "model").describe(calibrated=True)
        write_part(tmp_path / name / "part-00000.parquet", table, (factor * a[rows]).astype("f4"), SCHEMA, model, [])
        return tmp_path / name

    return tmp_path / "model", predict, catalog


def test_only_validation_galaxies_are_fitted_and_the_file_says_all(made):
    model, predict, catalog = made
    is_validation = np.arange(150) % 3 < 2
    expected = fit_temperatures(
        catalog.loc[is_validation, SCHEMA.label_cols],
        read_predictions(predict("P")).concentrations[is_validation],
        SCHEMA,
    )
    found = calibrate(model, predict("P"), catalog.sample(frac=1, random_state=0))
    assert found.questions.keys() == expected.keys()
    for question in SLICES:
        assert found.questions[question].temperature == pytest.approx(expected[question].temperature, rel=1e-3)
    record = json.loads((model / TEMPERATURES).read_text())
    assert record["weights_sha256"] == file_checksum(model / "weights.safetensors")
    assert (record["samples"], record["galaxies"], record["questions"]["bar"]["galaxies"]) == (1, 100, 50)
    temperatures = {question: fitted.temperature for question, fitted in found.questions.items()}
    described = read_model_folder(model).describe(calibrated=True)["calibration"]
    assert described == {"samples": 1, "temperatures": temperatures}
    assert "calibration" not in read_model_folder(model).describe()


def test_the_printed_table(made):
    model, predict, catalog = made
    found = calibrate(model, predict("P"), catalog[10:], CalibrateSettings(min_galaxies=60))
    smooth = found.questions["smooth"]
    lines = str(found).splitlines()
    assert lines[0].split() == ["temperature", "loss", "before", "loss", "after", "galaxies"]
    numbers = [f"{smooth.temperature:.3f}", "±", f"{smooth.error:.3f}", f"{smooth.loss_before:.4f}"]
    assert lines[1].split() == ["smooth", *numbers, f"{smooth.loss_after:.4f}", "93"]
    assert lines[2].startswith("bar     1.000  ")
    assert lines[2].endswith("kept at 1: fewer than 60 galaxies with votes")
    assert "within" not in str(found)
    already_right = calibrate(model, predict("Q", 1, read_model_folder(model).describe()), catalog)
    assert "1 is within two standard errors" in str(already_right).splitlines()[1]
    assert lines[3] == f"Fitted on 93 of the model's 100 validation galaxies: {model / TEMPERATURES}"


def test_predictions_that_are_calibrated_already_are_refused(made):
    model, predict, catalog = made
    calibrate(model, predict("P"), catalog)
    before = (model / TEMPERATURES).read_bytes()
    with pytest.raises(PredictionError) as caught:
        calibrate(model, predict("Q", factor=1), catalog)
    assert str(caught.value) == (
        f"The predictions in '{model.parent / 'Q'}' were made with temperatures already. Predict the validation "
        "galaxies with --no-calibrated."
    )
    calibrate(model, model.parent / "P", catalog)
    assert (model / TEMPERATURES).read_bytes() == before


def test_predictions_of_another_model_are_refused(made):
    model, predict, catalog = made
    with pytest.raises(PredictionError, match=r"in '.*P' are not those of the model in '.*model' alone\. Predict"):
        calibrate(model, predict("P", model=describe_model(SCHEMA)), catalog)
    assert not (model / TEMPERATURES).exists()


def test_predictions_without_validation_galaxies_or_votes_are_refused(made):
    model, predict, catalog = made
    with pytest.raises(PredictionError, match=r"None of the 50 galaxies in '.*P' is a validation galaxy of the model"):
        calibrate(model, predict("P", rows=slice(2, None, 3)), catalog)
    with pytest.raises(PredictionError, match=r"None of the 100 validation galaxies .* such as 'g000', is in .* 'J0'"):
        calibrate(model, predict("P"), catalog.assign(id_str=[f"J{row}" for row in range(150)]))
    with pytest.raises(CatalogError, match="'bar_weak'"):
        calibrate(model, predict("P"), catalog.drop(columns="bar_weak"))


def test_a_damaged_model_folder_is_refused(made):
    model, predict, catalog = made
    calibrate(model, predict("P"), catalog)
    record = json.loads((model / TEMPERATURES).read_text())
    lacking = {**record, "questions": {"bar": record["questions"]["bar"]}}
    negative = {**record, "questions": {name: {"temperature": -1} for name in SLICES}}
    for content in ("{", "[]", json.dumps({}), json.dumps(lacking), json.dumps(negative)):
        (model / TEMPERATURES).write_text(content)
        with pytest.raises(ModelError, match=r"temperatures.json' is damaged\. 'zoobot calibrate' writes it anew"):
            read_model_folder(model).describe(calibrated=True)
    (model / TEMPERATURES).write_text(json.dumps({**record, "weights_sha256": "0"}))
    with pytest.raises(ModelError, match="was fitted for other weights than the model's"):
        read_model_folder(model).describe(calibrated=True)
    (model / "weights.safetensors").unlink()
    with pytest.raises(ModelError, match=r"The weights in '.*' cannot be read: No such file"):
        calibrate(model, model.parent / "P", catalog)


def test_a_model_folder_that_cannot_be_written(made, monkeypatch):
    model, predict, catalog = made

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("zoobot.shared.temperatures.write_atomically", refuse)
    with pytest.raises(OutputError, match=r"temperatures.json' cannot be written: Permission denied\."):
        calibrate(model, predict("P"), catalog)


def test_a_slurm_script_says_no_calibrated(tmp_path):
    script = slurm_script([tmp_path, tmp_path], tmp_path, PredictSettings(calibrated=False), 2)
    assert " --no-calibrated " in script
