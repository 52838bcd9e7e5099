"""Splitting a catalog into tables for training, validation and test."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from zoobot.config import SplitSettings
from zoobot.errors import CatalogError, did_you_mean
from zoobot.shared.catalogs import SPLITS, galaxy_hash, load_catalog, source_of, split_by_galaxy
from zoobot.shared.run_folders import open_run
from zoobot.shared.tables import write_table

Texts = npt.NDArray[np.str_]
_CLASSES = 10


@dataclass(frozen=True)
class CatalogSplits:
    """What a split made: how many galaxies each table has, and how they were chosen."""

    folder: Path
    tables: dict[str, Path]
    counts: dict[str, int]
    how: str

    def __str__(self) -> str:
        total = sum(self.counts.values())
        lines = [self.how]
        for name, path in self.tables.items():
            lines.append(f"{name:12}{self.counts[name]:10,} galaxies ({self.counts[name] / total:.1%}): {path}")
        return "\n".join(lines)


def split(
    catalog: str | Path | pd.DataFrame, output: str | Path, settings: SplitSettings | None = None
) -> CatalogSplits:
    """Write `train`, `validation` and `test` tables of a catalog; relative paths of images become absolute.

    A galaxy's table follows from its `id_str` and the seed, whatever else is in the catalog: a hash of `id_str`, or
    with `group_by` of that column's value. With `stratify`, galaxies are dealt out in the order of that hash within
    each class, so that every table has its share of each class; a galaxy's table then depends on the others too.

    Args:
        catalog: a table with `id_str` and `file_loc`; every column travels along.
        output: a folder for the three tables.
        settings: see `zoobot.config.SplitSettings`.

    Raises:
        CatalogError: the catalog is at fault, or a column of the settings is missing or blank.
        OutputError: `output` holds something else.
    """
    settings = settings or SplitSettings()
    galaxies = load_catalog(catalog, None)
    source = source_of(catalog)
    table = galaxies.table
    names = _read_column(table, settings.group_by, "--group-by", source) if settings.group_by else table["id_str"]
    keys = names.astype(str).to_numpy(object)
    if settings.stratify:
        classes = _find_classes(_read_column(table, settings.stratify, "--stratify", source))
        where = split_in_classes(keys, classes, settings.split, settings.seed)
    else:
        where = split_by_galaxy(keys, settings.split, settings.seed)
    inputs = {"catalog": source, "checksum": galaxies.checksum()}
    folder = open_run(output, "catalog split", settings, inputs)
    absolute = table.assign(**galaxies.absolute_files())
    paths, counts = {}, {}
    for name in SPLITS:
        chosen = where == name
        paths[name] = write_table(absolute[chosen], folder / f"{name}.{settings.format}")
        counts[name] = int(chosen.sum())
    return CatalogSplits(folder, paths, counts, _describe(settings, source, len(table), len(set(keys))))


def split_in_classes(
    keys: Sequence[str] | npt.NDArray[Any],
    classes: Sequence[Any] | npt.NDArray[Any],
    fractions: tuple[float, float, float],
    seed: int,
) -> Texts:
    """Assign rows to `train`, `validation` or `test` so that each class is shared out in these fractions.

    Args:
        keys: `(row,)`, the name of each row's galaxy or group; rows of one key stay together.
        classes: `(row,)`; a group counts in the class of its first row.
    """
    groups = pd.DataFrame({"key": keys, "class": classes}).drop_duplicates("key")
    groups["hash"] = np.array([galaxy_hash(str(key), seed) for key in groups["key"]], np.uint64)
    groups = groups.sort_values(["class", "hash"], kind="stable")
    rank = groups.groupby("class", sort=False).cumcount().to_numpy()
    size = groups.groupby("class", sort=False)["key"].transform("size").to_numpy()
    # the middle of each galaxy's place, so that small classes are rounded, not cut
    uniform = (rank + 0.5) / size
    where = np.array(SPLITS)[np.searchsorted(np.cumsum(fractions)[:2], uniform, side="right")]
    of_key = dict(zip(groups["key"], where, strict=True))
    return np.array([of_key[key] for key in keys])


def _read_column(table: pd.DataFrame, name: str, option: str, source: str) -> "pd.Series[Any]":
    if name not in table:
        raise CatalogError(
            f"The catalog {source} has no column '{name}' for {option}.{did_you_mean(name, map(str, table.columns))}"
        )
    column = table[name]
    blank = column.isna() | (column.astype(str).str.strip() == "")
    if blank.any():
        raise CatalogError(
            f"The column '{name}' for {option} is blank in {blank.sum():,} of {len(table):,} rows of the catalog "
            f"{source}, such as that of '{table['id_str'][blank].iloc[0]}'. Fill it."
        )
    return column


def _find_classes(column: "pd.Series[Any]") -> npt.NDArray[Any]:
    """The values themselves, or for many different numbers ten classes of equal size."""
    if pd.api.types.is_numeric_dtype(column) and column.nunique() > _CLASSES:
        return np.asarray(pd.qcut(column, _CLASSES, labels=False, duplicates="drop"))
    return column.astype(str).to_numpy(object)


def _describe(settings: SplitSettings, source: str, n_galaxies: int, n_keys: int) -> str:
    by = f"'{settings.group_by}' ({n_keys:,} groups)" if settings.group_by else "id_str"
    shared = f", in equal shares of '{settings.stratify}'" if settings.stratify else ""
    return f"Split {n_galaxies:,} galaxies of {source} by a hash of {by} and seed {settings.seed}{shared}."
