"""Published tables of Galaxy Zoo's votes into catalogs.

The votes go to the vote columns of a tree, the galaxies' names to `id_str`, the paths of their images, filled from the
row's own columns, to `file_loc`. A mapping (`table_mappings.py`) says what the table's columns are.
"""

import logging
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from zoobot.config import ConvertSettings
from zoobot.errors import CatalogError, SettingError, did_you_mean, quote
from zoobot.shared.catalogs import source_of
from zoobot.shared.published_votes import PublishedVotes, find_votes
from zoobot.shared.schema_files import SUFFIXES
from zoobot.shared.schemas import Schema, load_schema
from zoobot.shared.table_mappings import TableMapping, load_table_mapping
from zoobot.shared.tables import read_table, write_table

logger = logging.getLogger(__name__)

_FIELD = re.compile(r"\{([^{}]+)\}")
_FIRST_LETTERS = re.compile(r"(.+)\[:(\d+)\]")
_WHOLE_FLOAT = re.compile(r"[+-]?\d+\.0*")
_LARGEST_EXACT = 2**53  # among floats


@dataclass(frozen=True)
class Conversion:
    """What a conversion did; as text, the summary."""

    output: Path
    rows: int
    schema: Schema
    schema_option: str
    mapping: str
    how: str
    weighted: bool
    n_blank: int
    left_out: tuple[str, ...]

    def __str__(self) -> str:
        lines = [
            f"Wrote {self.rows:,} galaxies to '{self.output}': {len(self.schema.label_cols)} vote columns of the "
            f"schema '{self.schema.name}', {self.how} (mapping '{self.mapping}')."
        ]
        if self.weighted:
            lines.append("The votes are not whole numbers: use the catalog with --weighted-votes.")
        if self.n_blank:
            lines.append(f"{self.n_blank:,} blank values are 0 votes: nobody was asked.")
        if self.left_out:
            lines.append(f"Left out {len(self.left_out)} columns: {quote(self.left_out)}.")
        weighted = " --weighted-votes" if self.weighted else ""
        lines.append(f"Next: zoobot catalog check {self.output} --schema {self.schema_option}{weighted}")
        return "\n".join(lines)


def convert(
    table: str | Path | pd.DataFrame,
    mapping: str | Path,
    output: str | Path,
    settings: ConvertSettings | None = None,
    *,
    schema: str | Path | Schema | None = None,
) -> Conversion:
    """Make a catalog of a published table.

    Args:
        table: a CSV, Parquet, FITS, VOTable or ECSV file, or a table in memory.
        mapping: the name of a bundled mapping, or a YAML file.
        output: the catalog, .csv, .csv.gz or .parquet. A relative image folder is relative to where you are, as a
            path on the command line is; the catalog has the paths relative to itself.
        schema: the tree to fill; by default the mapping's own.

    Raises:
        CatalogError: the mapping, or the table that does not fit it.
        SettingError: a setting that does not fit the table.
    """
    settings = settings or ConvertSettings()
    table_mapping, default_schema = load_table_mapping(mapping)
    tree = default_schema if schema is None else load_schema(schema)
    source = source_of(table)
    published = _read(table, table_mapping, settings)
    votes = find_votes(published, table_mapping, tree, settings.total_votes, source)
    if votes.weighted:
        logger.warning("The votes, %s, are not whole numbers: use the catalog with --weighted-votes.", votes.how)
    id_col = _choose_id_col(published, table_mapping, settings, source)
    template = _choose_template(published, table_mapping, settings, id_col, source)
    catalog = {
        "id_str": as_text(published[id_col], source),
        "file_loc": _find_images(published, template, settings.image_folder, Path(output), source),
        **votes.to_columns(tree),
    }
    kept, left_out = _sort_columns(published, table_mapping, votes, [id_col, *catalog])
    rows = pd.concat([pd.DataFrame(catalog), published[kept].reset_index(drop=True)], axis=1)
    return Conversion(
        output=write_table(rows, output),
        rows=len(rows),
        schema=tree,
        schema_option=_schema_option(schema, table_mapping, mapping),
        mapping=table_mapping.name,
        how=votes.how,
        weighted=votes.weighted,
        n_blank=votes.n_blank,
        left_out=tuple(left_out),
    )


def as_text(column: pd.Series, source: str) -> list[str]:
    """Names as text: whole numbers without '.0', blanks as ''; `CatalogError` where a number has lost digits."""
    if pd.api.types.is_float_dtype(column.dtype):
        inexact = column.abs() >= _LARGEST_EXACT
        if inexact.any():
            raise CatalogError(
                f"The column '{column.name}' of the table {source} holds floating-point numbers that have lost "
                f"digits, such as {column[inexact].iloc[0]:.0f} in row {np.flatnonzero(inexact)[0] + 1:,}; "
                f"{inexact.sum():,} of {len(column):,} rows. Save it as integers or as text."
            )
    blank = column.isna().to_numpy()
    texts = ["" if missing else str(value).strip() for missing, value in zip(blank, column, strict=True)]
    if all(_WHOLE_FLOAT.fullmatch(text) for text in texts if text):
        return [text.partition(".")[0] for text in texts]
    return texts


