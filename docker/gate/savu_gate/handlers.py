"""What the gate answers on its socket. Only nginx and the session's supervisor reach it.

===================== =====================================================================
path                  answers
===================== =====================================================================
``/auth/page``        for ``auth_request``: may this request have the static page? 204, 401, 403
``/auth/api``         the same for ``api``, with JupyterHub's XSRF rule
``/auth/data``        the same for ``dataserver``, with JupyterHub's XSRF rule
``/login``            after a 401, for people: a redirect to log in; without a hub, what to do
``/refused``          after a 403, for people: a page that says why
``/callback``         JupyterHub sends people back to here with a code; links lead here
``/logout``           forgets the cookie and goes on to JupyterHub's own logout, if there is one
``/ready``            401 once ``api`` answers, else 503
``/entries``          who else than the owner was here
``/internal/health``  204
===================== =====================================================================
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal
from urllib.parse import quote

from jupyterhub import __version__ as jupyterhub_version
from jupyterhub.services.auth import HubOAuthCallbackHandler, HubOAuthenticated
from jupyterhub.utils import url_path_join
from tornado.web import Application, HTTPError, RequestHandler

from savu_gate import answers
from savu_gate.activity import Activity
from savu_gate.answers import Problem
from savu_gate.asked import READING, Asked, is_cross_site, is_navigation, next_url
from savu_gate.entries import Entries
from savu_gate.hub import CodeRefused, GateOAuth, HubUnreachable, Model
from savu_gate.links import LinkAuth, Links
from savu_gate.logs import where
from savu_gate.programs import Program
from savu_gate.settings import Settings

log = logging.getLogger("savu_gate")

READY_SECONDS = 2.0

Target = Literal["page", "api", "data"]


@dataclass
class Gate:
    """What the handlers share."""

    settings: Settings
    hub: GateOAuth | LinkAuth
    api: Program
    activity: Activity | None
    """None without a hub, which would want to know."""
    entries: Entries

    def admits(self, model: Model) -> bool:
        """Whether the site lets this visitor in, whom JupyterHub would."""
        if self.settings.admit == "granted":
            return True
        return is_owner(model, self.settings.owner)


def is_owner(model: Model, owner: str) -> bool:
    return model.get("kind", "user") == "user" and model["name"] == owner


class Refused(HTTPError):
    """The answer is no, for this reason."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.status, reason=problem.title)
        self.problem = problem


class GateHandler(HubOAuthenticated, RequestHandler):
    """Base: the visitor's request as nginx tells it, and refusals in words."""

    def initialize(self, gate: Gate) -> None:
        self.gate = gate
        self.hub_auth = gate.hub
        # JupyterHub's code reads `current_user` here and there; without an answer kept here, that
        # would ask the hub synchronously and hold everybody.
        self._hub_auth_user_cache: Model | None = None
        self.asked = Asked.from_headers(self.request.headers)

    def set_default_headers(self) -> None:
        self.clear_header("Server")
        self.set_header("X-JupyterHub-Version", jupyterhub_version)
        self.set_header("Cache-Control", "no-store")

    def take_visitors_method(self) -> None:
        """From here on JupyterHub's rules see the visitor's method and ``_xsrf``, not nginx's."""
        self.request.method = self.asked.method
        self.request.arguments = {"_xsrf": self.asked.xsrf_arguments()}

    def answer(self, problem: Problem, way_on: tuple[str, str] | None = None) -> None:
        """Refuse: a page with a link for people, problem details for programs."""
        self.set_status(problem.status)
        self.set_header("X-Gate-Reason", problem.code)
        self.set_header("X-Gate-Problem", problem.as_json())
        if is_navigation(self.asked):
            self.set_header("Content-Type", "text/html; charset=utf-8")
            self.finish(problem.as_page(way_on or self.gate.hub.home))
        else:
            self.set_header("Content-Type", "application/problem+json")
            self.finish(problem.as_json())

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = kwargs.get("exc_info", (None, None, None))[1]
        if isinstance(error, Refused):
            problem = error.problem
        elif isinstance(error, HubUnreachable):
            problem = answers.HUB_UNREACHABLE
        elif status_code in (404, 405):
            problem = answers.NOT_FOUND if status_code == 404 else answers.METHOD
        else:
            problem = answers.FAULT
        self.answer(problem)

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if isinstance(value, HTTPError) and value.status_code < 500:
            return
        if isinstance(value, HubUnreachable):
            return
        name = typ.__name__ if typ else "fault"
        log.error("%s while answering %s: %s", name, self.request.path, where(tb))


