"""Every format reads to the same catalog; every fault is named with its remedy; splits follow from the galaxy."""

import logging
import re

import numpy as np
import pandas as pd
import pytest
from astropy.table import Table
from astropy.units import UnitsWarning
from hypothesis import given
from hypothesis import strategies as st

from zoobot.config import CatalogSettings
from zoobot.errors import CatalogError
from zoobot.shared.catalogs import (
    Catalog,
    galaxy_hash,
    load_catalog,
    refuse_missing_files,
    split_by_galaxy,
)
from zoobot.shared.schemas import Schema, get_schema
from zoobot.shared.tables import read_table

SCHEMA = Schema(
    {"smooth": ["_yes", "_no"], "bar": ["_strong", "_weak", "_no"]}, {"smooth": None, "bar": "smooth_no"}, "small"
)
IDS = ["000123", "1237648720693755918", "J0001+01", "7"]


def make_table(**changes):
    columns = {
        "id_str": IDS,
        "file_loc": [f"images/{number}.png" for number in range(4)],
        "ra": [0.5, 10.25, 359.0, 180.0],
        "smooth_yes": [3, 2, 10, 1],
        "smooth_no": [7, 0, 0, 2],
        "bar_strong": [1, 0, 0, 2],
        "bar_weak": [2, 0, 0, 0],
        "bar_no": [4, 0, 0, 0],
    }
    return pd.DataFrame({name: column for name, column in (columns | changes).items() if column is not None})


WRITERS = {
    "catalog.csv": lambda table, path: table.to_csv(path, index=False),
    "catalog.csv.gz": lambda table, path: table.to_csv(path, index=False),
    "CATALOG.CSV": lambda table, path: table.to_csv(path, index=False),
    "catalog.parquet": lambda table, path: table.to_parquet(path),
    "catalog.fits": lambda table, path: Table.from_pandas(table).write(path),
    "catalog.vot": lambda table, path: Table.from_pandas(table).write(path, format="votable"),
    "catalog.xml": lambda table, path: Table.from_pandas(table).write(path, format="votable"),
    "catalog.ecsv": lambda table, path: Table.from_pandas(table).write(path),
}


def message_of(table, **settings):
    with pytest.raises(CatalogError) as caught:
        load_catalog(table, SCHEMA, CatalogSettings(**settings))
    return str(caught.value)


