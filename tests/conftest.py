"""What every room's tests share: real data, a simulated catalog, the command line in this process."""

import importlib.util
import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest

from zoobot import cli
from zoobot.shared.schemas import get_schema

# Each framework's tests run in its own environment: in one process the two abort Python.
_INSTALLED = {
    room: importlib.util.find_spec(name) for room, name in {"pytorch": "torch", "tensorflow": "keras"}.items()
}
collect_ignore = [room for room, found in _INSTALLED.items() if found is None]
if not collect_ignore:
    collect_ignore.append("tensorflow")

# On a busy machine the first example is slow (imports); what an example finds must not depend on the clock.
hypothesis.settings.register_profile("zoobot", deadline=None, max_examples=50, database=None)
hypothesis.settings.load_profile("zoobot")


@pytest.fixture(scope="session")
def shared_data():
    """Folder of real galaxies and votes, which are not part of the project."""
    folder = Path(os.environ.get("ZOOBOT_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real data is needed in '{folder}' (set ZOOBOT_TEST_DATA to have it elsewhere)")
    return folder


@pytest.fixture(scope="session")
def simulated(tmp_path_factory):
    """Folder with `catalog.csv` and `images/` of 60 simulated galaxies of the tree gz2, 20 volunteers each."""
    from zoobot.shared.simulation import simulate_catalog

    folder = tmp_path_factory.mktemp("simulated")
    simulate_catalog(folder, get_schema("gz2"), n_galaxies=60, seed=1, image_size=64, n_volunteers=20)
    return folder


@dataclass(frozen=True)
class Result:
    """How a command ended, and what it wrote to the terminal."""

    code: int
    out: str
    err: str


@pytest.fixture
def zoobot(monkeypatch, capsys):
    """Run a command line in this process: `zoobot("schema", "show", "gz2").code == 0`."""
    ours = logging.getLogger("zoobot")
    level = ours.level

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["zoobot", *map(str, arguments)])
        capsys.readouterr()
        before = logging.root.handlers[:]
        logging.root.handlers.clear()  # otherwise basicConfig keeps those of pytest, or of an earlier run
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code or 0
        finally:
            logging.root.handlers[:] = before
            ours.setLevel(level)
        return Result(code, *capsys.readouterr())

    return run


def describe_model(schema, votes=None, **config):
    """What a model folder says of itself, without a model: baselines fitted to `votes`, all ones without."""
    from zoobot.shared.vote_scores import FREE_BASELINE, PUBLISHED_BASELINE, fit_baselines

    ones = dict.fromkeys((FREE_BASELINE, PUBLISHED_BASELINE), [1.0] * len(schema.label_cols))
    fitted = {} if votes is None else fit_baselines(votes, schema)
    baselines = ones | {name: baseline.concentrations.tolist() for name, baseline in fitted.items()}
    return {
        "weights_sha256": "0123456789abcdef" * 4,
        "config": {
            "framework": "none",
            "architecture": "resnet18",
            "settings": {"image_size": 64, "color": False, "concentration_bounds": [1.0, 101.0]},
            "versions": {"zoobot": "1.2.3", "python": "3.12"},
            "split": {"seed": 0, "galaxies": {"train": 4, "validation": 1, "test": 5}},
            **config,
        },
        "metrics": {
            "best_epoch": 2,
            "validation_loss": 24.5,
            "validation_loss_of_baselines": dict.fromkeys(baselines, 26.0),
            "baselines": baselines,
            "history": {"epoch": [1, 2, 3], "train/loss": [28.0, 26.0, 24.0], "validation/loss": [27.0, 24.5, 25.0]},
        },
    }
