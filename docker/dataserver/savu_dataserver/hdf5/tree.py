"""Listing groups and whole files, within bounds of number, depth and time."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import h5py

from .. import limits, problems
from ..problems import Problem
from . import links


@dataclass(frozen=True)
class Node:
    """One member somewhere below the group that was walked."""

    path: str
    """From that group, without a leading slash."""

    depth: int
    link: links.Link | None
    entity: links.Entity | None
    """None behind a link, which is not followed, and for what is damaged."""

    seen: bool = False
    """A group that was met before under another path: its members are not listed again."""


def members(group: h5py.Group, most: int, truncated: list[str]) -> list[str]:
    """Names in a group, in its own order; ``truncated`` gains ``members`` if there are more."""
    names: list[str] = []

    def take(name: bytes, *_: object) -> bool | None:
        names.append(links.decode(name))
        return True if len(names) > most else None

    tracked = group.id.get_create_plist().get_link_creation_order() & h5py.h5p.CRT_ORDER_TRACKED
    index = h5py.h5.INDEX_CRT_ORDER if tracked else h5py.h5.INDEX_NAME
    try:
        group.id.links.iterate(take, idx_type=index, order=h5py.h5.ITER_INC)
    except (OSError, RuntimeError, ValueError) as error:
        raise problems.broken(f"The group {group.name}", links.reason(error)) from None
    if len(names) > most:
        names.pop()
        truncated.append("members")
    return names


def walk(
    group: h5py.Group,
    tick: Callable[[], None],
    most: int,
    depth: int,
    truncated: list[str],
) -> Iterator[Node]:
    """Everything below a group, level by level, until a bound is reached.

    ``truncated`` gains ``members``, ``depth``, ``number`` or ``time``.
    """
    deadline = time.monotonic() + limits.WALK_SECONDS
    waiting = deque([(group, "", 1)])
    seen = {_address(group)}
    left = most
    while waiting:
        parent, prefix, level = waiting.popleft()
        for name in members(parent, min(left, limits.CHILDREN), truncated):
            if time.monotonic() > deadline:
                truncated.append("time")
                return
            if left == 0:
                truncated.append("number")
                return
            left -= 1
            node = _node(parent, name, prefix + name, level, seen)
            yield node
            tick()
            if isinstance(node.entity, h5py.Group) and not node.seen:
                if level >= depth:
                    truncated.append("depth")
                else:
                    waiting.append((node.entity, f"{prefix}{name}/", level + 1))


def _node(parent: h5py.Group, name: str, path: str, depth: int, seen: set[object]) -> Node:
    try:
        link = links.read_link(parent, name)
        if link is not None:
            return Node(path, depth, link, None)
        entity = links.open_member(parent, name)
        if not isinstance(entity, h5py.Group):
            return Node(path, depth, None, entity)
        address = _address(entity)
        if address in seen:
            return Node(path, depth, None, entity, seen=True)
        seen.add(address)
        return Node(path, depth, None, entity)
    except (Problem, KeyError, OSError, RuntimeError, ValueError):
        return Node(path, depth, links.Link("other"), None)


def _address(entity: links.Entity) -> object:
    information = h5py.h5o.get_info(entity.id)
    return information.fileno, information.addr
