"""Simulated volunteers, who answer from what can be seen of simulated galaxies, not from what is there.

Galaxies whose arms, bars and tails cannot be seen are called smooth, as in real campaigns.
"""

import itertools
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit

from zoobot.errors import SettingError
from zoobot.shared.schemas import Question, Schema
from zoobot.shared.simulated_visibility import FloatColumn, Seen, look_at

Form = dict[str, FloatColumn]
"""The answers to one question, each with its probability, `(galaxy,)`."""

_VOTES_STREAM = 2


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
    seen = look_at(galaxies)
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


def _answers_to(question: Question, seen: Seen) -> npt.NDArray[np.float64]:
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


def _smooth_or_featured(seen: Seen) -> list[Form]:
    missed = (1 - seen.arms) * (1 - 0.7 * seen.bar) * (1 - 0.85 * seen.edge_on)
    missed *= (1 - 0.4 * np.clip(seen.disturbance, 0, 1)) * (1 - 0.3 * seen.dust)
    featured = 0.03 + 0.94 * expit(-2.7 + 9.5 * (1 - missed))
    artifact = expit(-4 + 7 * seen.artifact)
    smooth, featured = (1 - artifact) * (1 - featured), (1 - artifact) * featured
    return [{"smooth": smooth, "featured-or-disk": featured, "artifact": artifact}]


def _disk_edge_on(seen: Seen) -> list[Form]:
    return _yes_no(1 - _at_least(seen.thinness, 0.24, 24))


def _has_spiral_arms(seen: Seen) -> list[Form]:
    return _yes_no(_at_least(seen.arms, 0.25, 11))


def _bar(seen: Seen) -> list[Form]:
    none, weak, strong = _ordered(seen.bar, [0.24, 0.5], 12)
    return [{"strong": strong, "weak": weak, "no": none}, {"yes": weak + strong, "no": none}]


def _bulge_size(seen: Seen) -> list[Form]:
    none, small, moderate, large, dominant = _ordered(seen.bulge, [0.17, 0.38, 0.6, 0.82], 13)
    absent, noticeable, obvious, most = _ordered(seen.bulge, [0.22, 0.5, 0.8], 13)
    four = {"just-noticeable": noticeable, "obvious": obvious, "dominant": most}
    return [
        {"dominant": dominant, "large": large, "moderate": moderate, "small": small, "none": none},
        {"no": absent, **four},
        {"none": absent, **four},
        {"none": absent + noticeable, "obvious": obvious, "dominant": most},
    ]


def _how_rounded(seen: Seen) -> list[Form]:
    cigar, between, round_ = _ordered(seen.axis_ratio, [0.38, 0.74], 16)
    return [{"round": round_, "in-between": between, "cigar-shaped": cigar}]


def _edge_on_bulge(seen: Seen) -> list[Form]:
    bulge = _at_least(seen.bulge, 0.26, 14)
    boxy = _at_least(seen.boxiness * np.sqrt(seen.visibility), 0.45, 7)
    shape = {"rounded": bulge * (1 - boxy), "boxy": bulge * boxy, "none": 1 - bulge}
    return [shape, *_yes_no(bulge)]


def _bulge_shape(seen: Seen) -> list[Form]:
    form, *_ = _edge_on_bulge(seen)
    return [form, {"round": form["rounded"], "boxy": form["boxy"], "none": form["none"]}]


def _spiral_winding(seen: Seen) -> list[Form]:
    tight, medium, loose = _ordered(seen.arm_pitch, [16, 26], 0.35)
    return [{"tight": tight, "medium": medium, "loose": loose}]


def _spiral_arm_count(seen: Seen) -> list[Form]:
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


def _merging(seen: Seen) -> list[Form]:
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


def _something_odd(seen: Seen) -> list[Form]:
    strange = 6 * seen.disturbance + 4.5 * seen.companion + 2 * seen.dust + 3 * seen.artifact
    return _yes_no(expit(-3 + strange))


_QUESTIONS: dict[str, Callable[[Seen], list[Form]]] = {
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
