"""A catalog's check: what the terminal, the page and the lists of bad rows say, on made-up and real tables."""

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from tests.shared.test_catalog_faults import SCHEMA, make_table
from zoobot.config import CatalogCheckSettings
from zoobot.errors import CatalogError
from zoobot.shared import fault_kinds
from zoobot.shared.catalog_reports import RejectedCatalogError, check
from zoobot.shared.catalog_totals import VoteTotals
from zoobot.shared.run_folders import RECORD
from zoobot.shared.schemas import Schema, get_schema

NO_FILES = CatalogCheckSettings(files=False)


def test_check_of_a_good_and_a_bad_catalog(zoobot, simulated, tmp_path):
    good = zoobot("catalog", "check", simulated / "catalog.csv", "--schema", "gz2")
    assert (good.code, good.err) == (0, "")
    assert good.out.startswith(f"'{simulated / 'catalog.csv'}': 60 galaxies, no faults.\n")
    votes = pd.read_csv(simulated / "catalog.csv")
    lines = {line.split()[0]: line.split()[1:] for line in good.out.splitlines()[3:] if line}
    assert lines["smooth-or-featured"][:2] == ["60", "1200"]
    assert lines["bar"][1] == str(votes[["bar_yes", "bar_no"]].to_numpy().sum())

    votes.assign(bar_yes=np.nan).to_csv(tmp_path / "bad.csv", index=False)
    bad = zoobot("catalog", "check", tmp_path / "bad.csv", "--schema", "gz2", "--no-files")
    assert (bad.code, bad.out) == (1, "")
    assert (
        "Votes are blank (NaN) in 60 rows, in the column 'bar_yes', such as 'nan' in row 1 ('sim_000000')." in bad.err
    )
    flags = ("--no-files", "--fill-missing-votes")
    filled = zoobot("catalog", "check", tmp_path / "bad.csv", "--schema", "gz2", *flags)
    assert (filled.code, filled.err) == (0, "Read 60 blank votes of 60 galaxies as 0.\n")
    missing = zoobot("catalog", "check", tmp_path / "bad.csv", "--schema", "gz2", "--fill-missing-votes")
    assert missing.code == 1
    assert "file_loc is no file in 60 rows, such as 'images/sim_000000.jpg' in row 1 ('sim_000000')." in missing.err
    assert zoobot("catalog", "check", tmp_path / "bad.csv").code == 2


def test_missing_columns_and_bad_rows_are_told_at_once(tmp_path):
    table = make_table().rename(columns={"bar_no": "bar_noo", "file_loc": "file_lok"})
    table.loc[3, "odd_yes"] = -1
    with pytest.raises(RejectedCatalogError) as caught:
        check(table, SCHEMA, tmp_path / "R", NO_FILES)
    report = caught.value.report
    assert report.n_rejected == 12
    assert "There is no column file_loc. Did you mean 'file_lok'?" in report.rejections[0]
    assert "Is it 'bar_noo' for 'bar_no'?" in report.rejections[1]
    assert "Votes are negative in 1 row, in the column 'odd_yes', such as '-1' in row 4" in report.rejections[2]
    assert len(report.rejections) == 3
    listed = pd.read_csv(tmp_path / "R" / "rejected.csv")
    assert listed["row"].tolist()[0] == 4
    assert listed["reason"].tolist()[1:] == report.rejections[:2]


def test_a_table_that_fits_another_tree_is_told_so():
    table = make_table(schema=get_schema("gz2-ortho"))
    with pytest.raises(RejectedCatalogError, match=r"The table has all columns of the schema 'gz2-ortho'\."):
        check(table, "gz2", settings=NO_FILES)