class Authorise(GateHandler):
    """nginx's question about one request. 204 lets it through; 401 and 403 stop it."""

    def initialize(self, gate: Gate, target: Target) -> None:
        super().initialize(gate)
        self.target = target
        self.xsrf_failed = False

    async def get(self) -> None:
        self.take_visitors_method()
        visitor = await self.visitor()
        self.refuse_unless_admitted(visitor)
        self._hub_auth_user_cache = visitor
        if self.target == "page" and self.asked.method == "GET" and not self.by_token:
            # Issues the _xsrf cookie where it is missing: it ends with the browser, the login
            # lasts for weeks.
            _ = self.xsrf_token
        self.note_use(visitor)
        self.set_header("X-Gate-User", header_name(visitor))
        self.set_status(204)

    async def visitor(self) -> Model:
        """Who asks.

        Raises:
            Refused: nobody known (401), or known and without proof of coming from the page (403).
        """
        model: Model | None = await self.hub_auth.get_user(self, sync=False)
        if model is not None:
            return model
        if self.xsrf_failed and await self.cookie_is_good():
            raise Refused(answers.XSRF)
        raise Refused(self.gate.hub.login_needed)

    async def cookie_is_good(self) -> bool:
        token = self.hub_auth._get_token_cookie(self)
        session = self.hub_auth.get_session_id(self)
        if not token:
            return False
        return bool(await self.hub_auth.user_for_token(token, session_id=session, sync=False))

    def refuse_unless_admitted(self, visitor: Model) -> None:
        if not self.by_token and is_cross_site(self.asked):
            raise Refused(answers.CROSS_SITE)
        if not self.hub_auth.check_scopes(self.hub_auth.access_scopes, visitor):
            raise Refused(answers.NO_ACCESS)
        if not self.gate.admits(visitor):
            raise Refused(answers.NOT_OWNER)

    @property
    def by_token(self) -> bool:
        """JupyterHub's library marks requests that an API token authenticated."""
        return getattr(self, "_token_authenticated", False)

    def check_xsrf_cookie(self) -> None:
        """Called by JupyterHub's library for cookies, where its rule asks for a proof."""
        if self.target == "page" and self.asked.method in READING:
            return  # the same files for everybody, and <script type=module> cannot send a proof
        try:
            super().check_xsrf_cookie()
        except HTTPError:
            self.xsrf_failed = True
            raise

    def note_use(self, visitor: Model) -> None:
        if not is_owner(visitor, self.gate.settings.owner):
            self.gate.entries.note(visitor["name"], visitor.get("kind", "user"))
        # Our `api` tells of its own requests, and knows better which are by people.
        tells = self.target == "api" and "api" not in self.gate.settings.foreign
        if self.gate.activity and not tells and not self.asked.is_background:
            self.gate.activity.note()


def header_name(visitor: Model) -> str:
    """``X-Forwarded-User``: the name, percent-encoded where it is not ASCII; services marked."""
    name = quote(visitor["name"], safe=" !\"#$&'()*+,-./:;<=>?@[]^_`{|}~")
    return name if visitor.get("kind", "user") == "user" else f"service:{name}"


class Login(GateHandler):
    """After a 401, for people: to JupyterHub's login. Programs get the 401 from nginx."""

    def get(self) -> None:
        self.take_visitors_method()
        # JupyterHub's library notes this as the page to come back to.
        self.request.uri = next_url(self.asked.target, self.gate.settings.prefix)
        self.redirect(self.get_login_url())


class ExplainRefusal(GateHandler):
    """After a 403 of this gate: why. A 403 that nginx gave by itself is of no interest: 404."""

    def get(self) -> None:
        reason = self.request.headers.get("X-Gate-Reason", "")
        self.answer(answers.REFUSALS.get(reason, answers.NOT_FOUND))


class Callback(GateHandler, HubOAuthCallbackHandler):
    """JupyterHub's own end of a login."""

    async def get(self) -> None:
        self._hub_auth_user_cache = await self.hub_auth.get_user(self, sync=False)
        try:
            await super().get()
        except HubUnreachable:
            raise
        except HTTPError as error:
            if isinstance(error, CodeRefused) or error.status_code < 500:
                self.answer(answers.LOGIN_FAILED, ("Open the session", self.gate.settings.prefix))
            else:
                raise HubUnreachable from error


