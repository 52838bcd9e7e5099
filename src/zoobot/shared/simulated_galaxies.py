"""Simulated galaxies: the physical parameters of a toy universe.

Bulges, exponential discs, logarithmic spiral arms, bars, tidal tails and companions; what they look like is in
`simulated_light.py` and `simulated_pictures.py`, and what volunteers say of them in `simulated_volunteers.py`.

Lengths are fractions of the image's width, so that a galaxy looks the same at every image size; angles are
degrees; surface brightness is in units of the sky noise of one pixel at 128 pixels across.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from zoobot.errors import SettingError

REFERENCE_SIZE = 128  # pixels across at which brightness is in sky noises
_PARAMETERS_STREAM = 0
_ARTIFACTS = ("star", "trail", "corrupted")


class Galaxy(NamedTuple):
    """The physical parameters of one simulated galaxy: the columns of `draw_galaxies`, in order."""

    centre_x: float
    """Offset from the image's centre to the right, fraction of the width, within +-0.02."""
    centre_y: float
    """Offset from the image's centre downwards, fraction of the width, within +-0.02."""
    radius: float
    """Half-light radius along the major axis, fraction of the width, 0.06 to 0.16."""
    brightness: float
    """Mean surface brightness inside the half-light radius, seen face-on, in sky noises, 1.2 to 40."""
    position_angle: float
    """Direction of the major axis, degrees clockwise from the image's x axis, 0 to 180."""
    bulge_fraction: float
    """Share of the bulge in the light, 0 to 1; exactly 1 is an elliptical, without a disc."""
    bulge_radius: float
    """Half-light radius of the bulge in units of `radius`, 0.1 to 1."""
    bulge_index: float
    """Sersic index of the bulge, 0.8 to 5."""
    bulge_axis_ratio: float
    """Apparent axis ratio of an elliptical, or intrinsic flattening of a disc's bulge, 0.2 to 1."""
    bulge_boxiness: float
    """0 for elliptical isophotes, 1 for nearly rectangular ones."""
    inclination: float
    """Of the disc, degrees: 0 face-on, 90 edge-on; 0 for ellipticals."""
    disc_thickness: float
    """Axis ratio of the disc seen edge-on, 0.06 to 0.14."""
    arm_number: int
    """Number of spiral arms, 0 to 6."""
    arm_pitch: float
    """Pitch angle of the arms, degrees, 7 (tight) to 40 (loose)."""
    arm_strength: float
    """Share of the disc's light that follows the arms, 0 to 1."""
    arm_direction: int
    """+1 or -1: which way the arms wind."""
    flocculence: float
    """0 for smooth, regular arms; 1 for arms broken into patches."""
    bar_strength: float
    """0 for no bar to 1 for a strong one."""
    bar_length: float
    """Half-length of the bar, where the arms start, in units of `radius`, 0.35 to 0.8."""
    bar_angle: float
    """Direction of the bar within the disc, degrees from the major axis, 0 to 180."""
    dust_lane: float
    """Optical depth of the dust lane of an edge-on disc, 0 to 1.5."""
    disturbance: float
    """Lopsidedness and tidal tails, 0 (settled) to 1 (torn apart)."""
    disturbance_angle: float
    """Direction in which the tail starts, degrees, 0 to 360."""
    companion_flux: float
    """Light of the merging companion over that of the galaxy; 0 for none, up to 1."""
    companion_distance: float
    """Distance of the companion in units of `radius`, 0.6 to 3."""
    companion_angle: float
    """Direction of the companion, degrees, 0 to 360."""
    artifact: str
    """What spoils the image: "none", "star", "trail" or "corrupted"."""
    artifact_strength: float
    """How badly, 0 to 1."""
    bulge_colour: float
    """Red minus blue of the bulge, magnitudes, 0.25 to 0.6."""
    disc_colour: float
    """Red minus blue of the disc between the arms, magnitudes, 0.05 to 0.4."""
    psf_fwhm: float
    """Full width at half maximum of the point spread function, fraction of the width, 0.012 to 0.028."""
    field_density: float
    """Expected number of unrelated stars and small galaxies in the image, 0 to 20."""
    noise_seed: int
    """Seed of the noise, the field objects and the patches of the arms."""


def draw_galaxies(n_galaxies: int, seed: int) -> pd.DataFrame:
    """Draw the parameters of `n_galaxies` galaxies; the columns are the fields of `Galaxy`.

    About a third are ellipticals; a fifth of the discs are within 8 degrees of edge-on (more than chance
    gives, so that a few hundred galaxies have enough of them); 3 in 10 are disturbed or merging; 6 in 100 are
    spoiled by an artifact. Row i follows from (seed, i) alone: the first rows of a larger draw are those of a
    smaller one.
    """
    if n_galaxies < 1:
        raise SettingError(f"The 'n_galaxies' parameter of draw_galaxies must be at least 1. Got {n_galaxies} instead.")
    rows = [_draw_galaxy(seed, index) for index in range(n_galaxies)]
    return pd.DataFrame(rows, columns=list(Galaxy._fields))


