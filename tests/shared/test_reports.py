"""The report is one page that needs nothing else, whatever names and gaps the catalog has."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.conftest import describe_model
from zoobot.config import EvaluateSettings
from zoobot.errors import OutputError
from zoobot.shared import metrics, reports
from zoobot.shared.predictions import SPLIT_COLUMN, write_part
from zoobot.shared.schemas import Schema, get_schema

SCHEMA = Schema({"smooth": ["_yes", "_no"], "bar": ["_strong", "_weak", "_no"]}, {"smooth": None, "bar": None}, "small")
HOSTILE = "<script>alert('é')</script>"


class Page(HTMLParser):
    """What a page fetches, the elements it has and the text it shows."""

    def __init__(self, text):
        super().__init__()
        self.addresses, self.elements, self.texts = [], [], []
        self.feed(text)
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]

    def handle_data(self, text):
        self.texts.append(text)


def make(folder, schema=SCHEMA, votes=None, n_galaxies=6, splits=("test",), ids=None, model=None):
    """Predictions and a catalog with one image in `folder`; every galaxy but the first lacks its own."""
    rng = np.random.default_rng(0)
    ids = ids or [f"g{number}" for number in range(n_galaxies)]
    Image.fromarray(rng.integers(0, 255, (40, 60), np.uint8)).save(folder / "0.png")
    catalog = pd.DataFrame({"id_str": ids, "file_loc": [f"{number}.png" for number in range(n_galaxies)]})
    columns = {label: rng.integers(5, 20, n_galaxies) for label in schema.label_cols} | (votes or {})
    catalog = pd.concat([catalog, pd.DataFrame(columns)], axis=1)
    catalog.to_csv(folder / "catalog.csv", index=False)
    galaxies = catalog[["id_str"]].assign(**{SPLIT_COLUMN: np.resize(splits, n_galaxies).astype(object)})
    concentrations = rng.uniform(1, 50, (n_galaxies, len(schema.label_cols), 1)).astype(np.float32)
    (folder / "predictions").mkdir()
    model = model or describe_model(schema)
    write_part(folder / "predictions" / "part-00000.parquet", galaxies, concentrations, schema, model, [])
    return folder / "predictions", folder / "catalog.csv"


def write(folder, settings=None, **galaxies):
    predictions, catalog = make(folder, **galaxies)
    evaluation = reports.evaluate(predictions, catalog, folder / "report", settings)
    text = (folder / "report" / "report.html").read_text(encoding="utf-8")
    return evaluation, Page(text), text


def test_page_is_self_contained_and_says_what_it_should(tmp_path):
    evaluation, page, text = write(tmp_path, splits=("test", "train"))
    assert len(page.addresses) == 4  # three figures, one galaxy
    assert all(address.startswith("data:image/") for address in page.addresses)
    assert not {"script", "link", "iframe"} & set(page.elements)
    assert "://" not in text
    assert "url(" not in text
    scores = evaluation.scores[metrics.HELD_OUT]
    for estimate in [*scores.loss.values(), *scores.gain.values(), *scores.error.values()]:
        assert str(estimate) in page.text
    assert "3 galaxies, held out" in page.text
    assert "Left out: 3 galaxies seen in training" in page.text
    assert (
        "Encoder resnet18, tree small, input 64 px greyscale, made with zoobot 1.2.3; weights 0123456789ab."
        in page.text
    )


def test_figures_show_the_galaxies_that_the_model_never_saw(tmp_path):
    predictions, catalog = make(tmp_path, splits=("train", "train", "test"))
    evaluation = metrics.evaluate(predictions, catalog, EvaluateSettings(include_seen=True))
    bars, panels = reports.plot_losses(evaluation).axes[0], reports.plot_fractions(evaluation).axes
    assert bars.get_xlabel() == "mean loss per galaxy (nats), held out"
    losses = evaluation.scores[metrics.HELD_OUT].questions[f"loss, {metrics.MODEL}"]
    np.testing.assert_allclose([bar.get_width() for bar in bars.containers[0]], losses)
    assert [panel.get_title() for panel in panels] == ["smooth\n2 galaxies, held out", "bar\n2 galaxies, held out"]
    offsets = panels[1].collections[2].get_offsets()
    held_out = evaluation.kinds == metrics.HELD_OUT
    votes = evaluation.catalog.votes[held_out, 2:]
    np.testing.assert_allclose(offsets[:, 0], votes[:, 2] / votes.sum(axis=1))
    np.testing.assert_allclose(offsets[:, 1], evaluation.fractions[held_out, 4])


def test_tables_hold_what_the_evaluation_holds(tmp_path):
    evaluation, _, _ = write(tmp_path, EvaluateSettings(include_seen=True), splits=("train", "test"))
    folder = tmp_path / "report"
    names = ["metrics.json", "questions_held_out.csv", "questions_seen_in_training.csv", "report.html", "run.json"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert json.loads((folder / "metrics.json").read_text()) == evaluation.to_dict()
    table = pd.read_csv(folder / "questions_held_out.csv")
    pd.testing.assert_frame_equal(table, evaluation.scores[metrics.HELD_OUT].questions, check_dtype=False)


def test_hostile_names_are_shown_not_run(tmp_path):
    tree = {HOSTILE: ["_yes", "_<b>no</b>"], "bar": ["_$\\frac{$", "_&amp;"]}
    schema = Schema(tree, {HOSTILE: None, "bar": None}, HOSTILE)
    ids = [HOSTILE, '"><img src=http://evil>', "a\nb", "$\\frac{$", "{{ 7 * 7 }}", "ü"]
    _, page, text = write(tmp_path, schema=schema, ids=ids, model=describe_model(schema, architecture=HOSTILE))
    assert "<script" not in text
    assert "<b>no" not in text
    assert all(address.startswith("data:image/") for address in page.addresses)
    for name in ids:
        assert " ".join(name.split()) in page.text


def test_missing_and_damaged_images_have_a_placeholder(tmp_path):
    (tmp_path / "1.png").write_bytes(b"\x89PNG damaged")
    _, page, text = write(tmp_path)
    assert text.count("data:image/jpeg") == 1
    assert page.text.count("image not found") == 5


def test_gallery_is_as_large_as_asked_and_follows_from_the_seed(tmp_path):
    predictions, catalog = make(tmp_path, n_galaxies=30)
    shown = []
    for name, gallery, seed in (("a", 5, 0), ("b", 5, 0), ("c", 5, 1), ("d", 0, 0), ("e", 99, 0)):
        reports.evaluate(predictions, catalog, tmp_path / name, EvaluateSettings(gallery=gallery, seed=seed))
        page = Page((tmp_path / name / "report.html").read_text())
        shown.append([galaxy for galaxy in page.text.split() if galaxy in {f"g{number}" for number in range(30)}])
    assert [len(galaxies) for galaxies in shown] == [5, 5, 5, 0, 30]
    assert shown[0] == shown[1] != shown[2]


def test_question_nobody_has_votes_for_shows_a_dash(tmp_path):
    nothing = dict.fromkeys(SCHEMA.label_cols[2:], 0)
    _, page, _ = write(tmp_path, votes={label: [0] * 6 for label in nothing})
    assert re.search(r"bar 0 0 0\.000 – 0\.000 – 0\.000 – ", page.text)
    assert "nan" not in page.text.lower()


@pytest.mark.parametrize("votes_for_fractions", [5, 1000])
def test_tree_of_one_question(tmp_path, votes_for_fractions):
    schema = Schema({"ring": ["_yes", "_no"]}, {"ring": None}, "rings")
    _, page, _ = write(tmp_path, EvaluateSettings(votes_for_fractions=votes_for_fractions), schema=schema)
    assert "tree rings" in page.text
    assert "nan" not in page.text.lower()


def test_a_single_galaxy_and_weighted_votes(tmp_path):
    votes = {"smooth_yes": [30.25], "smooth_no": [12.5]}
    _, page, _ = write(tmp_path, EvaluateSettings(weighted_votes=True), n_galaxies=1, votes=votes)
    assert "smooth (42.75 votes)" in page.text
    assert "± –" in page.text


def test_gallery_shows_the_first_question_and_the_one_most_reached(tmp_path):
    tree = {"odd": ["_a", "_b"], "bar": ["_a", "_b"], "smooth": ["_yes", "_no"], "ring": ["_a", "_b"]}
    schema = Schema(tree, {"smooth": None, "bar": "smooth_no", "odd": "smooth_no", "ring": "smooth_yes"})
    votes = {"odd_a": [9], "odd_b": [0], "bar_a": [5], "bar_b": [5], "ring_a": [0], "ring_b": [0]}
    votes |= {"smooth_yes": [2], "smooth_no": [18]}
    _, page, _ = write(tmp_path, schema=schema, n_galaxies=1, votes=votes)
    assert page.text.index("smooth (20 votes)") < page.text.index("bar (10 votes)")
    assert "odd (9 votes)" not in page.text


def test_command_writes_a_report_of_simulated_galaxies_once(zoobot, simulated, tmp_path):
    schema = get_schema("gz2")
    catalog = pd.read_csv(simulated / "catalog.csv")
    votes = catalog[schema.label_cols].to_numpy()
    galaxies = catalog[["id_str"]].assign(**{SPLIT_COLUMN: np.resize(["train", "test"], len(catalog))})
    concentrations = (votes + 1)[..., None].astype(np.float32)
    (tmp_path / "predictions").mkdir()
    part = tmp_path / "predictions" / "part-00000.parquet"
    write_part(part, galaxies, concentrations, schema, describe_model(schema, votes), [])
    arguments = ("evaluate", tmp_path / "predictions", simulated / "catalog.csv", "--output", tmp_path / "report")
    done = zoobot(*arguments, "--gallery", 3)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("30 galaxies, held out (value ± standard error)\n")
    again = zoobot(*arguments, "--gallery", 3)
    assert (again.code, again.out) == (0, done.out)
    other = zoobot(*arguments, "--gallery", 4)
    assert (other.code, other.out) == (1, "")
    assert "- gallery: 3 there, 4 now" in other.err
    wrong = zoobot(*arguments, "--schema", "decals")
    assert wrong.code == 1
    assert wrong.err.startswith("The predictions are for the tree 'gz2', which is not the schema asked for.")


def test_report_is_not_written_over_something_else(tmp_path):
    predictions, catalog = make(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(OutputError, match=r"mine' exists and is no run of zoobot\. Choose an empty or a new folder\."):
        reports.evaluate(predictions, catalog, tmp_path / "mine")
