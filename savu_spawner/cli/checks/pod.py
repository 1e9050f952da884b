"""Whether pods can be made of the configuration, and what they will not give."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from savu_spawner.cli.checks.finding import Finding
from savu_spawner.errors import SavuSpawnerError
from savu_spawner.identity import Identity
from savu_spawner.spawner import SavuSpawner


async def check_pod(spawner: SavuSpawner, identity: Identity | None) -> list[Finding]:
    """Whether a pod can be made of the configuration, and what it will not give."""
    if identity is None:
        sentences = spawner.contradictions()
        return [Finding("FAIL", f"pod: {sentence}") for sentence in sentences] or [
            Finding("note", "pod: name a user with --user to see whether a pod can be made")
        ]
    spawner.identity = identity
    try:
        await spawner.get_pod_manifest()
    except SavuSpawnerError as error:
        return [Finding("FAIL", f"pod: {error.log_message}", "look at c.SavuSpawner")]
    return [Finding("ok", "pod: can be made"), *_notes(spawner)]


def _notes(spawner: SavuSpawner) -> Iterator[Finding]:
    if not spawner.state_dir:
        yield Finding("note", "state_dir is empty: lists of jobs end with their session")
    if spawner.run_as == "image":
        yield Finding("note", "run_as is image: refused by the restricted pod security standard")
    if spawner.foreign_programs:
        names = " and ".join(sorted(spawner.foreign_programs))
        yield Finding(
            "note",
            f"{names} of other making: their TCP ports are open to whatever reaches a pod",
            "have a NetworkPolicy enforced that lets only proxy and hub reach web's port",
        )
    for described in spawner.data_volumes:
        path, (kind,) = described["mountPath"], described["volume"]
        if kind in ("hostPath", "nfs"):
            yield Finding(
                "note", f"{path} is {kind}: the restricted pod security standard refuses it"
            )
        if described.get("mountPropagation"):
            yield Finding(
                "note",
                f"{path} has mountPropagation: what is mounted below it later is kept from"
                " dataserver's writing by file permissions alone",
            )
        if described.get("subPath") and kind == "nfs":
            yield Finding(
                "note",
                f"{path} has subPath on nfs: fails where root is mapped to nobody (root_squash),"
                " since the kubelet looks for it as root",
                "name the folder in the volume's own path",
            )


IMAGE_TRAITS = {
    "web": "web_image",
    "gate": "gate_image",
    "api": "image",
    "dataserver": "dataserver_image",
}


def check_images(spawner: SavuSpawner) -> Iterator[Finding]:
    """Whether the four images, and those of each profile, belong together."""
    images = {program: str(getattr(spawner, trait)) for program, trait in IMAGE_TRAITS.items()}
    yield coherence("images", images)
    profiles = spawner.profile_list if isinstance(spawner.profile_list, list) else []
    for profile in profiles:
        override = profile.get("kubespawner_override") or {}
        changed = {
            program: override[trait] for program, trait in IMAGE_TRAITS.items() if trait in override
        }
        if changed:
            yield coherence(f"images of profile {profile['display_name']}", images | changed)


def coherence(what: str, images: Mapping[str, str]) -> Finding:
    """Whether these images, by program, are one version of a session."""
    versions = {program: version_of(image) for program, image in images.items()}
    loose = [program for program, version in versions.items() if version in ("", "latest")]
    if loose:
        return Finding(
            "note",
            f"{what}: {', '.join(loose)} may be another image tomorrow",
            "name a tag that stays, or a digest",
        )
    tags = {version for version in versions.values() if not version.startswith("sha256:")}
    if len(tags) > 1:
        told = ", ".join(f"{program} {version}" for program, version in versions.items())
        return Finding(
            "note", f"{what}: versions differ: {told}", "set the four together, of one version"
        )
    return Finding("ok", f"{what}: {tags.pop() if tags else 'by digest'}")


def version_of(image: str) -> str:
    """Tag or digest of an image; empty if it names none."""
    name, _, digest = image.partition("@")
    if digest:
        return digest
    # A colon before a slash is a registry's port.
    found = re.search(r":([^/:]+)$", name)
    return found[1] if found else ""
