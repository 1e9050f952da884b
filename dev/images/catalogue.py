"""Which images there are, and what each is made from."""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]

DEFAULT_REPOSITORY = "localhost"
"""Of images that no registry has: clusters find them only where they were loaded."""


@dataclass(frozen=True)
class Image:
    """One image; paths are relative to the checkout."""

    name: str
    dockerfile: str
    context: str

    def reference(self, repository: str = DEFAULT_REPOSITORY) -> str:
        """What it is called: ``localhost/savu-web:0.1.0``."""
        return f"{repository.rstrip('/')}/savu-{self.name}:{version()}"

    def sources(self) -> list[str]:
        """Paths that its Dockerfile copies from the context, and the Dockerfile."""
        text = (CHECKOUT / self.dockerfile).read_text().replace("\\\n", " ")
        copied = [
            f"{self.context}/{source}"
            for words in re.findall(r"^COPY\s+(?!--from)(.+)$", text, re.M)
            for source in words.split()[:-1]
        ]
        return [self.dockerfile, f"{self.context}/.dockerignore", *copied]

    def files(self) -> Iterator[Path]:
        """Every file that can change what is built; what Git ignores cannot."""
        listed = _git(
            "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *self.sources()
        )
        for name in sorted(set(listed.split("\0")) - {""}):
            if (CHECKOUT / name).is_file():
                yield CHECKOUT / name

    def revision(self) -> str:
        """The commit that last changed it, so that other commits do not; ``-changed`` if it is not
        as committed, ``unknown`` outside of a repository."""
        try:
            commit = _git("log", "-1", "--format=%H", "--", *self.sources()).strip()
            changed = _git("status", "--porcelain", "--", *self.sources()).strip()
        except (OSError, subprocess.CalledProcessError):
            return "unknown"
        return f"{commit or 'unknown'}{'-changed' if changed else ''}"

    def digest(self, **arguments: str) -> str:
        """Of all that goes into it: the files, and the build's arguments."""
        digest = hashlib.sha256()
        for file in self.files():
            content = hashlib.sha256(file.read_bytes()).hexdigest()
            mode = "x" if file.stat().st_mode & 0o100 else "-"
            digest.update(f"{file.relative_to(CHECKOUT)} {mode} {content}\n".encode())
        for name, value in sorted(arguments.items()):
            digest.update(f"{name}={value}\n".encode())
        return digest.hexdigest()


IMAGES = (
    Image("hub", "docker/hub/Dockerfile", "."),
    Image("proxy", "docker/proxy/Dockerfile", "."),
    Image("web", "docker/web/Dockerfile", "docker/web"),
    Image("gate", "docker/gate/Dockerfile", "docker/gate"),
    Image("api", "docker/api/Dockerfile", "docker/api"),
    Image("dataserver", "docker/dataserver/Dockerfile", "docker/dataserver"),
    # The demo's, on a cluster; no facility needs it.
    Image("directory", "demo/directory/Dockerfile", "."),
)


def version() -> str:
    """The project's, which is every image's tag."""
    text = (CHECKOUT / "savu_spawner" / "_version.py").read_text()
    found = re.search(r'__version__ = "([^"]+)"', text)
    assert found is not None
    return found[1]


def _git(*words: str) -> str:
    return subprocess.run(
        ["git", "-C", str(CHECKOUT), *words], capture_output=True, text=True, check=True
    ).stdout
