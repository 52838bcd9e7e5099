"""The decision trees of the Galaxy Zoo campaigns, as plain data.

A tree is two dicts. `NAME_pairs` gives every question its answers; question + answer text is the name of the
published column of votes, and both dicts keep the order of those columns. `NAME_dependencies` gives every
question the answer (as question + answer) that leads to it, a list of answers where any of them does, or None
for a question put to everybody. `NAME_ortho_pairs` and `NAME_ortho_dependencies` are the same tree with the
campaign's suffix on every question, so that campaigns can be joined in one catalog.

To add a survey:
1. write `NAME_pairs` and `NAME_dependencies` below, or derive them from a tree that is nearly the same;
2. derive `NAME_ortho_pairs, NAME_ortho_dependencies` with `_with_suffix`;
3. add a `Tree` for each form to `trees` in `campaigns.py`, with the paper to cite.

The dependencies are the published ones, and these are in places simpler than what volunteers really went
through: merging stands as put to everybody, but nobody is asked it who saw a star or an artifact; in `gz2`,
`ukidss` and `decals` bar, spiral arms and bulge size hang on a featured galaxy, but are asked only once it is
not an edge-on disk; `gz2` and `ukidss` lack the question what is odd; `hubble` and `candels` lack most questions
about clumps. `faithful_label_metadata.py` has the trees as volunteers walked them.
"""

from collections.abc import Mapping, Sequence
from typing import TypeVar

Pairs = dict[str, list[str]]
Dependencies = dict[str, str | list[str] | None]
Value = TypeVar("Value")


def _copied(pairs: Mapping[str, Sequence[str]]) -> Pairs:
    """Copy the lists too, so that changing one tree never changes another."""
    return {question: list(answers) for question, answers in pairs.items()}


def _without(tree: Mapping[str, Value], *questions: str) -> dict[str, Value]:
    """Leave questions out of pairs or dependencies."""
    return {question: value for question, value in tree.items() if question not in questions}


def _joined(*trees: Mapping[str, Value]) -> dict[str, Value]:
    """The questions of several trees, one tree after the other."""
    return {question: value for tree in trees for question, value in tree.items()}


def _with_suffix(pairs: Pairs, dependencies: Dependencies, suffix: str) -> tuple[Pairs, Dependencies]:
    """Put `suffix` on every question of a tree: bar_yes becomes bar-gz2_yes."""

    def renamed(answers: str | list[str] | None) -> str | list[str] | None:
        if isinstance(answers, list):
            return [answer.replace("_", f"{suffix}_", 1) for answer in answers]
        # A question has no underscore of its own: the first one starts the answer.
        return None if answers is None else answers.replace("_", f"{suffix}_", 1)

    return (
        {question + suffix: list(answers) for question, answers in pairs.items()},
        {question + suffix: renamed(answers) for question, answers in dependencies.items()},
    )


# Galaxy Zoo 2

gz2_pairs: Pairs = {
    "smooth-or-featured": ["_smooth", "_featured-or-disk", "_artifact"],
    "disk-edge-on": ["_yes", "_no"],
    "has-spiral-arms": ["_yes", "_no"],
    "bar": ["_yes", "_no"],
    "bulge-size": ["_dominant", "_obvious", "_just-noticeable", "_no"],
    "something-odd": ["_yes", "_no"],
    "how-rounded": ["_round", "_in-between", "_cigar"],
    "bulge-shape": ["_round", "_boxy", "_no-bulge"],
    "spiral-winding": ["_tight", "_medium", "_loose"],
    "spiral-arm-count": ["_1", "_2", "_3", "_4", "_more-than-4", "_cant-tell"],
}
gz2_dependencies: Dependencies = {
    "smooth-or-featured": None,
    "disk-edge-on": "smooth-or-featured_featured-or-disk",
    "has-spiral-arms": "smooth-or-featured_featured-or-disk",
    "bar": "smooth-or-featured_featured-or-disk",
    "bulge-size": "smooth-or-featured_featured-or-disk",
    "something-odd": None,
    "how-rounded": "smooth-or-featured_smooth",
    "bulge-shape": "disk-edge-on_yes",
    "spiral-winding": "has-spiral-arms_yes",
    "spiral-arm-count": "has-spiral-arms_yes",
}
gz2_ortho_pairs, gz2_ortho_dependencies = _with_suffix(gz2_pairs, gz2_dependencies, "-gz2")

