"""The line about each start and end of a session."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from typing import Any

import pytest

from savu_spawner import audit
from savu_spawner.audit import AuditRecord, identity_of, images_of
from tests.support.identities import ADA

POD: dict[str, Any] = {
    "metadata": {"name": "jupyter-ada", "uid": "5f1c"},
    "spec": {
        "securityContext": {
            "runAsUser": 37001,
            "runAsGroup": 37001,
            "supplementalGroups": [41001, 41002],
        },
        "containers": [
            {"name": "web", "image": "savu-web:1"},
            {"name": "api", "image": "savu-api:1", "env": [{"name": "PUID", "value": "37001"}]},
        ],
    },
    "status": {
        "containerStatuses": [
            {"name": "web", "imageID": "registry.example/savu-web@sha256:0a"},
            {"name": "api", "imageID": ""},
        ]
    },
}


def written(caplog: pytest.LogCaptureFixture, record: AuditRecord) -> dict[str, Any]:
    with caplog.at_level(logging.INFO, audit.LOGGER):
        audit.write(record)
    [line] = caplog.messages
    return dict(json.loads(line)["audit"])


def test_a_start_says_who_as_whom_with_which_images(caplog: pytest.LogCaptureFixture) -> None:
    line = written(caplog, AuditRecord.of("started", "ada", "second", ADA, pod=POD))
    assert line.pop("when").endswith("+00:00")
    assert line == {
        "event": "started",
        "user": "ada",
        "server": "second",
        "uid": 37001,
        "gid": 37001,
        "supplementary_gids": [41001, 41002],
        "images": {"web": "registry.example/savu-web@sha256:0a", "api": "savu-api:1"},
        "instance": "5f1c",
        "reason": "",
    }


def test_an_end_repeats_what_its_start_said(caplog: pytest.LogCaptureFixture) -> None:
    start = AuditRecord.of("started", "ada", "", ADA, pod=POD)
    kept = AuditRecord.from_state(json.loads(json.dumps(start.to_state())))
    line = written(caplog, kept.ended("The pod was evicted."))
    assert (line["event"], line["reason"]) == ("ended", "The pod was evicted.")
    assert (line["uid"], line["instance"]) == (37001, "5f1c")


def test_a_start_that_was_refused_has_no_identity(caplog: pytest.LogCaptureFixture) -> None:
    line = written(caplog, AuditRecord.of("start-failed", "eve", "", None, reason="account: no"))
    assert (line["uid"], line["gid"], line["images"], line["instance"]) == (None, None, {}, "")


def test_a_pod_itself_says_as_whom_it_runs() -> None:
    assert identity_of(POD) == (37001, 37001, (41001, 41002))
    starting_as_root = {"spec": {**POD["spec"], "securityContext": {}}}
    assert identity_of(starting_as_root) == (37001, None, ())
    record = AuditRecord.of_pod("ended", "ada", "", POD, "no server of this hub owns it")
    assert (record.uid, record.instance) == (37001, "5f1c")


def test_images_of_a_pod_that_never_ran_are_those_configured() -> None:
    assert images_of({"spec": POD["spec"]}) == {"web": "savu-web:1", "api": "savu-api:1"}


def test_a_name_cannot_write_a_line_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    forged = '\n{"audit": {"user": "root"}}'
    line = written(caplog, AuditRecord.of("start-failed", forged, "", None))
    assert line["user"] == forged


def test_without_any_configuration_the_line_is_on_standard_error() -> None:
    code = (
        "from savu_spawner import audit\n"
        "audit.write(audit.AuditRecord.of('started', 'ada', '', None))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    [line] = run.stderr.splitlines()
    assert json.loads(line)["audit"]["user"] == "ada"
