"""Following a path inside HDF5 files link by link.

HDF5 follows soft and external links by itself, wherever they lead. Nothing here lets it: each
name is looked up without following, and each link's target is checked before it is opened.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import h5py

from .. import limits, problems
from ..problems import Problem
from .files import Files, filename

Entity = h5py.Group | h5py.Dataset | h5py.Datatype


@dataclass(frozen=True)
class Link:
    """A link as it is stored, not followed."""

    kind: str
    """``soft_link``, ``external_link``, or ``other`` for a kind that only its maker knows."""

    target_path: str = ""
    target_file: str = ""


@dataclass(frozen=True)
class Found:
    """An object, and the file that really holds it."""

    entity: Entity
    file: h5py.File


def parts(path: str) -> list[str]:
    """Names of an HDF5 path. A ``..`` is a name like any other in HDF5."""
    return [name for name in path.split("/") if name not in ("", ".")]


def check_inner_path(path: str) -> None:
    """Refuse what cannot be a path inside a file."""
    if "\0" in path:
        raise problems.invalid("The path inside the file holds a NUL character.")
    if len(encode(path)) >= limits.PATH_BYTES:
        raise problems.invalid(
            f"The path inside the file is longer than {limits.PATH_BYTES} bytes."
        )


def encode(name: str) -> bytes:
    """A name as stored: also one that is not UTF-8 finds its way back."""
    return name.encode("utf-8", "surrogateescape")


def decode(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def read_link(group: h5py.Group, name: str) -> Link | None:
    """The link of this name: None for a hard one, which is the object itself.

    Raises:
        KeyError: the group has no such name.
    """
    links = group.id.links
    raw = encode(name)
    if not links.exists(raw):
        raise KeyError(name)
    kind = links.get_info(raw).type
    if kind == h5py.h5l.TYPE_HARD:
        return None
    if kind == h5py.h5l.TYPE_SOFT:
        return Link("soft_link", decode(links.get_val(raw)))
    if kind == h5py.h5l.TYPE_EXTERNAL:
        file, path = links.get_val(raw)
        return Link("external_link", decode(path), decode(file))
    return Link("other")


def open_member(group: h5py.Group, name: str) -> Entity:
    """Open the object behind a hard link.

    Raises:
        Problem: 422 if it is damaged or of a kind that h5py does not know.
    """
    raw = encode(name)
    try:
        kind = h5py.h5o.get_info(group.id, raw).type
        if kind == h5py.h5o.TYPE_GROUP:
            return h5py.Group(h5py.h5g.open(group.id, raw))
        if kind == h5py.h5o.TYPE_NAMED_DATATYPE:
            return h5py.Datatype(h5py.h5t.open(group.id, raw))
        if kind == h5py.h5o.TYPE_DATASET:
            dataset = h5py.h5d.open(group.id, raw)
            if dataset.get_create_plist().get_external_count():
                # Relative external raw files are beside the HDF5 file, not in the current folder.
                # The first must be closed: one dataset cannot be open in two ways.
                del dataset
                access = h5py.h5p.create(h5py.h5p.DATASET_ACCESS)
                access.set_efile_prefix(b"${ORIGIN}")
                dataset = h5py.h5d.open(group.id, raw, access)
            return h5py.Dataset(dataset)
    except (OSError, KeyError, RuntimeError, ValueError, TypeError) as error:
        raise problems.broken(f"{name} in {filename(group.file)}", reason(error)) from None
    raise problems.unsuitable(f"{name} is of a kind that cannot be shown.")


def follow(files: Files, start: Found, path: str) -> Found:
    """The object at a path, through all links.

    Args:
        start: the group that a relative path begins at; an absolute one begins at its file's root.

    Raises:
        Problem: 404 absent or leads nowhere, 403 leads outside, 422 damaged or a loop.
    """
    here = start
    pending = deque(parts(path))
    if path.startswith("/"):
        here = root(start.file)
    links_left = limits.LINKS
    while pending:
        name = pending.popleft()
        if not isinstance(here.entity, h5py.Group):
            raise problems.path_absent(path, filename(start.file))
        try:
            link = read_link(here.entity, name)
        except KeyError:
            raise problems.path_absent(path, filename(start.file)) from None
        except (OSError, RuntimeError, ValueError) as error:
            raise problems.broken(filename(here.file), reason(error)) from None
        if link is None:
            here = Found(open_member(here.entity, name), here.file)
            continue
        links_left -= 1
        if links_left < 0:
            raise Problem(
                422, "link-loop", f"{path} leads through a loop, or a very long chain, of links."
            )
        if link.kind == "soft_link":
            if link.target_path.startswith("/"):
                here = root(here.file)
        elif link.kind == "external_link":
            here = root(files.open_linked(link.target_file, here.file))
        else:
            raise problems.unsuitable(f"{path} leads through a link of an unknown kind.")
        pending.extendleft(reversed(parts(link.target_path)))
    return here


def root(file: h5py.File) -> Found:
    """The root group of a file."""
    try:
        return Found(h5py.Group(h5py.h5g.open(file.id, b"/")), file)
    except (OSError, KeyError, RuntimeError, ValueError) as error:
        raise problems.broken(filename(file), reason(error)) from None


def reason(error: BaseException) -> str:
    """HDF5's own words for what went wrong, without its brackets."""
    text = str(error).strip("'\"")
    return text.split("\n", 1)[0][:200] or type(error).__name__
