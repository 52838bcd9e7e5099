"""Settings: one source of truth for Python and the command line; every fault is told at once, with the remedy."""

import importlib
import pkgutil
import re

import pytest
import yaml
from pydantic import ValidationError

from zoobot import config
from zoobot.config import (
    AcquireSettings,
    AnomalySettings,
    CatalogCheckSettings,
    DemoSettings,
    EmbedSettings,
    EvaluateSettings,
    FinetuneSettings,
    MapSettings,
    PredictSettings,
    PushSettings,
    Settings,
    SimilarSettings,
    TrainSettings,
    ZooniverseSettings,
    load_settings,
)
from zoobot.errors import SettingError, ZoobotError

VERBS = [CatalogCheckSettings, TrainSettings, PredictSettings, EvaluateSettings, DemoSettings, EmbedSettings]
VERBS += [SimilarSettings, AnomalySettings, MapSettings, AcquireSettings, PushSettings]


def message_of(settings_class=TrainSettings, **values):
    with pytest.raises(SettingError) as caught:
        settings_class(**values)
    return str(caught.value)


def test_every_class_of_settings_is_had_from_zoobot_config():
    for module in pkgutil.iter_modules(config.__path__, "zoobot.config."):
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, type) and issubclass(value, Settings):
                assert getattr(config, name, None) is value, name


# --- values ---


@pytest.mark.parametrize("settings_class", VERBS)
def test_defaults_survive_json_and_every_setting_is_described(settings_class):
    settings = settings_class()
    assert settings_class(**settings.model_dump(mode="json")) == settings
    for name, described in settings_class.model_fields.items():
        assert described.description, name
        assert re.match(r"[A-Z].*\.$", described.description), name


def test_settings_of_finetuning_survive_json():
    settings = FinetuneSettings(label=["ring"], n_blocks=2)
    assert FinetuneSettings(**settings.model_dump(mode="json")) == settings
    assert all(field.description for field in FinetuneSettings.model_fields.values())


def test_settings_cannot_change_once_made():
    with pytest.raises(ValidationError, match="frozen"):
        TrainSettings().epochs = 3


def test_faults_are_the_projects_own_and_builtin_errors():
    with pytest.raises(ValueError, match="no setting 'x'") as caught:
        TrainSettings(x=1)
    assert isinstance(caught.value, ZoobotError)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epoch": 3}, "There is no setting 'epoch'. Did you mean 'epochs'?"),
        ({"zzz": 3}, "There is no setting 'zzz'."),
        ({"epochs": 0}, "The setting 'epochs': Input should be greater than or equal to 1. Got 0 instead."),
        ({"epochs": "many"}, "The setting 'epochs': Input should be a valid integer"),
        ({"epochs": 2.5}, "The setting 'epochs': Input should be a valid integer"),
        ({"image_size": 4}, "The setting 'image_size': Input should be greater than or equal to 48. Got 4 instead."),
        ({"learning_rate": 0}, "The setting 'learning_rate': Input should be greater than 0. Got 0 instead."),
        ({"learning_rate": float("nan")}, "The setting 'learning_rate': "),
        ({"learning_rate": float("inf")}, "The setting 'learning_rate': "),
        ({"dropout": 1}, "The setting 'dropout': Input should be less than 1. Got 1 instead."),
        ({"device": "tpu"}, "The setting 'device': Input should be 'auto', 'cpu', 'gpu' or 'mps'. Got 'tpu' instead."),
        (
            {"crop_bounds": (0.8, 0.6)},
            "crop_bounds must be two numbers above 0 and up to 1, the smaller one first. Got 0.8 0.6",
        ),
        ({"crop_bounds": (0, 0.6)}, "crop_bounds must be two numbers above 0 and up to 1"),
        ({"crop_bounds": (0.5, 1.2)}, "crop_bounds must be two numbers above 0 and up to 1"),
        ({"crop_bounds": 0.5}, "The setting 'crop_bounds' must be a list such as [0.5, 0.75]. Got 0.5 instead."),
        ({"crop_bounds": (0.5,)}, "The setting 'crop_bounds': "),
        ({"crop_bounds": (float("nan"), 0.6)}, "crop_bounds"),
        ({"aspect_bounds": (0, 1)}, "aspect_bounds must be two numbers above 0 and up to 10"),
        ({"concentration_bounds": (3, 3)}, "concentration_bounds must differ. Got (3.0, 3.0) instead."),
        ({"concentration_bounds": (0, 100)}, "concentration_bounds must be two numbers above 0 and up to 1e+06"),
        ({"split": (0.5, 0.5, 0.5)}, "split must be three fractions that sum to 1, for training, validation and test"),
        ({"split": (1, 0, 0)}, "the first two above 0, such as 0.7 0.1 0.2. Got (1.0, 0.0, 0.0) instead."),
        ({"split": (0.5, 0.5)}, "The setting 'split': "),
        ({"split": (1.2, -0.1, -0.1)}, "The setting 'split': "),
        ({"preset": "desktop"}, "The setting 'preset': Input should be 'laptop' or 'decals'. Got 'desktop' instead."),
        ({"preset": ["laptop"]}, "The setting 'preset': "),
        ({"seed": -1}, "The setting 'seed': Input should be greater than or equal to 0. Got -1 instead."),
        ({"color": "perhaps"}, "The setting 'color': Input should be a valid boolean"),
    ],
)
def test_wrong_value_is_refused_with_what_it_must_be(values, message):
    assert message in message_of(**values)


