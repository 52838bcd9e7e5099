"""The trees against the published ones: whole where these are at hand, by literal facts everywhere."""

import os
from pathlib import Path
from typing import Any

import pytest

from zoobot.shared import campaigns, label_metadata

trees = {name: tree for name, tree in campaigns.trees.items() if "-faithful" not in name}

# Questions and answers of every tree.
SIZES = {
    "gz2": (10, 30),
    "gz2-ortho": (10, 30),
    "decals": (10, 34),
    "decals-dr12": (10, 30),
    "decals-dr12-ortho": (10, 30),
    "decals-dr5": (10, 34),
    "decals-dr5-ortho": (10, 34),
    "decals-dr8": (10, 34),
    "decals-dr8-ortho": (10, 34),
    "decals-all-campaigns-ortho": (30, 98),
    "desi": (10, 34),
    "rings": (1, 2),
    "hubble": (12, 34),
    "hubble-ortho": (12, 34),
    "hubble-v2": (9, 28),
    "hubble-v2-ortho": (9, 28),
    "candels": (11, 32),
    "candels-ortho": (11, 32),
    "ukidss": (10, 30),
    "ukidss-ortho": (10, 30),
    "cosmic-dawn": (13, 45),
    "cosmic-dawn-ortho": (13, 45),
    "euclid": (13, 46),
    "euclid-ortho": (13, 46),
    "jwst-ceers": (12, 39),
    "jwst-ceers-ortho": (12, 39),
    "jwst-cosmos": (11, 36),
    "jwst-cosmos-ortho": (11, 36),
    "gz-evo-v1": (76, 239),
    "gz-evo-v1-public": (63, 194),
    "gz-evo-v2": (86, 279),
    "gz-evo-v2-public": (60, 188),
}

SUFFIXES = {
    "gz2": "-gz2",
    "decals-dr12": "-dr12",
    "decals-dr5": "-dr5",
    "decals-dr8": "-dr8",
    "hubble": "-hubble",
    "hubble-v2": "-hubble",
    "candels": "-candels",
    "ukidss": "-ukidss",
    "cosmic-dawn": "-cd",
    "euclid": "-euclid",
    "jwst-ceers": "-jwst",
    "jwst-cosmos": "-jwst",
}


def both_dicts(name: str) -> tuple[list[tuple[str, list[str]]], list[tuple[str, str | list[str] | None]]]:
    """Pairs and dependencies as lists, because dicts compare equal in any order."""
    return list(trees[name].question_answer_pairs.items()), list(trees[name].dependencies.items())


@pytest.fixture(scope="module")
def published() -> dict[str, Any]:
    yaml = pytest.importorskip("yaml")
    beside_the_repository = Path(__file__).resolve().parents[3] / "shared" / "data"
    path = Path(os.environ.get("ZOOBOT_TEST_DATA", beside_the_repository)) / "trees.yaml"
    if not path.is_file():
        pytest.skip(f"the published trees are not at {path} (set ZOOBOT_TEST_DATA to their folder)")
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


def test_every_published_tree_is_here_exactly(published: dict[str, Any]) -> None:
    for name, tree in published["published_trees"].items():
        assert both_dicts(name) == (list(tree["pairs"].items()), list(tree["dependencies"].items())), name
    extra_keys = published["gz2_and_decals_dependencies"]
    assert list(label_metadata.gz2_and_decals_dependencies.items()) == list(extra_keys.items())


def test_every_union_joins_its_trees_in_the_published_order(published: dict[str, Any]) -> None:
    for name, members in published["unions"].items():
        pairs, dependencies = both_dicts(name)
        assert pairs == [item for member in members for item in both_dicts(member)[0]], name
        assert dependencies == [item for member in members for item in both_dicts(member)[1]], name


def test_sizes() -> None:
    sizes = {
        name: (len(tree.question_answer_pairs), sum(map(len, tree.question_answer_pairs.values())))
        for name, tree in trees.items()
    }
    assert list(sizes.items()) == list(SIZES.items())


def test_names_stand_as_in_the_published_columns() -> None:
    assert label_metadata.decals_pairs["bar"] == ["_strong", "_weak", "_no"]
    assert label_metadata.decals_dr12_ortho_pairs["merging-dr12"][1] == "_tidal-debris"
    assert label_metadata.gz2_ortho_pairs["bulge-size-gz2"][2] == "_just-noticeable"
    assert label_metadata.euclid_ortho_pairs["artifact-euclid"][-2:] == ["_other", "_ghost"]
    assert label_metadata.gz2_dependencies["bar"] == "smooth-or-featured_featured-or-disk"
    assert label_metadata.desi_dependencies["bar"] == "disk-edge-on_no"
    assert label_metadata.hubble_v2_ortho_dependencies["disk-edge-on-hubble"] == ("smooth-or-featured-hubble_features")
    assert list(label_metadata.jwst_ceers_ortho_pairs)[-3:] == ["clumps-jwst", "merging-jwst", "problem-jwst"]
    assert list(label_metadata.gz2_and_decals_dependencies)[-2:] == ["merging", "something-odd"]


def test_ortho_form_has_the_suffix_on_every_question() -> None:
    assert set(SUFFIXES) == {name.removesuffix("-ortho") for name in trees if name.endswith("-ortho")} - {
        "decals-all-campaigns"
    }
    for name, suffix in SUFFIXES.items():
        pairs, dependencies = both_dicts(f"{name}-ortho")
        assert all(question.endswith(suffix) for question, _ in pairs)
        plain_pairs = [(question.removesuffix(suffix), answers) for question, answers in pairs]
        plain_dependencies = [
            (question.removesuffix(suffix), answer and answer.replace(f"{suffix}_", "_"))
            for question, answer in dependencies
        ]
        assert (plain_pairs, plain_dependencies) == both_dicts(name)


def test_every_dependency_is_an_answer_of_the_tree() -> None:
    for name, tree in trees.items():
        pairs = tree.question_answer_pairs
        labels = {question + answer for question, answers in pairs.items() for answer in answers}
        assert list(tree.dependencies) == list(pairs), name
        assert set(tree.dependencies.values()) <= labels | {None}, name


def test_shared_dependencies_serve_gz2_and_decals() -> None:
    both = {**label_metadata.gz2_pairs, **label_metadata.decals_pairs}
    assert set(label_metadata.gz2_and_decals_dependencies) == set(both)
    for dependencies in (label_metadata.gz2_dependencies, label_metadata.decals_dependencies):
        assert dependencies.items() <= label_metadata.gz2_and_decals_dependencies.items()
