"""Labels to learn beside votes: classes or numbers in a catalog's columns, checked, as arrays."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from zoobot.config import AnyFinetuneSettings
from zoobot.errors import CatalogError, did_you_mean, quote

LabelArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class LabelTask:
    """What a model of labels predicts. Recorded in its folder.

    Args:
        kind: classes or numbers.
        columns: of the catalog.
        classes: names of the classes, one for each output; empty for numbers.
        multi_label: each class is a yes or no of its own.
        unit_interval: numbers lie from 0 to 1.
        centres, scales: of each number, `(number,)`: mean and spread of the training galaxies.
    """

    kind: Literal["classification", "regression"]
    columns: list[str]
    classes: list[str] = field(default_factory=list)
    multi_label: bool = False
    unit_interval: bool = False
    centres: list[float] = field(default_factory=list)
    scales: list[float] = field(default_factory=list)

    @property
    def n_outputs(self) -> int:
        return len(self.classes) if self.kind == "classification" else len(self.columns)

    @property
    def output_columns(self) -> list[str]:
        """Names of what is predicted, one for each output."""
        if self.kind == "regression":
            return [f"{column}_predicted" for column in self.columns]
        prefix = f"{self.columns[0]}_" if len(self.columns) == 1 else ""
        return [f"{prefix}{name}_probability" for name in self.classes]

    def scaled_to(self, labels: LabelArray) -> "LabelTask":
        """The task with the mean and spread of the training galaxies' numbers."""
        if self.kind != "regression" or self.unit_interval:
            return self
        spread = labels.std(axis=0)
        return replace(self, centres=labels.mean(axis=0).tolist(), scales=np.where(spread > 0, spread, 1).tolist())


def read_labels(table: pd.DataFrame, settings: AnyFinetuneSettings, source: str) -> tuple[LabelTask, LabelArray]:
    """The task that a catalog's columns pose, and its labels.

    One column of a classification holds each galaxy's class, as text or as numbers from 0; of several columns each
    holds the share of one class, or with `multi_label` a yes or no.

    Returns:
        Labels `(galaxy, output)`: probabilities of classes (1 for a galaxy's class), or numbers.

    Raises:
        CatalogError: a column is missing, blank or not what it must be, or a class has no galaxy.
    """
    columns = [str(name) for name in settings.label]
    for name in columns:
        if name not in table:
            raise CatalogError(
                f"The catalog {source} has no column '{name}' to learn.{did_you_mean(name, map(str, table.columns))}"
            )
        blank = table[name].isna() | (table[name].astype(str).str.strip() == "")
        if blank.any():
            raise CatalogError(
                f"The column '{name}' is blank in {blank.sum():,} of {len(table):,} rows of the catalog {source}, such "
                f"as that of '{table['id_str'][blank].iloc[0]}'. Fill it, or leave out these rows."
            )
    if settings.task == "classification" and len(columns) == 1 and not settings.multi_label:
        classes, labels = _read_classes(table[columns[0]], columns[0], source)
        return LabelTask("classification", columns, classes), labels
    numbers = np.stack([_read_numbers(table, name, source) for name in columns], axis=1)
    if settings.task == "classification":
        _refuse_outside_unit_interval(numbers, columns, table, source)
        if not settings.multi_label:
            _refuse_shares_that_do_not_sum_to_1(numbers, columns, table, source)
        _refuse_classes_without_example(numbers, columns, source)
        return LabelTask("classification", columns, columns, multi_label=settings.multi_label), numbers
    if settings.unit_interval:
        _refuse_outside_unit_interval(numbers, columns, table, source)
    return LabelTask("regression", columns, unit_interval=settings.unit_interval), numbers


def balance(labels: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Weights `(class,)` that make classes count the same, and galaxies 1 on average.

    Args:
        labels: `(galaxy, class)`, the share of each galaxy that is of the class.
    """
    counts = labels.sum(axis=0)
    weights: npt.NDArray[np.float64] = counts.sum() / (np.count_nonzero(counts) * np.maximum(counts, 1e-9))
    return weights


def _read_classes(column: "pd.Series[Any]", name: str, source: str) -> tuple[list[str], LabelArray]:
    if pd.api.types.is_bool_dtype(column):
        column = column.astype(int)
    if not pd.api.types.is_numeric_dtype(column):
        names = sorted(set(column.astype(str)))
        numbers = column.astype(str).map({text: number for number, text in enumerate(names)}).to_numpy(int)
    else:
        values = column.to_numpy(float)
        if (values != np.floor(values)).any() or values.min() < 0:
            wrong = values[(values != np.floor(values)) | (values < 0)][0]
            raise CatalogError(
                f"The column '{name}' of the catalog {source} must hold classes: text, or whole numbers from 0. Got "
                f"{wrong:g}. A number to predict is learned with --task regression."
            )
        numbers = values.astype(int)
        if numbers.max() >= len(numbers):
            raise CatalogError(
                f"The column '{name}' of the catalog {source} holds the class {numbers.max()}, but classes are "
                "numbered from 0 without gaps. Number them so, or give them names."
            )
        names = [str(number) for number in range(numbers.max() + 1)]
    if len(names) < 2:
        raise CatalogError(f"The column '{name}' of the catalog {source} has one class only, '{names[0]}'.")
    labels = np.eye(len(names), dtype=np.float32)[numbers]
    _refuse_classes_without_example(labels, names, source)
    return names, labels


def _read_numbers(table: pd.DataFrame, name: str, source: str) -> npt.NDArray[np.float32]:
    column = pd.to_numeric(table[name], errors="coerce").to_numpy(np.float32)
    wrong = ~np.isfinite(column)
    if wrong.any():
        raise CatalogError(
            f"The column '{name}' of the catalog {source} must hold finite numbers. Got '{table[name][wrong].iloc[0]}' "
            f"for '{table['id_str'][wrong].iloc[0]}'."
        )
    return column


def _refuse_outside_unit_interval(
    numbers: LabelArray, columns: Sequence[str], table: pd.DataFrame, source: str
) -> None:
    rows, places = np.nonzero((numbers < 0) | (numbers > 1))
    if len(rows):
        raise CatalogError(
            f"The column '{columns[places[0]]}' of the catalog {source} must hold numbers from 0 to 1. Got "
            f"{numbers[rows[0], places[0]]:g} for '{table['id_str'].iloc[rows[0]]}'."
        )


def _refuse_shares_that_do_not_sum_to_1(
    numbers: LabelArray, columns: Sequence[str], table: pd.DataFrame, source: str
) -> None:
    totals = numbers.sum(axis=1)
    wrong = np.abs(totals - 1) > 1e-3
    if wrong.any():
        raise CatalogError(
            f"The columns {quote(columns)} of the catalog {source} must hold each class's share, with the sum 1. Got "
            f"{totals[wrong][0]:g} for '{table['id_str'][wrong].iloc[0]}'. If each is a yes or no of its own, give "
            "--multi-label."
        )


def _refuse_classes_without_example(labels: LabelArray, classes: Sequence[str], source: str) -> None:
    without = [name for name, total in zip(classes, labels.sum(axis=0), strict=True) if total == 0]
    if without:
        raise CatalogError(
            f"No galaxy of the catalog {source} is of the class {quote(without)}. Give it one, or number the classes "
            "without gaps."
        )
