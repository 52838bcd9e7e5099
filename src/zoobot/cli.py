"""The command line: each command of the table parses, calls one function and prints its result.

A command's options are the fields of its settings class; their help is the fields' documentation. Frameworks are
imported only when a command runs.
"""

import importlib
import inspect
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic.fields import FieldInfo

import zoobot
from zoobot.commands import COMMANDS, GROUPS, Command
from zoobot.commands.command import option
from zoobot.config import load_settings
from zoobot.errors import SettingError, ZoobotError
from zoobot.frameworks import choose_framework

INPUT_AT_FAULT, COMMAND_AT_FAULT, INTERRUPTED = 1, 2, 130
_FRAMEWORK = (
    Literal["pytorch", "tensorflow"] | None,
    option("What computes: PyTorch, or Keras on TensorFlow; by default what made the model, or what is there.", None),
)

app = typer.Typer(
    help="Galaxy morphology with deep learning, trained on the votes of Galaxy Zoo volunteers.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command line."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("zoobot").setLevel(logging.INFO)
    app()


@contextmanager
def _one_message_for_each_fault() -> Iterator[None]:
    """Every fault that zoobot knows of ends in one message and an exit code."""
    try:
        yield
    except SettingError as error:
        _stop(str(error), COMMAND_AT_FAULT)
    except ZoobotError as error:
        _stop(str(error), INPUT_AT_FAULT)
    except KeyboardInterrupt:
        _stop("Interrupted. The same command goes on where this one stopped.", INTERRUPTED)


def _stop(message: str, code: int) -> None:
    typer.secho(message, fg=typer.colors.RED, err=True)
    sys.exit(code)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"zoobot {zoobot.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    pass


def _as_function(command: Command) -> Callable[..., None]:
    """A function for typer, with one parameter for each input and setting of the command."""

    @_one_message_for_each_fault()
    def call(**given: Any) -> None:
        arguments = {name: given.pop(name) for name in command.inputs}
        function, settings = command.function, command.settings
        if command.with_keras:
            model = arguments.get("encoder") or arguments.get("model")
            if choose_framework(given.pop("framework"), model) == "tensorflow":
                function, settings = command.with_keras
        if settings is not None:
            file, changes = given.pop("config"), given.pop("changes")
            chosen = {name: value for name, value in given.items() if value is not None}
            arguments["settings"] = load_settings(settings, file, changes, chosen)
        module, name = function.split(":")
        result = getattr(importlib.import_module(module), name)(**arguments)
        typer.echo(str(result))

    parameters = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, (annotation, default) in _parameters(command).items()
    ]
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    call.__doc__ = "\n\n".join(filter(None, [command.summary, command.details, f"Example: {command.example}"]))
    return call


def _parameters(command: Command) -> dict[str, tuple[Any, Any]]:
    if command.settings is None:
        return dict(command.inputs)
    fields = command.settings.model_fields
    in_keras = command.with_keras[1].model_fields if command.with_keras else {}
    both = {**in_keras, **fields}
    return {
        **command.inputs,
        **({"framework": _FRAMEWORK} if command.with_keras else {}),
        **{
            name: (_or_none(described.annotation), _setting(name, described, in_keras.get(name)))
            for name, described in both.items()
        },
        "config": (
            Path | None,
            typer.Option(None, "--config", help="YAML file of settings.", show_default=False),
        ),
        "changes": (
            list[str],
            typer.Option([], "--set", help="One setting as key=value; repeatable.", show_default=False),
        ),
    }


def _or_none(annotation: Any) -> Any:
    return annotation | None


def _setting(name: str, described: FieldInfo, in_keras: FieldInfo | None) -> Any:
    """An option that is None unless given, so that presets and files can fill it; its help says the default."""
    default, help_text = described.default, _help(described)
    if in_keras is not None and _help(in_keras) != help_text:
        help_text += f" With TensorFlow: {_help(in_keras)}"
    flag = "--" + name.replace("_", "-")
    declaration = f"{flag}/--no-{flag[2:]}" if default is True else flag
    return typer.Option(None, declaration, help=help_text, show_default=False)


def _help(described: FieldInfo) -> str:
    default, text = described.default, str(described.description)
    if default in (None, []) or isinstance(default, bool):
        return text
    shown = " ".join(f"{part:g}" for part in default) if isinstance(default, tuple) else default
    return f"{text} [default: {shown}]"


def _build() -> None:
    groups = {name: typer.Typer(help=help, no_args_is_help=True) for name, help in GROUPS.items()}
    for name, group in groups.items():
        app.add_typer(group, name=name)
    for command in COMMANDS:
        parent = groups[command.group] if command.group else app
        parent.command(command.verb)(_as_function(command))


_build()
