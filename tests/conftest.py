"""What every room's tests share: real data, a simulated catalog, the command line in this process."""

import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest

from zoobot import cli
from zoobot.shared.schemas import get_schema

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
