"""One answer, ready to be sent."""

from __future__ import annotations

from dataclasses import dataclass, field

JSON = "application/json"


@dataclass(frozen=True)
class Answer:
    """A body and what HTTP says about it."""

    body: bytes | memoryview
    media_type: str
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200