# --- formats ---


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_reads_to_the_same_catalog(tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    expected = load_catalog(make_table(), SCHEMA)
    WRITERS[name](make_table(), tmp_path / name)
    catalog = load_catalog(tmp_path / name, SCHEMA)
    assert catalog.id_str == IDS
    assert catalog.image_files == [(str(tmp_path / f"images/{number}.png"),) for number in range(4)]
    np.testing.assert_array_equal(catalog.votes, expected.votes)
    assert catalog.votes.dtype == np.float64
    assert catalog.table["ra"].tolist() == [0.5, 10.25, 359.0, 180.0]
    assert catalog.checksum() == expected.checksum()
    assert len(catalog) == 4


def test_identical_catalog_whatever_the_type_of_votes_and_text():
    plain = load_catalog(make_table(), SCHEMA)
    other = make_table(smooth_yes=np.array([3, 2, 10, 1], np.float32), bar_no=pd.array([4, 0, 0, 0], "Int16"))
    other["id_str"] = other["id_str"].astype(object)
    assert load_catalog(other, SCHEMA).checksum() == plain.checksum()


@pytest.mark.parametrize("ids", [["000123", "000124"], ["1237648720693755918", "1237648720693755919"], ["1e5", "1.50"]])
def test_ids_of_csv_stay_text(tmp_path, ids):
    (tmp_path / "c.csv").write_text("id_str,file_loc\n" + "".join(f"{galaxy},007\n" for galaxy in ids))
    catalog = load_catalog(tmp_path / "c.csv", None)
    assert catalog.id_str == ids
    assert catalog.image_files == [(str(tmp_path / "007"),)] * 2


def test_whole_number_ids_of_binary_formats_become_text():
    assert load_catalog(make_table(id_str=[12, 13, 14, 1237648720693755918]), SCHEMA).id_str[3] == "1237648720693755918"


def test_absolute_file_loc_is_kept_and_relative_one_belongs_to_the_catalog(tmp_path, monkeypatch):
    make_table(file_loc=["/data/a.png", "b.png", "../c.png", "d/e.png"]).to_csv(tmp_path / "c.csv", index=False)
    monkeypatch.chdir(tmp_path)
    catalog = load_catalog("c.csv", SCHEMA)
    assert [file for (file,) in catalog.image_files] == [
        "/data/a.png",
        *(str(tmp_path / name) for name in ("b.png", "../c.png", "d/e.png")),
    ]


def test_columns_with_several_numbers_per_row_do_not_stop_a_fits_table(tmp_path):
    table = Table.from_pandas(make_table())
    table["spectrum"] = np.ones((4, 3))
    table.write(tmp_path / "c.fits")
    assert "spectrum" not in load_catalog(tmp_path / "c.fits", SCHEMA).table


@pytest.mark.parametrize("name", ["c.fits", "c.vot", "c.ecsv"])
def test_masked_votes_of_astropy_tables_are_blank(tmp_path, name):
    table = Table.from_pandas(make_table(bar_no=[4.0, np.nan, 0, 0]))
    table["smooth_no"] = np.ma.masked_array([7, 0, 0, 2], mask=[False, False, True, False])
    table.write(tmp_path / name, **({"format": "votable"} if name == "c.vot" else {}))
    with pytest.raises(CatalogError, match=r"blank \(NaN\) in 2 rows, in the columns 'smooth_no', 'bar_no'"):
        load_catalog(tmp_path / name, SCHEMA)
    assert load_catalog(tmp_path / name, SCHEMA, CatalogSettings(fill_missing_votes=True)).votes[2, 1] == 0


def test_table_in_memory_is_not_changed():
    table = make_table(bar_no=[4, np.nan, 0, 0], id_str=[1, 2, 3, 4])
    before = table.copy()
    load_catalog(table, SCHEMA, CatalogSettings(fill_missing_votes=True))
    pd.testing.assert_frame_equal(table, before)


def test_rows_by_mask_and_by_position_keep_their_order():
    catalog = load_catalog(make_table().iloc[::-1], SCHEMA)
    assert catalog.id_str == IDS[::-1]
    assert catalog.rows(np.array([True, False, False, True])).id_str == [IDS[3], IDS[0]]
    assert catalog.rows([2, 0]).id_str == [IDS[1], IDS[3]]
    assert catalog.rows([]).id_str == []
    assert catalog.rows([2, 0]).table.index.tolist() == [0, 1]


def test_catalog_without_schema_has_no_votes():
    catalog = load_catalog(make_table()[["id_str", "file_loc"]], None)
    with pytest.raises(CatalogError, match=r"The catalog in memory was read without a schema, so it has no votes\."):
        _ = catalog.votes


def test_column_of_blanks_alone_is_no_text(tmp_path):
    make_table(bar_no=[None] * 4).to_parquet(tmp_path / "c.parquet")
    with pytest.raises(CatalogError, match=r"blank \(NaN\) in 4 rows, in the column 'bar_no'"):
        load_catalog(tmp_path / "c.parquet", SCHEMA)
    filled = load_catalog(tmp_path / "c.parquet", SCHEMA, CatalogSettings(fill_missing_votes=True))
    assert filled.votes[:, 4].tolist() == [0, 0, 0, 0]


def test_units_that_astropy_does_not_know_are_no_matter(tmp_path):
    table = Table.from_pandas(make_table())
    table["smooth_yes"].unit = "galaxies"
    table.write(tmp_path / "c.ecsv")
    with pytest.warns(UnitsWarning):
        table.write(tmp_path / "c.fits")
    for name in ("c.ecsv", "c.fits"):
        assert load_catalog(tmp_path / name, SCHEMA).id_str == IDS


def test_csv_of_a_spreadsheet_with_byte_order_mark_is_read(tmp_path):
    make_table().to_csv(tmp_path / "c.csv", index=False, encoding="utf-8-sig", lineterminator="\r\n")
    assert load_catalog(tmp_path / "c.csv", SCHEMA).id_str == IDS


def test_numbers_as_file_loc_become_text(tmp_path):
    assert load_catalog(make_table(file_loc=[1, 2, 3, 4]), SCHEMA).image_files[3][0].endswith("/4")


# --- files that are no tables ---


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("c.csv", b"", "c.csv' is empty. Give it a header and one row per galaxy."),
        ("c.csv", b"id_str,file_loc\n", "c.csv' is empty: it has no rows. Give it one row per galaxy."),
        ("c.csv", b"a,b\n1,2,3\n4\n5,6,7,8\n", "c.csv' cannot be read as csv: "),
        (
            "c.csv",
            b"id_str,file_loc\na,b.png,\nc,d.png,\n",
            "c.csv' have more fields than its header: an extra comma?",
        ),
        ("c.csv", b"\xff\xfe\x00\x01", "c.csv' cannot be read as csv: "),
        ("c.csv.gz", b"id_str,file_loc\n1,2\n", "c.csv.gz' cannot be read as csv.gz: "),
        ("c.parquet", b"PAR1nonsense", "c.parquet' cannot be read as parquet: "),
        ("c.parquet", b"", "c.parquet' cannot be read as parquet: "),
        ("c.fits", b"SIMPLE  = nonsense", "c.fits' cannot be read as fits: "),
        ("c.vot", b"<html></html>", "c.vot' cannot be read as vot: "),
        ("c.ecsv", b"a b\n1 2\n", "c.ecsv' cannot be read as ecsv: "),
        ("c.xlsx", b"PK", "c.xlsx' must end in one of .csv, .csv.gz, .parquet, .fits, .fit, .vot, .xml, .ecsv."),
        ("catalog", b"id_str\n", "catalog' must end in one of .csv,"),
    ],
)
def test_file_that_is_no_table_is_refused_with_its_path(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CatalogError, match=re.escape(message)):
        load_catalog(tmp_path / name, SCHEMA)


