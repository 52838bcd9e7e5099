"""Tables come back as they were written, whole or in batches, and never lose a column silently."""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.table import Table

from zoobot.errors import CatalogError, OutputError
from zoobot.shared.catalogs import load_catalog
from zoobot.shared.tables import count_rows, iter_table, read_column_names, read_table, write_table

TABLE = pd.DataFrame(
    {"id_str": ["007", "1e5", "c"], "file_loc": ["1", "b", "ä"], "votes": [1, 2, 3], "ra": [0.5, 1, 2]}
)


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet"])
def test_what_is_written_is_read_back_and_always_the_same_bytes(tmp_path, name):
    write_table(TABLE, tmp_path / "a" / name)
    pd.testing.assert_frame_equal(read_table(tmp_path / "a" / name), TABLE, check_dtype=False)
    assert write_table(TABLE, tmp_path / name).read_bytes() == (tmp_path / "a" / name).read_bytes()
    assert [path.name for path in (tmp_path / "a").iterdir()] == [name]


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet", "t.fits"])
@pytest.mark.parametrize("batch_rows", [1, 2, 10])
def test_batches_make_up_the_whole_table(tmp_path, name, batch_rows):
    if name == "t.fits":
        Table.from_pandas(TABLE.replace("ä", "a")).write(tmp_path / name)
    else:
        write_table(TABLE, tmp_path / name)
    batches = list(iter_table(tmp_path / name, batch_rows, columns=["id_str", "votes", "nowhere"]))
    joined = pd.concat(batches, ignore_index=True)
    assert joined[["id_str", "votes"]].to_numpy().tolist() == TABLE[["id_str", "votes"]].to_numpy().tolist()
    assert len(batches) == (1 if name == "t.fits" else -(-3 // batch_rows))
    assert read_column_names(tmp_path / name) == list(TABLE.columns)
    assert count_rows(tmp_path / name) == (3 if name == "t.parquet" else None)
    assert ("ra" in joined) == (name != "t.parquet")


def test_a_column_that_stands_twice_is_refused_in_every_format(tmp_path):
    (tmp_path / "t.csv").write_text("id_str,file_loc,bar_no,bar_no\na,b,1,2\n")
    pq.write_table(pa.Table.from_arrays([pa.array(["a"])] * 2, names=["bar_no", "bar_no"]), tmp_path / "t.parquet")
    for name in ("t.csv", "t.parquet"):
        with pytest.raises(CatalogError, match=rf"{name}' has several columns of one name: 'bar_no'\. Keep one each\."):
            load_catalog(tmp_path / name, None)


def test_tables_that_cannot_be_written_are_one_clear_error(tmp_path):
    with pytest.raises(OutputError, match=r"t\.xlsx' must end in one of \.csv, \.csv\.gz, \.parquet\."):
        write_table(TABLE, tmp_path / "t.xlsx")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"file/t\.csv' cannot be written: (Not a directory|File exists)\."):
        write_table(TABLE, tmp_path / "file" / "t.csv")