class Logout(GateHandler):
    def get(self) -> None:
        self.hub_auth.clear_cookie(self)
        self.redirect(self.hub_auth.hub_host + url_path_join(self.hub_auth.hub_prefix, "logout"))


class LinkNeeded(GateHandler):
    """Without a hub, after a 401, for people: there is nowhere to log in."""

    def get(self) -> None:
        self.answer(answers.LINK_NEEDED)


class UseLink(GateHandler):
    """A link, exchanged for the cookie that opens the session."""

    def initialize(self, gate: Gate, auth: LinkAuth, links: Links) -> None:
        super().initialize(gate)
        self.auth = auth
        self.links = links

    def get(self) -> None:
        # A browser that looks ahead must not use up the link before its owner follows it.
        looks_ahead = self.request.headers.get("Sec-Purpose", "").startswith("prefetch")
        given = self.get_query_arguments("link")
        if self.asked.method != "GET" or looks_ahead or len(given) != 1:
            raise Refused(answers.LINK_REFUSED)
        if not self.links.use(given[0]):
            raise Refused(answers.LINK_REFUSED)
        self.auth.set_cookie(self, self.auth.new_pass())
        log.info("entered with a link")
        self.redirect(self.gate.settings.prefix)


class Leave(GateHandler):
    """Without a hub: this browser forgets the session."""

    def get(self) -> None:
        self.hub_auth.clear_cookie(self)
        self.answer(answers.LEFT)


class Ready(GateHandler):
    """Asked by JupyterHub after a start; anything below 500 means ready.

    Not 200, as it is for anybody: the proxy counts answers of that kind as use.
    """

    async def get(self) -> None:
        try:
            answer = await self.gate.api.get("/internal/health", READY_SECONDS)
            # One of other making does not know that path, and is ready if it says so.
            foreign = "api" in self.gate.settings.foreign
            ready = answer.code == 204 or (foreign and answer.code < 500)
        except Exception:
            ready = False
        self.set_status(401 if ready else 503)


class ShowEntries(GateHandler):
    """``{"admit": "owner" or "granted", "foreign": […], "entries": [{name, kind, first, last}]}``.

    Entries are those of others than the owner, newest first.
    """

    def get(self) -> None:
        self.finish(
            {
                "admit": self.gate.settings.admit,
                "foreign": sorted(self.gate.settings.foreign),
                "entries": [
                    {
                        "name": entry.name,
                        "kind": entry.kind,
                        "first": entry.first.isoformat(),
                        "last": entry.last.isoformat(),
                    }
                    for entry in self.gate.entries.newest_first()
                ],
            }
        )


class Health(GateHandler):
    def get(self) -> None:
        self.set_status(204)


class Nothing(GateHandler):
    def prepare(self) -> None:
        raise HTTPError(404)


def application(gate: Gate) -> Application:
    shared = {"gate": gate}
    return Application(
        [
            *(
                (f"/auth/{target}", Authorise, {"gate": gate, "target": target})
                for target in ("page", "api", "data")
            ),
            *entrance(gate),
            ("/refused", ExplainRefusal, shared),
            ("/ready", Ready, shared),
            ("/entries", ShowEntries, shared),
            ("/internal/health", Health, shared),
        ],
        default_handler_class=Nothing,
        default_handler_args=shared,
        cookie_secret=gate.hub.cookie_secret(),
        xsrf_cookie_kwargs=cookie_options(gate.settings),
        log_function=lambda handler: None,
    )


def entrance(gate: Gate) -> list[tuple[Any, ...]]:
    """How people come in and leave: through a hub, or with a link."""
    shared = {"gate": gate}
    if isinstance(gate.hub, LinkAuth):
        links = {**shared, "auth": gate.hub, "links": Links(gate.settings.link_key)}
        return [
            ("/login", LinkNeeded, shared),
            ("/callback", UseLink, links),
            ("/logout", Leave, shared),
        ]
    return [("/login", Login, shared), ("/callback", Callback, shared), ("/logout", Logout, shared)]


def cookie_options(settings: Settings) -> dict[str, Any]:
    """For every cookie of the gate; JupyterHub's library adds Path, HttpOnly, Secure on https."""
    return {"samesite": "Lax", **({"secure": True} if settings.https else {})}