def test_missing_file_and_folder_are_named(tmp_path):
    with pytest.raises(CatalogError, match=r"^There is no catalog '.*none\.csv'\.$"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(CatalogError, match=r"' is a folder, but none of prepared images\. Give a table"):
        read_table(tmp_path)


# --- faults of tables ---


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id_str": None}, "There is no column id_str. Add one with a unique name for each galaxy."),
        (
            {"id_str": ["a", "a", "b", "b"]},
            "id_str stands in an earlier row too in 2 rows, such as 'a (first in row 1)' in row 2 ('a'). Keep one row",
        ),
        ({"id_str": ["a", "", " ", None]}, "id_str is blank in 3 rows, such as '' in row 2. Name each galaxy."),
        (
            {"id_str": [1.0, 2.0, 3.0, 4.0]},
            "id_str is a floating-point number, which loses digits in 4 rows, such as '1.0' in row 1",
        ),
        (
            {"id_str": [1, "1", "b", "c"]},
            "id_str stands in an earlier row too in 1 row, such as '1 (first in row 1)' in row 2",
        ),
        ({"file_loc": None}, "There is no column file_loc. Add one with the path of each galaxy's image."),
        (
            {"file_loc": ["a", "", "c", None]},
            "file_loc is blank in 2 rows, such as '' in row 2 ('1237648720693755918'). Give each galaxy the path",
        ),
        (
            {"smooth_no": [np.nan, 1, np.nan, 1], "bar_no": [np.nan, 0, 0, 0]},
            "Votes are blank (NaN) in 2 rows, in the columns 'smooth_no', 'bar_no', such as 'nan' in row 1 "
            "('000123'). "
            "Fill them: --fill-missing-votes reads blanks as 0 votes.",
        ),
        (
            {"bar_no": [-1, 0, 0, 0]},
            "Votes are negative in 1 row, in the column 'bar_no', such as '-1' in row 1 ('000123'). Give the n",
        ),
        ({"bar_no": [np.inf, 0, 0, -np.inf]}, "Votes are infinite in 2 rows, in the column 'bar_no', such as 'inf'"),
        (
            {"bar_no": [0.5, 0, 0, 0]},
            "Votes are fractional in 1 row, in the column 'bar_no', such as '0.5' in row 1 ('000123'). Give counts "
            "rather than fractions of votes, or --weighted-votes if volunteers were weighted.",
        ),
        (
            {"bar_no": ["four", "0", "0", "0"]},
            "Votes must be numbers, but are text in 1 row, in the column 'bar_no', such as 'four' in row 1 ('000123').",
        ),
        ({column: [0] * 4 for column in SCHEMA.label_cols}, "All votes are 0: there is nothing to learn from."),
    ],
)
def test_fault_is_named_with_its_remedy(changes, message):
    assert message in message_of(make_table(**changes))


