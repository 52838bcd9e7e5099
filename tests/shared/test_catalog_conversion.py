"""Published tables into catalogs: against real tables, a plain walk along the tree, and every way to get it wrong."""

import logging
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoobot.config import ConvertSettings
from zoobot.errors import CatalogError, OutputError, SettingError
from zoobot.shared import table_mappings
from zoobot.shared.catalog_conversion import as_text, convert
from zoobot.shared.mapping_files import list_mappings
from zoobot.shared.published_votes import votes_of_fractions
from zoobot.shared.schemas import Schema, get_schema
from zoobot.shared.simulation import answer_probabilities, cast_votes, draw_galaxies
from zoobot.shared.table_mappings import load_table_mapping

TREE = """
question_answer_pairs: {shape: [_smooth, _disk], bar: [_yes, _no]}
dependencies: {shape: null, bar: shape_disk}
"""
COUNTS = "{shape_smooth: s, shape_disk: d, bar_yes: 'n bar', bar_no: n-no.bar}"
FRACTIONS = "{shape_smooth: fs, shape_disk: fd, bar_yes: fb, bar_no: fnb}"


@pytest.fixture
def own(tmp_path):
    """Write a mapping beside its tree, and a table; `own("counts: ...")` is the mapping's path."""
    (tmp_path / "tree.yaml").write_text(TREE)

    def write(text=f"counts: {COUNTS}\nid_col: name", schema="tree.yaml"):
        path = tmp_path / "own.yaml"
        path.write_text(f"schema: {schema}\n{text}\n")
        return path

    return write


def table(**columns):
    counts = {"name": ["a", "b"], "s": [4, 0], "d": [6, 9], "n bar": [1, 9], "n-no.bar": [5, 0]}
    return pd.DataFrame({**counts, **columns})


def read_back(path):
    return pd.read_csv(path, dtype={"id_str": str}, keep_default_na=False)


# --- real tables ---


def test_the_published_columns_of_gz2_give_the_catalog_exactly(zoobot, shared_data, tmp_path):
    result = zoobot(
        *("catalog", "convert", shared_data / "gz2" / "gz2_published_columns.csv", "--from", "gz2"),
        *("--image-folder", shared_data / "gz2" / "images", "--id-col", "asset_id"),
        *("--file-template", "{asset_id}.jpg", "--output", tmp_path / "catalog.csv"),
    )
    assert (result.code, result.err) == (0, "")
    assert "750 galaxies" in result.out
    assert "from counts" in result.out
    assert "--schema gz2" in result.out
    expected = pd.read_csv(shared_data / "gz2" / "catalog.csv").sort_values("id_str", ignore_index=True)
    made = read_back(tmp_path / "catalog.csv")
    assert list(made)[:2] == ["id_str", "file_loc"]
    made = made.assign(id_str="gz2_" + made["id_str"]).sort_values("id_str", ignore_index=True)
    columns = ["id_str", *get_schema("gz2").label_cols]
    pd.testing.assert_frame_equal(made[columns], expected[columns], check_dtype=False)
    assert (made[columns[1:]].dtypes == np.int64).all()
    assert all(map(os.path.isfile, made["file_loc"]))


def test_stripe_82_adds_up_and_its_fractions_come_close(shared_data, tmp_path):
    wanted = re.compile(r"(?!t\d\d).*|.*(_count|(?<!weighted)_fraction)")
    published = pd.read_csv(shared_data / "gz2_stripe82" / "table5.csv.gz", usecols=wanted.fullmatch)
    schema = get_schema("gz2-faithful")
    settings = ConvertSettings(file_template="{objid}.jpg")
    done = convert(published, "gz2", tmp_path / "counts.parquet", settings, schema=schema)
    assert (done.rows, done.weighted, done.n_blank) == (19_761, False, 0)
    counts = pd.read_parquet(tmp_path / "counts.parquet")
    assert (counts["id_str"] == published["objid"].astype(str)).all()
    votes = counts[schema.label_cols].to_numpy()
    np.testing.assert_array_equal(votes.sum(axis=1), published["total_votes"])
    np.testing.assert_array_equal(votes[:, :3].sum(axis=1), published["total_classifications"])

    without = published[[column for column in published if not column.endswith("_count")]]
    settings = ConvertSettings(file_template="{objid}.jpg", total_votes="total_classifications")
    assert convert(without, "gz2", tmp_path / "fractions.parquet", settings, schema=schema).weighted
    rebuilt = pd.read_parquet(tmp_path / "fractions.parquet")[schema.label_cols].to_numpy()
    # Nearer they cannot come: the table's fractions are not all of its counts.
    distance = np.abs(rebuilt - votes)
    assert (distance <= 1).mean() > 0.99
    assert distance.max() < 4.5