def test_all_faults_are_told_at_once():
    message = message_of(epoch=3, image_size=4, device="tpu", split=(0.5, 0.5, 2))
    assert len(message.splitlines()) == 4
    for name in ("'epoch'", "'image_size'", "'device'", "'split'"):
        assert name in message


def test_a_setting_of_another_verb_is_refused():
    assert "There is no setting 'epochs'." in message_of(PredictSettings, epochs=3)


def test_a_test_set_may_be_empty_and_bounds_may_meet():
    settings = TrainSettings(split=(0.9, 0.1, 0), crop_bounds=(1, 1), aspect_bounds=(1, 1))
    assert settings.split == (0.9, 0.1, 0.0)


def test_adjustments_are_those_of_the_settings():
    settings = TrainSettings(image_size=64, crop_bounds=(0.5, 0.6), max_shift=0.2, aspect_bounds=(1, 2))
    assert settings.adjustments.to_dict() == {
        "image_size": 64,
        "crop_bounds": (0.5, 0.6),
        "max_shift": 0.2,
        "aspect_bounds": (1.0, 2.0),
        "augmentations": "none",
    }


# --- presets ---


@pytest.mark.parametrize("preset", config.PRESETS)
def test_every_preset_is_complete_and_keeps_its_values(preset):
    settings = TrainSettings(preset=preset)
    for name, value in config.PRESETS[preset].items():
        assert getattr(settings, name) == value
    assert TrainSettings(**settings.model_dump()) == settings
    assert "preset" not in config.PRESETS[preset]


def test_one_value_of_a_preset_can_be_changed():
    settings = TrainSettings(preset="decals", epochs=5)
    assert (settings.epochs, settings.batch_size, settings.concentration_bounds) == (5, 128, (1.0, 101.0))
    assert TrainSettings() == TrainSettings(preset="laptop")


# --- files and changes ---


def test_given_wins_over_set_which_wins_over_the_file_which_wins_over_the_preset(tmp_path):
    path = tmp_path / "settings.yaml"
    path.write_text(yaml.safe_dump({"preset": "decals", "epochs": 5, "batch_size": 6, "seed": 7}))
    settings = load_settings(TrainSettings, path, ["batch_size=16", "seed=17", "seed=18"], {"seed": 27})
    assert (settings.image_size, settings.epochs, settings.batch_size, settings.seed) == (224, 5, 16, 27)
    assert load_settings(TrainSettings, path, ["seed=17", "seed=18"], {}).seed == 18
    assert load_settings(TrainSettings, path, ["preset=laptop"], {}).image_size == 96
    assert load_settings(TrainSettings, None, [], {}) == TrainSettings()


