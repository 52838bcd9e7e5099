"""The decision trees as volunteers walked them: `NAME_faithful_pairs` and `NAME_faithful_dependencies`.

Each holds the questions of the published tree `NAME` of `label_metadata.py` under the same names, so that the same
columns of votes fit both. What differs is who is asked, and the questions that the published tree leaves out. The
dependencies name every answer that leads straight to a question, from the interfaces that volunteers used
(github.com/zooniverse/Galaxy-Zoo, `app/lib/*_tree.coffee`; for Galaxy Zoo Hubble the paths of its votes in
github.com/CKrawczyk/gz_nodes_flask, `gz_classes.py`) and the papers' figures.

To know about the votes:
- A volunteer of `ukidss` and `hubble` could name several odd features, so that a galaxy may have more votes for
  `odd-feature` than for `something-odd_yes`. The published votes of `gz2` are one for each volunteer.
- Galaxy Zoo Hubble changed its questions about clumps in its first months (May 2010). The tree is the later one.
- That nobody is asked about mergers and clumps who saw a star or an artifact is inferred for `jwst-ceers` and
  `jwst-cosmos`.
"""

from copy import deepcopy

from zoobot.shared.label_metadata import (
    Dependencies,
    Pairs,
    _copied,
    _with_suffix,
    candels_dependencies,
    candels_pairs,
    cosmic_dawn_dependencies,
    cosmic_dawn_pairs,
    decals_dr5_dependencies,
    decals_dr5_pairs,
    decals_dr8_dependencies,
    decals_dr8_pairs,
    decals_dr12_dependencies,
    decals_dr12_pairs,
    desi_dependencies,
    desi_pairs,
    euclid_dependencies,
    euclid_pairs,
    gz2_dependencies,
    gz2_pairs,
    hubble_dependencies,
    hubble_pairs,
    jwst_ceers_dependencies,
    jwst_ceers_pairs,
    jwst_cosmos_dependencies,
    jwst_cosmos_pairs,
)


def _answers(question: str, *answers: str) -> list[str]:
    return [f"{question}_{answer}" for answer in answers]


def _of_galaxies(dependencies: Dependencies, *questions: str, featured: str = "featured-or-disk") -> Dependencies:
    """Put questions to those who saw a galaxy, smooth or featured, and not a star or an artifact."""
    galaxy = _answers("smooth-or-featured", "smooth", featured)
    return deepcopy({**dependencies, **{question: list(galaxy) for question in questions}})


# Galaxy Zoo 2

_odd_features = ["_ring", "_lens-or-arc", "_disturbed", "_irregular", "_other", "_merger", "_dust-lane"]

gz2_faithful_pairs = _copied({**gz2_pairs, "odd-feature": _odd_features})
gz2_faithful_dependencies: Dependencies = {
    **_of_galaxies(gz2_dependencies, "something-odd"),
    "has-spiral-arms": "disk-edge-on_no",
    "bar": "disk-edge-on_no",
    "bulge-size": "disk-edge-on_no",
    "odd-feature": "something-odd_yes",
}
gz2_faithful_ortho_pairs, gz2_faithful_ortho_dependencies = _with_suffix(
    gz2_faithful_pairs, gz2_faithful_dependencies, "-gz2"
)

ukidss_faithful_pairs = _copied(gz2_faithful_pairs)
ukidss_faithful_dependencies = _of_galaxies(gz2_faithful_dependencies, "something-odd")
ukidss_faithful_ortho_pairs, ukidss_faithful_ortho_dependencies = _with_suffix(
    ukidss_faithful_pairs, ukidss_faithful_dependencies, "-ukidss"
)

# Galaxy Zoo DECaLS and DESI

decals_dr12_faithful_pairs = _copied(decals_dr12_pairs)
decals_dr12_faithful_dependencies = _of_galaxies(decals_dr12_dependencies, "merging")
decals_dr12_faithful_ortho_pairs, decals_dr12_faithful_ortho_dependencies = _with_suffix(
    decals_dr12_faithful_pairs, decals_dr12_faithful_dependencies, "-dr12"
)

decals_dr5_faithful_pairs = _copied(decals_dr5_pairs)
decals_dr5_faithful_dependencies = _of_galaxies(decals_dr5_dependencies, "merging")
decals_dr5_faithful_ortho_pairs, decals_dr5_faithful_ortho_dependencies = _with_suffix(
    decals_dr5_faithful_pairs, decals_dr5_faithful_dependencies, "-dr5"
)

decals_dr8_faithful_pairs = _copied(decals_dr8_pairs)
decals_dr8_faithful_dependencies = _of_galaxies(decals_dr8_dependencies, "merging")
decals_dr8_faithful_ortho_pairs, decals_dr8_faithful_ortho_dependencies = _with_suffix(
    decals_dr8_faithful_pairs, decals_dr8_faithful_dependencies, "-dr8"
)