# --- the bundled mappings ---


def test_every_bundled_mapping_is_readable_and_fills_each_of_its_trees():
    assert list_mappings("tables") == [
        *("gz-candels", "gz-decals", "gz-decals-dr12", "gz-hubble", "gz2", "kaggle-galaxy-zoo"),
    ]
    for name in list_mappings("tables"):
        mapping, _ = load_table_mapping(name)
        for schema in map(get_schema, [tree + form for tree in mapping.schemas for form in ("", "-ortho")]):
            for columns in filter(None, (mapping.counts, mapping.fractions)):
                sources = [mapping.find_label(label, columns) for label in schema.label_cols]
                assert None not in sources
                assert len(set(sources)) == len(sources)
            totals = {mapping.find_total(question.text) for question in schema.questions}
            assert totals == {None} or (None not in totals and len(totals) == len(schema.questions))


def test_the_answers_of_each_published_task_are_all_there_in_their_order():
    tasks = {"gz2": 11, "gz-hubble": 18, "gz-candels": 17, "kaggle-galaxy-zoo": 11}
    order = {}
    for name, n_tasks in tasks.items():
        mapping, _ = load_table_mapping(name)
        numbers = {}
        for label, column in mapping.fractions.items():
            task, answer = re.match(r"(?:t|Class)(\d+)(?:_.*?_a|\.)(\d+)(?:_|$)", column).groups()
            numbers.setdefault(int(task), []).append((int(answer), label))
            assert all(other.startswith(label.partition("_")[0] + "_") for _, other in numbers[int(task)])
        assert len(numbers) == n_tasks
        order[name] = [[label for _, label in sorted(numbers[task])] for task in sorted(numbers)]
        if name == "gz2":
            given = sorted(number for answers in numbers.values() for number, _ in answers)
            assert given == [number for number in range(1, 39) if number != 35]
        else:
            first = 0 if name == "gz-candels" else 1
            for answers in numbers.values():
                assert sorted(number for number, _ in answers) == list(range(first, first + len(answers)))
    assert order["gz2"] == order["kaggle-galaxy-zoo"]
    mapping, _ = load_table_mapping("gz2")
    for label, column in mapping.counts.items():
        assert column.removesuffix("count") == mapping.fractions[label].removesuffix("fraction")


@pytest.mark.parametrize(("name", "schema"), [("gz-hubble", "hubble-faithful"), ("gz-candels", "candels-ortho")])
def test_fractions_and_answers_to_each_question_give_back_the_counts(zoobot, tmp_path, name, schema):
    mapping, _ = load_table_mapping(name)
    tree = get_schema(schema)
    votes = np.random.default_rng(0).integers(0, 60, (40, len(tree.answers)))
    columns = {"ID": [f"COS_{row}" for row in range(40)], "survey_id": range(40), "clean_smooth": [True] * 40}
    columns |= {"t01_unused_weight": 1.0}
    for question in tree.questions:
        total = votes[:, question.slice].sum(axis=1)
        columns[mapping.find_total(question.text)] = total.astype(np.float32)
        for answer in question.answers:
            fraction = np.where(total, votes[:, answer.index] / np.maximum(total, 1), np.nan)
            columns[mapping.find_label(answer.text, mapping.fractions)] = fraction.round(4)
    pd.DataFrame(columns).to_csv(tmp_path / "table.csv", index=False)
    id_col = mapping.id_col[0] if name == "gz-candels" else "survey_id"
    result = zoobot(
        *("catalog", "convert", tmp_path / "table.csv", "--from", name, "--schema", schema),
        *("--file-template", f"{{{id_col}}}.jpg", "--output", tmp_path / "catalog.csv"),
    )
    assert (result.code, result.err) == (0, "")
    assert "whole numbers to within 0.0" in result.out
    made = read_back(tmp_path / "catalog.csv")
    np.testing.assert_array_equal(made[tree.label_cols], votes)
    assert "clean_smooth" in made
    assert "t01_unused_weight" not in made


