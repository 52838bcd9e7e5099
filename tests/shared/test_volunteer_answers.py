"""Both forms of an export give the votes of a plain loop; what is not counted is said, with the reason."""

import csv
import gzip
import json
import logging
from collections import Counter
from datetime import datetime

import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from zoobot.config import ZooniverseSettings
from zoobot.errors import CatalogError, OutputError, SettingError
from zoobot.shared import answer_tallies, zooniverse_exports
from zoobot.shared.schemas import get_schema
from zoobot.shared.volunteer_answers import from_zooniverse
from zoobot.shared.zooniverse_mappings import load_mapping, normalise

QUESTIONS = {"smooth": ["yes", "no"], "bar": ["strong", "weak", "no"]}
SCHEMA = {
    "question_answer_pairs": {
        question: [f"_{answer}" for answer in answers] for question, answers in QUESTIONS.items()
    },
    "dependencies": {"smooth": None, "bar": "smooth_no"},
}
LABELS = [f"{question}_{answer}" for question, answers in QUESTIONS.items() for answer in answers]
MAPPING = {"schema": "tree.yaml", "questions": {"T0": "smooth", "T1": "bar"}}
HEADER = [
    *("classification_id", "user_name", "user_id", "user_ip", "workflow_id", "workflow_name", "workflow_version"),
    *("created_at", "gold_standard", "expert", "metadata", "annotations", "subject_data", "subject_ids"),
]
IMAGE = "![{}.png](https://images.example.org/f353f2f1.png =60x) {}  "


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("answers")
    (path / "tree.yaml").write_text(yaml.safe_dump(SCHEMA, sort_keys=False))
    return path


@pytest.fixture
def mapping(folder):
    return write_mapping(folder)


def write_mapping(folder, **changes):
    path = folder / "mapping.yaml"
    path.write_text(yaml.safe_dump({**MAPPING, **changes}))
    return path


def answered(number, subject="1", user="7", minute=0, answers=(("smooth", "yes"),), **changes):
    """One classification, whatever the form it is written in."""
    return {
        "classification_id": str(number),
        "user_id": user,
        "user_ip": "",
        "workflow_id": "10",
        "created_at": f"2019-12-04 20:{minute:02}:11 UTC",
        "subject_ids": subject,
        "metadata": {},
        "answers": list(answers),
        **changes,
    }


def as_row(classification, tasks=("T0", "T1")):
    """A row of a classification export."""
    keys = dict(zip(QUESTIONS, tasks, strict=True))
    annotations = [
        {"task": keys.get(question, question), "task_label": f"{question}?", "value": value}
        for question, value in classification["answers"]
    ]
    fields = {name: classification.get(name, "") for name in HEADER} | {
        "user_name": classification["user_id"] or f"not-logged-in-{classification['user_ip']}",
        "metadata": json.dumps({"session": 'a, "b"\nc'}),
        "annotations": json.dumps(annotations),
        "subject_data": json.dumps({classification["subject_ids"]: {"retired": None, **classification["metadata"]}}),
    }
    return fields | {name: classification[name] for name in classification if name == "weight"}


