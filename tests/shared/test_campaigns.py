"""The table of trees, the words volunteers read, and the faithful trees against a walk through the interfaces."""

import re
from collections.abc import Iterator
from copy import deepcopy

import pandas as pd
import pytest

from zoobot.shared import campaigns, faithful_label_metadata, label_metadata
from zoobot.shared.schemas import Schema, get_schema

FAITHFUL = [name for name in campaigns.trees if name.endswith("-faithful")]
FAITHFUL_SIZES = {"gz2": (11, 37), "ukidss": (11, 37), "hubble": (18, 57), "candels": (17, 50)}

# What the interface shows next: after a question, or after each of its answers. "bar*" is the question "bar" on another
# way. Copied from the interfaces' own lists (see faithful_label_metadata).
GZ2 = {
    "smooth-or-featured": {"smooth": "how-rounded", "featured-or-disk": "disk-edge-on", "artifact": None},
    "disk-edge-on": {"yes": "bulge-shape", "no": "bar"},
    "bar": "has-spiral-arms",
    "has-spiral-arms": {"yes": "spiral-winding", "no": "bulge-size"},
    "spiral-winding": "spiral-arm-count",
    "spiral-arm-count": "bulge-size",
    "bulge-size": "something-odd",
    "how-rounded": "something-odd",
    "bulge-shape": "something-odd",
    "something-odd": {"yes": "odd-feature", "no": None},
    "odd-feature": None,
}
DECALS = {
    "smooth-or-featured": {"smooth": "how-rounded", "featured-or-disk": "disk-edge-on", "artifact": None},
    "disk-edge-on": {"yes": "edge-on-bulge", "no": "bar"},
    "bar": "has-spiral-arms",
    "has-spiral-arms": {"yes": "spiral-winding", "no": "bulge-size"},
    "spiral-winding": "spiral-arm-count",
    "spiral-arm-count": "bulge-size",
    "bulge-size": "merging",
    "how-rounded": "merging",
    "edge-on-bulge": "merging",
    "merging": None,
}
CANDELS = {
    **DECALS,
    "smooth-or-featured": {"smooth": "how-rounded", "features": "clumpy-appearance", "artifact": None},
    "clumpy-appearance": {"yes": "clump-count", "no": "disk-edge-on"},
    "clump-count": {
        "1": "galaxy-symmetrical",
        "2": "one-clump-brightest",
        **dict.fromkeys(("3", "4", "5-plus", "cant-tell"), "clump-configuration"),
    },
    "clump-configuration": "one-clump-brightest",
    "one-clump-brightest": {"yes": "brightest-clump-central", "no": "galaxy-symmetrical"},
    "brightest-clump-central": {"yes": "galaxy-symmetrical", "no": "merging"},
    "galaxy-symmetrical": "clumps-embedded-larger-object",
    "clumps-embedded-larger-object": "merging",
}
HUBBLE = {
    **GZ2,
    **{question: CANDELS[question] for question in list(CANDELS)[-6:]},
    "smooth-or-featured": CANDELS["smooth-or-featured"],
    "clumpy-appearance": CANDELS["clumpy-appearance"],
    "clump-configuration": {
        **dict.fromkeys(("straight-line", "chain", "cluster-or-irregular"), "one-clump-brightest"),
        "spiral": "bar*",
    },
    "bar*": "spiral-winding",
    "brightest-clump-central": "galaxy-symmetrical",
    "clumps-embedded-larger-object": "something-odd",
}
WALKS = {
    "gz2": GZ2,
    "ukidss": GZ2,
    "decals-dr12": DECALS,
    "decals-dr5": DECALS,
    "decals-dr8": DECALS,
    "desi": DECALS,
    "candels": CANDELS,
    "hubble": HUBBLE,
}


def volunteers(schema: Schema, interface: dict, step: str | None = "smooth-or-featured") -> Iterator[list[str]]:
    """The answers of every volunteer who could be."""
    if step is None:
        yield []
        return
    question = step.rstrip("*")
    for answer in schema.get_question(question).answers:
        following = interface[step]
        following = following[answer.short_text] if isinstance(following, dict) else following
        for rest in volunteers(schema, interface, following):
            yield [answer.text, *rest]


@pytest.mark.parametrize("campaign", WALKS)
def test_faithful_trees_ask_what_the_interface_asks(campaign: str) -> None:
    schema = get_schema(f"{campaign}-faithful")
    everybody = list(volunteers(schema, WALKS[campaign]))
    assert {answer for given in everybody for answer in given} == set(schema.label_cols)
    for given in everybody:
        shown = {schema.get_answer(answer).question.text for answer in given}
        leading = {
            question.text
            for question in schema.questions
            if question.always_asked or {parent.text for parent in question.asked_after} & set(given)
        }
        assert shown == leading, given


def test_faithful_trees_of_the_others_differ_from_the_published_ones_in_who_is_asked_last() -> None:
    galaxy = ["smooth-or-featured_smooth", "smooth-or-featured_featured-or-disk"]
    for campaign in ("cosmic-dawn", "euclid", "jwst-ceers", "jwst-cosmos"):
        published, faithful = campaigns.trees[campaign], campaigns.trees[f"{campaign}-faithful"]
        assert faithful.question_answer_pairs == published.question_answer_pairs
        changed = {q for q, parents in faithful.dependencies.items() if parents != published.dependencies[q]}
        assert changed == ({"merging", "clumps"} if "jwst" in campaign else {"merging"})
        assert all(faithful.dependencies[question] == galaxy for question in changed)


