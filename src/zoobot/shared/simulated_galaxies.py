"""Simulated galaxies: their physical parameters, and the pictures of them.

A toy universe of bulges, exponential discs, logarithmic spiral arms, bars, tidal tails and companions, seen
through a point spread function, with sky noise and field objects, stretched to a colour image as survey
cutouts are. It knows nothing of volunteers or of decision trees: `zoobot.shared.simulation` does.

Lengths are fractions of the image's width, so that a galaxy looks the same at every image size; angles are
degrees; surface brightness is in units of the sky noise of one pixel at 128 pixels across.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import k1

from zoobot.errors import SettingError
from zoobot.shared.light_profiles import sersic_profile

FloatImage = npt.NDArray[np.float32]
"""(height, width) or (height, width, 3) float32."""

_REFERENCE_SIZE = 128
_SKY_LEVEL = 1.2
_LINEAR_BELOW = 4.0
_WHITE_AT = 900.0
_SCALE_LENGTHS = 1.678  # half-light radius of an exponential disc in scale lengths
_SOFTENING = 0.3 / _REFERENCE_SIZE  # no cusp falls between two pixels
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


def render_galaxy(
    parameters: "Galaxy | Mapping[str, Any] | pd.Series[Any]", image_size: int = _REFERENCE_SIZE
) -> npt.NDArray[np.uint8]:
    """The picture of one galaxy, (image_size, image_size, 3) uint8 in the order red, green, blue.

    `parameters` is a `Galaxy`, a mapping, or one row of `draw_galaxies`; the same row gives the same bytes.
    The sky noise per pixel grows as the pixels shrink, as it does for a fixed exposure.
    """
    if image_size < 16:
        raise SettingError(
            f"The 'image_size' parameter of render_galaxy must be at least 16. Got {image_size} instead."
        )
    galaxy = _as_galaxy(parameters)
    random = np.random.default_rng(galaxy.noise_seed)
    light = _galaxy_light(galaxy, image_size, random)
    _add_companion(light, galaxy, random)
    _add_field(light, galaxy, random)
    light = _convolve(light, galaxy.psf_fwhm * image_size)
    _add_artifact(light, galaxy, random)
    noise = image_size / _REFERENCE_SIZE * np.sqrt(1 + np.maximum(light, 0) / 60)
    light += noise * random.standard_normal(light.shape, dtype=np.float32)
    if galaxy.artifact == "corrupted":
        _corrupt(light, galaxy.artifact_strength, random)
    return _stretch(light)


def apparent_axis_ratio(inclination: npt.ArrayLike, thickness: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Of a disc of thickness q0: q^2 = cos^2 i + q0^2 sin^2 i (Hubble 1926, ApJ 64, 321); i in degrees."""
    angle = np.deg2rad(inclination)
    return np.asarray(np.hypot(np.cos(angle), np.asarray(thickness) * np.sin(angle)))


def _as_galaxy(parameters: "Galaxy | Mapping[str, Any] | pd.Series[Any]") -> Galaxy:
    """With Python's own numbers: those of numpy would turn float32 images into float64."""
    row: Mapping[Any, Any] = parameters._asdict() if isinstance(parameters, tuple) else dict(parameters)
    values = (row[name] for name in Galaxy._fields)
    return Galaxy(*(value.item() if isinstance(value, np.generic) else value for value in values))


# --- parameters ---


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


# --- light ---


def _galaxy_light(galaxy: Galaxy, image_size: int, random: np.random.Generator) -> FloatImage:
    """The galaxy before the point spread function, (height, width, 3)."""
    right, down = _sky_offsets(image_size, galaxy.centre_x, galaxy.centre_y)
    tails = _tidal_tails(galaxy, right, down, random)
    right, down, lopsided = _lopsided(galaxy, right, down)
    along, across = _rotate(right, down, galaxy.position_angle)
    ratio = float(apparent_axis_ratio(galaxy.inclination, galaxy.disc_thickness))
    # An inclined disc is brighter per area, but less so than a transparent one would be: dust takes a part.
    flux = 4 * math.pi * galaxy.radius**2 * galaxy.brightness * ratio**0.45
    bulge = galaxy.bulge_fraction * flux * lopsided * _bulge(galaxy, along, across)
    light = _coloured(bulge, galaxy.bulge_colour)
    if galaxy.bulge_fraction == 1:
        return light + _coloured(tails, galaxy.bulge_colour - 0.15)
    old, young = _disc(galaxy, along, across, ratio, random)
    disc_flux = (1 - galaxy.bulge_fraction) * flux * lopsided * _dust(galaxy, along, across)
    light += _coloured(old * disc_flux + tails, galaxy.disc_colour)
    return light + _coloured(young * disc_flux, galaxy.disc_colour - 0.3)


