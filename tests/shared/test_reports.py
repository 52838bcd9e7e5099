"""The report is one page that needs nothing else, whatever names and gaps the catalog has."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.conftest import describe_model
from zoobot.config import EvaluateSettings
from zoobot.errors import CatalogError, OutputError
from zoobot.shared import metrics, report_figures, reports
from zoobot.shared.predictions import SPLIT_COLUMN, write_part
from zoobot.shared.report_galleries import build_galleries
from zoobot.shared.schemas import Schema, get_schema

SCHEMA = Schema({"smooth": ["_yes", "_no"], "bar": ["_strong", "_weak", "_no"]}, {"smooth": None, "bar": None}, "small")
HOSTILE = "<script>alert('é')</script>"


class Page(HTMLParser):
    """What a page fetches, the elements it has and the text it shows."""

    def __init__(self, text):
        super().__init__()
        self.addresses, self.elements, self.texts, self.places = [], [], [], []
        self.feed(text)
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.places += [f"#{value}" for name, value in attrs if name == "id"]
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
    links = [address for address in page.addresses if address.startswith("#")]
    images = [address for address in page.addresses if address not in links]
    assert sorted(links) == sorted(page.places)
    assert all(address.startswith("data:image/") for address in images)
    assert not {"script", "link", "iframe"} & set(page.elements)
    assert "url(" not in text
    scores = evaluation.scores[metrics.HELD_OUT]
    for estimate in [*scores.loss.values(), *scores.gain.values(), *scores.error.values(), scores.skill]:
        assert str(estimate) in page.text
    assert "3 galaxies, held out" in page.text
    assert "Left out: 3 galaxies seen in training" in page.text
    assert "such as g1, g3, g5." in page.text
    assert (
        "Encoder resnet18, tree small, input 64 px greyscale, made with zoobot 1.2.3; weights 0123456789ab."
        in page.text
    )


def test_how_long_training_took_is_said_where_it_is_known(tmp_path):
    for name in ("known", "unknown"):
        (tmp_path / name).mkdir()
    assert "Training time" not in write(tmp_path / "unknown")[1].text
    model = describe_model(SCHEMA, hardware={"device": HOSTILE, "devices": 2, "cores": 16})
    model["metrics"]["timing"] = {"seconds": [60, 40, 21], "images per second": [500, 1240, 1500]}
    _, page, text = write(tmp_path / "known", model=model)
    assert f"Training time: 2 min 1 s, 1,240 images/s, on 2 x {HOSTILE}, 16 processor cores ." in page.text
    assert HOSTILE not in text
    assert f"device, training {HOSTILE} devices, training 2 cores, training 16" in page.text


def test_rates_are_drawn_where_there_are_several(tmp_path):
    predictions, catalog = make(tmp_path)
    evaluation = metrics.evaluate(predictions, catalog)
    history = evaluation.model["metrics"]["history"]

    def draw(**changes):
        history.update(changes)
        return report_figures.plot_history(evaluation).axes

    assert len(draw()) == 1
    _, rates = draw(**{"learning rate": [0.1, 0.2, 0.0]})
    assert rates.lines[0].get_ydata().tolist() == [0.1, 0.2, 0.0]
    one_epoch = {name: values[:1] for name, values in history.items()}
    assert len(draw(**one_epoch)) == 1


def test_figures_show_the_galaxies_that_the_model_never_saw(tmp_path):
    predictions, catalog = make(tmp_path, n_galaxies=60, splits=("train", "train", "test"))
    evaluation = metrics.evaluate(predictions, catalog, EvaluateSettings(include_seen=True))
    figures = dict(report_figures.all_figures(evaluation))
    fractions = figures["fractions"].axes
    assert [panel.get_title() for panel in fractions][:2] == ["smooth\nyes\n20 galaxies", "smooth\nno\n20 galaxies"]
    counts = fractions[0].collections[0].get_array()
    assert counts.sum() == 20
    held_out = evaluation.scores[metrics.HELD_OUT]
    points = figures["errors"].axes[0].lines[0].get_xdata()
    np.testing.assert_allclose(points, held_out.answers["MAE"])
    texts = [text.get_text() for text in figures["confusion"].axes[0].texts]
    assert texts == [str(n) for n in held_out.classification.confusions["smooth", "all"].ravel()]
    assert {"pit", "coverage", "reliability", "roc", "purity", "posteriors", "skill", "training"} <= figures.keys()


def test_tables_hold_what_the_evaluation_holds(tmp_path):
    evaluation, _, _ = write(tmp_path, EvaluateSettings(include_seen=True), splits=("train", "test"))
    folder = tmp_path / "report"
    assert sorted(path.name for path in folder.iterdir()) == [
        "figures",
        "metrics.json",
        "report.html",
        "run.json",
        "tables",
    ]
    record = json.loads((folder / "metrics.json").read_text())
    assert evaluation.to_dict().items() <= record.items()
    assert record["provenance"]["model"]["weights_sha256"] == evaluation.model["weights_sha256"]
    for kind, scores in evaluation.scores.items():
        for name, expected in scores.tables.items():
            path = folder / "tables" / f"{name}_{kind.replace(' ', '_')}.csv"
            pd.testing.assert_frame_equal(pd.read_csv(path), expected.replace("", np.nan), check_dtype=False)
            assert path.with_suffix(".tex").read_text().startswith(r"\begin{")
    for figure in (folder / "figures").iterdir():
        assert figure.read_bytes()[:4] in (b"\x89PNG", b"%PDF")


def test_report_of_the_same_predictions_has_the_same_figures(tmp_path):
    predictions, catalog = make(tmp_path)
    for name in ("a", "b"):
        reports.evaluate(predictions, catalog, tmp_path / name)
    for figure in (tmp_path / "a" / "figures").iterdir():
        assert figure.read_bytes() == (tmp_path / "b" / "figures" / figure.name).read_bytes(), figure.name


def test_strata_and_comparison_are_in_the_report(tmp_path):
    predictions, catalog = make(tmp_path, n_galaxies=40)
    table = pd.read_csv(catalog).assign(magnitude=np.linspace(14, 18, 40), survey=["a", "b <i>"] * 20)
    table.to_csv(catalog, index=False)
    settings = EvaluateSettings(by=["magnitude", "survey"], compare=[predictions])
    reports.evaluate(predictions, catalog, tmp_path / "report", settings)
    folder = tmp_path / "report"
    page = Page((folder / "report.html").read_text())
    assert "By magnitude, survey" in page.text
    record = json.loads((folder / "metrics.json").read_text())
    assert [row["loss, better by"] for row in record["comparison"]] == [0, 0]
    assert {row["stratum"] for row in record["strata"]["survey"]} == {"a", "b <i>"}
    assert (folder / "figures" / "by_magnitude.pdf").is_file()
    with pytest.raises(CatalogError, match=r"has no column 'magnitud'\. Did you mean 'magnitude'\?"):
        reports.evaluate(predictions, catalog, tmp_path / "other", EvaluateSettings(by=["magnitud"]))
    assert not (tmp_path / "other").exists()


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is needed")
def test_tables_compile_in_latex(tmp_path):
    schema = Schema({"a_b": ["_yes%", "_no&"], "b$": ["_#1", "_{2}", "_~^\\"]}, {"a_b": None, "b$": None}, "x")
    write(tmp_path, schema=schema)
    tables = sorted((tmp_path / "report" / "tables").glob("*.tex"))
    inputs = "\n".join(f"\\input{{{table}}}" for table in tables)
    packages = r"\documentclass{article}\usepackage{booktabs,longtable}\begin{document}"
    (tmp_path / "all.tex").write_text(f"{packages}\n{inputs}\n\\end{{document}}\n")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is needed")
@pytest.mark.parametrize("width", [1200, 390])
def test_page_in_a_browser(tmp_path, width):
    _, page, text = write(tmp_path, n_galaxies=40)
    look = """<script>addEventListener("load", () => {
        const broken = [...document.images].filter(image => !image.naturalWidth).length
        const cut = document.documentElement.scrollWidth - document.documentElement.clientWidth
        document.title = `${document.images.length} images, ${broken} broken, ${cut} px cut`
    })</script></body>"""
    path = tmp_path / "look.html"
    path.write_text(text.replace("</body>", look), encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--enable-logging=stderr", "--dump-dom"]
    options += [f"--user-data-dir={tmp_path / 'browser'}", f"--window-size={width},2000"]
    done = subprocess.run([CHROMIUM, *options, path.as_uri()], capture_output=True, text=True, timeout=120)
    assert f"<title>{page.elements.count('img')} images, 0 broken, 0 px cut</title>" in done.stdout
    assert "CONSOLE" not in done.stderr


def test_hostile_names_are_shown_not_run(tmp_path):
    tree = {HOSTILE: ["_yes", "_<b>no</b>"], "bar": ["_$\\frac{$", "_&amp;"]}
    schema = Schema(tree, {HOSTILE: None, "bar": None}, HOSTILE)
    ids = [HOSTILE, '"><img src=http://evil>', "a\nb", "$\\frac{$", "{{ 7 * 7 }}", "ü"]
    _, page, text = write(tmp_path, schema=schema, ids=ids, model=describe_model(schema, architecture=HOSTILE))
    assert "<script" not in text
    assert "<b>no<" not in text
    assert all(address.startswith(("data:image/", "#")) for address in page.addresses)
    for name in ids:
        assert " ".join(name.split()) in page.text


def test_missing_and_damaged_images_have_a_placeholder(tmp_path):
    (tmp_path / "1.png").write_bytes(b"\x89PNG damaged")
    evaluation, _, _ = write(tmp_path)
    for gallery in build_galleries(evaluation):
        assert {card.id_str for card in gallery.cards if card.image} <= {"g0"}
        assert all(card.image is None for card in gallery.cards if card.id_str != "g0")
    assert "image not found" in (tmp_path / "report" / "report.html").read_text()


def test_galleries_are_as_large_as_asked_and_follow_from_the_seed(tmp_path):
    predictions, catalog = make(tmp_path, n_galaxies=30)

    def random_choice(**settings):
        evaluation = metrics.evaluate(predictions, catalog, EvaluateSettings(**settings))
        return [card.id_str for card in build_galleries(evaluation)[-1].cards]

    assert random_choice(gallery=5) == random_choice(gallery=5) != random_choice(gallery=5, seed=1)
    assert len(random_choice(gallery=5)) == 5
    assert len(random_choice(gallery=99)) == 30
    assert build_galleries(metrics.evaluate(predictions, catalog, EvaluateSettings(gallery=0))) == []


def test_galleries_show_what_they_say(tmp_path):
    predictions, catalog = make(tmp_path, n_galaxies=30)
    evaluation = metrics.evaluate(predictions, catalog)
    galleries = {gallery.title: [card.id_str for card in gallery.cards] for gallery in build_galleries(evaluation)}
    names, fractions = np.array(evaluation.catalog.id_str), evaluation.fractions
    losses = evaluation.scores[metrics.HELD_OUT].evidence.losses
    excess = (losses["model"] - losses["saturated bound"]).sum(axis=1)
    assert galleries["Largest errors"] == list(names[np.argsort(-excess)[:12]])
    entropy = -(fractions[:, :2] * np.log(fractions[:, :2])).sum(axis=1)
    assert galleries["Most uncertain"] == list(names[np.argsort(-entropy)[:12]])
    strip = [list(names).index(name) for name in galleries["From certain to uncertain"]]
    assert list(np.argsort(entropy[strip])) == list(range(12))
    assert (entropy[strip[0]], entropy[strip[-1]]) == (entropy.min(), entropy.max())
    assert galleries["Most confident: bar"][:4] == list(names[np.argsort(-fractions[:, 2])[:4]])


def test_question_nobody_has_votes_for_shows_a_dash(tmp_path):
    nothing = dict.fromkeys(SCHEMA.label_cols[2:], 0)
    _, page, _ = write(tmp_path, votes={label: [0] * 6 for label in nothing})
    assert re.search(r"bar 0 0\.000 0\.000 – ", page.text)
    assert "bar all 0 0 – – – – – – – –" in page.text
    assert not re.search(r"\bnan\b", page.text.lower())


@pytest.mark.parametrize("votes_for_fractions", [5, 1000])
def test_tree_of_one_question(tmp_path, votes_for_fractions):
    schema = Schema({"ring": ["_yes", "_no"]}, {"ring": None}, "rings")
    _, page, _ = write(tmp_path, EvaluateSettings(votes_for_fractions=votes_for_fractions), schema=schema)
    assert "tree rings" in page.text
    assert not re.search(r"\bnan\b", page.text.lower())


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