def test_counts_of_weighted_answers_stay_as_they_are(own, tmp_path):
    mapping = own(f"fractions: {FRACTIONS}\ntotals: {{shape: ns, bar: nb}}\nid_col: name")
    rows = table(fs=[0.25, 0.5], fd=[0.75, 0.5], fb=[0.5, 1], fnb=[0.5, 0], ns=[10, 10], nb=[8, 4])
    done = convert(rows[["name", "fs", "fd", "fb", "fnb", "ns", "nb"]], mapping, tmp_path / "c.csv", FILES)
    assert done.weighted
    assert "rounded" not in done.how
    assert read_back(tmp_path / "c.csv")["shape_smooth"].tolist() == [2.5, 5]


def test_shares_of_all_volunteers_become_votes(zoobot, tmp_path):
    mapping, schema = load_table_mapping("kaggle-galaxy-zoo")
    votes = cast_votes(answer_probabilities(draw_galaxies(30, seed=0), schema), schema, 40, seed=1)
    shares = {mapping.fractions[label]: votes[:, column] / 40 for column, label in enumerate(schema.label_cols)}
    pd.DataFrame({"GalaxyID": range(100_008, 100_038), **shares, "Class8.1": 0.5}).to_csv(tmp_path / "t.csv")
    arguments = (
        "catalog",
        "convert",
        tmp_path / "t.csv",
        "--from",
        "kaggle-galaxy-zoo",
        "--output",
        tmp_path / "c.csv",
    )
    result = zoobot(*arguments)
    assert result.code == 2
    assert "--total-votes COLUMN, or --total-votes 40" in result.err
    result = zoobot(*arguments, "--total-votes", "40")
    assert result.code == 0
    made = read_back(tmp_path / "c.csv")
    np.testing.assert_allclose(made[schema.label_cols], votes, atol=1e-9)
    assert made["file_loc"][0] == "100008.jpg"
    assert "Class8.1" not in made
    assert "Left out 1 columns" in result.out
    result = zoobot(*arguments, "--total-votes", "41")
    assert result.code == 0
    assert "fractions times volunteers (41), are not whole numbers" in result.err
    assert "--weighted-votes" in result.out.splitlines()[-1]


def test_decals_tables_have_the_catalog_s_own_names(zoobot, tmp_path):
    for name, tree in (("gz-decals", "decals-dr5"), ("gz-decals-dr12", "decals-dr12")):
        schema = get_schema(tree)
        columns = {"iauname": ["J073013.60+242930.0"], "ra": 112.5567, "redshift": 0.03, "bar_total-votes": 3}
        for number, label in enumerate(schema.label_cols):
            columns |= {label: number, f"{label}_fraction": 0.1, f"{label}_debiased": 0.1}
        pd.DataFrame(columns).to_parquet(tmp_path / "t.parquet")
        output = tmp_path / "catalog.csv.gz"
        result = zoobot("catalog", "convert", tmp_path / "t.parquet", "--from", name, "--output", output)
        assert (result.code, result.err) == (0, "")
        made = read_back(output)
        assert list(made) == ["id_str", "file_loc", *schema.label_cols, "ra", "redshift"]
        assert made.iloc[0, :2].tolist() == ["J073013.60+242930.0", "J073/J073013.60+242930.0.png"]
        assert made[schema.label_cols].iloc[0].tolist() == list(range(len(schema.answers)))


# --- votes ---

FILES = ConvertSettings(file_template="{name}.jpg")


@given(seed=st.integers(0, 2**32 - 1), name=st.sampled_from(["gz2-faithful", "candels-faithful", "decals-dr5"]))
def test_fractions_of_those_asked_are_followed_along_the_tree(seed, name):
    schema = get_schema(name)
    random = np.random.default_rng(seed)
    fractions = np.zeros((1, len(schema.answers)))
    for question in schema.questions:
        fractions[:, question.slice] = random.dirichlet(np.ones(len(question.answers)))
    votes = votes_of_fractions(fractions, np.array([40.0]), schema)
    for question in schema.questions:
        parents = schema.dependencies[question.text]
        asked = sum(votes[0, schema.label_cols.index(parent)] for parent in parents) if parents else 40
        for answer in question.answers:
            assert votes[0, answer.index] == pytest.approx(fractions[0, answer.index] * asked)