def _sky_offsets(image_size: int, centre_x: float, centre_y: float) -> tuple[FloatImage, FloatImage]:
    steps = ((np.arange(image_size) + 0.5) / image_size - 0.5).astype(np.float32)
    right, down = np.meshgrid(steps - centre_x, steps - centre_y)
    return right, down


def _rotate(right: FloatImage, down: FloatImage, angle: float) -> tuple[FloatImage, FloatImage]:
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    return right * cosine + down * sine, down * cosine - right * sine


def _coloured(light: FloatImage, colour: float) -> FloatImage:
    """One component in three bands; `colour` is red minus blue in magnitudes."""
    tint = 10 ** (0.4 * colour * np.array([0.5, 0.0, -0.5]))
    return np.asarray(light[..., np.newaxis] * (tint / tint.mean()).astype(np.float32))


def _bulge(galaxy: Galaxy, along: FloatImage, across: FloatImage) -> FloatImage:
    """Superellipse isophotes: |x|^c + |y/q|^c with c from 2 (ellipse) to 4.5 (box)."""
    inclination = galaxy.inclination if galaxy.bulge_fraction < 1 else 90.0
    ratio = float(apparent_axis_ratio(inclination, galaxy.bulge_axis_ratio))
    power = 2 + 2.5 * galaxy.bulge_boxiness * math.sin(math.radians(inclination)) ** 4
    radii = (np.abs(along) ** power + np.abs(across / ratio) ** power) ** (1 / power) + _SOFTENING
    return sersic_profile(radii, galaxy.bulge_radius * galaxy.radius, galaxy.bulge_index) / ratio


def _disc(
    galaxy: Galaxy, along: FloatImage, across: FloatImage, ratio: float, random: np.random.Generator
) -> tuple[FloatImage, FloatImage]:
    """Old and young light of the disc, together of total light 1 (but for the bar's part)."""
    scale = galaxy.radius / _SCALE_LENGTHS
    edge_on = float(_smooth_step(galaxy.inclination, 77, 86))
    old, young = np.zeros_like(along), np.zeros_like(along)
    if edge_on < 1:
        plane_x, plane_y = along, across / ratio
        radii = np.hypot(plane_x, plane_y)
        disc = np.exp(-radii / scale) * ((1 - edge_on) / (2 * math.pi * scale**2 * ratio))
        in_arms, pattern = _arms(galaxy, plane_x, plane_y, radii, random)
        old += disc * (1 - in_arms) + _bar(galaxy, plane_x, plane_y) / ratio
        young += disc * in_arms * pattern
    if edge_on > 0:
        old += edge_on * _edge_on_disc(along, across, scale, galaxy.disc_thickness)
    return old, young


def _edge_on_disc(along: FloatImage, across: FloatImage, scale: float, thickness: float) -> FloatImage:
    """I_0 (|x|/h) K_1(|x|/h) sech^2(z / z_0), total light 1 (van der Kruit & Searle 1981, A&A 95, 105)."""
    height = 1.2 * thickness * scale
    steps = np.maximum(np.abs(along) / scale, 1e-3)
    upright = np.cosh(np.clip(across / height, -30, 30)) ** -2
    return np.asarray(steps * k1(steps) * upright / (2 * math.pi * scale * height))


def _arms(
    galaxy: Galaxy, plane_x: FloatImage, plane_y: FloatImage, radii: FloatImage, random: np.random.Generator
) -> tuple[FloatImage, FloatImage]:
    """Share of the disc's light that follows the arms, and the arms' pattern.

    The crests are logarithmic spirals theta = ln(r / r_bar) / tan(pitch) that start at the ends of the bar;
    across the arms the light is a von Mises profile exp(3 cos(psi)) / I_0(3), psi the phase, of mean 1 around
    any circle; patches break the arms up.
    """
    scale = galaxy.radius / _SCALE_LENGTHS
    start = galaxy.bar_length * galaxy.radius
    patches = galaxy.flocculence * _patches(plane_x / scale, plane_y / scale, random)
    winding = np.log(np.maximum(radii, 1e-4) / start) / math.tan(math.radians(galaxy.arm_pitch))
    angle = np.arctan2(plane_y, plane_x) - math.radians(galaxy.bar_angle)
    phase = galaxy.arm_number * (angle - galaxy.arm_direction * winding) + 1.6 * patches
    pattern = np.exp(3 * np.cos(phase) + patches) / float(np.i0(3))
    present = _smooth_step(radii, 0.6 * start, 1.15 * start) * np.exp(-((radii / (5.5 * scale)) ** 4))
    return galaxy.arm_strength * present, pattern


