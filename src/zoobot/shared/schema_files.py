"""Schema files: YAML that is read without losing anything silently, and written atomically."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from zoobot.errors import SchemaError
from zoobot.shared.run_folders import write_atomically

SUFFIXES = (".yaml", ".yml")
_LINE_BREAKS = set("\x85\u2028\u2029")


def read_yaml(path: str | Path) -> Any:
    """What a YAML file holds; `SchemaError` for a file that is missing, no YAML, or names a key twice."""
    try:
        return yaml.load(Path(path).read_text(encoding="utf-8"), _LoaderWithoutRepeats)
    except FileNotFoundError:
        raise SchemaError(f"There is no schema file '{path}'.") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SchemaError(f"The schema file '{path}' cannot be read: {error}") from error


def write_yaml(tree: Mapping[str, Any], path: str | Path) -> None:
    """Write a tree, its questions in their order."""
    if Path(path).suffix not in SUFFIXES:
        raise SchemaError(f"The schema file '{path}' must end in {' or '.join(SUFFIXES)}.")
    content = yaml.dump(dict(tree), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    try:
        write_atomically(Path(path), content)
    except OSError as error:
        raise SchemaError(f"The schema file '{path}' cannot be written: {error.strerror}.") from error


class _Dumper(yaml.SafeDumper):
    """YAML that escapes Unicode's own line breaks, which PyYAML writes as they are and reads as spaces."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:str", text, style='"' if _LINE_BREAKS & set(text) else None)


_Dumper.add_representer(str, _Dumper.represent_text)


class _LoaderWithoutRepeats(yaml.SafeLoader):
    """YAML that names every key that stands twice, where PyYAML silently takes the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        lines: dict[str, list[int]] = {}
        for key, _ in node.value:
            lines.setdefault(str(key.value), []).append(key.start_mark.line + 1)
        repeated = [
            f"'{key}' stands in lines {' and '.join(map(str, where))}" for key, where in lines.items() if where[1:]
        ]
        if repeated:
            raise yaml.YAMLError(f"{', '.join(repeated)}. Keep one each.")
        return super().construct_mapping(node, deep)