@pytest.mark.parametrize("votes", [[None, 4], ["", "4"]])
def test_blanks_are_no_votes_and_said(own, tmp_path, caplog, votes):
    done = convert(table(s=votes), own(), tmp_path / "c.csv", FILES)
    assert done.n_blank == 1
    assert "1 blank values are 0 votes" in str(done)
    assert (tmp_path / "c.csv").read_text() == (
        "id_str,file_loc,shape_smooth,shape_disk,bar_yes,bar_no\na,a.jpg,0,6,1,5\nb,b.jpg,4,9,9,0\n"
    )
    assert str(done).endswith(f"catalog check {tmp_path / 'c.csv'} --schema {tmp_path / 'tree.yaml'}")
    assert not caplog.records


def test_fractional_counts_are_kept_and_said_aloud(own, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        done = convert(table(s=[0.5, 4]), own(), tmp_path / "c.csv", FILES)
    assert read_back(tmp_path / "c.csv")["shape_smooth"].tolist() == [0.5, 4.0]
    assert "not whole numbers: use the catalog with --weighted-votes" in caplog.text
    assert done.weighted
    assert str(done).endswith("--weighted-votes")


def test_counts_go_before_fractions(own, tmp_path, caplog):
    mapping = own(f"counts: {COUNTS}\nfractions: {FRACTIONS}\nid_col: name\nleave_out: f*")
    rows = table(fs=0.5, fd=0.5, fb=0.5, fnb=0.5, field="cosmos")
    with caplog.at_level(logging.WARNING):
        done = convert(rows, mapping, tmp_path / "c.csv", FILES.model_copy(update={"total_votes": "10"}))
    assert done.how == "from counts"
    assert "--total-votes is not used" in caplog.text
    assert done.left_out == ("fs", "fd", "fb", "fnb", "field")
    # Some counts are no counts: fractions only if the number of volunteers says that they are meant.
    with pytest.raises(CatalogError, match=r"lacks 1 of the 4 columns.*'s'"):
        convert(rows.drop(columns="s"), mapping, tmp_path / "c.csv", FILES)
    settings = FILES.model_copy(update={"total_votes": "10"})
    assert convert(rows.drop(columns="s"), mapping, tmp_path / "c.csv", settings).weighted
    assert read_back(tmp_path / "c.csv")["bar_yes"].tolist() == [2.5, 2.5]


# --- names and images ---


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".fits"])
def test_long_ids_keep_their_digits(own, tmp_path, suffix):
    ids = [587739505552785605, 8647474690312307154]
    rows = table(objid=ids)
    path = tmp_path / f"table{suffix}"
    if suffix == ".fits":
        from astropy.table import Table

        Table.from_pandas(rows).write(path)
    else:
        rows.to_csv(path, index=False) if suffix == ".csv" else rows.to_parquet(path)
    settings = ConvertSettings(id_col="objid", file_template="{n-no.bar} {n bar}/{objid[:4]}/{objid}.jpg")
    convert(path, own(), tmp_path / "c.csv", settings)
    made = read_back(tmp_path / "c.csv")
    assert made["id_str"].tolist() == list(map(str, ids))
    assert made["file_loc"].tolist() == [f"5 1/5877/{ids[0]}.jpg", f"0 9/8647/{ids[1]}.jpg"]
    assert made["name"].tolist() == ["a", "b"]


def test_ids_and_file_names_of_text_tables_are_read_as_text(own, tmp_path):
    table(name=["8647474690312307154", ""], s=["004", "4"]).to_csv(tmp_path / "t.csv", index=False)
    convert(tmp_path / "t.csv", own(), tmp_path / "c.csv", ConvertSettings(file_template="{s}.jpg"))
    assert read_back(tmp_path / "c.csv").iloc[:, :3].to_numpy().tolist() == [
        ["8647474690312307154", "004.jpg", 4],
        ["", "4.jpg", 4],
    ]


def test_whole_floats_lose_their_point_and_text_keeps_its_zeros():
    assert as_text(pd.Series([130549.0, np.nan, 2.0]), "x") == ["130549", "", "2"]
    assert as_text(pd.Series(["130549.0", "", "2.0"]), "x") == ["130549", "", "2"]
    assert as_text(pd.Series(["007", "1.0", "J1.0"]), "x") == ["007", "1.0", "J1.0"]
    assert as_text(pd.Series([1.5, 2.0]), "x") == ["1.5", "2.0"]
    with pytest.raises(
        CatalogError, match=r"'objid' of the table x .* lost digits, such as 587739505552785664 in row 2"
    ):
        as_text(pd.Series([1.0, 587739505552785605.0], name="objid"), "x")


