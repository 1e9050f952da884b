"""Sessions as pods: those with this hub's labels, in its namespace, and no others."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from logging import Logger, LoggerAdapter
from pathlib import Path
from typing import Any, TypeVar

from kubernetes_asyncio.client import ApiClient, Configuration, CoreV1Api
from kubernetes_asyncio.client.rest import ApiException
from kubernetes_asyncio.config import ConfigException, load_incluster_config, load_kube_config
from traitlets.config import Config, Configurable

from savu_spawner.audit import AuditRecord
from savu_spawner.caretaker.judgement import CannotSay, Finding, Found
from savu_spawner.cluster import UNREACHABLE, Pods, patiently, sentence_of
from savu_spawner.pod.labels import (
    DEFAULT_HUB_ID,
    KEEP_UNTIL,
    owner_of,
    selector,
    valid_hub_id,
)
from savu_spawner.spawner import SavuSpawner

Answer = TypeVar("Answer")

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")

PATIENCE_SECONDS = 10.0
"""For one request, tries included; the next sweep tries anew."""


class PodSessions:
    """This hub's pods.

    Args:
        api: a client of its own, closed by :meth:`close`.
        hub_id: whose pods these are.
        namespace: where they are; empty: anywhere (``enable_user_namespaces``).
        grace_seconds: which a pod's programs have to end.
        request_timeout: seconds that one request may take.
    """

    name = "pods"

    def __init__(
        self,
        api: CoreV1Api,
        hub_id: str,
        namespace: str,
        log: Logger | LoggerAdapter[Any],
        *,
        grace_seconds: int = 1,
        request_timeout: float = 3,
    ) -> None:
        self._api = api
        self._hub_id = hub_id
        self._namespace = namespace
        self._log = log
        self.grace_seconds = grace_seconds
        self._request_timeout = request_timeout
        self._seen: dict[str, Mapping[str, Any]] = {}

    @property
    def mend(self) -> str:
        """How an administrator ends all of them."""
        where = f"-n {self._namespace}" if self._namespace else "--all-namespaces"
        return f"kubectl delete pod {where} -l {selector(self._hub_id)}"

    async def look(self) -> list[Found]:
        """Every session pod of this hub.

        Raises:
            CannotSay: the API server did not answer, or this account may not list pods.
        """
        pods = await self._ask(partial(self._pods(self._namespace).select, selector(self._hub_id)))
        now = datetime.now(UTC)
        self._seen = {pod["metadata"]["uid"]: pod for pod in pods if self.is_ours(pod)}
        return [found_of(pod, now) for pod in self._seen.values()]

    async def remove(self, finding: Finding) -> AuditRecord | None:
        """Have exactly this pod deleted; the end of its audit trail, if the hub has not its own.

        Raises:
            CannotSay: the API server did not answer, or this account may not delete pods.
        """
        pod = self._seen[finding.found.key]
        metadata = pod["metadata"]
        delete = partial(
            self._pods(metadata["namespace"]).delete,
            metadata["name"],
            metadata["uid"],
            self.grace_seconds,
        )
        await self._ask(delete)
        if not finding.is_unknown or finding.found.session is None:
            return None
        user, server = finding.found.session
        return AuditRecord.of_pod("ended", user, server, pod, finding.why)

    async def close(self) -> None:
        """Give back the client's connections."""
        await self._api.api_client.close()  # type: ignore[attr-defined]

    def _pods(self, namespace: str) -> Pods:
        return Pods(self._api, namespace, self._request_timeout, self._log)

    def is_ours(self, pod: Mapping[str, Any]) -> bool:
        """Whether this hub made that pod, for a session."""
        # The selector has said so; a server that ignores it must not cost anybody's pod.
        owner = owner_of(pod)
        return owner is not None and owner.hub_id == self._hub_id

    async def _ask(self, request: Callable[[], Awaitable[Answer]]) -> Answer:
        try:
            return await patiently(request, PATIENCE_SECONDS, self._again)
        except (ApiException, *UNREACHABLE) as error:
            raise CannotSay(sentence_of(error)) from None

    def _again(self, error: BaseException) -> None:
        self._log.info("asking the cluster again: %s", sentence_of(error))


def found_of(pod: Mapping[str, Any], now: datetime) -> Found:
    """What a session's pod is to the caretaker."""
    metadata = pod["metadata"]
    owner = owner_of(pod)
    session = (owner.user, owner.server) if owner else None
    made = parse_time(metadata.get("creationTimestamp")) or now
    found = Found(metadata["uid"], session, (now - made).total_seconds())
    if metadata.get("deletionTimestamp"):
        return Found(found.key, session, found.age, "spared")
    until = parse_time((metadata.get("annotations") or {}).get(KEEP_UNTIL))
    if until is None:
        return found
    if now < until:
        return Found(found.key, session, found.age, "spared")
    return Found(
        found.key,
        session,
        found.age,
        "over",
        f"its start failed, and it was kept for diagnosis until {until.isoformat()}",
    )


def parse_time(text: Any) -> datetime | None:
    """RFC 3339 as Kubernetes and we write it; None for what is none."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else None


# -- From the configuration -----------------------------------------------------------------------


async def configured_pods(
    config: Config, spawner_class: type, log: Logger | LoggerAdapter[Any]
) -> PodSessions:
    """The pods that a hub with this configuration starts.

    Raises:
        ValueError: ``hub_id`` is none, or there is no cluster; the message says why.
    """

    # A spawner that starts other things too makes a SavuSpawner for each session.
    cls = spawner_class if issubclass(spawner_class, SavuSpawner) else SavuSpawner
    sections = [each for each in cls.__mro__ if issubclass(each, Configurable)]

    def configured(name: str, default: Any) -> Any:
        # As traitlets has it: the section of the most special class that sets it.
        for each in sections:
            if name in config[each.__name__]:
                return config[each.__name__][name]
        return default

    client = await _client_configuration()
    client.host = configured("k8s_api_host", "") or client.host
    client.ssl_ca_cert = configured("k8s_api_ssl_ca_cert", "") or client.ssl_ca_cert
    if (verify := configured("k8s_api_verify_ssl", None)) is not None:
        client.verify_ssl = verify
    everywhere = configured("enable_user_namespaces", False)
    return PodSessions(
        CoreV1Api(ApiClient(client)),
        valid_hub_id(configured("hub_id", DEFAULT_HUB_ID)),
        "" if everywhere else configured("namespace", own_namespace()),
        log,
        # At once would take the pod out of the books while its programs may still run.
        grace_seconds=max(1, int(configured("delete_grace_period", 1))),
        request_timeout=configured("k8s_api_request_timeout", 3),
    )


def own_namespace() -> str:
    """That of this pod, which KubeSpawner uses too; ``default`` outside of any."""
    try:
        return (SERVICE_ACCOUNT / "namespace").read_text().strip()
    except OSError:
        return "default"


async def _client_configuration() -> Configuration:
    client = Configuration()
    # JupyterHub gives its services an environment without Kubernetes' own variables.
    inside = {"KUBERNETES_SERVICE_HOST": "kubernetes.default.svc", "KUBERNETES_SERVICE_PORT": "443"}
    try:
        load_incluster_config(  # type: ignore[no-untyped-call]
            client_configuration=client, environ=inside | os.environ
        )
    except ConfigException:
        try:
            await load_kube_config(client_configuration=client)
        except ConfigException as error:
            raise ValueError(
                f"there is no cluster ({str(error).rstrip('.')}): a service of JupyterHub gets"
                " KUBECONFIG by its setting 'environment'"
            ) from None
    return client