def test_other_faults_of_the_same_cell_are_not_invented():
    assert message_of(make_table(bar_no=[np.inf, 0, 0, 0])).count("\n- ") == 1
    assert message_of(make_table(bar_no=[np.nan, 0, 0, 0])).count("\n- ") == 1


def test_missing_columns_are_counted_and_the_nearest_name_is_offered():
    table = make_table().rename(columns={"smooth_yes": "smooth_yess"}).drop(columns=["bar_no"])
    assert message_of(table) == (
        "The catalog in memory cannot be used:\n"
        "- 2 of the 5 vote columns of the schema 'small' are missing: 'smooth_yes', 'bar_no'. Is it 'smooth_yess' for "
        "'smooth_yes'? Rename the columns, choose another schema ('zoobot schema list'), or make a catalog of a "
        "published table ('zoobot catalog convert'). "
        "The other columns of the table are: 'id_str', 'file_loc', 'ra', 'smooth_yess'."
    )


def test_all_faults_are_told_at_once():
    message = message_of(make_table(id_str=["a", "a", "", "b"], file_loc=None, bar_no=[-1, np.nan, 0.5, np.inf]))
    assert message.startswith("The catalog in memory cannot be used:\n- ")
    faults = ["is blank", "earlier row", "no column file_loc", "(NaN)", "infinite", "negative", "fractional"]
    assert [fault for fault in faults if fault not in message] == []
    assert message.count("\n- ") == len(faults)


def test_long_lists_of_names_are_cut():
    table = make_table().assign(**{f"extra{number}": 0 for number in range(50)}).drop(columns="bar_no")
    assert "are: 'id_str', 'file_loc', 'ra', 'extra0', 'extra1' and 48 more." in message_of(table)


def test_repeated_column_of_votes_is_refused():
    table = make_table()
    table = pd.concat([table, table[["bar_no"]]], axis=1)
    assert message_of(table) == "The catalog in memory has several columns of one name: 'bar_no'. Keep one each."


# --- settings ---


def test_blank_votes_are_read_as_0_when_told_to(caplog):
    table = make_table(smooth_no=[np.nan, 1, np.nan, 1], bar_no=[np.nan, 0, 0, 0])
    with caplog.at_level(logging.INFO, "zoobot"):
        catalog = load_catalog(table, SCHEMA, CatalogSettings(fill_missing_votes=True))
    assert catalog.votes[:, [1, 4]].tolist() == [[0, 0], [1, 0], [0, 0], [1, 0]]
    assert caplog.messages == ["Read 3 blank votes of 2 galaxies as 0."]


def test_text_that_stands_for_blank_is_filled_in_csv(tmp_path):
    make_table(bar_no=["4", "", "NaN", "NULL"]).to_csv(tmp_path / "c.csv", index=False)
    catalog = load_catalog(tmp_path / "c.csv", SCHEMA, CatalogSettings(fill_missing_votes=True))
    assert catalog.votes[:, 4].tolist() == [4, 0, 0, 0]


def test_fractional_votes_are_allowed_when_weighted():
    table = make_table(bar_no=[0.25, 0, 0, 0])
    assert load_catalog(table, SCHEMA, CatalogSettings(weighted_votes=True)).votes[0, 4] == 0.25
    assert "negative" in message_of(make_table(bar_no=[-0.25, 0, 0, 0]), weighted_votes=True)


def test_few_votes_are_left_out_by_the_first_question_of_everybody(caplog):
    upside_down = Schema(dict(reversed(SCHEMA.question_answer_pairs.items())), {"smooth": None, "bar": "smooth_no"})
    for schema in (SCHEMA, upside_down):
        with caplog.at_level(logging.INFO, "zoobot"):
            catalog = load_catalog(make_table(), schema, CatalogSettings(min_votes=3))
        assert catalog.id_str == [IDS[0], IDS[2], IDS[3]]
        assert caplog.messages[-1] == "Left out 1 of 4 galaxies with fewer than 3 votes for 'smooth'."
    assert "No galaxy of the catalog in memory has 11 votes for 'smooth'. Lower --min-votes." in message_of(
        make_table(), min_votes=11
    )


# --- check ---


