"""Simulated volunteers who look at simulated galaxies: votes and catalogs with a known truth.

    schema = schemas.get_schema("decals")
    catalog = simulate_catalog("simulated", schema, n_galaxies=500)  # images and votes, on disk

    galaxies = draw_galaxies(500, seed=0)
    probabilities = answer_probabilities(galaxies, schema)  # (galaxy, answer): the truth
    votes = cast_votes(probabilities, schema, n_volunteers=40, seed=0)  # (galaxy, answer): what is recorded

Volunteers answer from what can be seen, not from what is there: arms, bars and tails count for less where a
galaxy is faint, small or blurred, and such galaxies are called smooth, as in real campaigns.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit

from zoobot.errors import SettingError
from zoobot.shared.run_folders import write_atomically
from zoobot.shared.schemas import Question, Schema
from zoobot.shared.simulated_galaxies import Galaxy, apparent_axis_ratio, draw_galaxies, render_galaxy

__all__ = [
    "Galaxy",
    "answer_probabilities",
    "cast_votes",
    "draw_galaxies",
    "render_galaxy",
    "simulate_catalog",
]

FloatColumn = npt.NDArray[np.float64]
"""(galaxy,) float64."""

_VOLUNTEERS_STREAM = 1
_VOTES_STREAM = 2
_POSITIONS_STREAM = 3


def answer_probabilities(galaxies: pd.DataFrame, schema: Schema) -> npt.NDArray[np.float64]:
    """The true probability that a volunteer who is asked a question gives an answer.

    Args:
        galaxies: parameters, as `draw_galaxies` gives them.
        schema: any tree of the questions below, such as `gz2` or `decals`. Campaign suffixes (`bar-dr5`) and
            other campaigns' names for the same answers (`_completely` for `_round`) are understood.

    Returns:
        `(galaxy, answer)`, between 0 and 1; sums to 1 within each question.

    Raises:
        SettingError: the tree asks what simulated volunteers cannot answer; the message names the question.

    Ordered answers follow a cumulative logit, P(at least category k) = logistic(slope (latent - threshold_k))
    (McCullagh 1980, J. R. Stat. Soc. B 42, 109), in a latent that can be seen:

    | question | latent or logit |
    |---|---|
    | smooth-or-featured | arms, bar, edge-on disc, dust and disturbance that can be seen; artifact |
    | disk-edge-on | apparent axis ratio of the disc |
    | has-spiral-arms | strength of the arms x share of the disc x visibility x resolved x face-on |
    | bar | strength of the bar x visibility x face-on: none, weak, strong |
    | bulge-size | square root of the bulge's share of the light |
    | how-rounded | apparent axis ratio, rounder where blurred |
    | bulge-shape, edge-on-bulge | is there a bulge; boxiness |
    | spiral-winding | pitch angle; thresholds at 16 and 26 degrees |
    | spiral-arm-count | true number, blurred by patchy arms; can't tell where arms are not seen |
    | merging | disturbance and companion that can be seen |
    | something-odd | disturbance, companion, dust lane, artifact |
    """
    seen = _look_at(galaxies)
    probabilities = np.empty((len(galaxies), len(schema.label_cols)))
    for question in schema.questions:
        probabilities[:, question.slice] = _answers_to(question, seen)
    return probabilities


def cast_votes(
    probabilities: npt.NDArray[np.float64],
    schema: Schema,
    n_volunteers: int | npt.ArrayLike,
    seed: int,
) -> npt.NDArray[np.int64]:
    """Let volunteers walk the tree: multinomial votes at each question for those who reach it.

    Args:
        probabilities: `(galaxy, answer)`, of each answer among those asked; sums to 1 within each question.
        n_volunteers: how many look at each galaxy: one number, or `(galaxy,)`.
        seed: the same seed gives the same votes; the first galaxies' do not depend on how many follow.

    Returns:
        `(galaxy, answer)` int64. A question that everybody is asked has `n_volunteers` votes in total; any
        other has as many as the answers that lead to it.
    """
    probabilities = np.asarray(probabilities, dtype=np.float64)
    if probabilities.ndim != 2 or probabilities.shape[1] != len(schema.label_cols):
        raise SettingError(
            "The 'probabilities' parameter of cast_votes must have shape "
            f"(galaxy, {len(schema.label_cols)}) for this schema. Got shape {probabilities.shape} instead."
        )
    everybody = np.broadcast_to(np.asarray(n_volunteers, dtype=np.int64), len(probabilities))
    votes = np.zeros(probabilities.shape, dtype=np.int64)
    for question in schema.asking_order:
        parents = [answer.index for answer in question.asked_after]
        asked = votes[:, parents].sum(axis=1) if parents else everybody
        random = np.random.default_rng([seed, _VOTES_STREAM, question.start_index])
        votes[:, question.slice] = random.multinomial(asked, probabilities[:, question.slice])
    return votes


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


# --- what volunteers see, and what they answer ---


@dataclass(frozen=True)
class _Seen:
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


Form = dict[str, FloatColumn]
"""The answers to one question, each with its probability, `(galaxy,)`."""


def _look_at(galaxies: pd.DataFrame) -> _Seen:
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
    return _Seen(
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


def _answers_to(question: Question, seen: _Seen) -> npt.NDArray[np.float64]:
    """`(galaxy, answer)` in the order of the question's answers."""
    texts = [_SAME_ANSWER.get(answer.short_text, answer.short_text) for answer in question.answers]
    for name, answer_forms in _QUESTIONS.items():
        if question.text == name or question.text.startswith(f"{name}-"):
            for form in answer_forms(seen):
                if set(form) == set(texts):
                    return np.stack([form[text] for text in texts], axis=1)
    raise SettingError(
        f"Simulated volunteers cannot answer the question '{question.text}' with the answers "
        f"{[answer.short_text for answer in question.answers]}. They answer these, as the gz2 and decals "
        f"trees ask them: {', '.join(_QUESTIONS)}. Use one of these trees, or one without that question."
    )


