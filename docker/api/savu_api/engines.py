"""The engines a session offers: what each can do, and the command line that runs it.

An engine is a program with Savu's own command line, ``… DATA LIST OUTDIR -f NAME``; it is never
imported. ``builtin`` is ours, ``savu`` the real one in an interpreter of its own.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from savu_format.catalogue import Catalogue, InvalidCatalogue, Plugin, load, to_text
from savu_format.process_list import ProcessList, Step
from savu_format.whole_file import write_whole

from savu_api.settings import Settings

log = logging.getLogger(__name__)

INSIDE_SAVU: Final = Path(__file__).with_name("inside_savu")
"""Scripts that Savu's own interpreter runs."""

EXPORT_SECONDS: Final = 120.0
"""Savu loads every plugin to describe them: 5 to 8 seconds on a local disk."""

KEPT_VARIABLES: Final = frozenset(
    {"HOME", "TMPDIR", "NUMBA_CACHE_DIR", "TZ", "LD_LIBRARY_PATH", "USER", "LOGNAME"}
)
"""What a job sees of this program's environment, besides the prefixes below and PATH and LANG."""

KEPT_PREFIXES: Final = ("CUDA_", "NVIDIA_", "HDF5_", "OMP_", "OMPI_", "NUMBA_", "OPENBLAS_", "MKL_")

SYSTEM_PATH: Final = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True, slots=True)
class Lack:
    """A step of a list that an engine cannot run, and why."""

    pos: str
    name: str
    reason: str


@dataclass(frozen=True)
class Engine:
    """One engine; ``reason`` is the sentence that says why it is not ``available``."""

    name: str
    version: str = ""
    available: bool = False
    reason: str = ""
    catalogue: Catalogue | None = None
    argv: tuple[str, ...] = ()
    checks_ids: bool = False
    """It imports whatever module a step names, so the name alone does not say what will run."""
    variables: Mapping[str, str] = field(default_factory=dict)

    def command(
        self,
        data: str | os.PathLike[str],
        process_list: str | os.PathLike[str],
        outdir: str | os.PathLike[str],
        name: str,
    ) -> list[str]:
        """The command line that runs ``process_list`` on ``data`` into ``outdir/name``."""
        return [*self.argv, os.fspath(data), os.fspath(process_list), os.fspath(outdir), "-f", name]

    def environment(self) -> dict[str, str]:
        """All that a job's processes see of this program's environment."""
        return dict(self.variables)

    def missing(self, process_list: ProcessList) -> list[Lack]:
        """The active steps it cannot run, in order; empty if it runs the list."""
        lacks = []
        for step in process_list.steps:
            if step.active and (reason := self._why_not(step)):
                lacks.append(Lack(step.position, step.name, reason))
        return lacks

    def _why_not(self, step: Step) -> str:
        if self.catalogue is None:
            return f"{self.name} cannot be used: {self.reason}"
        plugin = self.catalogue.plugins.get(step.name)
        if plugin is None:
            return f"{self.name} has no such plugin"
        if self.checks_ids and step.id != plugin.id:
            return (
                f"the list says it is {step.id or 'nowhere'}, and {self.name} has it as {plugin.id}"
            )
        return _wrong_option(step, plugin)


class Engines:
    """All engines the site offers, in its order of preference; some may not be available."""

    def __init__(self, engines: Sequence[Engine]) -> None:
        self._engines = {engine.name: engine for engine in engines}

    def __iter__(self) -> Iterator[Engine]:
        return iter(self._engines.values())

    def __len__(self) -> int:
        return len(self._engines)

    def get(self, name: str) -> Engine | None:
        return self._engines.get(name)

    @property
    def default(self) -> Engine | None:
        """The first available one."""
        return next((engine for engine in self if engine.available), None)


def load_engines(settings: Settings) -> Engines:
    """Find out what every engine in ``settings.engines`` can do; one that fails says why.

    Blocks: it runs the engines once for their catalogues; Savu's is kept in the state folder.
    """
    makers = {"builtin": _builtin, "savu": _savu}
    engines = []
    for name in settings.engines:
        try:
            maker = makers.get(name)
            if maker is None:
                raise EngineUnavailable(f"ENGINES names {name}, which this program does not know.")
            engine = maker(settings)
        except EngineUnavailable as error:
            log.warning("engine %s is not available: %s", name, error)
            engine = Engine(name, reason=str(error))
        engines.append(engine)
    return Engines(engines)


class EngineUnavailable(Exception):
    """An engine that is configured cannot be used; the message is for the user."""


def is_loader(step: Step) -> bool:
    """Whether a step brings data in; loaders come first and report no progress."""
    return ".loaders." in step.id or step.name.endswith("Loader")