def write_csv(path, rows):
    with (gzip.open if path.suffix == ".gz" else open)(path, "wt", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_flat(path, classifications):
    lines = []
    for classification in classifications:
        common = {name: classification[name] for name in classification if name not in ("answers", "metadata")}
        common["subject_id"] = common.pop("subject_ids")
        common = {name: value for name, value in common.items() if value != ""}
        lines += [json.dumps({**common, "question": q, "response": value}) for q, value in classification["answers"]]
    with (gzip.open if path.suffix == ".gz" else open)(path, "wt") as file:
        file.write("\n".join(lines) + "\n")
    return path


def count(folder, classifications, mapping, form="csv", **given_settings):
    """`{subject: {column: votes}}` without the zeros, and the count."""
    if form == "csv":
        export = write_csv(folder / "export.csv", [as_row(one) for one in classifications])
    else:
        export = write_flat(folder / "export.jsonl", classifications)
    counted = from_zooniverse(export, mapping, folder / "catalog.csv", ZooniverseSettings(**given_settings))
    return votes_of(folder / "catalog.csv"), counted


def votes_of(path, labels=LABELS):
    table = pd.read_csv(path, dtype={"id_str": str})
    return {row["id_str"]: {label: row[label] for label in labels if row[label]} for _, row in table.iterrows()}


def count_naively(classifications):
    """One dict entry for each volunteer, subject and question; a later one takes its place."""
    last = {}
    for position, one in enumerate(sorted(classifications, key=lambda one: one["created_at"])):  # sorted is stable
        anonymous = (one["user_ip"] and f"ip {one['user_ip']}") or f"classification {one['classification_id']}"
        for place, (question, value) in enumerate(one["answers"]):
            values = [answer for answer in (value if isinstance(value, list) else [value]) if answer is not None]
            if values:
                last[one["user_id"] or anonymous, one["subject_ids"], question] = (position, place, set(values))
    votes = {}
    for (_, subject, question), (_, _, values) in last.items():
        for value in values:
            votes.setdefault(subject, Counter())[f"{question}_{value}"] += 1
    return votes


# --- counting ---


def test_real_answers_give_the_votes_of_a_plain_loop(shared_data, zoobot, tmp_path):
    export = shared_data / "panoptes" / "annotations.jsonl"
    result = zoobot(
        *("catalog", "from-zooniverse", export, "--mapping", "panoptes-decals", "--output", tmp_path / "votes.csv")
    )
    assert result.code == 0
    assert "1,729 answers. Workflows: '10582' (898), '10581' (831)." in result.out
    assert "Counted 1,729 answers by 90 volunteers about 463 subjects" in result.out
    lines = [json.loads(line) for line in export.read_text().splitlines()]
    expected = {}
    for line in lines:
        expected.setdefault(line["subject_id"], Counter())[f"{line['question']}_{line['response']}"] += 1
    assert votes_of(tmp_path / "votes.csv", get_schema("decals-dr5").label_cols) == expected
    assert zoobot("catalog", "check", tmp_path / "votes.csv", "--schema", "decals-dr5", "--no-files").code == 0


choice = st.sampled_from([(question, answer) for question, answers in QUESTIONS.items() for answer in answers])
skipped = st.tuples(st.sampled_from(list(QUESTIONS)), st.none())
several = st.tuples(st.just("bar"), st.lists(st.sampled_from(QUESTIONS["bar"]), min_size=1, unique=True))
volunteer = st.one_of(
    st.tuples(st.sampled_from(["7", "8"]), st.just("")), st.tuples(st.just(""), st.sampled_from(["", "3f", "a0"]))
)
drawn = st.tuples(
    st.sampled_from(["1", "2"]), volunteer, st.integers(0, 3), st.lists(choice | skipped | several, max_size=4)
)


@settings(max_examples=20)
@given(draws=st.lists(drawn, min_size=1, max_size=12), chunk=st.integers(1, 5))
def test_both_forms_and_all_chunks_give_the_votes_of_a_plain_loop(folder, draws, chunk):
    mapping = write_mapping(folder)
    classifications = [
        answered(number, subject, user, minute, [*answers, ("bar", "weak")], user_ip=address)
        for number, (subject, (user, address), minute, answers) in enumerate(draws)
    ]
    expected = count_naively(classifications)
    with pytest.MonkeyPatch.context() as patch:
        for form in ("csv", "flat"):
            votes, counted = count(folder, classifications, mapping, form)
            assert votes == expected
            assert counted.n_counted == sum(sum(votes.values()) for votes in expected.values())
            patch.setattr(answer_tallies, "CHUNK_ROWS", chunk)


def test_the_last_answer_stands_by_time_then_by_the_order_of_the_file(folder, mapping):
    answers = [
        answered(1, minute=5, answers=[("smooth", "yes")]),
        answered(2, minute=3, answers=[("smooth", "no"), ("bar", "weak")]),  # earlier, though later in the file
        answered(3, subject="2", minute=9, answers=[("smooth", "yes")]),
        answered(4, subject="2", minute=9, answers=[("smooth", "no")]),
    ]
    votes, counted = count(folder, answers, mapping)
    assert votes == {"1": {"smooth_yes": 1, "bar_weak": 1}, "2": {"smooth_no": 1}}
    assert (counted.n_answers, counted.n_counted, counted.n_replaced, counted.n_volunteers) == (5, 3, 2, 1)
    assert "Replaced by a later answer of the same volunteer: 2." in str(counted)


@pytest.mark.parametrize("form", ["csv", "flat"])
def test_volunteers_who_are_not_logged_in(folder, mapping, form):
    answers = [
        answered(1, user="", user_ip="3f"),
        answered(2, user="", user_ip="3f"),  # the same one
        answered(3, user="", answers=[("smooth", "no")]),
        answered(4, user="", answers=[("smooth", "no")]),
        answered(5),
    ]
    assert count(folder, answers, mapping, form)[0] == {"1": {"smooth_yes": 2, "smooth_no": 2}}
    assert pd.read_csv(folder / "catalog.csv")["volunteers"].tolist() == [4]
    votes, counted = count(folder, answers, mapping, form, not_logged_in="drop")
    assert votes == {"1": {"smooth_yes": 1}}
    assert "Not counted, not logged in: 4." in str(counted)


def test_the_time_range_has_its_start_and_not_its_end(folder, mapping):
    answers = [answered(number, user=str(number), minute=number) for number in range(4)]
    span = {"since": "2019-12-04T20:01:11", "until": "2019-12-04 22:03:11+02:00"}
    votes, counted = count(folder, answers, mapping, **span)
    assert votes == {"1": {"smooth_yes": 2}}
    assert counted.times == ("2019-12-04 20:01:11", "2019-12-04 20:02:11")
    assert "Not counted, outside of the time range: 2." in str(counted)
    assert count(folder, answers, mapping, since="2019-12-04", until="2019-12-05")[0] == {"1": {"smooth_yes": 4}}


@pytest.mark.parametrize("text", ["2019-12-04 20:48:11 UTC", "2019-12-04T20:48:11.904Z", "2019-12-04T22:48:11.5+02:00"])
def test_times_are_utc(text):
    expected = datetime.fromisoformat("2019-12-04T20:48:11+00:00").timestamp()
    assert zooniverse_exports.parse_time(text) // 1_000_000 == expected


def test_workflows_are_chosen_and_absent_ones_named(folder, mapping, caplog):
    answers = [answered(1), answered(2, user="8", workflow_id="11"), answered(3, user="9", workflow_id="12")]
    votes, counted = count(folder, answers, mapping, workflow_id=["10", "12", "99"])
    assert votes == {"1": {"smooth_yes": 2}}
    assert counted.workflows == {"10": 1, "11": 1, "12": 1}
    assert "no answers of workflow 99" in caplog.text
    assert "Not counted, of other workflows: 1." in str(counted)


@pytest.mark.parametrize("form", ["csv", "flat"])
def test_weights_are_summed(folder, mapping, form, caplog):
    weights = ["0.5", "1.25", "-1", "NaN", "heavy"]
    answers = [answered(number, user=str(number), weight=weight) for number, weight in enumerate(weights)]
    answers += [answered(number, user=str(number), weight="1", subject="2") for number in range(3)]
    votes, counted = count(folder, answers, mapping, form, weight_col="weight")
    assert votes == {"1": {"smooth_yes": 1.75}, "2": {"smooth_yes": 3}}
    assert "the weight 'weight' is no number from 0 on: '-1'" in caplog.text
    assert "need --weighted-votes" in str(counted)
    with pytest.raises(CatalogError, match=r"no column 'wieght' with weights. Did you mean 'weight'\?"):
        count(folder, answers, mapping, "csv", weight_col="wieght")


# --- what an export can hold ---


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (IMAGE.format("smooth", "Features or  Disk"), "features or disk"),
        (IMAGE.format("smooth", ""), "smooth.png"),
        (" Can't tell", "can't tell"),
        ("   ", ""),
    ],
)
def test_names_are_compared_without_images_spaces_and_case(text, name):
    assert normalise(text) == name