ukidss_pairs = _copied(gz2_pairs)
ukidss_dependencies = dict(gz2_dependencies)
ukidss_ortho_pairs, ukidss_ortho_dependencies = _with_suffix(ukidss_pairs, ukidss_dependencies, "-ukidss")

# Galaxy Zoo DECaLS and DESI

decals_pairs: Pairs = {
    "smooth-or-featured": ["_smooth", "_featured-or-disk", "_artifact"],
    "disk-edge-on": ["_yes", "_no"],
    "has-spiral-arms": ["_yes", "_no"],
    "bar": ["_strong", "_weak", "_no"],
    "bulge-size": ["_dominant", "_large", "_moderate", "_small", "_none"],
    "how-rounded": ["_round", "_in-between", "_cigar-shaped"],
    "edge-on-bulge": ["_boxy", "_none", "_rounded"],
    "spiral-winding": ["_tight", "_medium", "_loose"],
    "spiral-arm-count": ["_1", "_2", "_3", "_4", "_more-than-4", "_cant-tell"],
    "merging": ["_none", "_minor-disturbance", "_major-disturbance", "_merger"],
}
decals_dependencies: Dependencies = {
    "smooth-or-featured": None,
    "disk-edge-on": "smooth-or-featured_featured-or-disk",
    "has-spiral-arms": "smooth-or-featured_featured-or-disk",
    "bar": "smooth-or-featured_featured-or-disk",
    "bulge-size": "smooth-or-featured_featured-or-disk",
    "how-rounded": "smooth-or-featured_smooth",
    "edge-on-bulge": "disk-edge-on_yes",
    "spiral-winding": "has-spiral-arms_yes",
    "spiral-arm-count": "has-spiral-arms_yes",
    "merging": None,
}

# Serves either tree: it has a key for every question of both.
gz2_and_decals_dependencies: Dependencies = {
    "smooth-or-featured": None,
    "disk-edge-on": "smooth-or-featured_featured-or-disk",
    "has-spiral-arms": "smooth-or-featured_featured-or-disk",
    "bar": "smooth-or-featured_featured-or-disk",
    "bulge-size": "smooth-or-featured_featured-or-disk",
    "how-rounded": "smooth-or-featured_smooth",
    "bulge-shape": "disk-edge-on_yes",
    "edge-on-bulge": "disk-edge-on_yes",
    "spiral-winding": "has-spiral-arms_yes",
    "spiral-arm-count": "has-spiral-arms_yes",
    "merging": None,
    "something-odd": None,
}

desi_pairs = _copied(decals_pairs)
desi_dependencies: Dependencies = {
    **decals_dependencies,
    "has-spiral-arms": "disk-edge-on_no",
    "bar": "disk-edge-on_no",
    "bulge-size": "disk-edge-on_no",
}

decals_dr12_pairs: Pairs = {
    "smooth-or-featured": ["_smooth", "_featured-or-disk", "_artifact"],
    "disk-edge-on": ["_yes", "_no"],
    "has-spiral-arms": ["_yes", "_no"],
    "bar": ["_yes", "_no"],
    "bulge-size": ["_dominant", "_obvious", "_none"],
    "how-rounded": ["_completely", "_in-between", "_cigar-shaped"],
    "edge-on-bulge": ["_boxy", "_none", "_rounded"],
    "spiral-winding": ["_tight", "_medium", "_loose"],
    "spiral-arm-count": ["_1", "_2", "_3", "_4", "_more-than-4"],
    "merging": ["_neither", "_tidal-debris", "_both", "_merger"],
}
decals_dr12_dependencies = dict(desi_dependencies)
decals_dr12_ortho_pairs, decals_dr12_ortho_dependencies = _with_suffix(
    decals_dr12_pairs, decals_dr12_dependencies, "-dr12"
)

decals_dr5_pairs = _copied(desi_pairs)
decals_dr5_dependencies = dict(desi_dependencies)
decals_dr5_ortho_pairs, decals_dr5_ortho_dependencies = _with_suffix(decals_dr5_pairs, decals_dr5_dependencies, "-dr5")

