"""What can be seen of simulated galaxies: less of what is there, the fainter, smaller and more blurred they are."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit

from zoobot.shared.simulated_galaxies import Galaxy, apparent_axis_ratio

FloatColumn = npt.NDArray[np.float64]
"""(galaxy,) float64."""


@dataclass(frozen=True)
class Seen:
    """What can be seen of each galaxy, `(galaxy,)` each: 0 (not there, or not visible) to about 1."""

    visibility: FloatColumn
    axis_ratio: FloatColumn  # 0 to 1
    thinness: FloatColumn  # axis ratio of the disc alone, where there is one
    edge_on: FloatColumn
    arms: FloatColumn
    arm_number: FloatColumn  # 0 to 6
    arm_pitch: FloatColumn  # degrees
    flocculence: FloatColumn
    bar: FloatColumn
    bulge: FloatColumn
    boxiness: FloatColumn
    dust: FloatColumn
    disturbance: FloatColumn
    companion: FloatColumn
    artifact: FloatColumn


def look_at(galaxies: pd.DataFrame) -> Seen:
    """What can be seen of galaxies whose parameters are as `draw_galaxies` gives them."""
    column = {name: galaxies[name].to_numpy() for name in Galaxy._fields}
    disc = 1.0 - column["bulge_fraction"]
    bright = expit(2.5 * np.log(column["brightness"] / 2.2))
    sharp = expit(5 * np.log(column["radius"] / (2.8 * column["psf_fwhm"])))
    visibility = bright * sharp * (1 - 0.6 * column["artifact_strength"])
    face_on = expit((70 - column["inclination"]) / 4)
    disc_ratio = apparent_axis_ratio(column["inclination"], column["disc_thickness"])
    with_bulge = disc_ratio + 0.35 * (1 - disc) * (1 - disc_ratio)
    axis_ratio = np.where(disc > 0, with_bulge, column["bulge_axis_ratio"])
    blur = column["psf_fwhm"] / (2 * column["radius"])
    edge_on = (disc > 0) * expit((column["inclination"] - 79) / 2) * np.sqrt(visibility)
    return Seen(
        visibility=visibility,
        axis_ratio=np.sqrt((axis_ratio**2 + blur**2) / (1 + blur**2)),
        thinness=np.where(disc > 0, disc_ratio, column["bulge_axis_ratio"]),
        edge_on=edge_on,
        arms=column["arm_strength"] * disc**0.7 * visibility * face_on * _arms_are_resolved(column),
        arm_number=column["arm_number"].astype(np.float64),
        arm_pitch=column["arm_pitch"],
        flocculence=column["flocculence"],
        bar=column["bar_strength"] * disc**0.7 * visibility * expit((66 - column["inclination"]) / 4),
        bulge=np.sqrt(column["bulge_fraction"]),
        boxiness=column["bulge_boxiness"],
        dust=np.clip(column["dust_lane"], 0, 1) * edge_on * sharp,
        disturbance=column["disturbance"] * expit(2.5 * np.log(column["brightness"] / 1.5)),
        companion=np.sqrt(column["companion_flux"]) * expit(2.5 * (2.6 - column["companion_distance"])),
        artifact=column["artifact_strength"].astype(np.float64),
    )


def _arms_are_resolved(column: dict[str, npt.NDArray[Any]]) -> FloatColumn:
    """Do arms stand apart by more than they are blurred? At radius r they do by 2 pi r tan(pitch) / m."""
    distance = 2 * np.pi * column["radius"] * np.tan(np.deg2rad(column["arm_pitch"]))
    blurs = distance / np.maximum(column["arm_number"], 1) / column["psf_fwhm"]
    return np.asarray(expit(4 * np.log(blurs / 1.3)))