def test_a_row_as_galaxy_zoo_exports_it(folder):
    answers = {
        "T0": IMAGE.format("feature_or_disk", "Features or Disk"),
        "T2": IMAGE.format("feature_or_disk", "No"),
        "T4": "No Bar",
        "T5": "Yes",
        "T6": IMAGE.format("tight_arms", "Tight"),
        "T7": IMAGE.format("cant_tell_arms", "Cant tell"),
        "T8": IMAGE.format("no_bulge", "No bulge"),
        "T11": "Neither",
        "T10": [],
    }
    export = write_csv(folder / "export.csv", [as_row(answered(1, answers=answers.items()))])
    counted = from_zooniverse(export, "panoptes-decals", folder / "catalog.csv")
    expected = "smooth-or-featured_featured-or-disk disk-edge-on_no bar_no has-spiral-arms_yes spiral-winding_tight "
    expected += "spiral-arm-count_cant-tell bulge-size_none"
    assert set(votes_of(folder / "catalog.csv", get_schema("decals-dr5").label_cols)["1"]) == set(expected.split())
    assert counted.dropped == {"left out by the mapping": 1, "skipped by the volunteer": 1}


def test_combined_tasks_several_answers_and_positions(folder):
    mapping = write_mapping(folder, answers={"bar": {1: "weak", "None": "no"}, "smooth": {True: "no", False: True}})
    combined = [{"task": "T0", "value": "Yes"}, {"task": "T1", "task_label": "Bar?", "value": ["Strong", "none"]}]
    answers = [
        answered(1, answers=[("T9", combined)]),
        answered(2, user="8", answers=[("smooth", "no"), ("bar", 1)]),
        answered(3, user="9", answers=[("bar", ["weak", "WEAK", None])]),
    ]
    votes, counted = count(folder, answers, mapping)
    # In YAML a bare yes or no is a truth value.
    assert votes == {"1": {"smooth_no": 1, "smooth_yes": 1, "bar_strong": 1, "bar_no": 1, "bar_weak": 2}}
    assert counted.dropped == {"repeated in one classification": 1, "skipped by the volunteer": 1}


