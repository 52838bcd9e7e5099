"""Simulated galaxies and volunteers: catalogs with images, votes and a known truth.

    schema = schemas.get_schema("decals")
    catalog = simulate_catalog("simulated", schema, n_galaxies=500)  # images and votes, on disk

    galaxies = draw_galaxies(500, seed=0)
    probabilities = answer_probabilities(galaxies, schema)  # (galaxy, answer): the truth
    votes = cast_votes(probabilities, schema, n_volunteers=40, seed=0)  # (galaxy, answer): what is recorded

Everything follows from the seed, galaxy by galaxy: a larger catalog begins with the galaxies of a smaller one.
"""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from zoobot.errors import SettingError
from zoobot.shared.run_folders import write_atomically
from zoobot.shared.schemas import Schema
from zoobot.shared.simulated_galaxies import Galaxy, draw_galaxies
from zoobot.shared.simulated_pictures import render_galaxy
from zoobot.shared.simulated_volunteers import answer_probabilities, cast_votes

__all__ = [
    "Galaxy",
    "answer_probabilities",
    "cast_votes",
    "draw_galaxies",
    "render_galaxy",
    "simulate_catalog",
]

_VOLUNTEERS_STREAM = 1
_POSITIONS_STREAM = 3


def simulate_catalog(
    output: str | Path,
    schema: Schema,
    n_galaxies: int = 500,
    seed: int = 0,
    image_size: int = 128,
    n_volunteers: int | tuple[int, int] = (20, 60),
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Write simulated galaxies with simulated votes, ready to be prepared and trained on.

    Args:
        output: folder, made where it is missing. In it: `images/<id_str>.jpg` (quality 95); `catalog.csv`
            with `id_str`, `file_loc` (relative to the catalog), `ra` and `dec` (degrees) and the schema's
            vote counts; `truth.parquet` with `id_str`, `<label>_true_fraction` for each label, and the
            columns of `draw_galaxies`.
        schema: the tree that the volunteers walk.
        n_galaxies: at least 1.
        seed: the same seed writes the same bytes; galaxy i of a larger catalog is galaxy i of a smaller one.
        image_size: pixels across, at least 16.
        n_volunteers: how many look at each galaxy: one number, or lowest and highest, both included.
        progress: called with (images written so far, images in all).

    Returns:
        The catalog.
    """
    output = Path(output)
    galaxies = draw_galaxies(n_galaxies, seed)
    probabilities = answer_probabilities(galaxies, schema)
    votes = cast_votes(probabilities, schema, _draw_volunteers(n_volunteers, n_galaxies, seed), seed)
    names = pd.DataFrame({"id_str": [f"sim_{index:06d}" for index in range(n_galaxies)]})
    files = pd.DataFrame({"file_loc": "images/" + names["id_str"] + ".jpg"})
    counts = pd.DataFrame(votes, columns=schema.label_cols)
    catalog = pd.concat([names, files, _draw_positions(n_galaxies, seed), counts], axis=1)
    true_fractions = pd.DataFrame(probabilities, columns=schema.label_cols).add_suffix("_true_fraction")
    truth = pd.concat([names, true_fractions, galaxies], axis=1)
    _write_images(output, list(catalog["file_loc"]), galaxies, image_size, progress)
    write_atomically(output / "truth.parquet", truth.to_parquet(index=False))
    write_atomically(output / "catalog.csv", catalog.to_csv(index=False, lineterminator="\n"))
    return catalog


def _draw_volunteers(n_volunteers: int | tuple[int, int], n_galaxies: int, seed: int) -> npt.NDArray[np.int64]:
    low, high = (n_volunteers, n_volunteers) if isinstance(n_volunteers, int) else n_volunteers
    if not 0 <= low <= high:
        raise SettingError(
            "The 'n_volunteers' parameter of simulate_catalog must be a number of at least 0, or a lowest "
            f"and a highest number. Got {n_volunteers} instead."
        )
    return np.random.default_rng([seed, _VOLUNTEERS_STREAM]).integers(low, high, n_galaxies, endpoint=True)


def _draw_positions(n_galaxies: int, seed: int) -> pd.DataFrame:
    """Uniform on the sky, degrees."""
    share = np.random.default_rng([seed, _POSITIONS_STREAM]).random((n_galaxies, 2))
    dec = np.rad2deg(np.arcsin(2 * share[:, 1] - 1))
    return pd.DataFrame({"ra": np.round(360 * share[:, 0], 6), "dec": np.round(dec, 6)})


def _write_images(
    output: Path,
    file_locs: list[str],
    galaxies: pd.DataFrame,
    image_size: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    (output / "images").mkdir(parents=True, exist_ok=True)
    for done, (file_loc, (_, galaxy)) in enumerate(zip(file_locs, galaxies.iterrows(), strict=True), start=1):
        bgr = render_galaxy(galaxy, image_size)[..., ::-1]
        encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
        write_atomically(output / file_loc, encoded)
        if progress is not None:
            progress(done, len(file_locs))
