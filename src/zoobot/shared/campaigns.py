"""The campaigns of Galaxy Zoo: their decision trees by name, with the paper to cite and the words volunteers read.

A name without an ending is the published tree. `-ortho` is the same with the campaign's suffix on every question,
`-faithful` the tree as volunteers walked it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from zoobot.shared import faithful_label_metadata, label_metadata
from zoobot.shared.label_metadata import Dependencies, Pairs


@dataclass(frozen=True)
class Tree:
    """A decision tree: its name on the command line, its dicts, the paper to cite, what was looked at."""

    name: str
    question_answer_pairs: Pairs
    dependencies: Dependencies
    paper: str
    description: str

    @property
    def display_text(self) -> dict[str, str]:
        """Question or column -> the words in which volunteers read it; columns that are plain words are left out."""
        texts = {}
        for question, answers in self.question_answer_pairs.items():
            plain = _without_suffix(question)
            texts[question] = question_texts[plain]
            for answer in answers:
                text = answer_texts.get(plain + answer, answer_texts.get(answer))
                if text is not None:
                    texts[question + answer] = text
        return texts


def _without_suffix(question: str) -> str:
    return question if question in question_texts else question.rpartition("-")[0]


question_texts = {
    "smooth-or-featured": "Is the galaxy simply smooth and rounded, with no sign of a disk?",
    "disk-edge-on": "Could this be a disk viewed edge-on?",
    "has-spiral-arms": "Is there any sign of a spiral arm pattern?",
    "bar": "Is there a sign of a bar through the centre of the galaxy?",
    "bulge-size": "How prominent is the central bulge, compared with the rest of the galaxy?",
    "something-odd": "Is there anything odd?",
    "odd-feature": "What are the odd features?",
    "how-rounded": "How rounded is it?",
    "bulge-shape": "Does the galaxy have a bulge at its centre? If so, what shape?",
    "edge-on-bulge": "Does the galaxy have a bulge at its centre?",
    "spiral-winding": "How tightly wound do the spiral arms appear?",
    "spiral-arm-count": "How many spiral arms are there?",
    "merging": "Is the galaxy currently merging, or is there any sign of a disturbance?",
    "ring": "Does the galaxy have a ring?",
    "clumpy-appearance": "Does the galaxy have a mostly clumpy appearance?",
    "clump-count": "How many clumps are there?",
    "clump-configuration": "Do the clumps appear in a straight line, a chain, or a cluster?",
    "one-clump-brightest": "Is there one clump which is clearly brighter than the others?",
    "brightest-clump-central": "Is the brightest clump central to the galaxy?",
    "galaxy-symmetrical": "Does the galaxy appear symmetrical?",
    "clumps-embedded-larger-object": "Do the clumps appear to be embedded within a larger object?",
    "clumps": "Are there any obvious bright clumps?",
    "problem": "What is the problem with the image?",
    "artifact": "What kind of artifact is it?",
}
"""Question, without the campaign's suffix -> as volunteers read it, where that is known; campaigns differ a little."""

answer_texts = {
    "_cant-tell": "can't tell",
    "_5-plus": "5 or more",
    "smooth-or-featured_featured-or-disk": "features or disk",
    "smooth-or-featured_features": "features or disk",
    "smooth-or-featured_artifact": "star or artifact",
    "smooth-or-featured_star-artifact-zoom": "star, artifact or bad zoom",
    "how-rounded_round": "completely round",
    "how-rounded_completely": "completely round",
    "how-rounded_cigar": "cigar shaped",
    "bar_strong": "strong bar",
    "bar_weak": "weak bar",
    "bar_no": "no bar",
    "bulge-size_no": "no bulge",
    "bulge-size_none": "no bulge",
    "bulge-shape_none": "no bulge",
    "edge-on-bulge_none": "no bulge",
    "merging_both": "merging and tidal debris",
    "problem_zoom": "bad zoom",
    "artifact_satellite": "satellite trail",
    "artifact_scattered": "scattered light",
    "artifact_diffraction": "diffraction spike",
    "artifact_ray": "cosmic ray",
}
"""Answer, of one question or of any -> as volunteers read it, where its name is not readable by itself."""