def test_what_the_mapping_lacks_is_listed_with_examples(folder, mapping):
    answers = [
        answered(1, answers=[("smooth", "yes"), ("smooth", "perhaps"), ("T5", "a comet"), ("bar", 0)]),
        answered(2, answers=[("smooth", "perhaps"), ("T5", [{"x": 1.5, "tool": 0}])]),
    ]
    votes, counted = count(folder, answers, mapping)
    assert votes == {"1": {"smooth_yes": 1}}
    assert counted.dropped == {"answer not in the mapping": 3, "question not in the mapping": 2}
    assert "'T0 smooth?' (answers unknown): 'perhaps' (2)" in str(counted)
    assert "'T5 T5?' (question unknown): 'a comet' (1), '{'x': 1.5, 'tool': 0}' (1)" in str(counted)


def test_question_text_works_as_well_as_the_task(folder):
    mapping = write_mapping(folder, questions={"Smooth?": "smooth", "T1": None})
    votes, counted = count(folder, [answered(1, answers=[("smooth", "yes"), ("bar", "weak")])], mapping)
    assert votes == {"1": {"smooth_yes": 1}}
    assert counted.dropped == {"left out by the mapping": 1}


@pytest.mark.parametrize("name", ["export", "export.csv.gz"])
def test_the_content_tells_the_form(folder, mapping, name):
    answers = [answered(1), answered(2, user="8")]
    from_zooniverse(write_csv(folder / name, [as_row(one) for one in answers]), mapping, folder / "a.csv")
    from_zooniverse(write_flat(folder / name, answers), mapping, folder / "b.csv")
    assert votes_of(folder / "a.csv") == votes_of(folder / "b.csv") == {"1": {"smooth_yes": 2}}


