"""What was started in a cluster's folder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from dev.cluster.files import write_json
from dev.cluster.layout import Addresses, Layout, node_name


@dataclass(frozen=True)
class Record:
    """Kept in the state folder from the moment that there is something to come back to."""

    second_number: int
    """N of the cluster's 10.N.0.0/16."""
    nodes: int
    policies: bool

    @classmethod
    def read(cls, layout: Layout) -> Record | None:
        """The record of this folder; None if nothing was started there."""
        try:
            return cls(**json.loads(layout.record.read_text()))
        except FileNotFoundError:
            return None

    def keep(self, layout: Layout) -> None:
        write_json(layout.record, asdict(self))

    @property
    def addresses(self) -> Addresses:
        return Addresses.number(self.second_number)

    @property
    def numbers(self) -> list[int]:
        """Of the nodes, from 1."""
        return list(range(1, self.nodes + 1))

    @property
    def names(self) -> list[str]:
        return [node_name(number) for number in self.numbers]
