"""Sessions as pods on Kubernetes: the product."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, ClassVar
from uuid import uuid4

from kubernetes_asyncio.client import V1ObjectMeta, V1Pod, V1PodSpec
from kubernetes_asyncio.client.rest import ApiException
from kubespawner import KubeSpawner
from kubespawner.utils import get_k8s_model
from traitlets import Bool, Dict, Enum, Integer, List, TraitError, Unicode, default, validate

from savu_spawner._version import __version__
from savu_spawner.cluster import CONFLICT, UNREACHABLE, Pods, patiently, sentence_of, serialized
from savu_spawner.contract import DESCRIPTIONS, PROGRAMS, USER_PROGRAMS
from savu_spawner.diagnosis import (
    Record,
    end_of,
    is_on_lost_node,
    is_ready,
    not_ready,
    said_of,
    start_failure,
)
from savu_spawner.errors import RequestInvalid, SavuSpawnerError, SessionFailed
from savu_spawner.identity import Identity
from savu_spawner.pod import ContainerSettings, DataVolume, Notebook, PodSettings, session_pod
from savu_spawner.pod.labels import (
    DEFAULT_HUB_ID,
    KEEP_UNTIL,
    START,
    Owner,
    selector,
    stranger,
    valid_hub_id,
)
from savu_spawner.pod.notebook import take_apart
from savu_spawner.session import STOPPED, SessionSpawner
from savu_spawner.supervisor import ended_now
from savu_spawner.watch import Watch

LAST_WORDS_SECONDS = 5.0
"""For logs and events of a failed start; the user waits for the sentence meanwhile."""

PATIENCE_SECONDS = 3.0
"""After which a user is told that the cluster does not answer."""

RECHECK_SECONDS = 10.0
"""After which a deletion is looked at anew, should the watch have been away."""

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

    foreign_programs = Dict(
        key_trait=Enum(["api", "dataserver"]),
        value_trait=Integer(min=1, max=65535),
        help="""
        Programs whose images are not of this project, each with the TCP port that it listens on.

        For Savu's first web API (port 5000) and DAWN's data server (8080), say. They are started,
        and reached at ``api/``, ``socket.io/`` and ``data/`` by whoever the gate lets in; the page
        says what it lacks of them. Images that start as root need ``run_as = "image"``. A TCP port
        is open to whatever reaches the pod: an enforced NetworkPolicy must let nobody.

            c.SavuSpawner.foreign_programs = {"api": 5000, "dataserver": 8080}
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

    keep_failed_pods = Integer(
        0,
        min=0,
        help="""
        Minutes for which the pod of a failed start stays, for ``kubectl describe`` and ``logs``.

        It holds what it requested of the cluster meanwhile; the user's next start, or after that
        time the caretaker, removes it. 0 removes it at once: its events and last log lines are in
        the hub's log in any case. The hub's account needs the verb ``patch`` on pods for it.

            c.SavuSpawner.keep_failed_pods = 30
        """,
    ).tag(config=True)

    replace_on_lost_node = Bool(
        False,
        help="""
        Whether a new session may start while the last one is on a machine that does not answer.

        What runs on that machine nobody knows: the old session may still be writing its results.
        Off, a new one waits until the machine is back, or an administrator has removed it from the
        cluster. On, the old pod is forced out of Kubernetes' books.

            c.SavuSpawner.replace_on_lost_node = True
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

    hub_id = Unicode(
        DEFAULT_HUB_ID,
        help="""
        Which hub a pod is of: a label of every session, and all that this hub ever touches.

        Two hubs with one namespace must differ in it, or each removes the other's sessions. The
        caretaker reads it here too. Changing it orphans what runs: stop all sessions first. At
        most 63 letters, digits, ``-``, ``_`` and ``.``.

            c.SavuSpawner.hub_id = "i12"
        """,
    ).tag(config=True)

    made_by_hub = True
    """Whether :attr:`hub_id` goes into the labels; the command line's pods are no hub's."""

    # Configurable, as zero-to-jupyterhub sets it for notebooks and traitlets would warn at each
    # start of a name that is not.
    storage_pvc_ensure = Bool(
        False,
        help="""
        Always False: a session has no home volume of its own. KubeSpawner's setting is ignored.

            c.SavuSpawner.storage_pvc_ensure = False
        """,
    ).tag(config=True)

    identity: Identity | None = None
    record: Record | None = None

    reflectors: ClassVar[dict[Any, Watch]] = {}
    """Ours; KubeSpawner's own for notebooks are other ones."""

    _made: dict[str, Any] | None = None
    """The pod of this start, as the API server answered."""
    _kept: str | None = None
    """Uid of a failed pod that stays for an administrator to look at."""
    _starting = False
    _events: Watch | None = None
    _following: contextlib.ExitStack | None = None
    _telling_end: asyncio.Task[None] | None = None

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

    @validate("storage_pvc_ensure")
    def _no_home_volume(self, proposal: Any) -> bool:
        return False

    @validate("hub_id")
    def _valid_hub_id(self, proposal: Any) -> str:
        try:
            return valid_hub_id(proposal["value"])
        except ValueError as error:
            raise TraitError(str(error)) from None

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
        for note in notebook.not_applied:
            self.log.info("%s: for notebooks, not applied: %s", self._log_name, note)
        return _model(pod)

    async def poll(self) -> int | None:
        """None while the session runs; once it does not, its pod is being deleted already."""
        if self._starting:
            return None
        try:
            await asyncio.wait_for(self._start_watching_pods(), self.k8s_api_request_timeout)
        except TimeoutError:
            # Nobody knows: a session that is called dead here would be forgotten and left running.
            return None
        pod = self._pod()
        if self.record is None:
            # Without a record there was no start, or it failed; or a hub was killed during it.
            if self._made is not None or pod is None or not self._is_mine(pod):
                return 1
            self.record = Record.of(pod)
            self.audit_adopted(pod)
        self._follow_session()
        reason = self._end()
        if reason is None:
            return None
        if pod is not None and self.delete_stopped_pods:
            try:
                await self._pods.delete(self.pod_name, self.record.uid, self._grace_seconds)
            except (ApiException, *UNREACHABLE) as error:
                # Reported as running until the deletion is accepted: else nobody asks again.
                self.log.warning("%s: pod not deleted: %s", self._log_name, sentence_of(error))
                return None
        if not self.ended:
            self.ended = ended_now(reason)
            self.log.warning("%s ended: %s", self._log_name, reason)
        self.audit_end(self.ended["reason"])
        self._forget_session()
        return 1

    async def get_url(self) -> str:
        """Where the session is served; JupyterHub asks this at its own start.

        A hub that was killed during a start has not noted it, and would take the session for dead.
        """
        watch = await self._start_watching_pods()
        with contextlib.suppress(TimeoutError):
            # Of a pod that is being made; for as long as JupyterHub then waits for its answer.
            await asyncio.wait_for(watch.until(self._key, _address), self.http_timeout)
        pod = self._pod()
        return str(self._get_pod_url(pod) if _address(pod) else await super().get_url())

    def is_pod_running(self, pod: Mapping[str, Any] | None) -> bool:
        """Ready with all its containers; unlike KubeSpawner's, for any state of a pod."""
        # KubeSpawner asks this in a loop of sleeps, once nothing but this is left to wait for.
        self._made_all.set()
        return is_ready(pod)

    async def start(self) -> str:
        """Look the user up, make the pod, follow it until it is ready.

        Returns:
            The URL at which the session is served.
        """
        self.begin_saying()
        self._forget_session()
        self.identity = self.record = self._made = self._kept = None
        self._pod_made, self._made_all = asyncio.Event(), asyncio.Event()
        self._starting = True
        # A little earlier than JupyterHub's own limit, to say what is missing.
        deadline = max(1.0, self.start_timeout - 3.0)
        try:
            async with asyncio.timeout(deadline):
                pod = await self._make_and_follow()
        except BaseException as error:
            shown = self._error_of(error, deadline)
            self.audit_failed_start(
                self.reason_of(shown or error), self.identity, pod=self._started_pod()
            )
            # Also when JupyterHub gives up the start: nothing is left behind.
            await asyncio.shield(self._remove_failed())
            raise (self.translate(shown) if shown else error) from None
        finally:
            self._starting = False
        assert self.identity is not None
        self.audit_start(self.identity, pod=pod)
        self.record = Record.of(pod)
        self.ended = None
        self._follow_session()
        self.say(90, "All programs are ready; opening your session…")
        return str(self._get_pod_url(pod))

    async def stop(self, now: bool = False) -> None:
        """Delete the pod and wait until it is gone, however long the cluster is away.

        JupyterHub shows the stop as pending meanwhile, and remembers the session: a stop that gave
        up would leave a pod that nobody knows.
        """
        if self.record is not None and not self.ended:
            self.ended = ended_now(STOPPED)
        self._forget_session()
        await self._remove_earlier(1 if now else self._grace_seconds)
        self.audit_end(self.ended["reason"] if self.ended else STOPPED)

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
        self._forget_session()
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
            foreign_programs={
                program: self.foreign_programs[program]
                for program in USER_PROGRAMS
                if program in self.foreign_programs
            },
            state_dir=self._expand_user_properties(self.state_dir).rstrip("/"),
            web_port=self.port,
            hub_id=self.owner.hub_id,
        )

    @property
    def owner(self) -> Owner:
        """Whose pods are this spawner's own; others are never adopted nor deleted."""
        return Owner(self.user.name, self.name, self.hub_id if self.made_by_hub else None)

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

    async def _make_and_follow(self) -> dict[str, Any]:
        """The pod, ready."""
        making = asyncio.ensure_future(super().start())
        following = asyncio.create_task(self._follow_start())
        try:
            await asyncio.wait({making, following}, return_when=asyncio.FIRST_COMPLETED)
            if making.done():
                # Usually it failed: KubeSpawner notices later that a pod is ready.
                making.result()
            return await following
        finally:
            making.cancel()
            following.cancel()
            await asyncio.gather(making, following, return_exceptions=True)

    async def _make_create_pod_request(self, pod: V1Pod, request_timeout: float) -> bool:
        """KubeSpawner's one request for the pod, which here succeeds or raises."""
        wanted = serialized(pod)
        # Tells this start's pod, if an answer was lost on its way, from every other.
        wanted["metadata"].setdefault("annotations", {})[START] = uuid4().hex
        self._made = await self._create(wanted)
        self._pod_made.set()
        return True

    async def _create(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """The pod, made; what is left of this server's last one goes first."""
        limit = self.k8s_api_request_retry_timeout
        while True:
            try:
                return await patiently(partial(self._pods.create, wanted), limit, self._away)
            except ApiException as error:
                if error.status != CONFLICT:
                    raise
            there = await patiently(self._read_pod, limit, self._away)
            if there is None:
                continue
            if _start_of(there) == _start_of(wanted):
                return there
            self._refuse_to_replace(there)
            self.say(20, "Your previous session is still stopping; waiting for it…")
            await self._remove_earlier(0 if is_on_lost_node(there) else self._grace_seconds)

    def _refuse_to_replace(self, there: Mapping[str, Any]) -> None:
        """Raise if the pod that has this session's name is not to be deleted."""
        if why := stranger(there, self.owner):
            raise SessionFailed(
                "Your session cannot start: something else has its name on the cluster.",
                log_message=f"{why}: it is left alone",
            )
        if is_on_lost_node(there) and not self.replace_on_lost_node:
            raise SessionFailed(
                "Your previous session is on a machine that no longer answers, and may still be"
                " writing there: a new one can start once that machine is back or removed.",
                log_message=f"pod {self._key} is on a lost node:"
                " see SavuSpawner.replace_on_lost_node",
            )

    async def _follow_start(self) -> dict[str, Any]:
        """Say what Kubernetes reports, until the pod is ready and nothing else is to be made.

        Raises:
            SessionFailed: the pod will never become ready.
        """
        await self._pod_made.wait()
        assert self._made is not None
        uid = self._made["metadata"]["uid"]
        changed = asyncio.Event()
        said: set[str] = set()
        percent = 0
        watch = await self._start_watching_pods()
        async with self._watching_events(uid) as events:
            with (
                watch.listening(self._key, changed.set),
                events.listening(None, changed.set),
            ):
                while True:
                    pod = self._pod()
                    if pod is None or pod["metadata"]["uid"] != uid:
                        if watch.knows_of(self._made):
                            raise SessionFailed("Your session's pod was deleted while it started.")
                        pod = self._made
                    told = list(events.objects.values())
                    for reached, sentence in said_of(pod, told):
                        if sentence not in said:
                            said.add(sentence)
                            percent = max(percent, reached)
                            self.say(percent, sentence)
                    if is_ready(pod):
                        await self._made_all.wait()
                        return pod
                    if failure := start_failure(pod, told):
                        raise SessionFailed(failure.sentence, log_message=failure.details)
                    await changed.wait()
                    changed.clear()

    @contextlib.asynccontextmanager
    async def _watching_events(self, uid: str) -> AsyncIterator[Watch]:
        """The events of one pod, and of no other: a namespace may have ten thousands."""
        watch = Watch(
            self.api.list_namespaced_event,
            self.log,
            namespace=self.namespace,
            field_selector=f"involvedObject.uid={uid}",
        )
        watch.start()
        self._events = watch
        try:
            yield watch
        finally:
            await watch.stop()

    def _error_of(self, error: BaseException, deadline: float) -> SavuSpawnerError | None:
        """``error`` in our own terms; None for what is nobody's to read."""
        if isinstance(error, SavuSpawnerError):
            return error
        if isinstance(error, ApiException):
            sentence = sentence_of(error)
            refused = RequestInvalid if 400 <= (error.status or 500) < 500 else SessionFailed
            return refused(
                f"The cluster refused to start your session: {sentence}",
                log_message=f"{error.status} {error.reason}: {sentence}",
            )
        if isinstance(error, TimeoutError) and self._made is not None:
            missing = ", ".join(DESCRIPTIONS[program] for program in not_ready(self._started_pod()))
            return SessionFailed(
                f"Your session was not ready within {deadline:.0f} seconds."
                f" Still missing: {missing or 'an answer of the cluster'}."
            )
        if isinstance(error, UNREACHABLE):
            return SessionFailed(
                "The cluster cannot be reached at the moment. Try again in a few minutes.",
                log_message=f"the API server cannot be reached: {sentence_of(error)}",
            )
        return None

    def _away(self, error: BaseException) -> None:
        """Told of each request to the API server that will be made again."""
        self.log.info("%s: asking the cluster again: %s", self._log_name, sentence_of(error))
        if self._starting:
            self.say(15, "The cluster cannot be reached at the moment; trying again…")

    async def _remove_failed(self) -> None:
        """Keep for the log what tells why a start failed, then have its pod deleted."""
        if self._made is None:
            return
        uid = self._made["metadata"]["uid"]
        try:
            async with asyncio.timeout(LAST_WORDS_SECONDS):
                await self._log_last_words()
        except TimeoutError:
            self.log.warning("%s: the cluster gave no logs in time", self._log_name)
        if not self.delete_stopped_pods:
            return
        if self.keep_failed_pods and await self._keep_failed(uid):
            return
        with contextlib.suppress(ApiException, *UNREACHABLE):
            await self._pods.delete(self.pod_name, uid, self._grace_seconds)

    async def _keep_failed(self, uid: str) -> bool:
        """Mark the pod of a failed start as one to look at; whether that could be done."""
        until = datetime.now(UTC) + timedelta(minutes=self.keep_failed_pods)
        try:
            await self._pods.annotate(
                self.pod_name, {KEEP_UNTIL: until.isoformat(timespec="seconds")}
            )
        except (ApiException, *UNREACHABLE) as error:
            self.log.warning("%s: pod not kept: %s", self._log_name, sentence_of(error))
            return False
        self._kept = uid
        return True

    async def _log_last_words(self) -> None:
        """The pod's events and the last lines of each of its containers, in the hub's log."""
        lines = []
        if self._events is not None:
            for event in self._events.objects.values():
                lines.append(f"event {event.get('reason')}: {event.get('message')}")
        for program in PROGRAMS:
            for line in await self._pods.last_lines(self.pod_name, program):
                lines.append(f"{program}: {line}")
        if lines:
            self.log.warning("%s failed to start:\n%s", self._log_name, "\n".join(lines))

    # -- The pod ----------------------------------------------------------------------------------

    @property
    def _key(self) -> str:
        return f"{self.namespace}/{self.pod_name}"

    @property
    def _pods(self) -> Pods:
        return Pods(self.api, self.namespace, self.k8s_api_request_timeout, self.log)

    @property
    def _grace_seconds(self) -> int:
        """Never 0: that takes a pod out of the books although its programs may still run."""
        return max(1, int(self.delete_grace_period))

    def _pod(self) -> dict[str, Any] | None:
        """The pod as the watch last brought it."""
        return self.pod_reflector.objects.get(self._key) if self.pod_reflector else None

    def _started_pod(self) -> dict[str, Any] | None:
        """The pod that this start has made, as far as it is known."""
        if self._made is None:
            return None
        pod = self._pod()
        return pod if pod and self._has_uid(pod, self._made["metadata"]["uid"]) else self._made

    def _is_mine(self, pod: Mapping[str, Any]) -> bool:
        """Whether this hub made that pod, for this server of this user."""
        return not stranger(pod, self.owner)

    async def _start_watching_pods(self, replace: bool = False) -> Watch:
        """The one watch of session pods in this namespace; complete when this returns.

        KubeSpawner's, for notebooks beside sessions, is another.
        """
        key = self._get_reflector_key("pods")
        watch = self.reflectors.get(key)
        if watch is None:
            everywhere = self.enable_user_namespaces
            watch = self.reflectors[key] = Watch(
                self.api.list_pod_for_all_namespaces
                if everywhere
                else self.api.list_namespaced_pod,
                self.log,
                **({} if everywhere else {"namespace": self.namespace}),
                label_selector=selector(self.owner.hub_id),
            )
            watch.start()
        if self._starting and not watch.first_load_future.done():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(watch.loaded(), PATIENCE_SECONDS)
            if not watch.first_load_future.done():
                self.say(10, "The cluster cannot be reached at the moment; trying again…")
                await asyncio.wait_for(watch.loaded(), self.k8s_api_request_retry_timeout)
        await watch.loaded()
        return watch

    async def _start_watching_events(self, replace: bool = False) -> None:
        """Not KubeSpawner's, which keeps all events of the namespace."""

    async def _remove_earlier(self, grace_seconds: int) -> None:
        """Have this hub's pod of this name deleted, and wait until it is gone."""
        watch = await self._start_watching_pods()
        while True:
            pod = await patiently(self._read_pod, None, self._away)
            if pod is None or not self._is_mine(pod) or pod["metadata"]["uid"] == self._kept:
                return
            uid = pod["metadata"]["uid"]
            seen = self._has_uid(self._pod(), uid)
            delete = partial(self._pods.delete, self.pod_name, uid, grace_seconds)
            await patiently(delete, None, self._away)
            if not seen:
                # The watch has not brought it yet, so that its absence there says nothing.
                await asyncio.sleep(0.2)
                continue
            gone = partial(self._is_gone, uid)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(watch.until(self._key, gone), RECHECK_SECONDS)
                return

    async def _read_pod(self) -> dict[str, Any] | None:
        return await self._pods.read(self.pod_name)

    def _is_gone(self, uid: str, pod: Mapping[str, Any] | None) -> bool:
        return not self._has_uid(pod, uid)

    @staticmethod
    def _has_uid(pod: Mapping[str, Any] | None, uid: str) -> bool:
        return pod is not None and pod["metadata"]["uid"] == uid

    # -- Running and ending -----------------------------------------------------------------------

    def _end(self) -> str | None:
        """Why the session is over, by what the watch has brought; None while it lives."""
        assert self.record is not None
        pod = self._pod()
        if pod is not None and pod["metadata"]["uid"] == self.record.uid:
            self.record = self.record.observe(pod, time.time())
        return end_of(pod, self.record)

    def _follow_session(self) -> None:
        """From now on look at each change of the pod when it happens."""
        if self._following is None:
            self._following = contextlib.ExitStack()
            self._following.enter_context(
                self.pod_reflector.listening(self._key, self._session_changed)
            )

    def _forget_session(self) -> None:
        if self._following is not None:
            self._following.close()
            self._following = None

    def _session_changed(self) -> None:
        if self.record is None or self._end() is None or self._telling_end:
            return
        self._telling_end = asyncio.create_task(self._tell_end())

    async def _tell_end(self) -> None:
        """Have JupyterHub ask at once, instead of at its next poll."""
        try:
            if not self._stop_pending:
                await self.poll_and_notify()
        finally:
            self._telling_end = None


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


def _address(pod: Mapping[str, Any] | None) -> str | None:
    return pod["status"].get("podIP") if pod else None


def _start_of(pod: Mapping[str, Any]) -> str | None:
    annotation: str | None = (pod["metadata"].get("annotations") or {}).get(START)
    return annotation


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
