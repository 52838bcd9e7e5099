"""Which column of a published table counts which answer: a small YAML file.

name: my-survey
description: what the table is
source: the paper to cite
schema: my_tree.yaml              # a published tree, or a file beside this one; of several, the first is the default
suffix: -survey                   # what an ortho form of the tree has after its questions
id_col: [objid, name]             # the first that the table has names the galaxies
file_template: "{objid}.jpg"      # the image of each galaxy, from the row's own columns
counts:                           # vote column of the catalog: column of the table
  bar_yes: n_bar
  bar_no: n_no_bar
fractions:                        # for tables without counts; with the number of answers for each question ...
  bar_yes: f_bar
  bar_no: f_no_bar
totals:
  bar: n_answers_bar
fractions_of: asked               # ... or of whom they are fractions, `asked` or `everybody`: needs --total-votes
leave_out: ["n_*", "f_*"]         # columns that do not travel along; all others do
"""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from zoobot.config import Settings
from zoobot.errors import CatalogError, SettingError, did_you_mean
from zoobot.shared.mapping_files import load_schema_of, read_mapping
from zoobot.shared.schemas import Schema


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


OneOrSeveral = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]


class TableMapping(Settings):
    """A mapping, as its file says it."""

    name: str
    """What to call the mapping in messages."""
    description: str = ""
    """What the table is."""
    source: str = ""
    """The paper to cite."""
    schemas: OneOrSeveral = Field(alias="schema")
    """Trees that the vote columns are of; the first is the default."""
    suffix: str = ""
    """What an ortho form of the tree has after the name of each question."""
    id_col: OneOrSeveral = ()
    """Columns that may name the galaxies, the best first."""
    file_template: OneOrSeveral = ()
    """Images of the galaxies, the best first; one counts where the table has all its columns."""
    counts: Mapping[str, str] = Field(default_factory=dict)
    """Vote column of the catalog -> column of the table with counts."""
    fractions: Mapping[str, str] = Field(default_factory=dict)
    """Vote column of the catalog -> column of the table with vote fractions, 0 to 1."""
    totals: Mapping[str, str] = Field(default_factory=dict)
    """Question -> column of the table with the number of answers to it."""
    fractions_of: Literal["asked", "everybody"] = "asked"
    """Of whom the fractions are: of those who were asked the question, or of all volunteers."""
    leave_out: OneOrSeveral = ()
    """Columns of the table that do not travel along, as patterns such as 't??_*'."""

    def find_label(self, label: str, columns: Mapping[str, str]) -> str | None:
        """The table's column for a vote column, with or without the suffix."""
        return columns.get(label, columns.get(self._without_suffix(label)))

    def find_total(self, question: str) -> str | None:
        """The table's column for the number of answers to a question."""
        return self.totals.get(question, self.totals.get(question.removesuffix(self.suffix)))

    def leaves_out(self, column: str) -> bool:
        """Whether a column of the table does not travel along."""
        return any(fnmatchcase(column, pattern) for pattern in self.leave_out)

    def _without_suffix(self, label: str) -> str:
        question, underscore, answer = label.partition("_")
        return question.removesuffix(self.suffix) + underscore + answer


def load_table_mapping(mapping: str | Path) -> tuple[TableMapping, Schema]:
    """A mapping by its bundled name or from a YAML file, and its default tree.

    Raises:
        CatalogError: there is no such mapping, or what is wrong with it.
    """
    path, content = read_mapping(mapping, "tables", "'schema: gz2' and 'counts:'")
    if not content.get("schema"):
        raise CatalogError(f"The mapping '{path}' must name the decision tree: 'schema: gz2'.")
    try:
        table_mapping = TableMapping(**{"name": path.stem, **{str(key): value for key, value in content.items()}})
    except SettingError as error:
        message = str(error).replace("There is no setting", "There is no key").replace("The setting", "The key")
        raise CatalogError(f"The mapping '{path}' cannot be used:\n{message}") from None
    schemas = [load_schema_of(path, schema) for schema in table_mapping.schemas]
    _refuse_unknown_labels(table_mapping, schemas, path)
    return table_mapping, schemas[0]


def _refuse_unknown_labels(mapping: TableMapping, schemas: list[Schema], path: Path) -> None:
    labels = {label for schema in schemas for label in schema.label_cols}
    questions = {question.text for schema in schemas for question in schema.questions}
    names = " and ".join(f"'{schema.name}'" for schema in schemas)
    faults = [
        f"- {key}: '{name}' is no {what} of the schema {names}.{did_you_mean(name, known)}"
        for key, given, known, what in (
            ("counts", mapping.counts, labels, "vote column"),
            ("fractions", mapping.fractions, labels, "vote column"),
            ("totals", mapping.totals, questions, "question"),
        )
        for name in given
        if name not in known
    ]
    if not mapping.counts and not mapping.fractions:
        faults.append("- It names no columns. Give 'counts:' or 'fractions:'.")
    if faults:
        raise CatalogError(f"The mapping '{path}' cannot be used:\n" + "\n".join(faults))
