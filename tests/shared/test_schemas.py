"""Trees refuse what is malformed and say the remedy; the walk along a tree equals a naive one."""

import itertools
import json
import re

import numpy as np
import pytest
import yaml
from hypothesis import assume, example, given
from hypothesis import strategies as st

from zoobot.errors import SchemaError
from zoobot.shared import campaigns
from zoobot.shared.schema_faults import find_faults, read_parents
from zoobot.shared.schemas import Schema, get_schema, list_schemas, load_schema, show_schema
from zoobot.shared.simulation import cast_votes

PAIRS = {"smooth": ["_yes", "_no"], "bar": ["_strong", "_weak", "_no"], "odd": ["_yes", "_no"]}
DEPENDENCIES = {"smooth": None, "bar": "smooth_no", "odd": None}


def walk_asked(schema, fractions, question):
    """Proportion asked of one question and galaxy, `(sample)`: recursion from the question to the root."""
    if not question.asked_after:
        return np.ones(fractions.shape[1:])
    return sum(
        fractions[parent.index] * walk_asked(schema, fractions, parent.question) for parent in question.asked_after
    )


def draw_fractions(schema, n_galaxies=4, n_samples=3, seed=0):
    rng = np.random.default_rng(seed)
    groups = [rng.dirichlet(np.ones(len(q.answers)), (n_galaxies, n_samples)) for q in schema.questions]
    return np.concatenate(groups, axis=2).transpose(0, 2, 1)


def walk_all(pairs, dependencies):
    """Every way to answer all questions, with the answers that a volunteer of that mind is really asked for."""
    for minds in itertools.product(*pairs.values()):
        given = dict(zip(pairs, minds, strict=True))
        reached, grows = set(), True
        while grows:
            asked = {
                question + answer
                for question, answer in given.items()
                if not dependencies[question] or reached & set(read_parents(dependencies[question]))
            }
            grows, reached = asked != reached, asked
        yield {question + answer for question, answer in given.items()}, reached


@st.composite
def random_dicts(draw):
    """Pairs and dependencies of 1 to 5 questions, each asked of everybody or after 1 to 3 answers, in any order."""
    texts = [f"q{number}" for number in range(draw(st.integers(1, 5)))]
    pairs = {text: [f"_{answer}" for answer in range(draw(st.integers(1, 3)))] for text in texts}
    dependencies = {}
    for number, text in enumerate(texts):
        earlier = [parent + answer for parent in texts[:number] for answer in pairs[parent]]
        parents = draw(st.lists(st.sampled_from(earlier), max_size=3, unique=True)) if earlier else []
        dependencies[text] = draw(st.sampled_from([parents[0], parents])) if parents else None
    order = draw(st.permutations(texts))
    return {text: pairs[text] for text in order}, dependencies


@st.composite
def random_trees(draw):
    """Trees as above where no volunteer gives two answers that lead to one question: of such parents, one is kept."""
    pairs, dependencies = draw(random_dicts())
    for question in sorted(pairs):
        parents = read_parents(dependencies[question])
        if any(len(reached & set(parents)) > 1 for _, reached in walk_all(pairs, dependencies)):
            dependencies[question] = parents[0]
    citation, text = draw(st.text(max_size=8)), draw(st.text(max_size=8))
    return Schema(pairs, dependencies, draw(st.text(max_size=8)), citation=citation, display_text={"q0": text})


# --- the documented contract ---


def test_columns_and_index_groups_are_in_order_and_inclusive():
    schema = Schema(PAIRS, DEPENDENCIES)
    assert schema.label_cols == ["smooth_yes", "smooth_no", "bar_strong", "bar_weak", "bar_no", "odd_yes", "odd_no"]
    assert schema.question_index_groups == [(0, 1), (2, 4), (5, 6)]
    bar = schema.get_question("bar")
    assert schema.label_cols[bar.slice] == [answer.text for answer in bar.answers]
    assert [answer.text for answer in bar.asked_after] == ["smooth_no"]
    assert (bar.always_asked, schema.get_question("odd").always_asked) == (False, True)
    weak = schema.get_answer("bar_weak")
    assert (weak.index, weak.short_text, weak.question) == (3, "weak", bar)
    assert repr(schema) == "Schema('unnamed', 3 questions, 7 answers)"


