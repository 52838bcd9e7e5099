"""What the settings of every verb have in common: how they are made, refused and read from files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from zoobot.errors import SettingError, did_you_mean


class Settings(BaseModel):
    """Settings that refuse unknown names and wrong values, all of them in one `SettingError`."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise SettingError(_sentences(type(self), error)) from None


AnySettings = TypeVar("AnySettings", bound=Settings)


def load_settings(
    settings_class: type[AnySettings], config: Path | None, changes: list[str], given: Mapping[str, Any]
) -> AnySettings:
    """Settings from a YAML file, then `key=value` changes, then what was given; the later wins.

    Raises:
        SettingError: unreadable file, unknown name or wrong value; all of them at once.
    """
    return settings_class(**{**_read_yaml(config), **_read_changes(changes), **given})


def _read_yaml(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    import yaml  # not for --help

    try:
        values = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingError(f"The settings file '{path}' cannot be read: {error}") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise SettingError(f"The settings file '{path}' must hold lines such as 'epochs: 20'.")
    return {str(name): value for name, value in values.items()}


def _read_changes(changes: list[str]) -> dict[str, Any]:
    import yaml  # not for --help

    values = {}
    for change in changes:
        key, equals, value = change.partition("=")
        try:
            values[key.strip().replace("-", "_")] = yaml.safe_load(value)
        except yaml.YAMLError:
            equals = ""
        if not equals:
            raise SettingError(
                f"--set must be given as key=value, such as epochs=20 or split=[0.7,0.1,0.2]. Got '{change}' instead."
            )
    return values


def _sentences(settings_class: type[Settings], error: ValidationError) -> str:
    lines = []
    for fault in error.errors():
        name = ".".join(str(part) for part in fault["loc"][:1])
        if fault["type"] == "extra_forbidden":
            lines.append(f"There is no setting '{name}'.{did_you_mean(name, settings_class.model_fields)}")
        elif fault["type"] == "tuple_type":
            lines.append(f"The setting '{name}' must be a list such as [0.5, 0.75]. Got {fault['input']!r} instead.")
        elif fault["type"] == "value_error":
            lines.append(str(fault["ctx"]["error"]))
        else:
            lines.append(f"The setting '{name}': {fault['msg']}. Got {fault['input']!r} instead.")
    return "\n".join(lines)