# --- subjects ---


def test_names_images_and_metadata_come_along(folder, mapping):
    galaxies = {
        "11": {"!iauname": "J1", "#Filename": "a.jpg", "ra": 10.5, "nsa": 2**60 + 1, "bar_no": 3, "bands": ["g"]},
        "12": {"!iauname": "J2", "#Filename": "b.jpg", "ra": 11, "nsa": 5, "note": "ü"},
    }
    answers = [answered(int(subject), subject, metadata=data) for subject, data in galaxies.items()]
    count(folder, answers, mapping)
    table = pd.read_csv(folder / "catalog.csv")
    assert list(table) == ["id_str", "file_loc", "!iauname", "ra", "nsa", "bands", "note", "volunteers", *LABELS]
    assert table["file_loc"].tolist() == ["a.jpg", "b.jpg"]
    assert table["nsa"].tolist() == [2**60 + 1, 5]
    assert table["bands"].tolist()[0] == '["g"]'
    subject = {"id_str": "!iauname", "file_loc": "nsa", "keep": ["ra"]}
    count(folder, answers, write_mapping(folder, subject=subject))
    table = pd.read_csv(folder / "catalog.csv")
    assert list(table) == ["id_str", "file_loc", "subject_id", "ra", "volunteers", *LABELS]
    assert table["id_str"].tolist() == ["J1", "J2"]
    assert table["subject_id"].tolist() == [11, 12]
    _, counted = count(folder, answers, mapping, file_template="{!iauname}/{subject_id}-{id_str}-{ra}.png")
    assert pd.read_csv(folder / "catalog.csv")["file_loc"].tolist() == ["J1/11-J1-10.5.png", "J2/12-J2-11.png"]
    assert "file_loc is '{!iauname}" in str(counted)
    from_zooniverse(folder / "export.csv", write_mapping(folder), folder / "catalog.parquet")
    assert pd.read_parquet(folder / "catalog.parquet")["nsa"].tolist() == [2**60 + 1, 5]


def test_without_any_image_name_the_subject_gives_it(folder, mapping):
    _, counted = count(folder, [answered(1)], mapping, "flat")
    assert pd.read_csv(folder / "catalog.csv")["file_loc"].tolist() == ["1.jpg"]
    assert "file_loc is '{subject_id}.jpg' for each subject; --file-template changes that." in str(counted)


@pytest.mark.parametrize(
    ("subject", "template", "error", "message"),
    [
        ({"id_str": "name"}, None, CatalogError, r"1 subjects .* have the 'name' of another, such as 'J1'"),
        ({"id_str": "nam"}, None, CatalogError, r"names 'nam' under 'subject: id_str'.* Did you mean 'name'\?"),
        ({"id_str": "half"}, None, CatalogError, r"1 of 2 subjects .* have no 'half', such as the subjects '2'"),
        ({"file_loc": "half"}, None, CatalogError, r"or give --file-template"),
        ({"keep": ["half", "none"]}, None, CatalogError, r"names 'none' under 'subject: keep'"),
        ({}, "{half}.jpg", CatalogError, r"1 of 2 subjects"),
        ({}, "{nam}.jpg", SettingError, r"names 'nam', which no subject.* Did you mean 'name'\?"),
        ({}, "image.jpg", SettingError, r"must name a field in braces"),
    ],
)
def test_subject_fields_that_cannot_be(folder, subject, template, error, message):
    answers = [
        answered(1, "1", metadata={"name": "J1", "half": "x"}),
        answered(2, "2", metadata={"name": "J1", "half": None}),
    ]
    with pytest.raises(error, match=message):
        count(folder, answers, write_mapping(folder, subject=subject), file_template=template)


