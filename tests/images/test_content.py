"""What is in the images, and what is not."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from dev.images.catalogue import version
from tests.images.conftest import Built

INSTALLERS_AND_COMPILERS = re.compile(
    r"(pip|npm|npx|yarn|gcc|g\+\+|cc|c\+\+|clang|make|ld|as|patchelf)[0-9.-]*"
)
SETTINGS = ("etc/pip.conf", "root/.config/pip", "root/.pip", "root/.npmrc", "usr/local/etc/npmrc")
VARIABLES = re.compile(r".*(PROXY|PIP|NPM|CERT|TOKEN|PASSWORD|SECRET)", re.I)


def test_the_user_is_a_number_and_not_root(image: Built) -> None:
    """A name could not be judged by runAsNonRoot."""
    uid, gid = image.configuration["User"].split(":")
    assert int(uid) > 0
    assert int(gid) > 0


def test_labels_say_what_it_is(image: Built) -> None:
    labels = image.configuration["Labels"]
    prefix = "org.opencontainers.image."
    assert labels[prefix + "title"] == f"savu-{image.name}"
    assert labels[prefix + "version"] == version()
    assert labels[prefix + "licenses"] == "BSD-3-Clause"
    assert re.fullmatch(r"[0-9a-f]{40}(-changed)?", labels[prefix + "revision"])
    assert labels[prefix + "description"]


def test_no_program_gains_rights(image: Built) -> None:
    """``allowPrivilegeEscalation: false`` is not all that keeps them from it."""
    found = [str(path) for path, state in files(image) if state.st_mode & 0o6000]
    assert found == []


def test_no_installer_and_no_compiler_is_in_it(image: Built) -> None:
    programs = {
        str(path)
        for path, state in files(image)
        if state.st_mode & 0o111 and INSTALLERS_AND_COMPILERS.fullmatch(path.name)
    }
    assert programs == set()
    packages = [str(path) for path in image.files.rglob("*-packages/pip")]
    assert packages == []


def test_nothing_of_the_machine_that_built_it_is_in_it(image: Built) -> None:
    """Neither where it takes packages from, nor whom it trusts, nor how it reaches others."""
    for name in SETTINGS:
        assert not (image.files / name).exists()
    assert list((image.files / "run").glob("build/*")) == []
    assert not any(VARIABLES.fullmatch(name) for name in image.environment)
    assert list((image.files / "usr/local/share/ca-certificates").glob("*")) == []
    own = {path.name for path in Path("/usr/local/share/ca-certificates").rglob("*.crt")}
    bundle = image.files / "etc/ssl/certs/ca-certificates.crt"
    if own and bundle.exists():
        trusted = certificates(bundle)
        for path in Path("/usr/local/share/ca-certificates").rglob("*.crt"):
            assert not certificates(path) & trusted, path.name


def test_modules_are_compiled(image: Built) -> None:
    """The root file system is read-only: what is not compiled now is compiled at every start."""
    sources = list((image.files / "opt/savu").glob("lib/python3*/site-packages/savu_*/*.py"))
    if image.name in ("proxy", "directory"):
        assert sources == []
        return
    assert sources
    for source in sources:
        compiled = list((source.parent / "__pycache__").glob(f"{source.stem}.*.pyc"))
        assert compiled, source
        # Bytes 8 to 12 are the source's time as the compiler saw it.
        recorded = int.from_bytes(compiled[0].read_bytes()[8:12], "little")
        assert recorded == int(source.stat().st_mtime), source


def test_how_large_they_are(images: dict[str, Built]) -> None:
    """For people to read (``pytest -rP``): apparent sizes, and what of it is our own part."""
    for name, image in images.items():
        total = sum(state.st_size for _, state in files(image))
        own = sum(
            path.lstat().st_size
            for path in (image.files / "opt").rglob("*")
            if stat.S_ISREG(path.lstat().st_mode)
        )
        print(f"{name:<11} {total / 1e6:6.0f} MB, of it in /opt {own / 1e6:6.0f} MB")
        assert total > own > 0


def files(image: Built) -> Iterator[tuple[Path, os.stat_result]]:
    """Every regular file of an image: path in it, and status."""
    for folder, _, names in os.walk(image.files):
        for name in names:
            path = Path(folder) / name
            state = path.lstat()
            if stat.S_ISREG(state.st_mode):
                yield path.relative_to(image.files), state


def certificates(bundle: Path) -> set[str]:
    text = bundle.read_text(errors="replace")
    pattern = r"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----"
    return {re.sub(r"\s", "", found) for found in re.findall(pattern, text, re.S)}
