"""The files that the documentation names exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

FOLDERS = (ROOT, ROOT / "savu_spawner", ROOT / "docker", ROOT / "docker/api", ROOT / "demo")
"""Where a page's paths may begin: it says ``local.py`` for ``savu_spawner/local.py``."""

FILE = re.compile(r"[\w.*-]+(?:/[\w.*-]+)*/?")
SUFFIXES = (".py", ".md", ".sh", ".ldif", ".toml", ".cfg", ".template", ".html")
TOP = ("bench", "demo", "dev", "docker", "docs", "kubernetes", "savu_spawner", "tests")
"""First parts by which a folder is told from the path of an address."""

ELSEWHERE = {"jupyterhub_config.py", "site_config.py"}
"""What a site writes."""


def named_files(page: Path) -> set[str]:
    """What stands between backticks and looks like a file or folder of this repository."""
    text = re.sub(r"^```.*?^```|^    .*?$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    words = set(re.findall(r"`([^`\n]+)`", text))
    return {
        word
        for word in words
        if FILE.fullmatch(word)
        and not word.startswith("/")
        and (word.endswith(SUFFIXES) or word.split("/")[0] in TOP)
        and word not in ELSEWHERE
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_between_backticks_exist(page: Path) -> None:
    missing = {
        name for name in named_files(page) if not any((base / name).exists() for base in FOLDERS)
    }
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    assert not [link for link in links if not (page.parent / link).exists()]


def test_paths_are_found_at_all() -> None:
    named = named_files(ROOT / "docs" / "explanations" / "architecture.md")
    assert "contract.py" in named
