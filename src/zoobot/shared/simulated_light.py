"""The light of simulated galaxies and of what is around them, before it comes through a telescope.

Light is surface brightness, `(height, width, 3)` where it has colours: red, green, blue. Units are those of
`simulated_galaxies.py`.
"""

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from scipy.special import k1

from zoobot.shared.light_profiles import sersic_profile
from zoobot.shared.simulated_galaxies import REFERENCE_SIZE, Galaxy, apparent_axis_ratio

FloatImage = npt.NDArray[np.float32]
"""(height, width) or (height, width, 3) float32."""

_SCALE_LENGTHS = 1.678  # half-light radius of an exponential disc in scale lengths
_SOFTENING = 0.3 / REFERENCE_SIZE  # no cusp falls between two pixels


def galaxy_light(galaxy: Galaxy, image_size: int, random: np.random.Generator) -> FloatImage:
    """The galaxy before the point spread function, (height, width, 3)."""
    right, down = sky_offsets(image_size, galaxy.centre_x, galaxy.centre_y)
    tails = _tidal_tails(galaxy, right, down, random)
    right, down, lopsided = _lopsided(galaxy, right, down)
    along, across = rotate(right, down, galaxy.position_angle)
    ratio = float(apparent_axis_ratio(galaxy.inclination, galaxy.disc_thickness))
    # An inclined disc is brighter per area, but less so than a transparent one would be: dust takes a part.
    flux = 4 * math.pi * galaxy.radius**2 * galaxy.brightness * ratio**0.45
    bulge = galaxy.bulge_fraction * flux * lopsided * _bulge(galaxy, along, across)
    light = coloured(bulge, galaxy.bulge_colour)
    if galaxy.bulge_fraction == 1:
        return light + coloured(tails, galaxy.bulge_colour - 0.15)
    old, young = _disc(galaxy, along, across, ratio, random)
    disc_flux = (1 - galaxy.bulge_fraction) * flux * lopsided * _dust(galaxy, along, across)
    light += coloured(old * disc_flux + tails, galaxy.disc_colour)
    return light + coloured(young * disc_flux, galaxy.disc_colour - 0.3)


def sky_offsets(image_size: int, centre_x: float, centre_y: float) -> tuple[FloatImage, FloatImage]:
    steps = ((np.arange(image_size) + 0.5) / image_size - 0.5).astype(np.float32)
    right, down = np.meshgrid(steps - centre_x, steps - centre_y)
    return right, down


def rotate(right: FloatImage, down: FloatImage, angle: float) -> tuple[FloatImage, FloatImage]:
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    return right * cosine + down * sine, down * cosine - right * sine


def coloured(light: FloatImage, colour: float) -> FloatImage:
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
    along, across = rotate(plane_x, plane_y, galaxy.bar_angle)
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
    toward, aside = rotate(right, down, galaxy.disturbance_angle)
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


def add_companion(light: FloatImage, galaxy: Galaxy, random: np.random.Generator) -> None:
    """The merging companion, or the second nucleus where it is close."""
    ratio, position_angle, index = random.uniform(0.4, 0.95), random.uniform(0, 180), random.uniform(1, 2.5)
    if galaxy.companion_flux == 0:
        return
    direction = math.radians(galaxy.companion_angle)
    distance = galaxy.companion_distance * galaxy.radius
    x, y = galaxy.centre_x + distance * math.cos(direction), galaxy.centre_y + distance * math.sin(direction)
    along, across = rotate(*sky_offsets(light.shape[0], x, y), position_angle)
    radius = 0.7 * galaxy.radius * galaxy.companion_flux**0.4
    flux = 2 * math.pi * galaxy.radius**2 * galaxy.brightness * galaxy.companion_flux
    profile = sersic_profile(np.hypot(along, across / ratio) + _SOFTENING, radius, index)
    light += coloured(flux / ratio * profile, galaxy.bulge_colour)


def add_field(light: FloatImage, galaxy: Galaxy, random: np.random.Generator) -> None:
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
    light[rows, columns] += coloured((brightness * np.outer(down, across)).astype(np.float32), colour)


def _blob_profile(centre: float, sigma: float, reach: int, size: int) -> tuple[npt.NDArray[np.float64], slice]:
    """Along one axis, in pixels: the Gaussian, and which pixels it covers."""
    window = slice(max(int(centre) - reach, 0), min(int(centre) + reach + 2, size))
    return np.exp(-0.5 * ((np.arange(window.start, window.stop) - centre) / sigma) ** 2), window