def test_images_are_found_from_where_the_user_and_the_catalog_are(own, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder, expected in ((Path("images"), "../images/a.jpg"), (tmp_path / "images", f"{tmp_path}/images/a.jpg")):
        settings = FILES.model_copy(update={"image_folder": folder})
        convert(table(name=["a", None]), own(), Path("catalogs/c.csv"), settings)
        assert read_back("catalogs/c.csv")["file_loc"].tolist() == [expected, ""]
    convert(table(file_loc=["/x/a.png", "/x/b.png"]), own(), Path("c.csv"))
    assert read_back("c.csv")["file_loc"].tolist() == ["/x/a.png", "/x/b.png"]
    settings = ConvertSettings(file_template="{file_loc}", image_folder=Path("images"))
    with pytest.raises(SettingError, match=r"absolute paths, such as '/x/a.png'.*Leave --image-folder out"):
        convert(table(file_loc=["/x/a.png", "/x/b.png"]), own(), Path("c.csv"), settings)


def test_columns_that_the_catalog_needs_are_not_written_twice(own, tmp_path):
    convert(table(id_str="x", bar_yes=7, ra=1.5), own(), tmp_path / "c.csv", FILES)
    made = read_back(tmp_path / "c.csv")
    assert list(made) == ["id_str", "file_loc", "shape_smooth", "shape_disk", "bar_yes", "bar_no", "ra"]
    assert made["bar_yes"].tolist() == [1, 9]


# --- what can be wrong ---


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"id_col": "nam"}, r"'id_col' names 'nam'.*Did you mean 'name'\? Its columns are 'name', 's'"),
        ({"id_col": "name[:4]"}, r"'id_col' names 'name\[:4\]'"),
        ({"file_template": "{name.__class__}.jpg"}, r"names 'name.__class__', which is no column"),
        ({"file_template": "{name!r}.jpg"}, "names 'name!r', which is no column"),
        ({"file_template": "{name:>9}.jpg"}, "names 'name:>9', which is no column"),
        ({"file_template": "{nams[:2]}.jpg"}, r"names 'nams\[:2\]'.*Did you mean 'name'\?"),
        ({"file_template": "a.jpg"}, r"must name a column in braces.*Got 'a.jpg' instead"),
        ({}, r"Where are the images of the table in memory\? Give --file-template.*'\{name\}.jpg'"),
    ],
)
def test_settings_that_do_not_fit_the_table(own, tmp_path, settings, message):
    with pytest.raises(SettingError, match=message):
        convert(table(), own(), tmp_path / "c.csv", ConvertSettings(**settings))
    assert not (tmp_path / "c.csv").exists()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"s": ["4", "many"]}, r"'s' .* must hold numbers, but 1 of 2 rows hold text, such as 'many' in row 2"),
        ({"fs": [0.5, 50]}, r"'fs' .* fractions from 0 to 1, but row 2 of 2 has 50; 1 rows.*'counts:'"),
        ({"n": [40, None]}, r"'n' .* the number of volunteers, but 1 of 2 rows are blank or negative, such as row 2"),
    ],
)
def test_columns_that_hold_something_else(own, tmp_path, columns, message):
    rows = table(**{"fs": 0.5, "fd": 0.5, "fb": 0.5, "fnb": 0.5, "n": 40} | columns)
    mapping = own(f"id_col: name\ncounts: {COUNTS}" if "s" in columns else f"id_col: name\nfractions: {FRACTIONS}")
    with pytest.raises(CatalogError, match=message):
        convert(rows, mapping, tmp_path / "c.csv", ConvertSettings(file_template="{name}", total_votes="n"))


def test_number_of_volunteers_must_be_a_column_or_a_number(own, tmp_path):
    mapping = own(f"fractions: {FRACTIONS}\nid_col: name")
    rows = table(fs=0.5, fd=0.5, fb=0.5, fnb=0.5, n_all=40)
    for wrong in ("n_al", "-3", "0", "inf", "nan"):
        message = f"'total_votes' must be a column .* or a number above 0. Got '{wrong}'"
        with pytest.raises(SettingError, match=message + (".*Did you mean 'n_all'" if wrong == "n_al" else "")):
            convert(rows, mapping, tmp_path / "c.csv", FILES.model_copy(update={"total_votes": wrong}))