@pytest.mark.parametrize(
    ("change", "name", "value"),
    [
        ("crop-bounds=[0.5, 0.75]", "crop_bounds", (0.5, 0.75)),
        ("crop_bounds = [0.5, 0.75]", "crop_bounds", (0.5, 0.75)),
        ("learning_rate=1e-3", "learning_rate", 0.001),
        ("patience=null", "patience", None),
        ("color=true", "color", True),
        ("precision=32", "precision", "32"),
        ("precision=bf16-mixed", "precision", "bf16-mixed"),
        ("architecture=a=b", "architecture", "a=b"),
    ],
)
def test_set_reads_values_as_yaml(change, name, value):
    assert getattr(load_settings(TrainSettings, None, [change], {}), name) == value


def test_settings_file_of_a_run_can_be_given_again(tmp_path):
    settings = TrainSettings(preset="decals", epochs=3)
    path = tmp_path / "settings.yaml"
    path.write_text(yaml.safe_dump(settings.model_dump(mode="json")))
    assert load_settings(TrainSettings, path, [], {}) == settings


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"epochs: [1", "settings.yaml' cannot be read: "),
        (b"\xff\xfe\xff", "settings.yaml' cannot be read: "),
        (b"- epochs", "settings.yaml' must hold lines such as 'epochs: 20'."),
        (b"20", "settings.yaml' must hold lines such as 'epochs: 20'."),
        (b"0", "settings.yaml' must hold lines such as 'epochs: 20'."),
        (b"3: 4", "There is no setting '3'."),
        (b"epochs: many\nzzz: 1", "There is no setting 'zzz'."),
    ],
)
def test_broken_settings_file_is_refused(tmp_path, content, message):
    (tmp_path / "settings.yaml").write_bytes(content)
    with pytest.raises(SettingError, match=re.escape(message)):
        load_settings(TrainSettings, tmp_path / "settings.yaml", [], {})


def test_empty_settings_file_changes_nothing_and_a_missing_one_is_named(tmp_path):
    (tmp_path / "settings.yaml").write_text("# nothing yet\n")
    assert load_settings(TrainSettings, tmp_path / "settings.yaml", [], {}) == TrainSettings()
    with pytest.raises(SettingError, match=r"The settings file '.*none\.yaml' cannot be read: "):
        load_settings(TrainSettings, tmp_path / "none.yaml", [], {})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("epochs", "--set must be given as key=value, such as epochs=20 or split=[0.7,0.1,0.2]. Got 'epochs' instead."),
        ("epochs=[1", "--set must be given as key=value, such as epochs=20 or split=[0.7,0.1,0.2]. Got 'epochs=[1'"),
        ("epoch=3", "There is no setting 'epoch'. Did you mean 'epochs'?"),
    ],
)
def test_broken_change_is_refused(change, message):
    with pytest.raises(SettingError, match=re.escape(message)):
        load_settings(TrainSettings, None, [change], {})


def test_wrong_setting_on_the_command_line_ends_with_2(zoobot, simulated, tmp_path):
    check = ("catalog", "check", simulated / "catalog.csv", "--schema", "gz2", "--no-files")
    wrong = zoobot(*check, "--set", "min_vote=3")
    assert (wrong.code, wrong.out) == (2, "")
    assert wrong.err == "There is no setting 'min_vote'. Did you mean 'min_votes'?\n"
    (tmp_path / "settings.yaml").write_text("min_votes: 1000")
    assert zoobot(*check, "--config", tmp_path / "settings.yaml").code == 1
    assert zoobot(*check, "--config", tmp_path / "settings.yaml", "--min-votes", 3).code == 0
    assert zoobot(*check, "--min-votes", -1).code == 2


def test_base_settings_refuse_everything():
    assert message_of(Settings, a=1) == "There is no setting 'a'."


def test_workflows_of_a_yaml_file_may_be_numbers():
    assert load_settings(ZooniverseSettings, None, ["workflow_id=[10581]"], {}).workflow_id == ["10581"]
