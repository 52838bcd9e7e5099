"""Every block of the README and the docs is executed; those on TensorFlow in its own environment."""

import re
import shutil

import pytest

from tests.documents import PAGES, PAGES_OF_TENSORFLOW, ROOT, run_page
from tests.pytorch.conftest import TINY
from zoobot import config


@pytest.fixture
def reader_folder(simulated, tmp_path, monkeypatch):
    shutil.copytree(simulated, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(config.PRESETS, "laptop", TINY)
    return tmp_path


@pytest.mark.parametrize("page", [page for page in PAGES if page not in PAGES_OF_TENSORFLOW])
def test_every_block_runs(page, reader_folder, zoobot):
    run_page(page, reader_folder, zoobot)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / page).read_text()):
        assert ((ROOT / page).parent / target).exists(), target
