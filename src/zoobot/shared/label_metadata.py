"""The decision trees of the Galaxy Zoo campaigns, as plain data.

A tree is two dicts. `NAME_pairs` gives every question its answers; question + answer text is the name of the
published column of votes, and both dicts keep the order of those columns. `NAME_dependencies` gives every
question the one answer (as question + answer) that leads to it, or None for a question put to everybody.
`NAME_ortho_pairs` and `NAME_ortho_dependencies` are the same tree with the campaign's suffix on every
question, so that campaigns can be joined in one catalog.

To add a survey:
1. write `NAME_pairs` and `NAME_dependencies` below, or derive them from a tree that is nearly the same;
2. derive `NAME_ortho_pairs, NAME_ortho_dependencies` with `_with_suffix`;
3. add a `Tree` for each form to `trees`, with the paper to cite.

The dependencies are the published ones, and these are in places simpler than what volunteers really went
through. Merging stands as put to everybody, but follows a smooth or featured first answer. In `gz2`, `ukidss`
and `decals` bar, spiral arms and bulge size hang on a featured galaxy, but are really asked only once it is
not an edge-on disk. The trees of `hubble` and `candels` lack most of the campaigns' questions about clumps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

Pairs = dict[str, list[str]]
Dependencies = dict[str, str | None]
Value = TypeVar("Value")


@dataclass(frozen=True)
class Tree:
    """A decision tree: its name on the command line, its dicts, the paper to cite, what was looked at."""

    name: str
    question_answer_pairs: Pairs
    dependencies: Dependencies
    paper: str
    description: str


def _copied(pairs: Mapping[str, Sequence[str]]) -> Pairs:
    """Copy the lists too, so that changing one tree never changes another."""
    return {question: list(answers) for question, answers in pairs.items()}


def _without(tree: Mapping[str, Value], *questions: str) -> dict[str, Value]:
    """Leave questions out of pairs or dependencies."""
    return {question: value for question, value in tree.items() if question not in questions}


def _with_suffix(pairs: Pairs, dependencies: Dependencies, suffix: str) -> tuple[Pairs, Dependencies]:
    """Put `suffix` on every question of a tree: bar_yes becomes bar-gz2_yes."""

    def renamed(answer: str | None) -> str | None:
        # A question has no underscore of its own: the first one starts the answer.
        return None if answer is None else answer.replace("_", f"{suffix}_", 1)

    return (
        {question + suffix: list(answers) for question, answers in pairs.items()},
        {question + suffix: renamed(answer) for question, answer in dependencies.items()},
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
    {**decals_dr12_ortho_pairs, **decals_dr5_ortho_pairs, **decals_dr8_ortho_pairs}
)
decals_all_campaigns_ortho_dependencies: Dependencies = {
    **decals_dr12_ortho_dependencies,
    **decals_dr5_ortho_dependencies,
    **decals_dr8_ortho_dependencies,
}

gz_evo_v1_public_pairs = _copied(
    {**decals_all_campaigns_ortho_pairs, **gz2_ortho_pairs, **candels_ortho_pairs, **hubble_ortho_pairs}
)
gz_evo_v1_public_dependencies: Dependencies = {
    **decals_all_campaigns_ortho_dependencies,
    **gz2_ortho_dependencies,
    **candels_ortho_dependencies,
    **hubble_ortho_dependencies,
}

gz_evo_v1_pairs = _copied({**gz_evo_v1_public_pairs, **cosmic_dawn_ortho_pairs})
gz_evo_v1_dependencies: Dependencies = {**gz_evo_v1_public_dependencies, **cosmic_dawn_ortho_dependencies}

gz_evo_v2_public_pairs = _copied(
    {**decals_all_campaigns_ortho_pairs, **gz2_ortho_pairs, **candels_ortho_pairs, **hubble_v2_ortho_pairs}
)
gz_evo_v2_public_dependencies: Dependencies = {
    **decals_all_campaigns_ortho_dependencies,
    **gz2_ortho_dependencies,
    **candels_ortho_dependencies,
    **hubble_v2_ortho_dependencies,
}

gz_evo_v2_pairs = _copied({**gz_evo_v2_public_pairs, **cosmic_dawn_ortho_pairs, **euclid_ortho_pairs})
gz_evo_v2_dependencies: Dependencies = {
    **gz_evo_v2_public_dependencies,
    **cosmic_dawn_ortho_dependencies,
    **euclid_ortho_dependencies,
}

# Of every campaign, the paper to cite and what volunteers looked at.
_gz2 = ("Willett et al. 2013, MNRAS 435, 2835", "Galaxy Zoo 2: SDSS images")
_ukidss = (
    "Masters et al. 2024, RNAAS, doi:10.3847/2515-5172/ad6f10",
    "Galaxy Zoo UKIDSS: near-infrared images of GZ2 galaxies",
)
_decals = (
    "Walmsley et al. 2022, MNRAS 509, 3966",
    "Galaxy Zoo DECaLS: DR5 images, simplified dependencies",
)
_decals_dr12 = ("Walmsley et al. 2022, MNRAS 509, 3966", "Galaxy Zoo DECaLS: DR1 and DR2 images")
_decals_dr5 = ("Walmsley et al. 2022, MNRAS 509, 3966", "Galaxy Zoo DECaLS: DR5 images")
_decals_dr8 = ("Walmsley et al. 2023, MNRAS 526, 4768", "Galaxy Zoo DESI: DR8 images of the Legacy Surveys")
_decals_all = ("Walmsley et al. 2023, MNRAS 526, 4768", "decals-dr12, decals-dr5 and decals-dr8 together")
_desi = ("Walmsley et al. 2023, MNRAS 526, 4768", "Galaxy Zoo DESI: DESI Legacy Imaging Surveys")
_rings = ("Walmsley et al. 2022, MNRAS 513, 1581", "ring galaxies: DECaLS images")
_hubble = ("Willett et al. 2017, MNRAS 464, 4176", "Galaxy Zoo Hubble: HST legacy surveys")
_hubble_v2 = ("Willett et al. 2017, MNRAS 464, 4176", "hubble less its questions about clumps")
_candels = ("Simmons et al. 2017, MNRAS 464, 4420", "Galaxy Zoo CANDELS: HST near-infrared images")
_cosmic_dawn = (
    "Pearson et al. 2025, arXiv:2509.22311",
    "Galaxy Zoo Cosmic Dawn: H20 survey, Subaru HSC images",
)
_euclid = (
    "Euclid Collaboration: Walmsley et al. 2025, arXiv:2503.15310",
    "Galaxy Zoo Euclid: Quick Release 1 images",
)
# No catalogue paper of the JWST votes is known: named are a study of bars with them, and the survey itself.
_jwst_ceers = ("Géron et al. 2025, arXiv:2505.01421", "Galaxy Zoo CEERS: JWST images")
_jwst_cosmos = ("Casey et al. 2023, ApJ 954, 31 (the survey)", "Galaxy Zoo JWST: COSMOS-Web images")
_evo = "Walmsley et al. 2024, arXiv:2404.02973"
_evo_v1 = (_evo, "DECaLS and DESI, GZ2, CANDELS, Hubble and Cosmic Dawn together")
_evo_v1_public = (_evo, "gz-evo-v1 less Cosmic Dawn")
_evo_v2 = (_evo, "gz-evo-v1 with hubble-v2 for hubble, and Euclid")
_evo_v2_public = (_evo, "gz-evo-v2 less Cosmic Dawn and Euclid")

# In the order in which `zoobot schema list` shows them.
_all_trees = (
    Tree("gz2", gz2_pairs, gz2_dependencies, *_gz2),
    Tree("gz2-ortho", gz2_ortho_pairs, gz2_ortho_dependencies, *_gz2),
    Tree("decals", decals_pairs, decals_dependencies, *_decals),
    Tree("decals-dr12", decals_dr12_pairs, decals_dr12_dependencies, *_decals_dr12),
    Tree("decals-dr12-ortho", decals_dr12_ortho_pairs, decals_dr12_ortho_dependencies, *_decals_dr12),
    Tree("decals-dr5", decals_dr5_pairs, decals_dr5_dependencies, *_decals_dr5),
    Tree("decals-dr5-ortho", decals_dr5_ortho_pairs, decals_dr5_ortho_dependencies, *_decals_dr5),
    Tree("decals-dr8", decals_dr8_pairs, decals_dr8_dependencies, *_decals_dr8),
    Tree("decals-dr8-ortho", decals_dr8_ortho_pairs, decals_dr8_ortho_dependencies, *_decals_dr8),
    Tree(
        "decals-all-campaigns-ortho",
        decals_all_campaigns_ortho_pairs,
        decals_all_campaigns_ortho_dependencies,
        *_decals_all,
    ),
    Tree("desi", desi_pairs, desi_dependencies, *_desi),
    Tree("rings", rings_pairs, rings_dependencies, *_rings),
    Tree("hubble", hubble_pairs, hubble_dependencies, *_hubble),
    Tree("hubble-ortho", hubble_ortho_pairs, hubble_ortho_dependencies, *_hubble),
    Tree("hubble-v2", hubble_v2_pairs, hubble_v2_dependencies, *_hubble_v2),
    Tree("hubble-v2-ortho", hubble_v2_ortho_pairs, hubble_v2_ortho_dependencies, *_hubble_v2),
    Tree("candels", candels_pairs, candels_dependencies, *_candels),
    Tree("candels-ortho", candels_ortho_pairs, candels_ortho_dependencies, *_candels),
    Tree("ukidss", ukidss_pairs, ukidss_dependencies, *_ukidss),
    Tree("ukidss-ortho", ukidss_ortho_pairs, ukidss_ortho_dependencies, *_ukidss),
    Tree("cosmic-dawn", cosmic_dawn_pairs, cosmic_dawn_dependencies, *_cosmic_dawn),
    Tree("cosmic-dawn-ortho", cosmic_dawn_ortho_pairs, cosmic_dawn_ortho_dependencies, *_cosmic_dawn),
    Tree("euclid", euclid_pairs, euclid_dependencies, *_euclid),
    Tree("euclid-ortho", euclid_ortho_pairs, euclid_ortho_dependencies, *_euclid),
    Tree("jwst-ceers", jwst_ceers_pairs, jwst_ceers_dependencies, *_jwst_ceers),
    Tree("jwst-ceers-ortho", jwst_ceers_ortho_pairs, jwst_ceers_ortho_dependencies, *_jwst_ceers),
    Tree("jwst-cosmos", jwst_cosmos_pairs, jwst_cosmos_dependencies, *_jwst_cosmos),
    Tree("jwst-cosmos-ortho", jwst_cosmos_ortho_pairs, jwst_cosmos_ortho_dependencies, *_jwst_cosmos),
    Tree("gz-evo-v1", gz_evo_v1_pairs, gz_evo_v1_dependencies, *_evo_v1),
    Tree("gz-evo-v1-public", gz_evo_v1_public_pairs, gz_evo_v1_public_dependencies, *_evo_v1_public),
    Tree("gz-evo-v2", gz_evo_v2_pairs, gz_evo_v2_dependencies, *_evo_v2),
    Tree("gz-evo-v2-public", gz_evo_v2_public_pairs, gz_evo_v2_public_dependencies, *_evo_v2_public),
)
trees: dict[str, Tree] = {tree.name: tree for tree in _all_trees}
