"""The subjects of an export: what it tells about each of them, and the names and images that a catalog needs."""

import json
import logging
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd

from zoobot.errors import CatalogError, SettingError, did_you_mean, quote
from zoobot.shared.zooniverse_mappings import SubjectFields

logger = logging.getLogger(__name__)

SUBJECT_ID = "subject_id"
DEFAULT_TEMPLATE = "{subject_id}.jpg"
# What projects call an image in their manifests, without the marks # ! / that hide a field from volunteers.
_IMAGE_KEYS = ("file_loc", "png_loc", "filename", "file_name", "file", "image", "image_name")
_FIELD = re.compile(r"\{([^{}]+)\}")
_LARGEST_INTEGER = 2**63
_LARGEST_EXACT = 2**53  # among floats


class Subjects:
    """Subjects, numbered as they come, with their metadata in columns."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._metadata: dict[str, list[Any]] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def find(self, subject: str) -> int | None:
        """The subject's number, unless it is new."""
        return self._numbers.get(subject)

    def add(self, subject: str, metadata: Mapping[str, Any]) -> int:
        """The number of a new subject."""
        number = self._numbers[subject] = len(self._numbers)
        for key, value in metadata.items():
            column = self._metadata.setdefault(key, [])
            column += [None] * (number - len(column))
            column.append(value)
        return number

    def to_table(
        self, fields: SubjectFields, file_template: str | None, source: str, reserved: Collection[str] = ()
    ) -> pd.DataFrame:
        """`(subject, column)`: id_str, file_loc, the subject's own id where id_str is another, and its metadata but
        for keys that are `reserved` for other columns.

        Raises:
            CatalogError: a named key is not in the metadata, or some subject lacks it, or two share an id_str.
            SettingError: the template names something that subjects do not have.
        """
        ids = self._column(fields.id_str, "subject: id_str", source)
        _refuse_repeated(ids, fields.id_str, source)
        file_key = fields.file_loc or self._usual_image_key()
        if file_template is not None or file_key is None:
            file_locs = self._fill(file_template or DEFAULT_TEMPLATE, ids, source)
        else:
            file_locs = self._column(file_key, "subject: file_loc", source)
        columns: dict[str, Any] = {"id_str": ids, "file_loc": file_locs}
        if fields.id_str != SUBJECT_ID:
            columns[SUBJECT_ID] = list(self._numbers)
        kept = self._kept(fields, {fields.id_str, file_key, "retired"}, source)
        taken = [key for key in kept if key in columns or key in reserved]
        if taken:
            logger.warning("Left out metadata whose names the catalog needs: %s.", quote(taken))
        columns |= {key: _as_column(self._padded(key)) for key in kept if key not in taken}
        return pd.DataFrame(columns)

    def has_image_key(self, fields: SubjectFields) -> bool:
        """Whether the mapping or a usual name tells where the images are."""
        return bool(fields.file_loc or self._usual_image_key())

    def _kept(self, fields: SubjectFields, used: set[str | None], source: str) -> list[str]:
        if fields.keep is None:
            return [key for key in self._metadata if key not in used]
        for key in fields.keep:
            self._refuse_unknown(key, "subject: keep", source)
        return list(fields.keep)

    def _usual_image_key(self) -> str | None:
        named: dict[str, str] = {}
        for key in self._metadata:
            named.setdefault(key.strip("#!/ ").casefold().replace(" ", "_"), key)
        return next((named[key] for key in _IMAGE_KEYS if key in named), None)

    def _column(self, key: str, place: str, source: str) -> list[str]:
        """A field that no subject may lack, as text."""
        self._refuse_unknown(key, place, source)
        texts = [_as_text(value) for value in self._padded(key)]
        missing = [subject for subject, text in zip(self._numbers, texts, strict=True) if not text]
        if missing:
            raise CatalogError(
                f"{len(missing):,} of {len(self):,} subjects of the export {source} have no '{key}', such as the "
                f"subjects {quote(missing)}. Name another key under '{place}' of the mapping"
                + (", or give --file-template." if place.endswith("file_loc") else ".")
            )
        return texts

    def _padded(self, key: str) -> Sequence[Any]:
        if key == SUBJECT_ID:
            return list(self._numbers)
        column = self._metadata[key]
        return column + [None] * (len(self) - len(column))

    def _refuse_unknown(self, key: str, place: str, source: str) -> None:
        known = [SUBJECT_ID, *self._metadata]
        if key not in known:
            raise CatalogError(
                f"The mapping names '{key}' under '{place}', which no subject of the export {source} has."
                f"{did_you_mean(key, known)} They have {', '.join(known)}."
            )

    def _fill(self, template: str, ids: Sequence[str], source: str) -> list[str]:
        names = _FIELD.findall(template)
        known = ["id_str", SUBJECT_ID, *self._metadata]
        unknown = [name for name in names if name not in known]
        if unknown:
            raise SettingError(
                f"The file template '{template}' names {quote(unknown)}, which no subject of the export {source} has."
                f"{did_you_mean(unknown[0], known)} They have {', '.join(known)}."
            )
        values = {name: ids if name == "id_str" else self._column(name, "file template", source) for name in names}
        rows = (dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True))
        return [_fill_in(template, row) for row in rows]


def refuse_template(template: str | None) -> None:
    """Raise `SettingError` for a template that would give every subject the same image."""
    if template is not None and not _FIELD.search(template):
        raise SettingError(
            f"The setting 'file_template' must name a field in braces, such as '{DEFAULT_TEMPLATE}'. "
            f"Got '{template}' instead."
        )


def _fill_in(template: str, row: Mapping[str, str]) -> str:
    return _FIELD.sub(lambda field: row[field[1]], template)


def _refuse_repeated(ids: Sequence[str], key: str, source: str) -> None:
    repeated = pd.Series(ids)[pd.Series(ids).duplicated()]
    if len(repeated):
        raise CatalogError(
            f"{len(repeated):,} subjects of the export {source} have the '{key}' of another, such as "
            f"{quote(repeated.unique())}: the same galaxy was uploaded several times. Leave 'subject: id_str' out of "
            f"the mapping; '{key}' then is a column, and 'zoobot catalog split --group-by {key}' keeps these together."
        )


def _as_text(value: Any) -> str:
    if value is None or isinstance(value, bool | dict | list):
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def _as_column(values: Sequence[Any]) -> Any:
    """Numbers as numbers, whole ones without losing digits; everything else as text."""
    present = [value for value in values if value is not None]
    kinds = {type(value) for value in present}
    if kinds == {bool}:
        return pd.array(values, dtype="boolean")
    largest = max((abs(value) for value in present if type(value) is int), default=0)
    if kinds == {int} and largest < _LARGEST_INTEGER:
        return pd.array(values, dtype="int64" if len(present) == len(values) else "Int64")
    if kinds and kinds <= {int, float} and largest <= _LARGEST_EXACT:
        return pd.array([float("nan") if value is None else float(value) for value in values], dtype="float64")
    return [
        value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False) for value in values
    ]