def _schema_option(schema: str | Path | Schema | None, mapping: TableMapping, path: str | Path) -> str:
    """The tree as `--schema` takes it."""
    if schema is None:
        own = mapping.schemas[0]
        return str(Path(path).parent / own) if own.endswith(SUFFIXES) else own
    return schema.name if isinstance(schema, Schema) else str(schema)


def _read(table: str | Path | pd.DataFrame, mapping: TableMapping, settings: ConvertSettings) -> pd.DataFrame:
    if isinstance(table, pd.DataFrame):
        published = table.reset_index(drop=True)
    else:
        templates = [*mapping.file_template, settings.file_template or ""]
        fields = [field for template in templates for field in _FIELD.findall(template)]
        names = {*mapping.id_col, settings.id_col or "id_str", *map(_column_of, fields), "id_str", "file_loc"}
        published = read_table(table, text_columns=sorted(names))
    if published.empty:
        raise CatalogError(f"The table {source_of(table)} is empty: it has no rows.")
    return published.rename(columns=str)


def _choose_id_col(table: pd.DataFrame, mapping: TableMapping, settings: ConvertSettings, source: str) -> str:
    if settings.id_col is not None:
        if settings.id_col not in table:
            raise SettingError(
                f"The setting 'id_col' names '{settings.id_col}', {_say_unknown(table, settings.id_col, source)}"
            )
        return settings.id_col
    candidates = [column for column in (*mapping.id_col, "id_str") if column in table]
    if not candidates:
        raise SettingError(
            f"The table {source} has none of the columns that name galaxies for the mapping '{mapping.name}' "
            f"({', '.join((*mapping.id_col, 'id_str'))}). Give one of its own with --id-col: {quote(list(table), 10)}."
        )
    return candidates[0]


def _choose_template(
    table: pd.DataFrame, mapping: TableMapping, settings: ConvertSettings, id_col: str, source: str
) -> str:
    if settings.file_template is not None:
        template = settings.file_template
        if not _FIELD.search(template):
            raise SettingError(
                "The setting 'file_template' must name a column in braces, such as '{asset_id}.jpg'. "
                f"Got '{template}' instead."
            )
        unknown = [field for field in _FIELD.findall(template) if _field_column(table, field) is None]
        if unknown:
            raise SettingError(
                f"The file template '{template}' names {quote(unknown)}, {_say_unknown(table, unknown[0], source)}"
            )
        return template
    for candidate in (*mapping.file_template, "{file_loc}"):
        if all(_field_column(table, field) for field in _FIELD.findall(candidate)):
            return candidate
    raise SettingError(
        f"Where are the images of the table {source}? Give --file-template, filled from the columns in braces, such as "
        f"'{{{id_col}}}.jpg'."
    )


def _say_unknown(table: pd.DataFrame, name: str, source: str) -> str:
    columns = [str(column) for column in table]
    return (
        f"which is no column of the table {source}.{did_you_mean(_column_of(name), columns)} "
        f"Its columns are {quote(columns, 10)}."
    )


def _column_of(field: str) -> str:
    """The column of a field such as `iauname[:4]`, which stands for the first four letters."""
    first_letters = _FIRST_LETTERS.fullmatch(field)
    return first_letters[1] if first_letters else field


def _field_column(table: pd.DataFrame, field: str) -> str | None:
    return next((column for column in (field, _column_of(field)) if column in table), None)


def _fill_field(table: pd.DataFrame, field: str, source: str) -> list[str]:
    column = _field_column(table, field)
    texts = as_text(table[column], source)
    if column == field:
        return texts
    length = int(_FIRST_LETTERS.fullmatch(field)[2])  # type: ignore[index]
    return [text[:length] for text in texts]


def _find_images(table: pd.DataFrame, template: str, image_folder: Path | None, output: Path, source: str) -> list[str]:
    """The path of each image; blank where a column of the template is."""
    fields = _FIELD.findall(template)
    filled = {field: _fill_field(table, field, source) for field in fields}
    rows = (dict(zip(filled, values, strict=True)) for values in zip(*filled.values(), strict=True))
    files = [_FIELD.sub(lambda match: row[match[1]], template) if all(row.values()) else "" for row in rows]  # noqa: B023
    if image_folder is None:
        return files
    absolute = [file for file in files if os.path.isabs(file)]
    if absolute:
        raise SettingError(
            f"The file template '{template}' gives absolute paths, such as '{absolute[0]}', before which no image "
            "folder can be put. Leave --image-folder out, or give another --file-template."
        )
    folder = image_folder.expanduser()
    if not folder.is_absolute():
        folder = Path(os.path.relpath(folder, output.parent))
    return [(folder / file).as_posix() if file else "" for file in files]


def _sort_columns(
    table: pd.DataFrame, mapping: TableMapping, votes: PublishedVotes, used: Sequence[str]
) -> tuple[list[str], list[str]]:
    """The columns that travel along, and those that do not."""
    others = [str(column) for column in table if column not in {*votes.columns, *used}]
    left_out = [column for column in others if mapping.leaves_out(column)]
    return [column for column in others if column not in left_out], left_out
