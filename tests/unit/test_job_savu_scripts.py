"""What Savu's interpreter runs: tried with a stand-in for Savu, in every Python found here.

The stand-in has the few names of Savu that the scripts use, and prints where real plugins do.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import savu_api
from savu_format.catalogue import load

SCRIPTS = Path(savu_api.__file__).parent / "inside_savu"

UTILS = """
import sys
from collections import OrderedDict

plugins = {}


class Tools:
    docstring_info = {
        "info": None,
        "synopsis": "Inverts.",
        "warn": " Slow. ",
        "documentation_link": "https://savu.readthedocs.io/invert",
    }

    def get_param_definitions(self):
        return OrderedDict([
            ("dark", {
                "dtype": "[list[filepath, h5path, float], list[None, None, float]]",
                "default": ["None", "None", 1.0],
                "visibility": "basic",
                "description": "Where the dark fields are.",
            }),
            ("mode", {
                "dtype": "str",
                "default": OrderedDict([("kind", {"a": "fast"})]),
                "visibility": "advanced",
                "options": ["fast", "None"],
                "description": {
                    "summary": "How.",
                    "verbose": "At length.",
                    "options": {"fast": "At once"},
                },
                "dependency": OrderedDict([("kind", ["a", "b"])]),
            }),
            ("hidden", {"default": 3, "visibility": "hidden"}),
        ])

    def get_param_values(self):
        return {"dark": ["None", "None", 1.0], "mode": "None", "hidden": 3}

    def get_citations(self):
        class Citation:
            description = "The method."
            doi = "10.1000/1"
            bibtex = "@article{x}"
            endnote = None
        return {"A paper": Citation()}


class Invert:
    def get_plugin_tools(self):
        return Tools()


class Broken(Invert):
    def get_plugin_tools(self):
        raise ValueError("no tools\\nat all")


Invert.__module__ = "savu.plugins.filters.invert"
plugins.update(Invert=Invert, Broken=Broken, NoLibrary=Invert)
"""

TOMO_RECON = """
import fractions, collections, numpy, sys
def main():
    fractions.gcd, collections.Mapping, numpy.float, numpy.bool
    print("ran", sys.argv)
"""


def interpreters() -> list[str]:
    found = [sys.executable]
    for minor in (6, 7, 8):
        path = shutil.which(f"python3.{minor}")
        if path and subprocess.run([path, "-c", ""], capture_output=True).returncode == 0:
            found.append(path)
    return found


@pytest.fixture(params=interpreters(), ids=lambda path: Path(path).name)
def python(request: pytest.FixtureRequest) -> str:
    path: str = request.param
    return path


@pytest.fixture
def savu(tmp_path: Path) -> Path:
    """A folder with the stand-in, and a NumPy of no names for interpreters that have none."""
    for name, text in {
        "savu/__init__.py": "",
        "savu/version.py": '__version__ = "4.2"',
        "savu/plugins/__init__.py": "print('noise of an import')",
        "savu/plugins/utils.py": UTILS,
        "savu/tomo_recon.py": TOMO_RECON,
        "scripts/__init__.py": "",
        "scripts/config_generator/__init__.py": "",
        "scripts/config_generator/config_utils.py": (
            "import os\n"
            "def populate_plugins():\n"
            "    os.system('echo noise of a library')\n"
            "    return {'NoLibrary': ImportError('no module named tomopy')}\n"
        ),
        "numpy.py": "",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def run(python: str, savu: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, str(SCRIPTS / script), *arguments],
        env={"PYTHONPATH": str(savu), "PYTHONDONTWRITEBYTECODE": "1", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_catalogue_is_json_whatever_plugins_print(python: str, savu: Path):
    done = run(python, savu, "export_catalogue.py")
    assert done.returncode == 0, done.stderr
    assert "noise of an import" in done.stderr
    assert "noise of a library" in done.stderr
    exported = json.loads(done.stdout)
    assert list(exported["plugins"]) == ["Invert"]
    assert exported["unavailable"] == {
        "Broken": "ValueError: no tools at all",
        "NoLibrary": "ImportError: no module named tomopy",
    }


def test_the_catalogue_can_be_loaded_and_tells_all_of_a_plugin(python: str, savu: Path):
    catalogue = load(json.loads(run(python, savu, "export_catalogue.py").stdout))
    assert (catalogue.engine, catalogue.version) == ("savu", "4.2")
    plugin = catalogue.plugins["Invert"]
    assert plugin.id == "savu.plugins.filters.invert"
    assert (plugin.info, plugin.synopsis, plugin.warn) == ("", "Inverts.", "Slow.")
    assert plugin.doc_link == "https://savu.readthedocs.io/invert"
    assert plugin.citations == (
        {
            "citation": "A paper",
            "description": "The method.",
            "doi": "10.1000/1",
            "endnote": "",
            "bibtex": "@article{x}",
        },
    )
    dark, mode, hidden = plugin.parameters
    assert dark.default == [None, None, 1.0]
    assert dark.description == {"summary": "Where the dark fields are."}
    assert (mode.default, mode.visibility) == ("None", "advanced")
    assert mode.options == (("fast", "At once"), ("None", ""))
    assert mode.description == {"summary": "How.", "verbose": "At length."}
    assert mode.dependency == {"kind": ["a", "b"]}
    assert (hidden.dtype, hidden.default) == ("int", 3)


def test_savu_finds_the_names_that_newer_pythons_and_numpys_dropped(python: str, savu: Path):
    done = run(python, savu, "run.py", "DATA", "LIST", "OUT", "-f", "NAME")
    assert done.stdout == "ran ['savu', 'DATA', 'LIST', 'OUT', '-f', 'NAME']\n", done.stderr


def test_savus_main_branch_that_imports_a_neighbour_by_its_short_name_runs(python, savu: Path):
    (savu / "savu" / "pre_run.py").touch()
    (savu / "savu" / "tomo_recon.py").write_text(f"import pre_run\n{TOMO_RECON}")
    assert run(python, savu, "run.py", "DATA").stdout == "ran ['savu', 'DATA']\n"


def test_without_savu_the_last_line_says_so(python: str, tmp_path: Path):
    (tmp_path / "numpy.py").touch()
    done = run(python, tmp_path, "export_catalogue.py")
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1] == "ModuleNotFoundError: No module named 'savu'"