def apparent_axis_ratio(inclination: npt.ArrayLike, thickness: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Of a disc of thickness q0: q^2 = cos^2 i + q0^2 sin^2 i (Hubble 1926, ApJ 64, 321); i in degrees."""
    angle = np.deg2rad(inclination)
    return np.asarray(np.hypot(np.cos(angle), np.asarray(thickness) * np.sin(angle)))


def _draw_galaxy(seed: int, index: int) -> Galaxy:
    random = np.random.default_rng([seed, index, _PARAMETERS_STREAM])
    shape = {
        "centre_x": random.uniform(-0.02, 0.02),
        "centre_y": random.uniform(-0.02, 0.02),
        "radius": np.clip(np.exp(random.normal(np.log(0.112), 0.25)), 0.06, 0.16),
        "brightness": np.exp(random.uniform(np.log(1.2), np.log(40.0))),
        "position_angle": random.uniform(0, 180),
        "psf_fwhm": random.uniform(0.012, 0.028),
        "field_density": random.uniform(0, 14),
        "noise_seed": int(random.integers(2**31)),
    }
    body = _draw_elliptical(random) if random.random() < 0.34 else _draw_disc(random)
    fate = {**_draw_disturbance(random), **_draw_artifact(random)}
    return Galaxy(**shape, **body, **_draw_arms(random, body), **fate)


def _draw_elliptical(random: np.random.Generator) -> dict[str, Any]:
    return {
        "bulge_fraction": 1.0,
        "bulge_radius": 1.0,
        "bulge_index": random.uniform(1.8, 4.5),
        "bulge_axis_ratio": random.uniform(0.22, 1.0),
        "bulge_boxiness": random.uniform(0, 0.15),
        "inclination": 0.0,
        "disc_thickness": 0.1,
        "bulge_colour": random.uniform(0.25, 0.6),
        "disc_colour": 0.3,
        "dust_lane": 0.0,
    }


def _draw_disc(random: np.random.Generator) -> dict[str, Any]:
    edge_on = random.random() < 0.2
    fraction = 0.0 if random.random() < 0.15 else 0.6 * random.beta(1.2, 2.2)
    boxy = random.random() < 0.3
    return {
        "bulge_fraction": fraction,
        "bulge_radius": np.clip(0.16 + 0.45 * fraction + random.normal(0, 0.03), 0.1, 0.6),
        "bulge_index": random.uniform(0.8, 1.1) if boxy else random.uniform(1.2, 3.0),
        "bulge_axis_ratio": random.uniform(0.6, 0.95),
        "bulge_boxiness": random.uniform(0.6, 1.0) if boxy else random.uniform(0, 0.15),
        "inclination": random.uniform(82, 90) if edge_on else np.rad2deg(np.arccos(random.uniform(0.18, 1))),
        "disc_thickness": random.uniform(0.06, 0.14),
        "bulge_colour": random.uniform(0.25, 0.55),
        "disc_colour": random.uniform(0.05, 0.4),
        "dust_lane": random.uniform(0.4, 1.5) if edge_on and random.random() < 0.4 else 0.0,
    }


def _draw_arms(random: np.random.Generator, body: dict[str, Any]) -> dict[str, Any]:
    is_disc = body["bulge_fraction"] < 1
    has_arms = is_disc and random.random() < 0.78
    has_bar = is_disc and random.random() < 0.5
    number = int(random.choice([1, 2, 3, 4, 5, 6], p=[0.1, 0.42, 0.18, 0.12, 0.1, 0.08]))
    return {
        "arm_number": number if has_arms else 0,
        "arm_pitch": random.uniform(9, 38) if number < 3 else random.uniform(14, 40),
        "arm_strength": random.uniform(0.25, 1.0) if has_arms else 0.0,
        "arm_direction": int(random.choice([-1, 1])),
        "flocculence": random.beta(1.2, 2.5),
        "bar_strength": random.uniform(0.15, 1.0) if has_bar else 0.0,
        "bar_length": random.uniform(0.4, 0.8) if has_bar else random.uniform(0.35, 0.45),
        "bar_angle": random.uniform(0, 180),
    }


def _draw_disturbance(random: np.random.Generator) -> dict[str, Any]:
    kind = random.choice(["settled", "disturbed", "merger"], p=[0.68, 0.17, 0.15])
    disturbance = {"settled": (0.0, 0.2), "disturbed": (0.25, 1.0), "merger": (0.1, 0.8)}[str(kind)]
    return {
        "disturbance": random.uniform(*disturbance),
        "disturbance_angle": random.uniform(0, 360),
        "companion_flux": random.uniform(0.2, 1.0) if kind == "merger" else 0.0,
        "companion_distance": random.uniform(0.9, 2.6),
        "companion_angle": random.uniform(0, 360),
    }


def _draw_artifact(random: np.random.Generator) -> dict[str, Any]:
    spoiled = random.random() < 0.06
    artifact = str(random.choice(_ARTIFACTS))
    strength = random.uniform(0.3, 1.0)
    return {"artifact": artifact if spoiled else "none", "artifact_strength": strength if spoiled else 0.0}