@pytest.mark.parametrize("name", campaigns.trees)
def test_published_trees_have_columns_side_by_side_and_parents_first(name):
    schema = get_schema(name)
    columns = [column for first, last in schema.question_index_groups for column in range(first, last + 1)]
    assert columns == list(range(len(schema.label_cols)))
    place = {question.text: number for number, question in enumerate(schema.asking_order)}
    assert sorted(place) == sorted(question.text for question in schema.questions)
    for question in schema.questions:
        assert all(place[parent.question.text] < place[question.text] for parent in question.asked_after)


def test_keys_of_other_campaigns_are_allowed_and_dropped():
    schema = Schema(PAIRS, {**DEPENDENCIES, "rings": "nothing_here"})
    assert schema == Schema(PAIRS, DEPENDENCIES)
    assert "rings" not in schema.to_dict()["dependencies"]


def test_schema_is_not_changed_by_its_arguments_later():
    pairs = {text: list(answers) for text, answers in PAIRS.items()}
    dependencies = dict(DEPENDENCIES, bar=["smooth_no"])
    schema = Schema(pairs, dependencies)
    pairs["bar"].append("_new")
    dependencies["bar"].append("odd_yes")
    assert schema == Schema(PAIRS, DEPENDENCIES)


def test_equality_counts_columns_their_order_and_dependencies_but_not_the_name():
    schema = Schema(PAIRS, DEPENDENCIES, "one")
    assert schema == Schema(PAIRS, {**DEPENDENCIES, "bar": ["smooth_no"]}, "another")
    assert schema != Schema(PAIRS, {**DEPENDENCIES, "bar": "smooth_yes"})
    assert schema != Schema(dict(reversed(PAIRS.items())), DEPENDENCIES)
    assert schema != "one"


# --- malformed trees ---


@pytest.mark.parametrize(
    ("pairs", "dependencies", "message"),
    [
        (
            PAIRS,
            {**DEPENDENCIES, "bar": "smooth_noo"},
            "The question 'bar' depends on 'smooth_noo', which is no answer of this tree. Did you mean 'smooth_no'? "
            "Name an answer as its column: question + answer, such as 'bar_yes'.",
        ),
        (PAIRS, {**DEPENDENCIES, "bar": ["smooth_no", "qqq"]}, "The question 'bar' depends on 'qqq', which is no"),
        (
            PAIRS,
            {**DEPENDENCIES, "smooth": "bar_no"},
            "The question 'smooth' is asked only after itself (smooth -> bar -> smooth, each after the next). "
            "Change one of these dependencies",
        ),
        (PAIRS, {**DEPENDENCIES, "odd": "odd_yes"}, "The question 'odd' is asked only after itself (odd -> odd,"),
        (
            PAIRS,
            {"smooth": None, "bar": "smooth_no"},
            "The question 'odd' has no key in the dependencies. Add 'odd': None if everybody is asked",
        ),
        (
            {**PAIRS, "odd": ["_yes", "_yes"]},
            DEPENDENCIES,
            "The question 'odd' repeats the answer 'odd_yes'. Each answer needs a column of its own: rename or remove",
        ),
        ({"a": ["b_c"], "ab": ["_c"]}, {"a": None, "ab": None}, "The question 'ab' repeats the answer 'ab_c'."),
        ({**PAIRS, "odd": []}, DEPENDENCIES, "The question 'odd' has no answers. Give it at least one, or remove it."),
        (
            PAIRS,
            {**DEPENDENCIES, "odd": ["smooth_no", "bar_weak"]},
            "The question 'odd' depends on 'smooth_no' and 'bar_weak', which one volunteer can both give: such a "
            "volunteer would be counted twice. Let it depend on one of them, or on answers that exclude each other.",
        ),
        (PAIRS, {**DEPENDENCIES, "bar": ["smooth_no", "smooth_no"]}, "depends on 'smooth_no' twice. Name it once."),
        (PAIRS, {"smooth": None, "bar": "smooth_no", "od": None}, "'odd' has no key in the dependencies. Did you mean"),
        ({}, {}, "A tree needs at least one question; question_answer_pairs is empty."),
    ],
)
def test_malformed_tree_is_refused_with_question_and_remedy(pairs, dependencies, message):
    with pytest.raises(SchemaError, match=re.escape(message)):
        Schema(pairs, dependencies)


