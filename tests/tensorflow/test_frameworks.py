"""No command of one framework imports the other: in one process TensorFlow and torch's triton abort Python."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tensorflow.test_training import write_labelled
from zoobot.errors import MissingExtraError, ModelError
from zoobot.frameworks import choose_framework, find_framework, import_room

ROOT = Path(__file__).parents[2]

# The other framework seems to be installed, and whoever imports it is noted
RECORDED = """
import json, sys
from importlib.machinery import ModuleSpec
imported = set()
class Other:
    def find_spec(self, name, path=None, target=None):
        return ModuleSpec(name, self) if name.split(".")[0] in {other} else None
    def create_module(self, spec):
        imported.add(spec.name)
        raise ImportError(spec.name)
sys.meta_path.insert(0, Other())
from zoobot import cli
{prepare}
catalog, folder = sys.argv[1:]
for words in (
    ["train", catalog, "--schema", "gz2", "--output", folder + "/RUN", {options}],
    ["predict", folder + "/RUN/model", catalog, "--output", folder + "/P"],
    ["finetune", catalog, "--from", folder + "/RUN/model", "--label", "ring", "--output", folder + "/F", {finetuning}],
    ["predict", folder + "/F/model", catalog, "--output", folder + "/Q"],
):
    sys.argv = ["zoobot", *words]
    try:
        cli.main()
    except SystemExit as stop:
        assert not stop.code, stop
print(json.dumps(sorted(imported)))
"""


def find_imported(python, other, simulated, folder, options, prepare=""):
    few = '"--epochs", "1", "--device", "cpu"'
    code = RECORDED.format(
        other=other, prepare=prepare, options=f'{options}, "--image-size", "48", {few}', finetuning=few
    )
    words = [python, "-c", code, str(write_labelled(simulated, folder)), str(folder)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_commands_of_keras_never_import_torch(simulated, tmp_path):
    options = '"--framework", "tensorflow", "--architecture", "TinyNet"'
    torch = {"torch", "torchvision", "timm", "lightning", "triton"}
    assert find_imported(sys.executable, torch, simulated, tmp_path, options, "import tests.tensorflow.conftest") == []


def test_commands_of_torch_never_import_tensorflow(torch_python, simulated, tmp_path):
    options = '"--architecture", "test_resnet"'
    assert find_imported(torch_python, {"tensorflow", "keras", "jax"}, simulated, tmp_path, options) == []


def test_models_of_two_frameworks_are_told_apart(trained, tmp_path):
    assert find_framework([trained.folder]) == "tensorflow"
    other = tmp_path / "other"
    shutil.copytree(trained.folder, other)
    config = other / "config.json"
    config.write_text(config.read_text().replace('"framework": "tensorflow"', '"framework": "pytorch"'))
    assert find_framework([other]) == "pytorch"
    with pytest.raises(ModelError, match=r"made with different frameworks: .*Predict with each by itself"):
        find_framework([trained.folder, other])


def test_the_framework_is_that_of_the_model_unless_one_is_wanted(trained):
    assert choose_framework(None, trained.folder) == "tensorflow"
    assert choose_framework("pytorch", trained.folder) == "pytorch"
    assert choose_framework(None, "hf_hub:a/b") == choose_framework(None) == "tensorflow"  # which is installed here
    with pytest.raises(ModelError, match=r"it has no config\.json\. Did you mean"):
        choose_framework(None, trained.folder.parent)


def test_a_missing_framework_is_one_sentence():
    with pytest.raises(MissingExtraError, match=r'zoobot.pytorch needs torch, .*pip install -e "\.\[pytorch\]"'):
        import_room("pytorch", "predictions.predict_on_catalog")
