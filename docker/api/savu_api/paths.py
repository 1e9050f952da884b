"""From a path that a user gives to a file inside the data roots, or a refusal.

Links are resolved first, and where they lead is checked; what is opened is checked once more
by what the kernel says was opened, so that nothing can be swapped in between.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from savu_api.problems import Problem, file_errors

MAX_PATH_BYTES: Final = 4095
MAX_NAME_BYTES: Final = 255


@dataclass(frozen=True)
class DataRoots:
    """The folders that a session may read and write below; each spelled as users know it."""

    folders: tuple[Path, ...]

    def resolve(self, given: str) -> Path:
        """The file or folder that this path leads to, free of links below its root.

        It need not exist. Blocks on the file system. Raises Problem.
        """
        check_path(given)
        with file_errors(given):
            inside = self._inside(os.path.realpath(given))
        if inside is None:
            raise Problem(
                403,
                "outside-data-roots",
                f"{_shorten(given)} is not inside the data that this session can reach: "
                f"{', '.join(map(str, self.folders))}.",
            )
        return inside

    def open(self, path: Path, flags: int = os.O_RDONLY) -> int:
        """A descriptor of what ``resolve`` returned. Raises Problem."""
        with file_errors(path):
            # A pipe would block for ever without O_NONBLOCK; a regular file does not mind.
            descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            if self._inside(str(Path(f"/proc/self/fd/{descriptor}").readlink())) is None:
                raise Problem(403, "outside-data-roots", f"{path} was moved while it was opened.")
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    @contextlib.contextmanager
    def open_file(self, path: Path) -> Iterator[int]:
        """A descriptor of a regular file, to read. Raises Problem."""
        descriptor = self.open(path)
        try:
            check_regular(descriptor, path)
            yield descriptor
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def open_folder(self, path: Path) -> Iterator[Path]:
        """A folder by a path that stays the same folder, whatever is renamed. Raises Problem."""
        descriptor = self.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield Path(f"/proc/self/fd/{descriptor}")
        finally:
            os.close(descriptor)

    def parent(self, path: Path) -> Path | None:
        """The folder above, or None at the top of a data root."""
        if path in self.folders:
            return None
        return path.parent if self._below(path.parent, self.folders) else None

    def _inside(self, real: str) -> Path | None:
        """``real`` spelled below the root that it is in, or None if it is in none."""
        real_roots = [Path(os.path.realpath(folder)) for folder in self.folders]
        target = Path(real)
        for folder, root in sorted(
            zip(self.folders, real_roots, strict=True), key=lambda pair: -len(pair[1].parts)
        ):
            if target.is_relative_to(root):
                return folder / target.relative_to(root)
        return None

    @staticmethod
    def _below(path: Path, folders: Sequence[Path]) -> bool:
        return any(path.is_relative_to(folder) for folder in folders)


def check_path(given: str) -> None:
    """Refuse what cannot be the path of a file: relative, empty, too long. Raises Problem."""
    if not given.startswith("/"):
        raise Problem(
            400, "not-absolute", f"{_shorten(given)!r} is not an absolute path: it starts with /."
        )
    if "\0" in given:
        raise Problem(400, "invalid-path", "A path cannot hold a NUL byte.")
    try:
        encoded = os.fsencode(given)
    except UnicodeEncodeError as error:
        raise Problem(400, "invalid-path", "The path is not valid text.") from error
    if len(encoded) > MAX_PATH_BYTES or any(
        len(part) > MAX_NAME_BYTES for part in encoded.split(b"/")
    ):
        raise Problem(
            400,
            "name-too-long",
            f"The path {_shorten(given)} is too long: a name has at most {MAX_NAME_BYTES} bytes, "
            f"a path {MAX_PATH_BYTES}.",
        )


def check_regular(descriptor: int, path: Path) -> os.stat_result:
    """What is known of an open regular file; refuses anything else. Raises Problem."""
    status = os.fstat(descriptor)
    if stat.S_ISDIR(status.st_mode):
        raise Problem(400, "not-a-file", f"{path} is a folder, and a file is needed.")
    if not stat.S_ISREG(status.st_mode):
        raise Problem(400, "not-a-file", f"{path} is not a regular file.")
    return status


def _shorten(text: str) -> str:
    return text if len(text) <= 120 else f"{text[:80]}…{text[-30:]}"