def test_page_and_lists_hold_every_row_and_no_hostile_name(tmp_path):
    hostile = "<script>alert('$x^2$')</script>"
    schema = Schema({"q": [f"_{hostile}", "_no"]}, {"q": None}, hostile)
    table = make_table(schema=schema)
    table.loc[2, "id_str"] = ""
    table.loc[5, "q_no"] = 0.5
    table.loc[7, "file_loc"] = table.loc[0, "file_loc"]
    with pytest.raises(RejectedCatalogError, match=r"12 galaxies, 2 cannot be used\."):
        check(table.assign(**{hostile: 1}), schema, tmp_path / "R", NO_FILES)
    page = (tmp_path / "R" / "catalog_report.html").read_text()
    assert "<script" not in page
    assert "2 cannot be used" in page
    assert page.count("&lt;script&gt;") > 2
    rejected, warned = (pd.read_csv(tmp_path / "R" / f"{name}.csv") for name in ("rejected", "warnings"))
    assert rejected["row"].tolist() == [3, 6]
    assert rejected["value"].tolist()[1] == 0.5
    assert (warned["row"].tolist(), warned["column"].tolist()) == ([8], ["file_loc"])
    assert {path.name for path in (tmp_path / "R").iterdir()} == {
        RECORD,
        "catalog_report.html",
        "rejected.csv",
        "warnings.csv",
    }


def test_an_empty_catalog_and_one_without_votes_are_refused():
    with pytest.raises(CatalogError, match="The catalog in memory is empty: it has no rows"):
        check(make_table().head(0), SCHEMA, settings=NO_FILES)
    empty = make_table()
    empty[SCHEMA.label_cols] = 0
    with pytest.raises(RejectedCatalogError, match="All votes are 0: there is nothing to learn from"):
        check(empty, SCHEMA, settings=NO_FILES)


def test_weighted_votes_are_not_cut_to_whole_numbers():
    table = make_table()
    table.loc[0, "bar_weak"] += 0.25
    report = check(table, SCHEMA, settings=CatalogCheckSettings(weighted_votes=True, files=False))
    assert report.totals.to_table()["votes"][1] == table[["bar_strong", "bar_weak", "bar_no"]].to_numpy().sum()


@pytest.mark.parametrize("batches", [1, 3])
def test_totals_equal_a_naive_count(batches):
    votes = make_table(100, seed=2)[SCHEMA.label_cols].to_numpy(float)
    totals = VoteTotals(SCHEMA)
    for part in np.array_split(votes, batches):
        totals.add(part)
    for row, question in zip(totals.to_table().itertuples(index=False), SCHEMA.questions, strict=True):
        per_galaxy = votes[:, question.slice].sum(axis=1)
        asked = per_galaxy[per_galaxy > 0]
        assert tuple(row) == (question.text, len(asked), asked.sum(), np.median(asked))
    np.testing.assert_allclose(totals.answers, votes.sum(axis=0))


# --- totals that suggest another tree ---


def test_votes_cast_by_another_tree_are_pointed_out_with_the_numbers():
    walked = Schema(SCHEMA.question_answer_pairs, {"smooth": None, "bar": "smooth_yes", "odd": "bar_no"})
    report = check(make_table(200, schema=walked), walked, settings=NO_FILES)
    assert report.suggestions == []
    with pytest.raises(RejectedCatalogError) as caught:
        check(make_table(200, schema=walked), SCHEMA, settings=NO_FILES)
    suggested = {suggestion.question.text: suggestion for suggestion in caught.value.report.suggestions}
    assert suggested["bar"].parents == ["smooth_yes"]
    assert suggested["odd"].parents == ["bar_no"]
    assert suggested["bar"].as_suggested == 0
    votes = make_table(200, schema=walked)
    bars = votes[["bar_strong", "bar_weak", "bar_no"]].sum(axis=1)
    off = (bars - votes["smooth_no"])[(bars > 0) | (votes["smooth_no"] > 0)].abs().mean()
    assert suggested["bar"].as_declared == pytest.approx(off)
    assert f"(off by {off:.2f})" in str(suggested["bar"])


def test_a_published_tree_that_says_so_is_named():
    table = make_table(200, schema=get_schema("desi"))
    report = check(table, "decals", settings=NO_FILES)
    assert [suggestion.question.text for suggestion in report.suggestions] == ["has-spiral-arms", "bar", "bulge-size"]
    assert all("desi" in suggestion.trees for suggestion in report.suggestions)


@pytest.mark.parametrize("name", ["gz2-faithful", "hubble-faithful", "candels", "decals-all-campaigns-ortho"])
def test_volunteers_who_walked_the_tree_raise_no_doubt(name):
    schema = get_schema(name)
    report = check(make_table(300, schema=schema), schema, settings=NO_FILES)
    assert report.warnings == []


# --- images ---