desi_faithful_pairs = _copied(desi_pairs)
desi_faithful_dependencies = _of_galaxies(desi_dependencies, "merging")

# Hubble Space Telescope

_clump_pairs: Pairs = {
    "clump-count": ["_1", "_2", "_3", "_4", "_5-plus", "_cant-tell"],
    "clump-configuration": ["_straight-line", "_chain", "_cluster-or-irregular", "_spiral"],
    "one-clump-brightest": ["_yes", "_no"],
    "brightest-clump-central": ["_yes", "_no"],
    "galaxy-symmetrical": ["_yes", "_no"],
    "clumps-embedded-larger-object": ["_yes", "_no"],
}
_clump_dependencies: Dependencies = {
    "clump-count": "clumpy-appearance_yes",
    "clump-configuration": _answers("clump-count", "3", "4", "5-plus", "cant-tell"),
    "one-clump-brightest": [
        "clump-count_2",
        *_answers("clump-configuration", "straight-line", "chain", "cluster-or-irregular", "spiral"),
    ],
    "brightest-clump-central": "one-clump-brightest_yes",
    "galaxy-symmetrical": ["clump-count_1", "one-clump-brightest_no", "brightest-clump-central_yes"],
    "clumps-embedded-larger-object": _answers("galaxy-symmetrical", "yes", "no"),
}

candels_faithful_pairs = _copied({**candels_pairs, **_clump_pairs})
candels_faithful_dependencies = _of_galaxies(
    {
        **candels_dependencies,
        "spiral-winding": "has-spiral-arms_yes",
        "spiral-arm-count": "has-spiral-arms_yes",
        **_clump_dependencies,
    },
    "merging",
    featured="features",
)
candels_faithful_ortho_pairs, candels_faithful_ortho_dependencies = _with_suffix(
    candels_faithful_pairs, candels_faithful_dependencies, "-candels"
)

# Clumps in a spiral pattern lead to the questions about disks, less the one whether there are spiral arms.
hubble_faithful_pairs = _copied(
    {**hubble_pairs, **_clump_pairs, "something-odd": ["_yes", "_no"], "odd-feature": _odd_features}
)
hubble_faithful_dependencies = _of_galaxies(
    {
        **hubble_dependencies,
        **_clump_dependencies,
        "one-clump-brightest": [
            "clump-count_2",
            *_answers("clump-configuration", "straight-line", "chain", "cluster-or-irregular"),
        ],
        "galaxy-symmetrical": [
            "clump-count_1",
            "one-clump-brightest_no",
            *_answers("brightest-clump-central", "yes", "no"),
        ],
        "bar": ["disk-edge-on_no", "clump-configuration_spiral"],
        "bulge-size": ["disk-edge-on_no", "clump-configuration_spiral"],
        "spiral-winding": ["has-spiral-arms_yes", "clump-configuration_spiral"],
        "spiral-arm-count": ["has-spiral-arms_yes", "clump-configuration_spiral"],
        "something-odd": None,
        "odd-feature": "something-odd_yes",
    },
    "something-odd",
    featured="features",
)
hubble_faithful_ortho_pairs, hubble_faithful_ortho_dependencies = _with_suffix(
    hubble_faithful_pairs, hubble_faithful_dependencies, "-hubble"
)

# Cosmic Dawn and Euclid

cosmic_dawn_faithful_pairs = _copied(cosmic_dawn_pairs)
cosmic_dawn_faithful_dependencies = _of_galaxies(cosmic_dawn_dependencies, "merging")
cosmic_dawn_faithful_ortho_pairs, cosmic_dawn_faithful_ortho_dependencies = _with_suffix(
    cosmic_dawn_faithful_pairs, cosmic_dawn_faithful_dependencies, "-cd"
)

euclid_faithful_pairs = _copied(euclid_pairs)
euclid_faithful_dependencies = _of_galaxies(euclid_dependencies, "merging")
euclid_faithful_ortho_pairs, euclid_faithful_ortho_dependencies = _with_suffix(
    euclid_faithful_pairs, euclid_faithful_dependencies, "-euclid"
)

# James Webb Space Telescope

jwst_ceers_faithful_pairs = _copied(jwst_ceers_pairs)
jwst_ceers_faithful_dependencies = _of_galaxies(jwst_ceers_dependencies, "clumps", "merging")
jwst_ceers_faithful_ortho_pairs, jwst_ceers_faithful_ortho_dependencies = _with_suffix(
    jwst_ceers_faithful_pairs, jwst_ceers_faithful_dependencies, "-jwst"
)

jwst_cosmos_faithful_pairs = _copied(jwst_cosmos_pairs)
jwst_cosmos_faithful_dependencies = _of_galaxies(jwst_cosmos_dependencies, "clumps", "merging")
jwst_cosmos_faithful_ortho_pairs, jwst_cosmos_faithful_ortho_dependencies = _with_suffix(
    jwst_cosmos_faithful_pairs, jwst_cosmos_faithful_dependencies, "-jwst"
)