def test_a_table_that_does_not_fit(own, tmp_path):
    with pytest.raises(CatalogError, match=r"lacks 1 of the 4 columns .*'n bar'.*Did you mean 'n_bar'\?"):
        convert(table().rename(columns={"n bar": "n_bar"}), own(), tmp_path / "c.csv", FILES)
    with pytest.raises(SettingError, match=r"none of the columns that name galaxies .*\(name, id_str\).*--id-col: 's'"):
        convert(table().drop(columns="name"), own(), tmp_path / "c.csv")
    with pytest.raises(CatalogError, match="empty"):
        convert(table().iloc[:0], own(), tmp_path / "c.csv")
    with pytest.raises(OutputError, match=r"must end in one of"):
        convert(table(), own(), tmp_path / "c.txt", FILES)
    with pytest.raises(CatalogError, match=r"'gz2' does not say where 14 of the 34 .*such as gz2 or gz2-faithful"):
        convert(table(), "gz2", tmp_path / "c.csv", schema="decals-dr5")
    tree = Schema({"shape": ["_smooth", "_disk"], "ring": ["_yes", "_no"]}, {"shape": None, "ring": None})
    with pytest.raises(CatalogError, match=r"2 of the 4 vote columns of the schema 'unnamed'.*'ring_yes', 'ring_no'"):
        convert(table(), own(), tmp_path / "c.csv", schema=tree)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("count: {shape_smooth: s}", r"own.yaml' cannot be used:\nThere is no key 'count'. Did you mean 'counts'\?"),
        (
            "counts: {shape_smoth: s}",
            r"counts: 'shape_smoth' is no vote column .*'tree'. Did you mean 'shape_smooth'\?",
        ),
        ("counts: {shape_smooth: s}\ntotals: {shap: n}", r"totals: 'shap' is no question .*Did you mean 'shape'\?"),
        ("fractions_of: all\ncounts: {shape_smooth: s}", r"The key 'fractions_of': Input should be 'asked' or"),
        ("counts: [s]", r"The key 'counts'.*Got \['s'\] instead"),
        ("id_col: name", "It names no columns. Give 'counts:' or 'fractions:'"),
        ("counts: {bar_yes: s, bar_yes: d}", "The mapping .*'bar_yes' stands in lines 2 and 2"),
        ("counts: {bar_yes: s", "The mapping .* cannot be read"),
    ],
)
def test_mappings_that_cannot_be_used(own, text, message):
    with pytest.raises(CatalogError, match=message):
        load_table_mapping(own(text))


def test_mappings_that_are_not_there(zoobot, own, tmp_path):
    result = zoobot("catalog", "convert", tmp_path / "t.csv", "--from", "gz-decal", "--output", tmp_path / "c.csv")
    assert result.code == 1
    assert "There is no mapping 'gz-decal'. Did you mean 'gz-decals'? Give one of gz-candels," in result.err
    assert "panoptes" not in result.err
    with pytest.raises(CatalogError, match=r"There is no mapping file '.*none.yaml'"):
        load_table_mapping(tmp_path / "none.yaml")
    with pytest.raises(CatalogError, match=r"cannot be used: There is no schema file '.*other.yaml'"):
        load_table_mapping(own(schema="other.yaml"))
    for text in ("counts: {a: b}", "- a"):
        (tmp_path / "bare.yaml").write_text(text)
        with pytest.raises(CatalogError, match=r"bare.yaml' must (name the decision tree|hold lines)"):
            load_table_mapping(tmp_path / "bare.yaml")


def test_the_example_of_the_module_is_a_mapping(tmp_path):
    example = table_mappings.__doc__.partition("\n\n")[2]
    (tmp_path / "my_tree.yaml").write_text("question_answer_pairs: {bar: [_yes, _no]}\ndependencies: {bar: null}")
    (tmp_path / "mapping.yaml").write_text(example)
    mapping, schema = load_table_mapping(tmp_path / "mapping.yaml")
    assert (mapping.name, schema.name) == ("my-survey", "my_tree")
    assert set(mapping.model_dump(exclude_defaults=True)) | {"fractions_of"} == set(type(mapping).model_fields)