# --- faults ---


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"annotations": "[{"}, "annotations is no JSON"),
        ({"annotations": "{}"}, "annotations is not a list"),
        ({"annotations": "[1]"}, "annotations holds something without a task"),
        ({"created_at": "yesterday"}, "created_at is no time: 'yesterday'"),
        ({"subject_ids": "1;2"}, "it is about several subjects (1;2)"),
        ({"subject_ids": "", "subject_data": ""}, "it names no subject"),
        ({"subject_ids": "", "subject_data": "{"}, "subject_data is no JSON"),
        ({"subject_data": '{"1": 5}'}, "subject_data is not an object"),
        ({"user_id": "", "user_name": "", "classification_id": ""}, "it has neither user_id nor user_ip"),
    ],
)
def test_bad_rows_are_counted_and_shown_with_their_line(folder, mapping, changes, reason, caplog):
    rows = [as_row(answered(1, "3")), as_row(answered(2)), as_row(answered(4, "3", "8"))]
    rows[0]["expert"] = "a\nb"
    rows[1] |= changes
    counted = from_zooniverse(write_csv(folder / "bad.csv", rows), mapping, folder / "catalog.csv")
    assert (counted.n_bad_lines, counted.n_subjects, counted.n_answers) == (1, 1, 2)
    assert f"1 of 3 lines of the export '{folder / 'bad.csv'}' cannot be understood" in caplog.text
    assert f"line 4: {reason}" in caplog.text  # the first row takes two lines
    assert "Lines that cannot be understood: 1." in str(counted)


def test_bad_json_lines_are_counted_and_too_many_stop(folder, mapping, caplog):
    export = write_flat(folder / "bad.jsonl", [answered(1), answered(2, user="8")])
    good = export.read_text()
    export.write_text(f'{good}\n{{"subject_id": "1"\n[1]\n')
    assert from_zooniverse(export, mapping, folder / "catalog.csv").n_bad_lines == 2
    assert "line 4: it is no whole record" in caplog.text
    assert "line 5: it is no whole record" in caplog.text
    export.write_text(f'{good}{{"subject_id": 1}}\n{{"user_id": 1, "subject_id": 1}}\n{{"user_id": 1}}\n')
    with pytest.raises(CatalogError, match=r"3 of 5 lines .* cannot be understood, such as:\n- line 3: .*\n- line 4"):
        from_zooniverse(export, mapping, folder / "catalog.csv")