@pytest.mark.parametrize(
    ("pairs", "dependencies", "message"),
    [
        ({"bar": "_yes"}, {"bar": None}, "The answers of the question 'bar' must be a list of text"),
        ({"bar": 3}, {"bar": None}, "The answers of the question 'bar' must be a list of text"),
        ({"bar": [1, 2]}, {"bar": None}, "The answers of the question 'bar' must be a list of text"),
        ({"bar": [True, False]}, {"bar": None}, "The answers of the question 'bar' must be a list of text"),
        ({"bar": ["_yes"]}, {"bar": 4}, "The dependency of the question 'bar' must be"),
        ({1: ["_yes"]}, {1: None}, "The name of a question must be text. Got 1 instead"),
    ],
)
def test_tree_of_wrong_types_is_refused_with_its_question(pairs, dependencies, message):
    with pytest.raises(SchemaError, match=re.escape(message)):
        Schema(pairs, dependencies)


def test_all_faults_of_a_tree_are_told_at_once():
    pairs = {**PAIRS, "odd": ["_yes", "_yes"], "empty": [], "lost": ["_a"]}
    dependencies = {**DEPENDENCIES, "smooth": "bar_no", "empty": "bar_wek"}
    with pytest.raises(SchemaError) as caught:
        Schema(pairs, dependencies)
    faults = [
        "has no answers",
        "repeats the answer",
        "'bar_wek', which is no",
        "'lost' has no key",
        "only after itself",
    ]
    assert [fault for fault in faults if fault not in str(caught.value)] == []
    assert str(caught.value).startswith("The tree has 5 faults:\n- ")


@given(random_dicts())
def test_parents_are_refused_exactly_where_one_volunteer_can_give_two(tree):
    pairs, dependencies = tree
    walks = [reached for _, reached in walk_all(pairs, dependencies)]
    expected = {
        question
        for question in pairs
        for reached in walks
        if dependencies[question] and len(reached & set(read_parents(dependencies[question]))) > 1
    }
    found = {re.match("The question '(.+?)' depends", fault)[1] for fault in find_faults(pairs, dependencies)}
    assert found == expected


@pytest.mark.parametrize(
    ("look_up", "message"),
    [
        (lambda schema: schema.get_question("bars"), "has no question 'bars'. Did you mean 'bar'?"),
        (lambda schema: schema.get_answer("bar_wek"), "has no answer 'bar_wek'. Did you mean 'bar_weak'?"),
        (lambda schema: schema.joint_p(np.ones((2, 7)), "zzz"), "has no answer 'zzz'."),
        (
            lambda schema: schema.proportion_asked(np.ones((2, 6))),
            "(galaxy, answer) with 7 answers for the tree 'mine'",
        ),
        (lambda schema: schema.proportion_asked(np.ones(7)), "Got shape (7,) instead."),
        (lambda schema: schema.joint_p(np.ones((2, 8)), "bar_no"), "Got shape (2, 8) instead."),
    ],
)
def test_wrong_names_and_shapes_are_refused(look_up, message):
    with pytest.raises(SchemaError, match=re.escape(message)):
        look_up(Schema(PAIRS, DEPENDENCIES, "mine"))


# --- the walk along the tree ---


