"""Seconds and memory of checking a large catalog: python benchmarks/catalog_check.py [millions of rows, 10]."""

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from zoobot.config import CatalogCheckSettings
from zoobot.shared.catalog_reports import check
from zoobot.shared.schemas import Schema, get_schema
from zoobot.shared.simulation import cast_votes

BLOCK = 100_000


def write_catalog(path: Path, schema: Schema, n_rows: int) -> int:
    """Blocks of the same simulated votes under ever new names, with four columns of numbers; returns the columns."""
    rng = np.random.default_rng(0)
    fractions = [rng.dirichlet(np.ones(len(question.answers)), BLOCK) for question in schema.questions]
    votes = cast_votes(np.concatenate(fractions, axis=1), schema, n_volunteers=40, seed=0)
    columns = {label: pa.array(votes[:, column]) for column, label in enumerate(schema.label_cols)}
    columns |= {f"number_{extra}": pa.array(rng.random(BLOCK)) for extra in range(4)}
    writer = None
    for start in range(0, n_rows, BLOCK):
        ids = [f"J{row:08d}.12+{row % 1_000_000:06d}.1" for row in range(start, start + BLOCK)]
        files = [f"images/{name[:5]}/{name}.jpg" for name in ids]
        table = pa.table({"id_str": ids, "file_loc": files, **columns})
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    writer.close()
    return table.num_columns


def main() -> None:
    n_rows = int(float(sys.argv[1] if len(sys.argv) > 1 else 10) * 1_000_000)
    schema = get_schema("decals-dr5-faithful")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "catalog.parquet"
        n_columns = write_catalog(path, schema, n_rows)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start, start_cpu = time.perf_counter(), time.process_time()
        report = check(path, schema, settings=CatalogCheckSettings(files=False))
        seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    assert report.findings.n_rows == n_rows
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{n_rows:,} rows x {n_columns} columns: {seconds:.1f} s ({cpu:.1f} s of processor time)")
    print(f"peak memory {peak / 2**20:.2f} GiB, {before / 2**20:.2f} GiB of it before the check")


if __name__ == "__main__":
    main()
