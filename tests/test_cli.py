import ast
import subprocess
import sys
from pathlib import Path

import pytest

from zoobot import cli, config
from zoobot.commands import COMMANDS

SOURCE = Path(cli.__file__).parent
VERBS = [[command.group, command.verb] if command.group else [command.verb] for command in COMMANDS]


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_help_shows_an_example_and_every_setting(verb, zoobot):
    command = next(command for command in COMMANDS if verb == [*filter(None, [command.group]), command.verb])
    result = zoobot(*verb, "--help")
    assert result.code == 0
    assert f"Example: zoobot {' '.join(verb)}" in " ".join(result.out.split())
    for name, field in (command.settings.model_fields if command.settings else {}).items():
        assert f"--{name.replace('_', '-')}" in result.out
        assert field.description


def test_defaults_are_shown(zoobot):
    words = " ".join(zoobot("train", "--help").out.split())
    assert "[default: resnet18]" in words
    assert "[default: 0.7 0.1 0.2]" in words


BLOCKED = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "torchvision", "timm", "lightning", "tensorflow", "keras"}:
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Block())
import importlib, pkgutil
import zoobot, zoobot.shared, zoobot.cli
assert not {"pandas", "scipy", "cv2", "matplotlib", "astropy", "yaml"} & set(sys.modules), "--help would be slow"
for module in pkgutil.iter_modules(zoobot.shared.__path__):
    importlib.import_module(f"zoobot.shared.{module.name}")
try:
    import zoobot.pytorch
except ImportError as error:
    print(error)
"""


def test_shared_and_help_need_no_framework():
    done = subprocess.run([sys.executable, "-c", BLOCKED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "blocked" in done.stdout


def test_a_missing_extra_names_the_command():
    from zoobot.errors import MissingExtraError, require_extra

    with pytest.raises(MissingExtraError, match=r'zoobot.pytorch needs nosuchmodule, .*pip install -e "\.\[pytorch\]"'):
        require_extra("pytorch", ["sys", "nosuchmodule"])


def test_arrows_point_one_way():
    def imports(path):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)

    for path in SOURCE.rglob("*.py"):
        found = set(imports(path))
        room = path.relative_to(SOURCE).parts[0]
        forbidden = {
            "shared": ("zoobot.pytorch", "zoobot.tensorflow", "torch", "tensorflow", "keras"),
            "pytorch": ("zoobot.tensorflow", "keras"),
            "tensorflow": ("zoobot.pytorch", "torch", "lightning", "timm"),
        }
        above = {"cli.py": (), "commands": ("zoobot.cli",)}.get(room, ("zoobot.cli", "zoobot.commands"))
        assert not [name for name in found if name.startswith((*above, *forbidden.get(room, ())))], path


def test_the_main_job_through_the_command_line(simulated, tmp_path, zoobot, monkeypatch):
    from tests.pytorch.conftest import TINY

    monkeypatch.setitem(config.PRESETS, "laptop", TINY)
    catalog, run = simulated / "catalog.csv", tmp_path / "RUN"
    trained = zoobot("train", catalog, "--schema", "gz2", "--output", run, "--set", "epochs=1")
    assert (trained.code, "Best epoch:      1 of 1" in trained.out) == (0, True), trained.err
    predicted = zoobot("predict", run / "model", catalog, "--output", tmp_path / "P")
    assert (predicted.code, "Predicted 60 galaxies" in predicted.out) == (0, True), predicted.err
    evaluated = zoobot("evaluate", tmp_path / "P", catalog, "--output", tmp_path / "R")
    assert evaluated.code == 0, evaluated.err
    assert "held out" in evaluated.out
    assert "free constant baseline" in evaluated.out
    assert (tmp_path / "R" / "report.html").stat().st_size > 50_000


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["train", "nowhere.csv", "--schema", "gz2", "--output", "X"], 1, "There is no catalog 'nowhere.csv'."),
        (
            ["train", "{catalog}", "--schema", "gz3", "--output", "X"],
            1,
            "There is no schema 'gz3'. Did you mean 'gz2'?",
        ),
        (
            ["train", "{catalog}", "--schema", "gz2", "--output", "X", "--architecture", "resnet19"],
            1,
            "timm has no architecture 'resnet19'.",
        ),
        (["train", "{catalog}", "--schema", "decals", "--output", "X"], 1, "vote columns of the schema 'decals'"),
        (["predict", "nowhere", "{catalog}", "--output", "X"], 1, "'nowhere' is no model folder"),
        (["evaluate", "nowhere", "{catalog}", "--output", "X"], 1, "There are no predictions in 'nowhere'"),
        (["train", "{catalog}", "--schema", "gz2", "--output", "X", "--set", "epoch=3"], 2, "Did you mean 'epochs'?"),
        (["train", "{catalog}", "--schema", "gz2", "--output", "X", "--epochs", "0"], 2, "The setting 'epochs':"),
        (["train", "{catalog}", "--schema", "gz2"], 2, "Missing option '--output'"),
        (["train", "--nonsense"], 2, "No such option"),
        (["frobnicate"], 2, "No such command 'frobnicate'"),
    ],
)
def test_a_wrong_command_says_what_to_do(arguments, code, message, simulated, tmp_path, zoobot, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = zoobot(*[argument.format(catalog=simulated / "catalog.csv") for argument in arguments])
    assert (result.code, message in result.err) == (code, True), result.err
    assert "Traceback" not in result.err
    assert not (tmp_path / "X").exists()


def test_interrupted(zoobot, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("zoobot.shared.schemas.list_schemas", interrupt)
    result = zoobot("schema", "list")
    assert result.code == 130
    assert "The same command goes on" in result.err