@given(random_trees())
def test_proportion_asked_equals_a_naive_walk(schema):
    fractions = draw_fractions(schema)
    asked = schema.proportion_asked(fractions)
    for galaxy in range(len(fractions)):
        naive = [walk_asked(schema, fractions[galaxy], question) for question in schema.questions]
        np.testing.assert_allclose(asked[galaxy], naive, rtol=1e-12)
    np.testing.assert_array_equal(schema.proportion_asked(fractions[..., 0]), asked[..., 0])


@given(random_trees())
def test_joint_p_equals_a_naive_walk(schema):
    fractions = draw_fractions(schema)
    for answer in schema.answers:
        naive = [walk_asked(schema, galaxy, answer.question) * galaxy[answer.index] for galaxy in fractions]
        np.testing.assert_allclose(schema.joint_p(fractions, answer.text), naive, rtol=1e-12)


@given(random_trees())
def test_proportion_asked_is_the_probability_of_all_walks_that_lead_there(schema):
    """A brute-force walk: every way to answer, with its probability."""
    fractions = draw_fractions(schema, n_galaxies=1, n_samples=1)[0, :, 0]
    column = {label: position for position, label in enumerate(schema.label_cols)}
    joint = dict.fromkeys(schema.label_cols, 0.0)
    for minds, reached in walk_all(schema.question_answer_pairs, schema.to_dict()["dependencies"]):
        for answer in reached:
            joint[answer] += np.prod([fractions[column[mind]] for mind in minds])
    for answer in schema.answers:
        assert schema.joint_p(fractions[None], answer.text) == pytest.approx([joint[answer.text]], rel=1e-9)


@given(random_trees())
def test_leaf_probabilities_of_a_walk_add_to_1(schema):
    """Where each answer leads to one question at most and all begin at one, the answers at the ends exclude others."""
    parents = [parent.text for question in schema.questions for parent in question.asked_after]
    assume(len(set(parents)) == len(parents) and sum(question.always_asked for question in schema.questions) == 1)
    fractions = draw_fractions(schema)
    leaves = [answer.text for answer in schema.answers if answer.text not in parents]
    np.testing.assert_allclose(sum(schema.joint_p(fractions, leaf) for leaf in leaves), 1, rtol=1e-12)


def test_simulated_volunteers_reach_questions_in_the_proportion_asked():
    schema = Schema(PAIRS, {"smooth": None, "bar": ["odd_yes", "smooth_no"], "odd": "smooth_yes"})
    fractions = draw_fractions(schema, n_galaxies=200, n_samples=1)[..., 0]
    votes = cast_votes(fractions, schema, n_volunteers=1000, seed=0)
    asked = np.stack([votes[:, question.slice].sum(axis=1) for question in schema.questions], axis=1) / 1000
    np.testing.assert_allclose(asked, schema.proportion_asked(fractions), atol=4.5 * np.sqrt(0.25 / 1000))


def test_question_after_several_answers_is_asked_of_all_who_gave_any():
    schema = Schema(PAIRS, {"smooth": None, "bar": ["odd_yes", "smooth_no"], "odd": "smooth_yes"})
    fractions = np.array([[0.6, 0.4, 0.5, 0.3, 0.2, 0.25, 0.75]])
    np.testing.assert_allclose(schema.proportion_asked(fractions), [[1, 0.6 * 0.25 + 0.4, 0.6]])
    np.testing.assert_allclose(schema.joint_p(fractions, "bar_weak"), [(0.6 * 0.25 + 0.4) * 0.3])
    assert [question.text for question in schema.asking_order] == ["smooth", "odd", "bar"]


def test_proportion_asked_of_whole_numbers_is_not_rounded():
    asked = Schema(PAIRS, DEPENDENCIES).proportion_asked(np.array([[1, 0, 1, 0, 0, 1, 0]]))
    assert asked.dtype == np.float64
    assert asked.tolist() == [[1, 0, 1]]


# --- files ---