def test_faithful_trees_keep_the_published_columns_and_their_order() -> None:
    for name in FAITHFUL:
        faithful, published = campaigns.trees[name], campaigns.trees[name.removesuffix("-faithful")]
        first = list(faithful.question_answer_pairs.items())[: len(published.question_answer_pairs)]
        assert first == list(published.question_answer_pairs.items())
        schema = get_schema(name)
        size = FAITHFUL_SIZES.get(published.name, (len(first), len(get_schema(published.name).answers)))
        assert (len(schema.questions), len(schema.answers)) == size
        assert faithful.paper == published.paper
        assert faithful.description == f"{published.description}, as volunteers were asked"


def test_faithful_ortho_forms_have_the_suffix_of_the_published_ones() -> None:
    with_ortho = [name for name in FAITHFUL if f"{name}-ortho" in campaigns.trees]
    assert set(FAITHFUL) - set(with_ortho) == {"desi-faithful"}
    for name in with_ortho:
        plain, ortho = campaigns.trees[name], campaigns.trees[f"{name}-ortho"]
        published = campaigns.trees[name.replace("-faithful", "-ortho")]
        suffix = next(iter(published.question_answer_pairs)).removeprefix("smooth-or-featured")
        renamed = {question + suffix: answers for question, answers in plain.question_answer_pairs.items()}
        assert ortho.question_answer_pairs == renamed
        for question, parents in plain.dependencies.items():
            expected = re.sub(r"_(?=[\w-]+')", f"{suffix}_", repr(parents))
            assert repr(ortho.dependencies[question + suffix]) == expected


def test_every_tree_is_also_two_names_of_a_module() -> None:
    for name, tree in campaigns.trees.items():
        module = faithful_label_metadata if "-faithful" in name else label_metadata
        stem = name.replace("-", "_")
        assert getattr(module, f"{stem}_pairs") is tree.question_answer_pairs
        assert getattr(module, f"{stem}_dependencies") is tree.dependencies
        assert tree.name == name


@pytest.mark.parametrize("name", campaigns.trees)
def test_mutating_one_tree_leaves_the_others_alone(name: str) -> None:
    changed = campaigns.trees[name]
    others = {other: tree for other, tree in campaigns.trees.items() if other != name}
    lists = [
        *changed.question_answer_pairs.values(),
        *(v for v in changed.dependencies.values() if isinstance(v, list)),
    ]
    before = deepcopy(others)
    try:
        for names in lists:
            names.append("_new")
        changed.dependencies["new"] = None
        assert others == before
        assert "new" not in label_metadata.gz2_and_decals_dependencies
    finally:
        for names in lists:
            names.pop()
        del changed.dependencies["new"]


def test_every_tree_names_its_paper_and_its_images() -> None:
    for tree in campaigns.trees.values():
        assert " et al. 20" in tree.paper
        assert tree.description
    assert campaigns.trees["gz2"].paper == "Willett et al. 2013, MNRAS 435, 2835"


def test_every_question_has_the_words_that_volunteers_read() -> None:
    for tree in campaigns.trees.values():
        assert set(tree.question_answer_pairs) <= set(tree.display_text)
        assert all(tree.display_text[question].endswith("?") for question in tree.question_answer_pairs)
        columns = {question + answer for question, answers in tree.question_answer_pairs.items() for answer in answers}
        assert set(tree.display_text) <= columns | set(tree.question_answer_pairs)
    used = {key for tree in campaigns.trees.values() for key in tree.display_text}
    assert all(key in used or any(column.endswith(key) for column in used) for key in campaigns.answer_texts)
    assert set(campaigns.question_texts) <= used


def test_the_words_are_those_of_the_question_whatever_the_suffix() -> None:
    for name in ("jwst-ceers-ortho", "gz-evo-v2"):
        for column, text in campaigns.trees[name].display_text.items():
            question, underscore, answer = column.partition("_")
            plain = question.rpartition("-")[0]
            expected = campaigns.answer_texts if underscore else campaigns.question_texts
            assert text in (expected.get(plain + underscore + answer), expected.get(underscore + answer))
    words = campaigns.trees["gz2-ortho"].display_text
    assert words["smooth-or-featured-gz2"].startswith("Is the galaxy simply smooth")
    assert words["spiral-arm-count-gz2_cant-tell"] == "can't tell"
    assert words["smooth-or-featured-gz2_artifact"] == "star or artifact"


def test_the_votes_of_stripe_82_follow_the_faithful_tree(shared_data) -> None:
    votes = pd.read_csv(shared_data / "gz2_stripe82" / "table5.csv.gz").filter(regex="_count$")

    def total(pattern: str) -> pd.Series:
        return votes.filter(regex=pattern).sum(axis=1)

    galaxy = total("a01_smooth") + total("a02_features")
    assert (total("t06_odd") == galaxy).sum() == 18_999
    assert (total("t08_odd_feature") == total("t06_odd_a14_yes")).mean() > 0.98
    for task in ("t03_bar", "t04_spiral", "t05_bulge"):
        assert (total(task) == total("t02_edgeon_a05_no")).mean() > 0.98
        assert (total(task) == total("a02_features")).mean() < 0.7