@pytest.fixture
def pictures(tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "images"
    folder.mkdir()
    for row in range(14):
        Image.fromarray(rng.integers(0, 255, (40, 40, 3), np.uint8)).save(folder / f"{row}.png")
    names = [f"images/{row}.png" for row in range(14)]
    table = make_table(14).assign(file_loc=names)
    table.to_csv(tmp_path / "c.csv", index=False)
    return folder


def test_images_are_opened_and_judged(pictures, zoobot):
    Image.new("RGB", (40, 40), (7, 7, 7)).save(pictures / "3.png")
    whole = (pictures / "5.png").read_bytes()
    (pictures / "5.png").write_bytes(whole[: len(whole) // 2])
    (pictures / "8.png").write_bytes((pictures / "2.png").read_bytes())
    Image.fromarray(np.arange(1024, dtype=np.uint8).reshape(32, 32)).save(pictures / "9.png")
    (pictures / "11.png").unlink()
    catalog, output = pictures.parent / "c.csv", pictures.parent / "R"
    SCHEMA.to_yaml(pictures.parent / "tree.yaml")
    arguments = (catalog, "--schema", pictures.parent / "tree.yaml", "--open-images", "--output", output)
    result = zoobot("catalog", "check", *arguments)
    assert result.code == 1
    rejected, warned = (pd.read_csv(output / f"{name}.csv").set_index("row") for name in ("rejected", "warnings"))
    assert rejected["reason"].to_dict() == {
        4: fault_kinds.CONSTANT.what,
        6: fault_kinds.UNREADABLE.what,
        12: "file_loc is no file",
    }
    assert rejected["value"][4] == "all 7"
    assert "truncated" in rejected["value"][6]
    assert warned["reason"].to_dict() == {9: fault_kinds.SAME_PIXELS.what, 10: fault_kinds.UNUSUAL.what}
    assert warned["value"].to_dict() == {9: "as in row 3", 10: "32 x 32 L, most are 40 x 40 RGB"}
    assert zoobot("catalog", "check", catalog, "--schema", pictures.parent / "tree.yaml").err.count("is no file") == 1


def test_images_of_many_sizes_are_not_unusual(pictures):
    for row in range(14):
        Image.open(pictures / f"{row}.png").resize((30 + row, 30)).save(pictures / f"{row}.png")
    report = check(pictures.parent / "c.csv", SCHEMA, settings=CatalogCheckSettings(open_images=True, workers=2))
    assert (report.rejections, report.warnings) == ([], [])


# --- real tables ---


def test_real_votes_of_gz2_point_to_the_real_tree(shared_data):
    report = check(shared_data / "gz2" / "catalog.csv", "gz2")
    assert (report.findings.n_rows, report.rejections) == (750, [])
    suggested = {suggestion.question.text: suggestion.parents for suggestion in report.suggestions}
    assert suggested.pop("something-odd") == ["smooth-or-featured_smooth", "smooth-or-featured_featured-or-disk"]
    assert suggested == {name: ["disk-edge-on_no"] for name in ("bar", "has-spiral-arms", "bulge-size")}


def test_galaxies_that_stand_twice_are_found_by_their_file(shared_data, tmp_path):
    path = shared_data / "panoptes" / "gz_decals_first_question_counts.csv.gz"
    table = pd.read_csv(path, dtype={"id_str": str}).rename(columns={"png_loc": "file_loc"})
    answers = ["_smooth", "_featured-or-disk", "_artifact"]
    tree = {"question_answer_pairs": {"smooth-or-featured": answers}, "dependencies": {"smooth-or-featured": None}}
    (tmp_path / "first.yaml").write_text(yaml.safe_dump(tree))
    report = check(table, tmp_path / "first.yaml", tmp_path / "R", NO_FILES)
    assert report.rejections == []
    assert [sentence.split(",")[0] for sentence in report.warnings] == [
        "file_loc stands in an earlier row too in 12 rows"
    ]
    assert len(pd.read_csv(tmp_path / "R" / "warnings.csv")) == 12


def test_the_sample_is_every_so_manieth_galaxy_however_they_come():
    votes = np.arange(40_000.0)[:, None] * np.ones(len(SCHEMA.answers)) / 10
    for sizes in ([40_000], [1, 7000, 2, 12_997, 20_000]):
        totals = VoteTotals(SCHEMA)
        for part in np.split(votes, np.cumsum(sizes)[:-1]):
            totals.add(part)
        np.testing.assert_array_equal(totals.sample, votes[::8])
