"""Each kind of fault, planted at random in a valid catalog, is found and named, and nothing else is."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoobot.config import CatalogCheckSettings
from zoobot.shared import fault_kinds as faults
from zoobot.shared.catalog_faults import find_faults, find_repeats
from zoobot.shared.catalog_reports import RejectedCatalogError, check
from zoobot.shared.fault_findings import Findings
from zoobot.shared.schemas import Schema, get_schema
from zoobot.shared.simulation import cast_votes
from zoobot.shared.vote_faults import question_of_volunteers

SCHEMA = Schema(
    {"smooth": ["_yes", "_no", "_star"], "bar": ["_strong", "_weak", "_no"], "odd": ["_yes", "_no"]},
    {"smooth": None, "bar": "smooth_no", "odd": ["smooth_yes", "smooth_no"]},
)


def make_table(n_galaxies=12, seed=0, schema=SCHEMA, n_volunteers=30):
    rng = np.random.default_rng(seed)
    fractions = [rng.dirichlet(np.ones(len(question.answers)), n_galaxies) for question in schema.questions]
    votes = cast_votes(np.concatenate(fractions, axis=1), schema, n_volunteers, seed)
    names = {"id_str": [f"J{row:04d}.5+00" for row in range(n_galaxies)]}
    files = {"file_loc": [f"images/J{row}.16+005202.0" + [".jpg", ".PNG", ""][row % 3] for row in range(n_galaxies)]}
    counts = pd.DataFrame(votes, columns=schema.label_cols).astype(object)
    return pd.concat([pd.DataFrame(names | files, dtype=object), counts], axis=1)


def put(column, value):
    return lambda table, row: table.__setitem__(column, table[column].where(table.index != row, value))


def give_no_votes(table, row):
    table.loc[row, SCHEMA.label_cols] = 0


def exceed(more):
    def plant(table, row):
        led = int(table.loc[row, "smooth_no"])
        table.loc[row, ["bar_strong", "bar_weak", "bar_no"]] = [led + more(led), 0, 0]

    return plant


def repeat(column):
    return lambda table, row: put(column, table[column].iloc[0])(table, row)


# Row 0 stays as it is: repeats are of it.
PLANTS = {
    "blank id": (faults.BLANK_ID, put("id_str", " ")),
    "missing id": (faults.BLANK_ID, put("id_str", None)),
    "rounded id": (faults.ROUNDED_ID, put("id_str", "5.87739505752785e+17")),
    "rounded long id": (faults.ROUNDED_ID, put("id_str", "587739505752785605.0")),
    "repeated id": (faults.REPEATED_ID, repeat("id_str")),
    "blank file": (faults.BLANK_FILE, put("file_loc", "")),
    "text file": (faults.UNREADABLE_TYPE, put("file_loc", "galaxy.txt")),
    "tiff": (faults.UNREADABLE_TYPE, put("file_loc", "images/galaxy.TIFF")),
    "repeated file": (faults.REPEATED_FILE, repeat("file_loc")),
    "text": (faults.TEXT, put("bar_weak", "many")),
    "blank": (faults.BLANK, put("bar_weak", np.nan)),
    "infinite": (faults.INFINITE, put("smooth_yes", np.inf)),
    "negative": (faults.NEGATIVE, put("odd_no", -1)),
    "negative fraction": (faults.NEGATIVE, put("odd_no", -0.5)),
    "absurd": (faults.ABSURD, put("smooth_no", 10_001)),
    "fractional": (faults.FRACTIONAL, put("bar_no", 0.5)),
    "no votes": (faults.NO_VOTES, give_no_votes),
    "excess": (faults.EXCESS, exceed(lambda led: int(max(3, 0.2 * led)) + 1)),
    "small excess": (faults.SMALL_EXCESS, exceed(lambda led: max(3, led // 5))),
}


def found_rows(findings):
    return {kind: np.concatenate(found.rows).tolist() for kind, found in findings.found.items()}


@given(
    st.lists(st.sampled_from(sorted(PLANTS)), max_size=8, unique=True),
    st.integers(0, 1000),
    st.sampled_from([1, 5, 100]),
)
def test_planted_faults_are_found_and_named_and_nothing_else(planted, seed, batch_rows):
    table = make_table(seed=seed)
    rows = np.random.default_rng(seed).permutation(np.arange(1, len(table)))
    expected = {}
    for name, row in zip(planted, rows, strict=False):
        kind, plant = PLANTS[name]
        plant(table, row)
        expected.setdefault(kind, []).append(int(row))
    batches = [table.iloc[first : first + batch_rows] for first in range(0, len(table), batch_rows)]
    findings = Findings()
    find_faults(batches, SCHEMA, findings)
    assert {kind: sorted(rows) for kind, rows in found_rows(findings).items()} == {
        kind: sorted(rows) for kind, rows in expected.items()
    }
    rejected = sorted(row for kind, rows in expected.items() if kind.rejected for row in rows)
    assert findings.rows(rejected=True).tolist() == rejected


@pytest.mark.parametrize("name", PLANTS)
def test_sentence_names_kind_rows_column_example_and_remedy(name, tmp_path):
    table = make_table()
    kind, plant = PLANTS[name]
    plant(table, 4)
    table.to_csv(tmp_path / "c.csv", index=False)
    try:
        report = check(tmp_path / "c.csv", SCHEMA, settings=CatalogCheckSettings(files=False))
    except RejectedCatalogError as error:
        report = error.report
    assert found_rows(report.findings) == {kind: [4]}
    sentences = report.rejections if kind.rejected else report.warnings
    assert [sentence.startswith(kind.what) for sentence in sentences] == [True]
    for part in ("in 1 row", "in row 5", kind.remedy):
        assert part in sentences[0]
    assert f"'{tmp_path / 'c.csv'}': 12 galaxies, " + ("1 cannot be" if kind.rejected else "no faults") in str(report)


def test_joined_columns_of_a_row_are_told_together():
    table = make_table()
    table.loc[3, ["bar_no", "odd_yes"]] = np.nan
    table.loc[5, "odd_yes"] = np.nan
    lines = []
    find_faults([table], SCHEMA, Findings(lambda kind, rows: lines.append(rows)))
    assert lines[0][["row", "id_str", "column", "value"]].to_numpy().tolist() == [
        [4, "J0003.5+00", "bar_no, odd_yes", "nan"],
        [6, "J0005.5+00", "odd_yes", "nan"],
    ]


def test_float_ids_are_all_refused_and_whole_numbers_are_not():
    findings = Findings()
    find_faults([make_table().assign(id_str=np.arange(12.0))], SCHEMA, findings)
    assert found_rows(findings) == {faults.ROUNDED_ID: list(range(12))}
    findings = Findings()
    find_faults([make_table().assign(id_str=np.arange(12) + 587739505752785605)], SCHEMA, findings)
    assert not findings.found


def test_weighted_votes_may_be_fractional_and_off_by_half_a_vote():
    table = make_table()
    table[SCHEMA.label_cols] = table[SCHEMA.label_cols].astype(float) + 0.1
    findings = Findings()
    find_faults([table], SCHEMA, findings, weighted=True)
    assert not findings.found
    find_faults([table], SCHEMA, findings)
    assert list(findings.found) == [faults.FRACTIONAL]


def test_galaxies_with_few_votes_are_told_and_not_at_fault():
    table = make_table()
    give_no_votes(table, 3)
    table.loc[5, SCHEMA.label_cols] = [1, 1, 0, 1, 0, 0, 2, 0]
    findings = Findings()
    find_faults([table], SCHEMA, findings, min_votes=3)
    assert found_rows(findings) == {faults.FEW_VOTES: [3, 5]}
    assert not findings.rows(rejected=True).size


def test_more_votes_than_volunteers_of_a_question_that_everybody_is_asked_are_a_warning():
    pairs = {"smooth": ["_yes", "_no"], "bar": ["_yes", "_no"], "odd": ["_yes", "_no"]}
    schema = Schema(pairs, {"smooth": None, "bar": "smooth_no", "odd": None})
    table = make_table(schema=schema)
    table.loc[2, "odd_yes"] += 30
    table.loc[3, ["smooth_yes", "smooth_no", "bar_yes", "bar_no"]] = 0
    findings = Findings()
    find_faults([table], schema, findings)
    assert found_rows(findings) == {faults.SMALL_EXCESS: [2]}


def test_each_campaign_has_its_own_first_question():
    schema = get_schema("gz-evo-v2")
    first = {
        question.text: getattr(question_of_volunteers(question, schema), "text", None)
        for question in schema.questions
        if question.always_asked
    }
    assert first["merging-dr5"] == "smooth-or-featured-dr5"
    assert first["something-odd-gz2"] == "smooth-or-featured-gz2"
    assert {first[f"smooth-or-featured-{campaign}"] for campaign in ("dr12", "dr5", "gz2", "hubble")} == {None}
    gz2 = get_schema("gz2")
    assert question_of_volunteers(gz2.get_question("something-odd"), gz2).text == "smooth-or-featured"


@given(st.lists(st.lists(st.sampled_from(["a", "b", "", " ", "ä", "c"]))))
def test_repeats_equal_a_naive_search(parts):
    texts = [text for part in parts for text in part]
    expected = [(row, texts.index(text)) for row, text in enumerate(texts) if text.strip() and texts.index(text) < row]
    rows, firsts = find_repeats(pa.chunked_array(parts, pa.large_string()))
    assert list(zip(rows.tolist(), firsts.tolist(), strict=True)) == expected