@given(random_trees())
def test_schema_survives_json(schema):
    again = Schema.from_dict(json.loads(json.dumps(schema.to_dict())))
    assert again == schema
    assert (again.name, again.label_cols) == (schema.name, schema.label_cols)


@given(random_trees())
@example(Schema(PAIRS, DEPENDENCIES, name="\x85", display_text={"bar": "a\u2028b", "odd": "\u2029"}))
def test_schema_survives_yaml(tmp_path_factory, schema):
    path = tmp_path_factory.getbasetemp() / "tree.yaml"
    schema.to_yaml(path)
    again = Schema.from_yaml(path)
    assert again.to_dict() == schema.to_dict()
    assert (again, again.question_index_groups) == (schema, schema.question_index_groups)
    ends = [last for _, last in schema.question_index_groups]
    assert [first for first, _ in schema.question_index_groups] == [0, *(last + 1 for last in ends[:-1])]
    assert ends[-1] == len(schema.label_cols) - 1


def test_texts_are_shown_as_given_and_otherwise_made_of_the_names():
    schema = Schema(PAIRS, DEPENDENCIES, display_text={"bar": "Is there a bar?", "bar_no": "none at all"})
    bar = schema.get_question("bar")
    assert [bar.display_text, *(answer.display_text for answer in bar.answers)] == [
        "Is there a bar?",
        "strong",
        "weak",
        "none at all",
    ]
    assert Schema({"disk-edge-on": ["_not-sure"]}, {"disk-edge-on": None}).questions[0].display_text == "Disk edge on"
    with pytest.raises(
        SchemaError, match=r"'bar_nope' is for no question or column of the tree\. Did you mean 'bar_no'"
    ):
        Schema(PAIRS, DEPENDENCIES, display_text={"bar_nope": "none"})


def test_schema_check_tells_of_a_good_file_and_every_fault_of_a_bad_one(zoobot, tmp_path):
    Schema(PAIRS, DEPENDENCIES).to_yaml(tmp_path / "good.yaml")
    good = zoobot("schema", "check", tmp_path / "good.yaml")
    assert (good.code, good.err) == (0, "")
    assert "3 questions, 7 answers, no faults. Asked of everybody: smooth, odd." in good.out
    (tmp_path / "bad.yaml").write_text(
        "question_answer_pairs: {bar: [_yes, _yes], odd: []}\ndependencies: {bar: [odd_no], od: null}\n"
    )
    bad = zoobot("schema", "check", tmp_path / "bad.yaml")
    assert (bad.code, bad.out) == (1, "")
    assert "has 4 faults" in bad.err
    assert "bad.yaml'" in bad.err


def test_a_question_that_stands_twice_in_a_file_is_refused_with_its_lines(tmp_path):
    (tmp_path / "t.yaml").write_text("question_answer_pairs:\n  bar: [_a]\n  bar: [_b]\ndependencies:\n  bar: null\n")
    with pytest.raises(SchemaError, match=r"t\.yaml' cannot be read: 'bar' stands in lines 2 and 3\. Keep one each\."):
        load_schema(tmp_path / "t.yaml")


def test_unwritable_schema_file_is_one_clear_error(tmp_path):
    with pytest.raises(SchemaError, match=r"nowhere/t\.yaml' cannot be written: No such file or directory\."):
        Schema(PAIRS, DEPENDENCIES).to_yaml(tmp_path / "nowhere" / "t.yaml")


