"""Kinds of values that settings of several verbs have, and the checks of pairs and triples."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

Fraction = Annotated[float, Field(ge=0, le=1)]
Device = Literal["auto", "cpu", "gpu", "mps"]
Precision = Annotated[Literal["32", "16-mixed", "bf16-mixed"], BeforeValidator(str)]  # YAML reads 32 as a number
Name = Annotated[str, BeforeValidator(str)]  # so that YAML's 10581 is a name too


def check_bounds(name: str, bounds: tuple[float, float], low: float, high: float) -> None:
    """Refuse a pair that is not ascending, or not above `low` and up to `high`."""
    if not low < bounds[0] <= bounds[1] <= high:
        raise ValueError(
            f"{name} must be two numbers above {low:g} and up to {high:g}, the smaller one first. "
            f"Got {bounds[0]:g} {bounds[1]:g} instead."
        )


def check_fractions(split: tuple[float, float, float]) -> None:
    """Refuse fractions that do not share out all galaxies, or leave none to train or validate with."""
    if abs(sum(split) - 1) > 1e-6 or min(split[:2]) <= 0:
        raise ValueError(
            "split must be three fractions that sum to 1, for training, validation and test, the first two "
            f"above 0, such as 0.7 0.1 0.2. Got {split} instead."
        )