def _patches(plane_x: FloatImage, plane_y: FloatImage, random: np.random.Generator) -> FloatImage:
    """A smooth random field, mean 0, deviation about 0.7, in the disc's plane; arguments in scale lengths."""
    n_cells, cells_per_scale = 24, 1.6
    cells = random.standard_normal((n_cells, n_cells), dtype=np.float32)
    column, row = (offset * cells_per_scale + n_cells / 2 for offset in (plane_x, plane_y))
    return np.asarray(cv2.remap(cells, column, row, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT), np.float32)


def _bar(galaxy: Galaxy, plane_x: FloatImage, plane_y: FloatImage) -> FloatImage:
    """exp(-m^3), m^3 = |x/a|^3 + |y/b|^3 (boxy isophotes), b = 0.28 a; up to 22 % more light."""
    along, across = _rotate(plane_x, plane_y, galaxy.bar_angle)
    length = galaxy.bar_length * galaxy.radius
    width = 0.28 * length
    face_on = 1 - float(_smooth_step(galaxy.inclination, 65, 80))
    area = 4 * math.gamma(4 / 3) ** 2 * length * width
    depth = np.abs(along / length) ** 3 + np.abs(across / width) ** 3
    return np.asarray(np.exp(-depth) * (0.22 * galaxy.bar_strength * face_on / area))


def _dust(galaxy: Galaxy, along: FloatImage, across: FloatImage) -> FloatImage:
    """Transparency of the dust lane along the major axis."""
    height = 0.6 * galaxy.disc_thickness * galaxy.radius / _SCALE_LENGTHS
    lane = np.exp(-0.5 * (across / height) ** 2 - (along / (1.6 * galaxy.radius)) ** 2)
    return np.asarray(np.exp(-galaxy.dust_lane * lane))


def _smooth_step(values: Any, low: float, high: float) -> Any:
    """0 below `low`, 1 above `high`, and a cubic without kinks between."""
    share = np.clip((values - low) / (high - low), 0, 1)
    return share * share * (3 - 2 * share)


# --- disturbances and neighbours ---


def _lopsided(galaxy: Galaxy, right: FloatImage, down: FloatImage) -> tuple[FloatImage, FloatImage, FloatImage]:
    """Coordinates whose outer parts are shifted towards the tail, and a factor for the light that follows."""
    angle = math.radians(galaxy.disturbance_angle)
    toward, aside = _rotate(right, down, galaxy.disturbance_angle)
    outer = 1 - np.exp(-(toward**2 + aside**2) / (1.5 * galaxy.radius) ** 2)
    shift = 0.5 * galaxy.disturbance * galaxy.radius * outer
    factor = 1 + 0.75 * galaxy.disturbance * np.tanh(toward / galaxy.radius)
    return right - math.cos(angle) * shift, down - math.sin(angle) * shift, factor


def _tidal_tails(galaxy: Galaxy, right: FloatImage, down: FloatImage, random: np.random.Generator) -> FloatImage:
    """A curved tail, and opposite it a fainter one: Gaussian across, fading outwards."""
    bend, width, opposite = random.uniform(0.5, 1.4), random.uniform(0.28, 0.5), random.uniform(0, 0.8)
    reach = np.maximum(np.hypot(right, down) / galaxy.radius, 1e-3)
    angle = np.arctan2(down, right) - math.radians(galaxy.disturbance_angle)
    angle -= galaxy.arm_direction * bend * np.log(reach)
    present = _smooth_step(reach, 0.6, 1.8) * np.exp(-reach / (0.9 + 0.9 * galaxy.disturbance))
    tails = np.zeros_like(reach)
    for start, strength in ((0.0, 1.0), (math.pi, opposite)):
        aside = (angle - start + math.pi) % (2 * math.pi) - math.pi
        tails += strength * np.exp(-0.5 * (aside * reach / width) ** 2)
    return np.asarray(3 * galaxy.brightness * galaxy.disturbance**1.5 * present * tails)


def _add_companion(light: FloatImage, galaxy: Galaxy, random: np.random.Generator) -> None:
    """The merging companion, or the second nucleus where it is close."""
    ratio, position_angle, index = random.uniform(0.4, 0.95), random.uniform(0, 180), random.uniform(1, 2.5)
    if galaxy.companion_flux == 0:
        return
    direction = math.radians(galaxy.companion_angle)
    distance = galaxy.companion_distance * galaxy.radius
    x, y = galaxy.centre_x + distance * math.cos(direction), galaxy.centre_y + distance * math.sin(direction)
    along, across = _rotate(*_sky_offsets(light.shape[0], x, y), position_angle)
    radius = 0.7 * galaxy.radius * galaxy.companion_flux**0.4
    flux = 2 * math.pi * galaxy.radius**2 * galaxy.brightness * galaxy.companion_flux
    profile = sersic_profile(np.hypot(along, across / ratio) + _SOFTENING, radius, index)
    light += _coloured(flux / ratio * profile, galaxy.bulge_colour)