@pytest.mark.parametrize("suffix", [".yaml", ".yml"])
def test_yaml_file_is_read_and_named_after_itself(tmp_path, suffix):
    path = tmp_path / f"mine{suffix}"
    path.write_text(yaml.safe_dump({"question_answer_pairs": PAIRS, "dependencies": DEPENDENCIES}, sort_keys=False))
    schema = load_schema(path)
    assert schema == Schema(PAIRS, DEPENDENCIES)
    assert schema.name == "mine"
    assert load_schema(str(path)) == schema
    assert load_schema(schema) is schema


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2", "mine.yaml' cannot be read"),
        ("a: 3", "must hold 'question_answer_pairs' (question: list of answers) and 'dependencies'"),
        ("- 1", "must hold 'question_answer_pairs'"),
        ("", "must hold 'question_answer_pairs'"),
        ("question_answer_pairs: [a, b]\ndependencies: {}", "must hold 'question_answer_pairs'"),
        ("question_answer_pairs: {bar: [_yes]}\ndependencies: [bar]", "must hold 'question_answer_pairs'"),
        ("question_answer_pairs: {bar: [_yes]}\ndependencies:", "must hold 'question_answer_pairs'"),
        (
            "question_answer_pairs: {bar: null}\ndependencies: {bar: null}",
            "of the question 'bar' must be a list of text",
        ),
        ("question_answer_pairs: {bar: [_yes, no]}\ndependencies: {bar: null}", "of the question 'bar' must be a list"),
        (
            "question_answer_pairs: {b: [_a]}\ndependencies: {b: null}\ncitations: me",
            "A schema has no 'citations'. Did you mean",
        ),
        ("question_answer_pairs: {b: [_a]}\ndependencies: {b: null}\nname: 3", "'name' must be text. Got 3 instead."),
        ("question_answer_pairs: {bar: [_a, _a]}\ndependencies: {bar: null}", "The question 'bar' repeats the answer"),
    ],
)
def test_broken_yaml_file_is_refused_with_its_path(tmp_path, text, message):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(SchemaError, match=re.escape(message)) as caught:
        load_schema(path)
    assert "mine.yaml'" in str(caught.value)


def test_missing_schema_file_and_folder_are_named(tmp_path):
    with pytest.raises(SchemaError, match=r"There is no schema file '.*none\.yaml'\."):
        load_schema(tmp_path / "none.yaml")
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(SchemaError, match=r"folder\.yaml' cannot be read: .*directory"):
        load_schema(tmp_path / "folder.yaml")


def test_yaml_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "mine.yaml").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(SchemaError, match=r"mine\.yaml' cannot be read"):
        load_schema(tmp_path / "mine.yaml")


def test_file_with_another_suffix_is_told_to_be_yaml(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text("{}")
    with pytest.raises(SchemaError, match=r"\.yaml"):
        load_schema(path)


# --- names and the command line ---


def test_unknown_name_suggests_the_nearest():
    with pytest.raises(
        SchemaError, match=re.escape("There is no schema 'decal'. Did you mean 'decals'? 'zoobot schema list'")
    ):
        get_schema("decal")


def test_list_has_one_line_for_each_tree(zoobot):
    result = zoobot("schema", "list")
    assert (result.code, result.out) == (0, list_schemas() + "\n")
    lines = result.out.splitlines()
    assert [line.split()[0] for line in lines] == list(campaigns.trees)
    assert "10 questions, 30 answers" in next(line for line in lines if line.startswith("gz2 "))


def test_show_names_every_question_column_and_parent(zoobot):
    result = zoobot("schema", "show", "gz2")
    assert (result.code, result.out) == (0, show_schema("gz2") + "\n")
    schema = get_schema("gz2")
    assert [line.strip() for line in result.out.splitlines() if line.startswith("    ")] == schema.label_cols
    assert "smooth-or-featured (asked of everybody)" in result.out
    assert "bulge-shape (asked after disk-edge-on_yes)" in result.out


def test_show_of_an_unknown_tree_ends_with_1(zoobot):
    result = zoobot("schema", "show", "gz3")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("There is no schema 'gz3'. Did you mean 'gz2'?")


def test_show_of_a_file_and_of_several_parents(zoobot, tmp_path):
    tree = {"question_answer_pairs": PAIRS, "dependencies": {**DEPENDENCIES, "bar": ["smooth_no", "smooth_yes"]}}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(tree))
    assert "bar (asked after smooth_no or smooth_yes)" in zoobot("schema", "show", tmp_path / "mine.yaml").out
