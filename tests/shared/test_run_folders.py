"""The same run goes on; another one, or a folder of something else, is never written over."""

import json
import logging

import pytest

from zoobot.config import EvaluateSettings, TrainSettings
from zoobot.errors import OutputError
from zoobot.shared.run_folders import logged_to, open_run, replace_folder, versions, write_atomically


def test_new_run_records_what_was_asked_for(tmp_path):
    settings = TrainSettings(epochs=3, crop_bounds=(0.5, 0.75))
    folder = open_run(tmp_path / "deep" / "run", "train", settings, {"catalog": "abc"})
    record = json.loads((folder / "run.json").read_text())
    assert folder == tmp_path / "deep" / "run"
    assert (record["verb"], record["inputs"]) == ("train", {"catalog": "abc"})
    assert TrainSettings(**record["settings"]) == settings
    assert record["versions"] == versions()
    assert record["started"].endswith("+00:00")
    assert [path.name for path in folder.iterdir()] == ["run.json"]


def test_the_same_run_goes_on_and_keeps_its_record(tmp_path):
    settings = TrainSettings(crop_bounds=(0.5, 0.75))
    inputs = {"catalog": "abc", "schema": {"name": "a", "sizes": (1, 2)}}
    folder = open_run(tmp_path / "run", "train", settings, inputs)
    before = (folder / "run.json").read_bytes()
    (folder / "weights").touch()
    assert open_run(str(folder), "train", TrainSettings(crop_bounds=(0.5, 0.75)), inputs) == folder
    assert (folder / "run.json").read_bytes() == before


def test_a_run_that_made_nothing_yet_gives_way_to_another(tmp_path):
    folder = open_run(tmp_path / "run", "train", TrainSettings(batch_size=64), {}, makes="made/*")
    (folder / "log").touch()
    open_run(folder, "train", TrainSettings(batch_size=32), {}, makes="made/*")
    assert json.loads((folder / "run.json").read_text())["settings"]["batch_size"] == 32
    (folder / "made").mkdir()
    (folder / "made" / "one").touch()
    with pytest.raises(OutputError, match="batch_size: 32 there, 16 now"):
        open_run(folder, "train", TrainSettings(batch_size=16), {}, makes="made/*")


def test_empty_folder_is_used(tmp_path):
    assert open_run(tmp_path, "evaluate", EvaluateSettings(), {}) == tmp_path


@pytest.mark.parametrize("change", [{"workers": 4}, {"device": "cpu"}])
def test_a_run_goes_on_on_another_machine(tmp_path, change):
    open_run(tmp_path / "run", "train", TrainSettings(), {"catalog": "abc"})
    open_run(tmp_path / "run", "train", TrainSettings(**change), {"catalog": "abc"})


@pytest.mark.parametrize(
    ("verb", "settings", "inputs", "difference"),
    [
        (
            "train",
            TrainSettings(epochs=9, seed=1),
            {"catalog": "abc"},
            "- epochs: 100 there, 9 now\n- seed: 0 there, 1 now",
        ),
        ("train", TrainSettings(), {"catalog": "xyz"}, "- catalog: 'abc' there, 'xyz' now"),
        ("train", TrainSettings(), {}, "- catalog: 'abc' there, None now"),
        ("train", TrainSettings(), {"catalog": "abc", "more": 1}, "- more: None there, 1 now"),
    ],
)
def test_another_run_is_refused_with_the_difference(tmp_path, verb, settings, inputs, difference):
    folder = open_run(tmp_path / "run", "train", TrainSettings(), {"catalog": "abc"})
    (folder / "weights").touch()
    with pytest.raises(OutputError) as caught:
        open_run(tmp_path / "run", verb, settings, inputs)
    assert str(caught.value) == (
        f"'{tmp_path / 'run'}' holds another run:\n{difference}\nChoose another output folder, or repeat the command "
        "that made it to go on with that run."
    )


@pytest.mark.parametrize(
    "make", [lambda path: (path.mkdir(), (path / "thesis.tex").touch()), lambda path: path.touch()]
)
def test_what_is_no_run_is_refused(tmp_path, make):
    make(tmp_path / "mine")
    with pytest.raises(OutputError, match=r"mine' exists and is no run of zoobot\. Choose an empty or a new folder\.$"):
        open_run(tmp_path / "mine", "train", TrainSettings(), {})


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"3", b"{}", b'{"verb": 1, "settings": 2, "inputs": 3}', b"\xff"]
)
def test_damaged_record_is_named(tmp_path, content):
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(OutputError, match=r"run\.json' is damaged\. Choose another output folder\.$"):
        open_run(tmp_path, "train", TrainSettings(), {})


def test_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_atomically(path, "älter")
    assert path.read_bytes() == "älter".encode()

    def fail(*_):
        raise OSError("disk full")

    with monkeypatch.context() as broken:
        broken.setattr("zoobot.shared.run_folders.os.replace", fail)
        with pytest.raises(OSError, match="disk full"):
            write_atomically(path, "newer")
    assert path.read_text(encoding="utf-8") == "älter"
    write_atomically(path, b"newest")
    assert path.read_bytes() == b"newest"
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_no_partial_file_is_left_where_writing_fails(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("zoobot.shared.run_folders.os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_atomically(tmp_path / "a.json", "new")
    assert list(tmp_path.iterdir()) == []


def test_folder_is_replaced(tmp_path):
    for name in ("new", "old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    replace_folder(tmp_path / "new", tmp_path / "old")
    assert [path.name for path in (tmp_path / "old").iterdir()] == ["new"]
    assert not (tmp_path / "new").exists()
    replace_folder(tmp_path / "old", tmp_path / "other")
    assert (tmp_path / "other" / "new").is_file()


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written: Not a directory"):
        open_run(tmp_path / "file" / "run", "train", TrainSettings(), {})


def test_what_is_logged_meanwhile_stands_in_the_file(tmp_path):
    with logged_to(tmp_path / "log.txt"):
        logging.getLogger("zoobot.shared").info("one line")
    logging.getLogger("zoobot.shared").warning("not this")
    lines = (tmp_path / "log.txt").read_text().splitlines()
    assert [line.endswith("one line") for line in lines] == [True]


def test_the_folder_of_another_command_is_never_taken(tmp_path):
    folder = open_run(tmp_path / "run", "train", TrainSettings(), {}, makes="checkpoints/*")
    before = (folder / "run.json").read_bytes()
    with pytest.raises(OutputError, match=r"was written by 'zoobot train', not by 'zoobot evaluate'\. Choose another"):
        open_run(folder, "evaluate", EvaluateSettings(), {}, makes="report.html")
    assert (folder / "run.json").read_bytes() == before