def _at_least(latent: FloatColumn, threshold: float, slope: float) -> FloatColumn:
    return np.asarray(expit(slope * (latent - threshold)))


def _ordered(latent: FloatColumn, thresholds: list[float], slope: float) -> list[FloatColumn]:
    """Cumulative logit: probabilities of the categories below, between and above the rising thresholds."""
    between = [_at_least(latent, threshold, slope) for threshold in thresholds]
    reached = [np.ones_like(latent), *between, np.zeros_like(latent)]
    return [lower - upper for lower, upper in itertools.pairwise(reached)]


def _yes_no(yes: FloatColumn) -> list[Form]:
    return [{"yes": yes, "no": 1 - yes}]


def _smooth_or_featured(seen: _Seen) -> list[Form]:
    missed = (1 - seen.arms) * (1 - 0.7 * seen.bar) * (1 - 0.85 * seen.edge_on)
    missed *= (1 - 0.4 * np.clip(seen.disturbance, 0, 1)) * (1 - 0.3 * seen.dust)
    featured = 0.03 + 0.94 * expit(-2.7 + 9.5 * (1 - missed))
    artifact = expit(-4 + 7 * seen.artifact)
    smooth, featured = (1 - artifact) * (1 - featured), (1 - artifact) * featured
    return [{"smooth": smooth, "featured-or-disk": featured, "artifact": artifact}]


def _disk_edge_on(seen: _Seen) -> list[Form]:
    return _yes_no(1 - _at_least(seen.thinness, 0.24, 24))


def _has_spiral_arms(seen: _Seen) -> list[Form]:
    return _yes_no(_at_least(seen.arms, 0.25, 11))


def _bar(seen: _Seen) -> list[Form]:
    none, weak, strong = _ordered(seen.bar, [0.24, 0.5], 12)
    return [{"strong": strong, "weak": weak, "no": none}, {"yes": weak + strong, "no": none}]


def _bulge_size(seen: _Seen) -> list[Form]:
    none, small, moderate, large, dominant = _ordered(seen.bulge, [0.17, 0.38, 0.6, 0.82], 13)
    absent, noticeable, obvious, most = _ordered(seen.bulge, [0.22, 0.5, 0.8], 13)
    four = {"just-noticeable": noticeable, "obvious": obvious, "dominant": most}
    return [
        {"dominant": dominant, "large": large, "moderate": moderate, "small": small, "none": none},
        {"no": absent, **four},
        {"none": absent, **four},
        {"none": absent + noticeable, "obvious": obvious, "dominant": most},
    ]