_PLAIN = ("",)
_WITH_ORTHO = ("", "-ortho")
_FAITHFUL = ("", "-faithful")
_ALL_FORMS = ("", "-ortho", "-faithful", "-faithful-ortho")
_DECALS = "Walmsley et al. 2022, MNRAS 509, 3966"
_DESI = "Walmsley et al. 2023, MNRAS 526, 4768"
_HUBBLE = "Willett et al. 2017, MNRAS 464, 4176"
_EVO = "Walmsley et al. 2024, arXiv:2404.02973"

# Name, forms, paper to cite, what volunteers looked at; in the order in which `zoobot schema list` shows them.
# No catalogue paper of the JWST votes is known: named are a study of bars with them, and the survey itself.
_CAMPAIGNS = (
    ("gz2", _ALL_FORMS, "Willett et al. 2013, MNRAS 435, 2835", "Galaxy Zoo 2: SDSS images"),
    ("decals", _PLAIN, _DECALS, "Galaxy Zoo DECaLS: DR5 images, simplified dependencies"),
    ("decals-dr12", _ALL_FORMS, _DECALS, "Galaxy Zoo DECaLS: DR1 and DR2 images"),
    ("decals-dr5", _ALL_FORMS, _DECALS, "Galaxy Zoo DECaLS: DR5 images"),
    ("decals-dr8", _ALL_FORMS, _DESI, "Galaxy Zoo DESI: DR8 images of the Legacy Surveys"),
    ("decals-all-campaigns-ortho", _PLAIN, _DESI, "decals-dr12, decals-dr5 and decals-dr8 together"),
    ("desi", _FAITHFUL, _DESI, "Galaxy Zoo DESI: DESI Legacy Imaging Surveys"),
    ("rings", _PLAIN, "Walmsley et al. 2022, MNRAS 513, 1581", "ring galaxies: DECaLS images"),
    ("hubble", _ALL_FORMS, _HUBBLE, "Galaxy Zoo Hubble: HST legacy surveys"),
    ("hubble-v2", _WITH_ORTHO, _HUBBLE, "hubble less its questions about clumps"),
    (
        "candels",
        _ALL_FORMS,
        "Simmons et al. 2017, MNRAS 464, 4420",
        "Galaxy Zoo CANDELS: HST near-infrared images",
    ),
    (
        "ukidss",
        _ALL_FORMS,
        "Masters et al. 2024, RNAAS, doi:10.3847/2515-5172/ad6f10",
        "Galaxy Zoo UKIDSS: near-infrared images of GZ2 galaxies",
    ),
    (
        "cosmic-dawn",
        _ALL_FORMS,
        "Pearson et al. 2025, arXiv:2509.22311",
        "Galaxy Zoo Cosmic Dawn: H20 survey, Subaru HSC images",
    ),
    (
        "euclid",
        _ALL_FORMS,
        "Euclid Collaboration: Walmsley et al. 2025, arXiv:2503.15310",
        "Galaxy Zoo Euclid: Quick Release 1 images",
    ),
    ("jwst-ceers", _ALL_FORMS, "Géron et al. 2025, arXiv:2505.01421", "Galaxy Zoo CEERS: JWST images"),
    (
        "jwst-cosmos",
        _ALL_FORMS,
        "Casey et al. 2023, ApJ 954, 31 (the survey)",
        "Galaxy Zoo JWST: COSMOS-Web images",
    ),
    ("gz-evo-v1", _PLAIN, _EVO, "DECaLS and DESI, GZ2, CANDELS, Hubble and Cosmic Dawn together"),
    ("gz-evo-v1-public", _PLAIN, _EVO, "gz-evo-v1 less Cosmic Dawn"),
    ("gz-evo-v2", _PLAIN, _EVO, "gz-evo-v1 with hubble-v2 for hubble, and Euclid"),
    ("gz-evo-v2-public", _PLAIN, _EVO, "gz-evo-v2 less Cosmic Dawn and Euclid"),
)


def _build_trees() -> Iterator[Tree]:
    for campaign, forms, paper, description in _CAMPAIGNS:
        for name in (campaign + form for form in forms):
            faithful = "-faithful" in name
            dicts = vars(faithful_label_metadata if faithful else label_metadata)
            stem = name.replace("-", "_")
            looked_at = f"{description}, as volunteers were asked" if faithful else description
            yield Tree(name, dicts[f"{stem}_pairs"], dicts[f"{stem}_dependencies"], paper, looked_at)


trees: dict[str, Tree] = {tree.name: tree for tree in _build_trees()}
