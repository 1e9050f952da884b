"""Sessions as pods on Kubernetes: the product."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any

import aiohttp
from kubernetes_asyncio.client import (
    ApiClient,
    V1DeleteOptions,
    V1ObjectMeta,
    V1Pod,
    V1PodSpec,
    V1Preconditions,
)
from kubernetes_asyncio.client.rest import ApiException
from kubespawner import KubeSpawner
from kubespawner.utils import get_k8s_model
from traitlets import Bool, Dict, Enum, Integer, List, Unicode, default

from savu_spawner._version import __version__
from savu_spawner.contract import DESCRIPTIONS, PROGRAMS
from savu_spawner.diagnosis import (
    Record,
    end_of,
    is_ready,
    not_ready,
    said_of,
    start_failure,
)
from savu_spawner.errors import RequestInvalid, SavuSpawnerError, SessionFailed
from savu_spawner.identity import Identity
from savu_spawner.pod import ContainerSettings, DataVolume, Notebook, PodSettings, session_pod
from savu_spawner.pod.notebook import take_apart
from savu_spawner.session import STOPPED, SessionSpawner, SpawnLog
from savu_spawner.supervisor import ended_now

NOT_SET_UP = "This hub is not set up to start sessions."


class SavuSpawner(SessionSpawner, KubeSpawner):  # type: ignore[misc]
    """Starts a session as a pod of four containers, with the identity that the directory describes.

    A KubeSpawner in all that is not said here: namespace, names and labels, placement, profiles.
    What KubeSpawner gives a notebook's container goes to ``api``, which runs what users write;
    what JupyterHub gives it, the token above all, to ``gate``.

    Sites specialise it, in order of preference, by traits (a profile may set any of them, the four
    images together), by callable values of KubeSpawner's traits, or by a subclass that overrides
    :meth:`session_settings` or :meth:`pod_settings`.
    """

    web_image = Unicode(
        help="""
        Image of ``web``: nginx and the page. It holds no secret and no data volume.

            c.SavuSpawner.web_image = "registry.facility.example/savu-web:1.0"
        """,
    ).tag(config=True)

    gate_image = Unicode(
        help="""
        Image of ``gate``, which asks JupyterHub who each request is from.

            c.SavuSpawner.gate_image = "registry.facility.example/savu-gate:1.0"
        """,
    ).tag(config=True)

    dataserver_image = Unicode(
        help="""
        Image of ``dataserver``. That of ``api`` is KubeSpawner's ``image``.

            c.SavuSpawner.dataserver_image = "registry.facility.example/savu-dataserver:1.0"
        """,
    ).tag(config=True)

    program_resources = Dict(
        key_trait=Enum(["web", "gate", "dataserver"]),
        value_trait=Dict(),
        help="""
        Requests and limits of ``web``, ``gate`` and ``dataserver``; those of ``api`` are
        KubeSpawner's ``mem_limit``, ``cpu_guarantee`` and so on.

        A gate that is killed for memory ends the session: give it 128 MiB at least.

            c.SavuSpawner.program_resources: dict[str, Mapping[str, Any]] = {
                "dataserver": {"requests": {"memory": "256Mi"}, "limits": {"memory": "2Gi"}},
            }
        """,
    ).tag(config=True)

    data_volumes = List(
        Dict(),
        help="""
        The facility's data: read-write in ``api``, read-only in ``dataserver``, nowhere else.

        Each with ``mountPath``, the facility's own path, and ``volume``, any Kubernetes volume
        source. ``mountPropagation: HostToContainer`` where an automounter adds to the tree later;
        ``subPath`` for a part of the volume (not on NFS that maps root to nobody: Kubernetes
        looks for it as root).

            c.SavuSpawner.data_volumes = [
                {
                    "mountPath": "/dls",
                    "volume": {"hostPath": {"path": "/dls", "type": "Directory"}},
                    "mountPropagation": "HostToContainer",
                },
            ]
        """,
    ).tag(config=True)

    state_dir = Unicode(
        "",
        help="""
        Where a user's list of jobs is kept between sessions, inside one of ``data_volumes``.

        ``{username}`` and ``{servername}`` are replaced, as in KubeSpawner's templates; the folder
        is made with the user's own permissions. Empty: in the pod, and the list ends with it
        (results and their logs stay).

            c.SavuSpawner.state_dir = "/home/{username}/.local/state/savu/{servername}"
        """,
    ).tag(config=True)

    run_as = Enum(
        ["user", "image"],
        "user",
        help="""
        Who takes the user's identity.

        ``user``: Kubernetes does, and every process has it from its start. ``image``: ``api`` and
        ``dataserver`` start as root, and their images change to ``PUID`` and ``PGID``; for images
        that cannot do otherwise. They then need capabilities, may not have the user's
        supplementary groups, and are refused by the restricted pod security standard.

            c.SavuSpawner.run_as = "image"
        """,
    ).tag(config=True)

    service_uid = Integer(
        64180,
        min=1,
        help="""
        User ID of ``web`` and ``gate``; it must be nobody's, in the directory and on any file.

            c.SavuSpawner.service_uid = 64180
        """,
    ).tag(config=True)

    service_gid = Integer(
        64180,
        min=1,
        help="""
        Group ID of ``web`` and ``gate``; it must be nobody's, in the directory and on any file.

            c.SavuSpawner.service_gid = 64180
        """,
    ).tag(config=True)

    supplemental_groups_policy = Enum(
        ["", "Strict", "Merge"],
        "",
        help="""
        Whether groups from an image's ``/etc/group`` are added to the user's.

        ``Strict`` adds none, and is the safe choice: it needs Kubernetes 1.33 and machines whose
        container runtime supports it (containerd 2.0), on others pods fail. Empty leaves it to
        Kubernetes, which merges.

            c.SavuSpawner.supplemental_groups_policy = "Strict"
        """,
    ).tag(config=True)

    storage_pvc_ensure = Bool(
        False, help="Not used: a session has no home volume. KubeSpawner's setting is ignored."
    )

    identity: Identity | None = None
    record: Record | None = None

    _earlier_pod: str | None = None
    """Uid of the pod of this name that was there before this start's ("" if none was); None until
    this start is about to make its own."""

    # -- Defaults ---------------------------------------------------------------------------------

    @default("image")
    def _image(self) -> str:
        return f"savu-api:{__version__}"

    @default("web_image")
    def _web_image(self) -> str:
        return f"savu-web:{__version__}"

    @default("gate_image")
    def _gate_image(self) -> str:
        return f"savu-gate:{__version__}"

    @default("dataserver_image")
    def _dataserver_image(self) -> str:
        return f"savu-dataserver:{__version__}"

    @default("data_roots")
    def _data_roots(self) -> list[str]:
        return [volume.mount_path for volume in self._parsed_data_volumes()]

    @default("mem_guarantee")
    def _mem_guarantee(self) -> str:
        return "1G"

    @default("mem_limit")
    def _mem_limit(self) -> str:
        return "8G"

    @default("cpu_guarantee")
    def _cpu_guarantee(self) -> float:
        return 0.5

    @default("cpu_limit")
    def _cpu_limit(self) -> float:
        return 4.0

    @default("start_timeout")
    def _start_timeout(self) -> int:
        # The first session on a machine waits for its images.
        return 300

    @default("poll_interval")
    def _poll_interval(self) -> int:
        # poll reads what the watch has brought, and asks nobody.
        return 10

    # -- Hooks of KubeSpawner ---------------------------------------------------------------------

    async def load_user_options(self) -> None:
        """The chosen profile, then the one look-up of this start."""
        try:
            await super().load_user_options()
        except ValueError as error:
            raise RequestInvalid(str(error)) from None
        self.identity = await self.look_up()

    async def get_pod_manifest(self) -> V1Pod:
        """KubeSpawner's pod with its container ``notebook`` dissolved into a session's four.

        Raises:
            SessionFailed: what is configured cannot make a safe session.
        """
        if self.identity is None:
            raise SessionFailed(NOT_SET_UP, log_message="the user was not looked up")
        try:
            self._refuse_configured_identity()
            made = serialized(await super().get_pod_manifest())
            notebook = take_apart(made, frozenset(self.environment), self.pvc_name)
            pod = session_pod(
                self.identity, self.session_settings(), self.pod_settings(notebook), notebook
            )
        except ValueError as error:
            raise SessionFailed(NOT_SET_UP, log_message=str(error)) from None
        earlier = self._pod()
        self._earlier_pod = earlier["metadata"]["uid"] if earlier else ""
        for note in notebook.not_applied:
            self.log.info("%s: for notebooks, not applied: %s", self._log_name, note)
        return _model(pod)

    async def poll(self) -> int | None:
        """None while the session runs; once it does not, its pod is being deleted already."""
        if self.record is None:
            return await self._poll_kubespawner()
        await self._start_watching_pods()
        pod = self._pod()
        if pod is not None and pod["metadata"]["uid"] == self.record.uid:
            self.record = self.record.observe(pod, time.time())
        reason = end_of(pod, self.record)
        if reason is None:
            return await self._poll_kubespawner()
        if pod is not None and self.delete_stopped_pods and not await self._delete_pod(pod):
            # Reported as running until the deletion is accepted: else nobody would ask again.
            return None
        if not self.ended:
            self.ended = ended_now(reason)
            self.log.warning("%s ended: %s", self._log_name, reason)
        return 1

    def is_pod_running(self, pod: Mapping[str, Any] | None) -> bool:
        """Ready with all its containers; unlike KubeSpawner's, for any state of a pod."""
        return is_ready(pod)

    async def start(self) -> str:
        """Look the user up, make the pod, follow it until it is ready.

        Returns:
            The URL at which the session is served.
        """
        self.spawn_log = SpawnLog()
        self.record = self._earlier_pod = None
        # A little earlier than JupyterHub's own limit, to say what is missing.
        deadline = max(1.0, self.start_timeout - 3.0)
        starting = asyncio.ensure_future(super().start())
        following = asyncio.create_task(self._follow_start())
        try:
            async with asyncio.timeout(deadline):
                await asyncio.wait({starting, following}, return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                raise following.exception() or SessionFailed("Your session did not start.")
            url = str(starting.result())
        except BaseException as error:
            shown = self._error_of(error, deadline)
            await self._remove_failed()
            raise (self.translate(shown) if shown else error) from None
        finally:
            starting.cancel()
            following.cancel()
            await asyncio.gather(starting, following, return_exceptions=True)
        pod = self._pod()
        if pod is not None:
            self.record = Record.of(pod)
        self.ended = None
        self.say(90, "All programs are ready; opening your session…")
        return url

    async def stop(self, now: bool = False) -> None:
        """Delete the pod and wait until it is gone."""
        if self.record is not None and not self.ended:
            self.ended = ended_now(STOPPED)
        await super().stop(now)

    def get_state(self) -> dict[str, Any]:
        state = super().get_state()
        if self.record is not None:
            state["record"] = self.record.to_state()
        return state

    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        if "record" in state:
            self.record = Record.from_state(state["record"])

    def clear_state(self) -> None:
        super().clear_state()
        self.record = None

    # -- From traits to values --------------------------------------------------------------------

    def pod_settings(self, notebook: Notebook) -> PodSettings:
        """What the traits say about the pod.

        Raises:
            ValueError: a data volume is not described as it must be.
        """
        images = {
            "web": self.web_image,
            "gate": self.gate_image,
            "api": self._api_image(),
            "dataserver": self.dataserver_image,
        }
        resources: dict[str, Mapping[str, Any]] = {
            **DEFAULT_RESOURCES,
            **self.program_resources,
            "api": notebook.resources,
        }
        return PodSettings(
            containers={
                program: ContainerSettings(
                    images[program], resources[program], self.image_pull_policy or ""
                )
                for program in PROGRAMS
            },
            data_volumes=tuple(self._parsed_data_volumes()),
            service_uid=self.service_uid,
            service_gid=self.service_gid,
            run_as="image" if self.run_as == "image" else "user",
            supplemental_groups_policy=self.supplemental_groups_policy,
            state_dir=self._expand_user_properties(self.state_dir).rstrip("/"),
            web_port=self.port,
        )

    def _api_image(self) -> str:
        """``image``, unless it is that of notebooks, which zero-to-jupyterhub always sets."""
        ours = any(
            "image" in self.config[each.__name__]
            for each in type(self).__mro__
            if issubclass(each, SavuSpawner)
        )
        if ours or self.image != self.config.KubeSpawner.get("image"):
            return str(self.image)
        self.log.info(
            "%s: for notebooks, not applied: image %s: set c.SavuSpawner.image",
            self._log_name,
            self.image,
        )
        return self._image()

    def contradictions(self) -> list[str]:
        """Settings that are refused, a sentence each: only the directory decides who a user is."""
        sentences = []
        for name in ("uid", "gid", "supplemental_gids"):
            value = getattr(self, name)
            # zero-to-jupyterhub sets c.KubeSpawner.uid for every notebook: that is not for us.
            if value not in (None, [], self.config.KubeSpawner.get(name)):
                sentences.append(f"c.{type(self).__name__}.{name} is set: the directory decides")
        for name in ("privileged", "allow_privilege_escalation", "internal_ssl"):
            if getattr(self, name):
                sentences.append(f"{name} is set, which sessions cannot have")
        return sentences

    def _refuse_configured_identity(self) -> None:
        if sentences := self.contradictions():
            raise ValueError("; ".join(sentences))

    def _parsed_data_volumes(self) -> list[DataVolume]:
        return [DataVolume.parse(described) for described in self.data_volumes]

    # -- Starting ---------------------------------------------------------------------------------

    async def _follow_start(self) -> None:
        """Say what Kubernetes reports, until a start that cannot succeed ends this.

        Raises:
            SessionFailed: the pod will never become ready.
        """
        said: set[str] = set()
        percent = 0
        while True:
            if pod := self._started_pod():
                for reached, sentence in said_of(pod, self.events):
                    if sentence not in said:
                        said.add(sentence)
                        percent = max(percent, reached)
                        self.say(percent, sentence)
                if failure := start_failure(pod):
                    sentence, details = failure
                    raise SessionFailed(sentence, log_message=details)
            await asyncio.sleep(0.5)

    def _error_of(self, error: BaseException, deadline: float) -> SavuSpawnerError | None:
        """``error`` in our own terms; None for what is nobody's to read."""
        if isinstance(error, SavuSpawnerError):
            return error
        if isinstance(error, ApiException):
            sentence = _sentence(error)
            refused = RequestInvalid if 400 <= (error.status or 500) < 500 else SessionFailed
            return refused(
                f"The cluster refused to start your session: {sentence}",
                log_message=f"{error.status} {error.reason}: {sentence}",
            )
        if isinstance(error, (aiohttp.ClientError, ConnectionError)):
            return SessionFailed(
                "The cluster cannot be reached at the moment. Try again in a few minutes.",
                log_message=f"the API server cannot be reached: {error}",
            )
        if isinstance(error, TimeoutError):
            missing = ", ".join(DESCRIPTIONS[program] for program in not_ready(self._pod()))
            return SessionFailed(
                f"Your session was not ready within {deadline:.0f} seconds."
                f" Still missing: {missing or 'an answer of the cluster'}."
            )
        return None

    async def _remove_failed(self) -> None:
        """Ask for the deletion of what a failed start has made."""
        pod = self._started_pod()
        if pod is not None and self.delete_stopped_pods:
            await self._delete_pod(pod)

    # -- The pod ----------------------------------------------------------------------------------

    def _pod(self) -> dict[str, Any] | None:
        """The pod as the watch last brought it."""
        if self.pod_reflector is None:
            return None
        pod: dict[str, Any] | None = self.pod_reflector.pods.get(
            f"{self.namespace}/{self.pod_name}"
        )
        return pod

    def _started_pod(self) -> dict[str, Any] | None:
        """The pod that this start has made: not an earlier one of the same name."""
        pod = self._pod()
        if pod is None or self._earlier_pod in (None, pod["metadata"]["uid"]):
            return None
        return pod

    async def _poll_kubespawner(self) -> int | None:
        code: int | None = await super().poll()
        return code

    async def _delete_pod(self, pod: Mapping[str, Any]) -> bool:
        """Whether Kubernetes has accepted the deletion of exactly this pod, or it is gone."""
        options = V1DeleteOptions(
            grace_period_seconds=self.delete_grace_period,
            preconditions=V1Preconditions(uid=pod["metadata"]["uid"]),
        )
        try:
            await asyncio.wait_for(
                self.api.delete_namespaced_pod(
                    pod["metadata"]["name"], self.namespace, body=options
                ),
                self.k8s_api_request_timeout,
            )
        except ApiException as error:
            if error.status in (404, 409):
                return True
            self.log.warning("%s: pod not deleted: %s", self._log_name, _sentence(error))
            return False
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            self.log.warning("%s: pod not deleted: %s", self._log_name, error)
            return False
        return True


DEFAULT_RESOURCES: Mapping[str, Mapping[str, Any]] = {
    "web": {
        "requests": {"cpu": "20m", "memory": "32Mi"},
        "limits": {"cpu": "1", "memory": "128Mi"},
    },
    "gate": {
        "requests": {"cpu": "20m", "memory": "128Mi"},
        "limits": {"cpu": "1", "memory": "256Mi"},
    },
    "dataserver": {
        "requests": {"cpu": "100m", "memory": "256Mi"},
        "limits": {"cpu": "2", "memory": "2Gi"},
    },
}


def serialized(pod: V1Pod) -> dict[str, Any]:
    """A pod as JSON has it, without what is not set."""
    made: dict[str, Any] = _serializer().sanitize_for_serialization(pod)
    return made


def _serializer() -> ApiClient:
    # Nothing but its rules for JSON is used: a real one would open a connection pool.
    return ApiClient.__new__(ApiClient)


def _model(pod: Mapping[str, Any]) -> V1Pod:
    """A pod as KubeSpawner and a site's ``modify_pod_hook`` expect it.

    Containers stay plain dicts of the API: a client's models would lose what is newer than they.
    """
    return V1Pod(
        api_version=pod["apiVersion"],
        kind=pod["kind"],
        metadata=get_k8s_model(V1ObjectMeta, pod["metadata"]),
        spec=get_k8s_model(V1PodSpec, pod["spec"]),
    )


def _sentence(error: ApiException) -> str:
    """The API server's own words."""
    try:
        return str(json.loads(error.body or "")["message"])
    except (TypeError, ValueError, KeyError):
        return str(error.reason)