def test_missing_images_are_counted_and_named(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "1.png").touch()
    (tmp_path / "images" / "2.png").mkdir()
    make_table().to_csv(tmp_path / "c.csv", index=False)
    with pytest.raises(CatalogError) as caught:
        refuse_missing_files(load_catalog(tmp_path / "c.csv", SCHEMA))
    assert str(caught.value) == (
        f"3 of 4 images of the catalog '{tmp_path / 'c.csv'}' are missing, such as '{tmp_path / 'images/0.png'}', "
        f"'{tmp_path / 'images/2.png'}', '{tmp_path / 'images/3.png'}'. "
        f"A relative file_loc is relative to the folder '{tmp_path}'."
    )


# --- splits ---


@given(st.lists(st.text(), unique=True, min_size=1), st.randoms(), st.integers(0, 1000))
def test_a_galaxy_lands_in_the_same_split_whatever_the_others(ids, random, seed):
    fractions = (0.5, 0.2, 0.3)
    where = dict(zip(ids, split_by_galaxy(ids, fractions, seed), strict=True))
    some = random.sample(ids, random.randint(1, len(ids)))
    assert [where[galaxy] for galaxy in some] == split_by_galaxy(some, fractions, seed).tolist()


def test_splits_have_their_fractions_and_follow_the_seed():
    ids = [f"J{number:06d}" for number in range(20_000)]
    splits = split_by_galaxy(ids, (0.7, 0.1, 0.2), seed=0)
    for name, fraction in {"train": 0.7, "validation": 0.1, "test": 0.2}.items():
        spread = np.sqrt(fraction * (1 - fraction) / len(ids))
        assert (splits == name).mean() == pytest.approx(fraction, abs=4 * spread)
    other = split_by_galaxy(ids, (0.7, 0.1, 0.2), seed=1)
    assert (splits == other).mean() == pytest.approx(0.7**2 + 0.1**2 + 0.2**2, abs=0.02)


@pytest.mark.parametrize(
    ("fractions", "names"),
    [
        ((0.8, 0.2, 0.0), {"train", "validation"}),
        ((0.0, 0.5, 0.5), {"validation", "test"}),
        ((1.0, 0.0, 0.0), {"train"}),
    ],
)
def test_a_split_can_be_nothing(fractions, names):
    assert set(split_by_galaxy([str(number) for number in range(3000)], fractions, 0)) == names


def test_galaxy_hash_is_the_documented_one():
    """A literal: published splits must stay what they were."""
    assert galaxy_hash("J0001+01", 0) == 14442291001983144415


# --- checksum ---


def test_checksum_changes_with_what_is_learned_from_and_nothing_else():
    plain = load_catalog(make_table(), SCHEMA)
    assert load_catalog(make_table(ra=[1.0, 2.0, 3.0, 4.0], extra=["a"] * 4), SCHEMA).checksum() == plain.checksum()
    changed = [{"bar_no": [4, 0, 0, 1]}, {"file_loc": ["a", "b", "c", "d"]}, {"id_str": ["a", "b", "c", "d"]}]
    others = [load_catalog(make_table(**change), SCHEMA).checksum() for change in changed]
    others += [load_catalog(make_table().iloc[::-1], SCHEMA).checksum(), load_catalog(make_table(), None).checksum()]
    assert len({plain.checksum(), *others}) == 6
    assert isinstance(plain, Catalog)


def test_min_votes_of_joined_campaigns_looks_at_each_campaign():
    schema = get_schema("decals-all-campaigns-ortho")
    table = pd.DataFrame(0, index=range(3), columns=schema.label_cols)
    table.insert(0, "id_str", ["a", "b", "c"])
    table.insert(1, "file_loc", "x.jpg")
    table.loc[0, "smooth-or-featured-dr12_smooth"] = 5
    table.loc[1, "smooth-or-featured-dr5_smooth"] = 5
    assert load_catalog(table, schema, CatalogSettings(min_votes=3)).id_str == ["a", "b"]


def test_columns_of_several_values_per_row_are_named(tmp_path, caplog):
    table = Table({"id_str": ["a", "b"], "file_loc": ["1.png", "2.png"], "magnitudes": np.ones((2, 3))})
    table.write(tmp_path / "c.fits")
    assert "magnitudes" not in read_table(tmp_path / "c.fits")
    assert "hold several values per row: magnitudes." in caplog.text


def test_the_example_of_text_is_the_value_that_is_no_number():
    table = make_table(bar_no=pd.Series(["4", "many", "0", "0"], dtype=object))
    assert "such as 'many' in row 2" in message_of(table)