decals_dr8_pairs = _copied(desi_pairs)
decals_dr8_dependencies = dict(desi_dependencies)
decals_dr8_ortho_pairs, decals_dr8_ortho_dependencies = _with_suffix(decals_dr8_pairs, decals_dr8_dependencies, "-dr8")

rings_pairs: Pairs = {"ring": ["_yes", "_no"]}
rings_dependencies: Dependencies = {"ring": None}

# Hubble Space Telescope

hubble_pairs: Pairs = {
    "smooth-or-featured": ["_smooth", "_features", "_artifact"],
    "how-rounded": ["_completely", "_in-between", "_cigar-shaped"],
    "clumpy-appearance": ["_yes", "_no"],
    "disk-edge-on": ["_yes", "_no"],
    "bulge-shape": ["_rounded", "_boxy", "_none"],
    "bar": ["_yes", "_no"],
    "has-spiral-arms": ["_yes", "_no"],
    "spiral-winding": ["_tight", "_medium", "_loose"],
    "spiral-arm-count": ["_1", "_2", "_3", "_4", "_5-plus", "_cant-tell"],
    "bulge-size": ["_none", "_just-noticeable", "_obvious", "_dominant"],
    "galaxy-symmetrical": ["_yes", "_no"],
    "clumps-embedded-larger-object": ["_yes", "_no"],
}
hubble_dependencies: Dependencies = {
    "smooth-or-featured": None,
    "how-rounded": "smooth-or-featured_smooth",
    "clumpy-appearance": "smooth-or-featured_features",
    "disk-edge-on": "clumpy-appearance_no",
    "bulge-shape": "disk-edge-on_yes",
    "bar": "disk-edge-on_no",
    "has-spiral-arms": "disk-edge-on_no",
    "spiral-winding": "disk-edge-on_no",
    "spiral-arm-count": "disk-edge-on_no",
    "bulge-size": "disk-edge-on_no",
    "galaxy-symmetrical": "clumpy-appearance_yes",
    "clumps-embedded-larger-object": "clumpy-appearance_yes",
}
hubble_ortho_pairs, hubble_ortho_dependencies = _with_suffix(hubble_pairs, hubble_dependencies, "-hubble")

_clump_questions = ("clumpy-appearance", "galaxy-symmetrical", "clumps-embedded-larger-object")
hubble_v2_pairs = _copied(_without(hubble_pairs, *_clump_questions))
hubble_v2_dependencies: Dependencies = {
    **_without(hubble_dependencies, *_clump_questions),
    "disk-edge-on": "smooth-or-featured_features",
}
# The suffix is that of the first version: the columns of votes are the same.
hubble_v2_ortho_pairs, hubble_v2_ortho_dependencies = _with_suffix(hubble_v2_pairs, hubble_v2_dependencies, "-hubble")

candels_pairs: Pairs = {
    "smooth-or-featured": ["_smooth", "_features", "_artifact"],
    "how-rounded": ["_completely", "_in-between", "_cigar-shaped"],
    "clumpy-appearance": ["_yes", "_no"],
    "disk-edge-on": ["_yes", "_no"],
    "edge-on-bulge": ["_yes", "_no"],
    "bar": ["_yes", "_no"],
    "has-spiral-arms": ["_yes", "_no"],
    "spiral-winding": ["_tight", "_medium", "_loose"],
    "spiral-arm-count": ["_1", "_2", "_3", "_4", "_5-plus", "_cant-tell"],
    "bulge-size": ["_none", "_obvious", "_dominant"],
    "merging": ["_merger", "_tidal-debris", "_both", "_neither"],
}
candels_dependencies: Dependencies = {
    "smooth-or-featured": None,
    "how-rounded": "smooth-or-featured_smooth",
    "clumpy-appearance": "smooth-or-featured_features",
    "disk-edge-on": "clumpy-appearance_no",
    "edge-on-bulge": "disk-edge-on_yes",
    "bar": "disk-edge-on_no",
    "has-spiral-arms": "disk-edge-on_no",
    "spiral-winding": "disk-edge-on_no",
    "spiral-arm-count": "disk-edge-on_no",
    "bulge-size": "disk-edge-on_no",
    "merging": None,
}
candels_ortho_pairs, candels_ortho_dependencies = _with_suffix(candels_pairs, candels_dependencies, "-candels")

# Cosmic Dawn and Euclid