def _how_rounded(seen: _Seen) -> list[Form]:
    cigar, between, round_ = _ordered(seen.axis_ratio, [0.38, 0.74], 16)
    return [{"round": round_, "in-between": between, "cigar-shaped": cigar}]


def _edge_on_bulge(seen: _Seen) -> list[Form]:
    bulge = _at_least(seen.bulge, 0.26, 14)
    boxy = _at_least(seen.boxiness * np.sqrt(seen.visibility), 0.45, 7)
    shape = {"rounded": bulge * (1 - boxy), "boxy": bulge * boxy, "none": 1 - bulge}
    return [shape, *_yes_no(bulge)]


def _bulge_shape(seen: _Seen) -> list[Form]:
    form, *_ = _edge_on_bulge(seen)
    return [form, {"round": form["rounded"], "boxy": form["boxy"], "none": form["none"]}]


def _spiral_winding(seen: _Seen) -> list[Form]:
    tight, medium, loose = _ordered(seen.arm_pitch, [16, 26], 0.35)
    return [{"tight": tight, "medium": medium, "loose": loose}]


def _spiral_arm_count(seen: _Seen) -> list[Form]:
    """Each count in proportion to exp(-((count - seen) / confusion)^2); without arms, any count will do."""
    confusion = 0.5 + 0.5 * seen.flocculence + 0.12 * seen.arm_number + 4.0 * (seen.arm_number == 0)
    number = np.where(seen.arm_number == 0, 2, seen.arm_number)
    names = ["1", "2", "3", "4", "more-than-4", "more-than-4"]
    weight = {count: np.exp(-(((count - number) / confusion) ** 2)) for count in range(1, len(names) + 1)}
    total = sum(weight.values())
    counts: Form = {name: np.zeros_like(confusion) for name in names}
    for count, name in enumerate(names, start=1):
        counts[name] += weight[count] / total
    unclear = _at_least(0.5 * seen.flocculence - seen.arms, 0, 6) * 0.8 + 0.03
    return [counts, {**{name: share * (1 - unclear) for name, share in counts.items()}, "cant-tell": unclear}]


def _merging(seen: _Seen) -> list[Form]:
    merger = expit(-4 + 7.5 * seen.companion + 2 * seen.disturbance)
    none, minor, major = _ordered(seen.disturbance + 0.3 * seen.companion, [0.3, 0.62], 11)
    return [
        {
            "none": none * (1 - merger),
            "minor-disturbance": minor * (1 - merger),
            "major-disturbance": major * (1 - merger),
            "merger": merger,
        },
        {
            "neither": none * (1 - merger),
            "tidal-debris": (minor + major) * (1 - merger),
            "both": (minor + major) * merger,
            "merger": none * merger,
        },
    ]


def _something_odd(seen: _Seen) -> list[Form]:
    strange = 6 * seen.disturbance + 4.5 * seen.companion + 2 * seen.dust + 3 * seen.artifact
    return _yes_no(expit(-3 + strange))


_QUESTIONS: dict[str, Callable[[_Seen], list[Form]]] = {
    "smooth-or-featured": _smooth_or_featured,
    "disk-edge-on": _disk_edge_on,
    "has-spiral-arms": _has_spiral_arms,
    "bar": _bar,
    "bulge-size": _bulge_size,
    "how-rounded": _how_rounded,
    "bulge-shape": _bulge_shape,
    "edge-on-bulge": _edge_on_bulge,
    "spiral-winding": _spiral_winding,
    "spiral-arm-count": _spiral_arm_count,
    "merging": _merging,
    "something-odd": _something_odd,
}

_SAME_ANSWER = {
    "features": "featured-or-disk",
    "completely": "round",
    "cigar": "cigar-shaped",
    "no-bulge": "none",
    "5-plus": "more-than-4",
}


# --- the catalog ---


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