def clean_environment(program: str, given: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What a job may see of ``given``: none of our settings, its own interpreter first."""
    kept = {
        name: value
        for name, value in given.items()
        if name in KEPT_VARIABLES or name.startswith(KEPT_PREFIXES)
    }
    folder = os.fspath(Path(program).parent)
    return {**kept, "PATH": f"{folder}:{SYSTEM_PATH}", "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}


def _builtin(settings: Settings) -> Engine:
    variables = clean_environment(sys.executable)
    # -P: a job's working folder is where other people's files may lie, numpy.py among them.
    argv = (sys.executable, "-P", "-m", "savu_builtin")
    catalogue = _catalogue_of([*argv, "catalogue"], variables, seconds=30)
    return Engine(
        "builtin",
        version=catalogue.version,
        available=True,
        catalogue=catalogue,
        argv=argv,
        variables=variables,
    )


def _savu(settings: Settings) -> Engine:
    python = settings.savu_python
    if not python:
        raise EngineUnavailable("no interpreter with Savu is configured.")
    if not os.access(python, os.X_OK):
        raise EngineUnavailable(f"{python} is not a program.")
    variables = clean_environment(os.fspath(python))
    catalogue = _savu_catalogue(settings, python, variables)
    return Engine(
        "savu",
        version=catalogue.version,
        available=True,
        catalogue=catalogue,
        argv=(os.fspath(python), os.fspath(INSIDE_SAVU / "run.py")),
        checks_ids=True,
        variables=variables,
    )


def _savu_catalogue(settings: Settings, python: Path, variables: Mapping[str, str]) -> Catalogue:
    """The exported file where there is one, else what Savu says now, kept for the next start."""
    if settings.savu_catalogue:
        return _load(settings.savu_catalogue)
    kept = settings.state_dir / f"catalogue-{_fingerprint(python)}.json"
    if kept.is_file():
        try:
            return _load(kept)
        except EngineUnavailable as error:
            log.warning("%s: exported anew", error)
    script = os.fspath(INSIDE_SAVU / "export_catalogue.py")
    text = _output_of([os.fspath(python), script], variables, EXPORT_SECONDS)
    catalogue = _load(_parse(text))
    try:
        write_whole(kept, text, overwrite=True)
    except OSError as error:
        log.warning("Savu's catalogue could not be kept in %s: %s", kept, error)
    return catalogue


def _fingerprint(python: Path) -> str:
    """Of an installation: its interpreter, and when packages were last put into it."""
    folders = sorted(python.parent.parent.glob("lib/python3*/site-packages"))
    stamps = [f"{path}:{path.stat().st_mtime_ns}" for path in (python, *folders)]
    return hashlib.sha256("\n".join(stamps).encode()).hexdigest()[:16]


def _catalogue_of(argv: Sequence[str], variables: Mapping[str, str], seconds: float) -> Catalogue:
    return _load(_parse(_output_of(argv, variables, seconds)))


def _load(source: str | os.PathLike[str] | Mapping[str, Any]) -> Catalogue:
    try:
        return load(source)
    except (InvalidCatalogue, OSError) as error:
        raise EngineUnavailable(f"its catalogue of plugins cannot be read: {error}") from error


def _parse(text: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(text)
    except ValueError as error:
        raise EngineUnavailable("its catalogue of plugins is not JSON.") from error
    if not isinstance(parsed, dict):
        raise EngineUnavailable("its catalogue of plugins is not a JSON object.")
    return parsed


def _output_of(argv: Sequence[str], variables: Mapping[str, str], seconds: float) -> bytes:
    """Standard output of a program that has to succeed. Raises EngineUnavailable."""
    try:
        done = subprocess.run(
            argv,
            env=dict(variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode(errors="replace").strip().splitlines()
        raise EngineUnavailable(
            f"it ended with exit code {error.returncode}: {lines[-1] if lines else 'no message'}"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise EngineUnavailable(f"it did not answer within {seconds:.0f} s.") from error
    except OSError as error:
        raise EngineUnavailable(f"it cannot be started: {error.strerror}.") from error
    return done.stdout


def _wrong_option(step: Step, plugin: Plugin) -> str:
    """Which value of a parameter with options this engine does not have; empty if it has all."""
    for parameter in plugin.parameters:
        given = step.parameters.get(parameter.name, parameter.default)
        if not parameter.options or given == parameter.default:
            continue
        known = {option for option, _ in parameter.options}
        texts = given.split(";") if isinstance(given, str) else [to_text(given)]
        if wrong := [text.strip() for text in texts if text.strip() and text.strip() not in known]:
            return f"its {parameter.name} has no option {', '.join(wrong)}"
    return ""
