"""Blocks of the README and the docs, executed in order in a folder with a catalog of simulated galaxies."""

import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", *sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").glob("*.md"))]
PAGES_OF_TENSORFLOW = [page for page in PAGES if "tensorflow" in page]
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def run_page(page, folder, zoobot):
    """Execute every block of a page in `folder`, which is the current one."""
    text = (ROOT / page).read_text()
    blocks = _BLOCK.findall(text)
    assert text.count("```") == 2 * len(blocks)
    names: dict[str, object] = {}
    for language, block in blocks:
        if language == "python":
            exec(compile(block, page, "exec"), names)
        elif language == "yaml":
            name = re.match(r"# (\S+)\n", block)[1]
            (folder / name).write_text(block)
        elif language == "sh":
            for line in block.splitlines():
                _run(shlex.split(line), zoobot)
        else:
            pytest.fail(f"{page} has a block of language '{language}', which is not executed")


def _run(words, zoobot):
    match words:
        case ["make", target]:
            assert f"\n{target}:" in (ROOT / "Makefile").read_text()
        case ["source", ".venv/bin/activate" | ".venv-tensorflow/bin/activate"]:
            pass
        case ["zoobot", *arguments]:
            result = zoobot(*arguments)
            assert result.code == 0, result.err
        case _:
            pytest.fail(f"not executed: {words}")
