"""The passwd and group files of a session, so that ``id`` and ``ls -l`` print names.

They reach the containers from annotations of the pod, by the downward API: no object of its own
has to be made, and none can be left behind.
"""

from __future__ import annotations

import re

from savu_spawner.identity import Identity

PASSWD_ANNOTATION = "savu-spawner/passwd"
GROUP_ANNOTATION = "savu-spawner/group"

_BREAKS_A_FIELD = re.compile(r"[:,\x00-\x1f\x7f]+")


def account_files(identity: Identity, home: str) -> dict[str, str]:
    """Annotations with the text of ``/etc/passwd`` and ``/etc/group``.

    Names are for people to read: what would break out of a field is written as ``_``.
    """
    name, shown = _field(identity.name), _field(identity.display_name)
    passwd = [
        "root:x:0:0:root:/root:/sbin/nologin",
        f"{name}:x:{identity.uid}:{identity.group.gid}:{shown}:{home}:/sbin/nologin",
    ]
    group = ["root:x:0:"] + [
        f"{_field(entry.name)}:x:{entry.gid}:{name}" for entry in (identity.group, *identity.groups)
    ]
    return {
        PASSWD_ANNOTATION: "\n".join(passwd) + "\n",
        GROUP_ANNOTATION: "\n".join(group) + "\n",
    }


def _field(text: str) -> str:
    return _BREAKS_A_FIELD.sub("_", text)