def _add_field(light: FloatImage, galaxy: Galaxy, random: np.random.Generator) -> None:
    """Unrelated stars and small galaxies, anywhere."""
    for _ in range(random.poisson(galaxy.field_density)):
        x, y = random.uniform(-0.5, 0.5, 2)
        flux = 0.004 * min(random.pareto(1.1) + 0.3, 15.0)
        if random.random() < 0.5:
            _add_blob(light, (x, y), flux, radius=0.003, colour=random.uniform(-0.4, 0.8))
        else:
            _add_blob(light, (x, y), flux, radius=random.uniform(0.006, 0.016), colour=random.uniform(0, 0.6))


def _add_blob(light: FloatImage, centre: tuple[float, float], flux: float, radius: float, colour: float) -> None:
    """A round Gaussian, drawn in a window around it."""
    size = light.shape[0]
    sigma = max(radius * size, 0.5)
    reach = math.ceil(4 * sigma) + 1
    (across, columns), (down, rows) = (_blob_profile((c + 0.5) * size - 0.5, sigma, reach, size) for c in centre)
    brightness = flux * size**2 / (2 * math.pi * sigma**2)
    light[rows, columns] += _coloured((brightness * np.outer(down, across)).astype(np.float32), colour)


def _blob_profile(centre: float, sigma: float, reach: int, size: int) -> tuple[npt.NDArray[np.float64], slice]:
    """Along one axis, in pixels: the Gaussian, and which pixels it covers."""
    window = slice(max(int(centre) - reach, 0), min(int(centre) + reach + 2, size))
    return np.exp(-0.5 * ((np.arange(window.start, window.stop) - centre) / sigma) ** 2), window


# --- telescope ---


def _convolve(light: FloatImage, fwhm: float) -> FloatImage:
    """88 % of the light in a Gaussian core of `fwhm` pixels, 12 % in wings 2.2 times as wide."""
    sigma = fwhm / 2.355
    core = cv2.GaussianBlur(light, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    wings = cv2.GaussianBlur(core, (0, 0), math.sqrt(2.2**2 - 1) * sigma, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.addWeighted(core, 0.88, wings, 0.12, 0), np.float32)


def _add_artifact(light: FloatImage, galaxy: Galaxy, random: np.random.Generator) -> None:
    """A bright star with diffraction spikes, or the trail of a satellite."""
    if galaxy.artifact not in ("star", "trail"):
        return
    right, down = _sky_offsets(light.shape[0], *random.uniform(-0.12, 0.12, 2).tolist())
    along, across = _rotate(right, down, random.uniform(0, 180))
    if galaxy.artifact == "trail":
        glow = 120 * np.exp(-0.5 * (across / random.uniform(0.006, 0.015)) ** 2)
    else:
        reach = 0.3 * galaxy.artifact_strength
        glow = 900 * (1 + (along**2 + across**2) / 0.03**2) ** -1.4
        for length, width in ((along, across), (across, along)):
            glow += 150 * np.exp(-((width / 0.005) ** 2) - np.abs(length) / reach)
    light += _coloured(galaxy.artifact_strength * glow, random.uniform(-0.4, 0.6))


def _corrupt(light: FloatImage, strength: float, random: np.random.Generator) -> None:
    """Part of the stamp is empty, and bands of rows are out of place or saturated."""
    size = light.shape[0]
    np.rot90(light, int(random.integers(4)))[int(size * (1 - 0.6 * strength)) :] = -_SKY_LEVEL
    for start in random.integers(0, size, int(2 + 6 * strength)):
        saturated = random.random() < 0.3
        band = slice(start, start + 1 + size // (128 if saturated else 24))
        light[band] = 60.0 if saturated else np.roll(light[band], random.integers(size), axis=1)


def _stretch(light: FloatImage) -> npt.NDArray[np.uint8]:
    """Survey-like colour image that keeps the colours of bright pixels (Lupton et al. 2004, PASP 116, 133).

    Each band is multiplied by f(I) / I: I is the mean of the bands, f(I) = asinh(I / 4) / asinh(900 / 4).
    """
    bands = np.moveaxis(light + _SKY_LEVEL, 2, 0)
    mean = np.maximum((bands[0] + bands[1] + bands[2]) / 3, 1e-3)
    bright = np.arcsinh(mean / _LINEAR_BELOW) / math.asinh(_WHITE_AT / _LINEAR_BELOW)
    image = np.maximum(bands, 0) * (bright / mean)
    image /= np.maximum(image.max(axis=0), 1)
    return np.ascontiguousarray(np.moveaxis(np.rint(image * 255).astype(np.uint8), 0, 2))
