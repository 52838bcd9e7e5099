"""Every block of the README and the docs is executed, in order, in a folder with a catalog of simulated galaxies."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests.pytorch.conftest import TINY
from zoobot import config

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", *sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture
def reader_folder(simulated, tmp_path, monkeypatch):
    shutil.copytree(simulated, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(config.PRESETS, "laptop", TINY)
    return tmp_path


@pytest.mark.parametrize("page", PAGES)
def test_every_block_runs(page, reader_folder, zoobot):
    text = (ROOT / page).read_text()
    blocks = BLOCK.findall(text)
    assert text.count("```") == 2 * len(blocks)
    names: dict[str, object] = {}
    for language, block in blocks:
        if language == "python":
            exec(compile(block, page, "exec"), names)
        elif language == "yaml":
            name = re.match(r"# (\S+)\n", block)[1]
            (reader_folder / name).write_text(block)
        elif language == "sh":
            for line in block.splitlines():
                run(shlex.split(line), zoobot)
        else:
            pytest.fail(f"{page} has a block of language '{language}', which is not executed")


def run(words, zoobot):
    match words:
        case ["make", target]:
            assert f"\n{target}:" in (ROOT / "Makefile").read_text()
        case ["source", ".venv/bin/activate"]:
            pass
        case ["zoobot", *arguments]:
            result = zoobot(*arguments)
            assert result.code == 0, result.err
        case _:
            pytest.fail(f"not executed: {words}")


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / page).read_text()):
        assert ((ROOT / page).parent / target).exists(), target