cosmic_dawn_pairs = _copied(
    {
        **desi_pairs,
        "smooth-or-featured": ["_smooth", "_featured-or-disk", "_problem"],
        "clumps": ["_yes", "_no"],
        "problem": ["_star", "_artifact", "_zoom"],
        "artifact": ["_satellite", "_scattered", "_diffraction", "_ray", "_saturation", "_other"],
    }
)
cosmic_dawn_dependencies: Dependencies = {
    **desi_dependencies,
    "clumps": "disk-edge-on_no",
    "problem": "smooth-or-featured_problem",
    "artifact": "problem_artifact",
}
cosmic_dawn_ortho_pairs, cosmic_dawn_ortho_dependencies = _with_suffix(
    cosmic_dawn_pairs, cosmic_dawn_dependencies, "-cd"
)

euclid_pairs = _copied({**cosmic_dawn_pairs, "artifact": [*cosmic_dawn_pairs["artifact"], "_ghost"]})
euclid_dependencies = dict(cosmic_dawn_dependencies)
euclid_ortho_pairs, euclid_ortho_dependencies = _with_suffix(euclid_pairs, euclid_dependencies, "-euclid")

# James Webb Space Telescope

# Merging is taken out and put back because clumps stand before it.
jwst_ceers_pairs = _copied(
    {
        **_without(desi_pairs, "merging"),
        "smooth-or-featured": ["_smooth", "_featured-or-disk", "_star-artifact-zoom"],
        "clumps": ["_yes", "_no"],
        "merging": desi_pairs["merging"],
        "problem": ["_star", "_artifact", "_bad-zoom"],
    }
)
jwst_ceers_dependencies: Dependencies = {
    **_without(desi_dependencies, "merging"),
    "clumps": None,
    "merging": None,
    "problem": "smooth-or-featured_star-artifact-zoom",
}
jwst_ceers_ortho_pairs, jwst_ceers_ortho_dependencies = _with_suffix(jwst_ceers_pairs, jwst_ceers_dependencies, "-jwst")

jwst_cosmos_pairs = _copied(_without(jwst_ceers_pairs, "how-rounded"))
jwst_cosmos_dependencies = _without(jwst_ceers_dependencies, "how-rounded")
jwst_cosmos_ortho_pairs, jwst_cosmos_ortho_dependencies = _with_suffix(
    jwst_cosmos_pairs, jwst_cosmos_dependencies, "-jwst"
)

# Unions of campaigns

decals_all_campaigns_ortho_pairs = _copied(
    _joined(decals_dr12_ortho_pairs, decals_dr5_ortho_pairs, decals_dr8_ortho_pairs)
)
decals_all_campaigns_ortho_dependencies = _joined(
    decals_dr12_ortho_dependencies, decals_dr5_ortho_dependencies, decals_dr8_ortho_dependencies
)

gz_evo_v1_public_pairs = _copied(
    _joined(decals_all_campaigns_ortho_pairs, gz2_ortho_pairs, candels_ortho_pairs, hubble_ortho_pairs)
)
gz_evo_v1_public_dependencies = _joined(
    decals_all_campaigns_ortho_dependencies,
    gz2_ortho_dependencies,
    candels_ortho_dependencies,
    hubble_ortho_dependencies,
)
gz_evo_v1_pairs = _copied(_joined(gz_evo_v1_public_pairs, cosmic_dawn_ortho_pairs))
gz_evo_v1_dependencies = _joined(gz_evo_v1_public_dependencies, cosmic_dawn_ortho_dependencies)

gz_evo_v2_public_pairs = _copied(
    _joined(decals_all_campaigns_ortho_pairs, gz2_ortho_pairs, candels_ortho_pairs, hubble_v2_ortho_pairs)
)
gz_evo_v2_public_dependencies = _joined(
    decals_all_campaigns_ortho_dependencies,
    gz2_ortho_dependencies,
    candels_ortho_dependencies,
    hubble_v2_ortho_dependencies,
)
gz_evo_v2_pairs = _copied(_joined(gz_evo_v2_public_pairs, cosmic_dawn_ortho_pairs, euclid_ortho_pairs))
gz_evo_v2_dependencies = _joined(
    gz_evo_v2_public_dependencies, cosmic_dawn_ortho_dependencies, euclid_ortho_dependencies
)