def test_files_that_are_no_export(folder, mapping, zoobot):
    def message(content, name="export.csv"):
        (folder / name).write_bytes(content)
        with pytest.raises(CatalogError) as caught:
            from_zooniverse(folder / name, mapping, folder / "catalog.csv")
        return str(caught.value)

    assert "is empty. Expected is a Zooniverse classification export" in message(b"")
    assert "holds no answers that zoobot knows: it has 'id_str, ra'" in message(b"id_str,ra\n1,2\n")
    assert "holds no answers, only a header" in message((",".join(HEADER) + "\n").encode())
    row = write_csv(folder / "long.csv.gz", [as_row(answered(number)) for number in range(500)]).read_bytes()
    assert "cannot be read" in message(row[: len(row) // 2], "half.csv.gz")
    with pytest.raises(CatalogError, match="There is no export"):
        from_zooniverse(folder / "none.csv", mapping, folder / "catalog.csv")
    with pytest.raises(OutputError, match=r"must end in one of .csv, .csv.gz, .parquet"):
        from_zooniverse(folder / "none.csv", mapping, folder / "catalog.fits")
    result = zoobot("catalog", "from-zooniverse", folder / "none.csv", "--mapping", mapping, "--output", "a.csv")
    assert (result.code, result.out) == (1, "")
    assert "There is no export" in result.err


def test_if_nothing_counts_the_message_shows_what_the_export_holds(folder, mapping):
    wanted = write_mapping(folder, questions={"T7": "smooth"})
    with pytest.raises(CatalogError) as caught:
        count(folder, [answered(1), answered(2, answers=[("bar", "strong")])], wanted)
    message = str(caught.value)
    assert message.startswith(f"None of the 2 answers of the export '{folder / 'export.csv'}' counts.")
    assert "'T0 smooth?' (question unknown): 'yes' (1)" in message
    assert "The mapping 'mapping' is for the questions smooth, bar of the schema 'tree'." in message
    with pytest.raises(CatalogError, match=r"- of other workflows: 1\nIt holds the workflows '10' \(1\)\."):
        count(folder, [answered(1)], write_mapping(folder), workflow_id=["99"])


@pytest.mark.parametrize(
    ("span", "message"),
    [
        ({"since": "last week"}, "'since' must be a date or a time such as 2019-12-04"),
        ({"since": "2019-12-05", "until": "2019-12-05"}, "'since' must be before 'until'"),
    ],
)
def test_times_that_cannot_be(folder, mapping, span, message):
    with pytest.raises(SettingError, match=message):
        count(folder, [answered(1)], mapping, **span)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "must hold lines such as 'schema: decals-dr5'"),
        ("schema: gz3", "cannot be used: There is no schema 'gz3'. Did you mean 'gz2'?"),
        ("questions: {T0: bar}", "The key 'schema' must name a published tree"),
        ("schema: gz2\nquestion: {}", "There is no key 'question'. Did you mean 'questions'?"),
        ("schema: gz2\nquestions: [T0]", "The key 'questions' must hold lines of 'name: value'"),
        ("schema: gz2\nquestions: {T0: barr}", "has no question 'barr' (for 'T0'). Did you mean 'bar'?"),
        ("schema: gz2\nanswers: {T0: {}}", "has no question 'T0' (in answers)"),
        ("schema: gz2\nanswers: {bar: {Oui: yess}}", "has no answer 'yess' (for 'Oui'). Did you mean 'yes'?"),
        ("schema: gz2\nanswers: {bar: [yes]}", "The answers of 'bar' must be lines of"),
        ("schema: gz2\nsubject: {id: x}", "There is no key 'id' under subject."),
        ("schema: gz2\nsubject: {keep: ra}", "'keep' under subject must be a list"),
        ("schema: gz2\nsubject: {id_str: 5}", "'id_str' under subject must name a metadata key"),
        ("schema: gz2\nschema: gz2", "'schema' stands in lines 1 and 2"),
    ],
)
def test_faults_of_a_mapping_are_named(tmp_path, content, message):
    (tmp_path / "mine.yaml").write_text(content)
    with pytest.raises(CatalogError) as caught:
        load_mapping(tmp_path / "mine.yaml")
    assert message in str(caught.value)
    assert f"mapping '{tmp_path / 'mine.yaml'}'" in str(caught.value)


def test_all_faults_of_a_mapping_at_once_and_mappings_that_are_not_there(tmp_path):
    (tmp_path / "mine.yaml").write_text("schema: gz2\nquestions: {T0: a}\nanswers: {bar: {x: y}}\nsubject: {z: 1}")
    with pytest.raises(CatalogError) as caught:
        load_mapping(tmp_path / "mine.yaml")
    assert str(caught.value).count("\n- ") == 3
    with pytest.raises(CatalogError, match=r"no mapping 'panoptes-decal'. Did you mean 'panoptes-decals'\?"):
        load_mapping("panoptes-decal")
    with pytest.raises(CatalogError, match="no mapping file"):
        load_mapping(tmp_path / "none.yaml")


def test_progress_is_shown_only_on_a_terminal(folder, mapping, monkeypatch, capsys, caplog):
    caplog.set_level(logging.INFO)
    count(folder, [answered(1)], mapping)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert count(folder, [answered(1)], mapping)[0] == {"1": {"smooth_yes": 1}}
    assert "Reading export.csv" in capsys.readouterr().err
