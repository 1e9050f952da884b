"""Shapes of requests and answers, after hebi's API of 2021; the docstrings are the reference."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

PATH = "/dls/i13/data/2026/cm10001-1"
LIST = f"{PATH}/processing/reconstruct.nxs"


def _examples(*examples: dict[str, Any]) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": list(examples)})


# -- Session --------------------------------------------------------------------------------------


class GroupModel(BaseModel):
    name: str
    gid: int


class VisitModel(BaseModel):
    """A visit that one of the user's groups leads to."""

    model_config = _examples(
        {"name": "cm10001-1", "path": PATH, "readable": True, "group": "cm10001_1"}
    )
    name: str
    path: str
    readable: bool
    group: str


class DefaultPaths(BaseModel):
    """Where to look first, and where to put things."""

    model_config = _examples(
        {
            "data": f"{PATH}/raw",
            "process_list": f"{PATH}/processing",
            "output": f"{PATH}/processing",
        }
    )
    data: str
    process_list: str
    output: str


class EngineModel(BaseModel):
    """A program that runs process lists."""

    name: str
    version: str
    available: bool
    default: bool
    reason: str = Field(description="Why it is not available; empty if it is.")


class Session(BaseModel):
    """Whose session this is and what it can reach."""

    user: str
    display_name: str
    server: str = Field(description="JupyterHub's server name; empty for the default one.")
    uid: int
    gid: int
    groups: list[GroupModel]
    hub_url: str
    support_contact: str
    data_roots: list[str]
    visits: list[VisitModel] = Field(description="Newest first.")
    default_paths: DefaultPaths
    engines: list[EngineModel]


# -- Files ----------------------------------------------------------------------------------------


class FileEntry(BaseModel):
    name: str
    path: str
    type: Literal["folder", "data", "process_list", "file"]
    size: int = Field(description="Bytes; 0 for folders.")
    mtime: datetime | None = Field(description="UTC; null if the file cannot be asked.")
    readable: bool
    writable: bool


class Folder(BaseModel):
    """One page of a folder: folders first, then by name; hidden files are left out."""

    path: str
    parent: str | None = Field(description="null at the top of a data root.")
    writable: bool
    entries: list[FileEntry]
    total: int
    offset: int
    truncated: bool = Field(description="The folder has more entries than are counted.")


class FoundFiles(BaseModel):
    """Files below a folder."""

    model_config = _examples({"path": PATH, "files": [LIST], "truncated": False})
    path: str
    files: list[str] = Field(description="Absolute paths, sorted.")
    truncated: bool = Field(description="The search ended at one of its bounds: there may be more.")


# -- Plugins --------------------------------------------------------------------------------------


class Citation(BaseModel):
    citation: str = ""
    description: str = ""
    doi: str = ""
    endnote: str = ""
    bibtex: str = ""


class ParameterModel(BaseModel):
    """One parameter: its value, and what it may be."""

    model_config = _examples(
        {
            "name": "algorithm",
            "value": "FBP",
            "type": "str",
            "description": {"summary": "Reconstruction type"},
            "visibility": "basic",
            "options": [["FBP", "Filtered Backprojection Method"]],
            "default": "FBP",
        }
    )
    name: str
    value: str = Field(
        description="As text: `[None, None, 1.0]`; several, to try each: `60;62;64`."
    )
    type: str = Field(description="Savu's grammar of types: `[None,str]`; empty if unknown.")
    description: dict[str, str] = Field(description="`summary`, perhaps `verbose` and `range`.")
    visibility: str = Field(description="basic, intermediate, advanced, datasets or hidden.")
    options: list[tuple[str, str]] | None = Field(
        default=None, description="The only values allowed, each with what it means."
    )
    default: str = Field(description="As text, like `value`; empty if unknown.")
    dependency: dict[str, Any] | None = Field(
        default=None, description="Parameter → value or values with which this one matters."
    )


class PluginModel(BaseModel):
    """One plugin with its parameters at their defaults."""

    name: str
    id: str = Field(description="The module that Savu imports.")
    info: str
    synopsis: str
    warn: str
    doc_link: str
    citations: list[Citation]
    engines: list[str] = Field(description="The engines that have it.")
    parameters: list[ParameterModel]


# -- Process lists --------------------------------------------------------------------------------


class EntryModel(BaseModel):
    """One step of a process list."""

    name: str
    pos: str = Field(description="`2`, or `2a`.")
    info: str
    synopsis: str
    warn: str
    doc_link: str
    id: str
    active: bool
    citations: list[Citation]
    parameters: list[ParameterModel]
    known: bool = Field(
        description="Some engine has this plugin; if false, it is kept as it stands in the file."
    )


class Lack(BaseModel):
    pos: str
    name: str
    reason: str


class ListEngine(BaseModel):
    """Whether an engine runs this list."""

    name: str
    runs: bool
    lacks: list[Lack]
    elsewhere: list[str] = Field(description="Other engines that run all that this one lacks.")


class IterationModel(BaseModel):
    """Steps that run several times."""

    start: Annotated[int, Field(ge=1, description="Number of the first step, from 1.")]
    end: Annotated[int, Field(ge=1, description="Number of the last step.")]
    iterations: Annotated[int, Field(ge=1, le=1_000_000)]


class ProcessListModel(BaseModel):
    """A process list, checked against what the engines have."""

    filename: str
    plugins: list[EntryModel]
    engines: list[ListEngine]
    iterations: list[IterationModel]
    version: str = Field(description="Of the Savu that wrote it; `0` for very old lists.")


class Deleted(BaseModel):
    model_config = _examples({"filename": LIST})
    filename: str


class ParameterInput(BaseModel):
    model_config = ConfigDict(extra="ignore")
    name: Annotated[str, Field(min_length=1, max_length=200)]
    value: Any = Field(description="Text as in an answer, or the JSON value itself.")


class StepInput(BaseModel):
    model_config = ConfigDict(extra="ignore")
    name: Annotated[str, Field(min_length=1, max_length=200)]
    active: bool = True
    parameters: Annotated[list[ParameterInput], Field(max_length=1000)] = []
    id: Annotated[str, Field(max_length=1000)] | None = Field(
        default=None,
        description="As a list that was read gives it: needed for plugins that no engine has.",
    )
    pos: Annotated[str, Field(max_length=20)] | None = Field(
        default=None,
        description="PUT only: the position this step has in the file so far, which tells two "
        "steps of one plugin apart. The new position is the place in `plugins`.",
    )


class ProcessListInput(BaseModel):
    """Steps in running order. Parameters that are not given get their defaults."""

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={
            "examples": [
                {
                    "plugins": [
                        {"name": "NxtomoLoader", "active": True, "parameters": []},
                        {
                            "name": "AstraReconCpu",
                            "active": True,
                            "parameters": [{"name": "algorithm", "value": "FBP"}],
                        },
                    ]
                }
            ]
        },
    )
    plugins: Annotated[list[StepInput], Field(max_length=1000)]
    iterations: Annotated[list[IterationModel], Field(max_length=1000)] | None = Field(
        default=None, description="PUT without it keeps what the file has, moved with its steps."
    )


class ListError(BaseModel):
    """What is wrong with one step."""

    pos: str
    plugin: str
    parameter: str | None = None
    message: str


class CheckedList(BaseModel):
    """What a list would be, and what is wrong with it; nothing is written."""

    plugins: list[EntryModel]
    engines: list[ListEngine]
    errors: list[ListError]


# -- Internal -------------------------------------------------------------------------------------


class ActivityModel(BaseModel):
    busy: bool = Field(description="A job runs or waits.")
    last_user_event: datetime | None
