"""Login with the directory's password, by the settings and connections of the look-up."""

from __future__ import annotations

from typing import Any

from jupyterhub.auth import Authenticator
from tornado import web
from traitlets import Bool, Instance, TraitError, default

from savu_spawner.directory import LdapDirectory
from savu_spawner.errors import AccountError, DirectoryUnavailable, SavuSpawnerError
from savu_spawner.identity import AccountPolicy


class DirectoryAuthenticator(Authenticator):  # type: ignore[misc]
    """Logs in whoever the directory knows, with the directory's password.

    Settings of the directory are ``LdapDirectory``'s, and who may have a session is
    ``AccountPolicy``'s; JupyterHub's own settings keep their meaning. One of ``allow_all``,
    ``allowed_users`` and ``admin_users`` must let people in: without any, nobody may log in.

        c.JupyterHub.authenticator_class = "savu-ldap"
        c.Authenticator.allow_all = True

    A wrong password and an unknown name look the same to the visitor. What is wrong with an account
    is said, with ``AccountPolicy.support_contact``, to whoever knows its password.
    """

    check_account_at_login = Bool(
        True,
        help="""
        Refuse at login who could not start a session anyway, with the sentence why.

        Members of ``admin_users`` may log in nevertheless, to administer the hub: their sessions
        are refused at the start like anybody's. Set to False on a hub that also starts other
        things than sessions of Savu.

            c.DirectoryAuthenticator.check_account_at_login = False
        """,
    ).tag(config=True)

    directory = Instance(LdapDirectory, help="Where passwords are checked.")
    policy = Instance(AccountPolicy, help="Which accounts may have a session.")

    @default("directory")
    def _directory(self) -> LdapDirectory:
        return LdapDirectory.instance(parent=self.parent or self)

    @default("policy")
    def _policy(self) -> AccountPolicy:
        return AccountPolicy(parent=self)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # Here and not at the first login: a hub that can let nobody in had better not start.
        if not self.directory.may_send_passwords:
            raise TraitError(
                "c.LdapDirectory.tls is 'none', which lets everybody on the way read passwords: set"
                " it to 'ldaps' or 'start_tls', or log in by something else than the directory"
            )

    async def authenticate(self, handler: Any, data: dict[str, str]) -> dict[str, Any] | None:
        """The user, or None for a wrong name or password.

        Raises:
            tornado.web.HTTPError: 403 for an account that cannot have a session, 503 if nobody can
                tell at the moment; with the sentence that JupyterHub shows.
        """
        name = self.normalize_username(data["username"])
        try:
            if not await self.directory.check_password(name, data["password"]):
                return None
            if self.check_account_at_login and name not in self.admin_users:
                self.policy.check(await self.directory.identity(name))
        except AccountError as error:
            raise self._shown(error, name, 403) from None
        except DirectoryUnavailable as error:
            raise self._shown(error, name, 503) from None
        return {"name": name}

    def _shown(self, error: SavuSpawnerError, name: str, status: int) -> web.HTTPError:
        self.log.warning("Login of %r: %s [%s]", name[:60], error.log_message, error.reason)
        shown = web.HTTPError(status, error.reason)
        # What JupyterHub's error page shows.
        shown.jupyterhub_message = error.sentence(self.policy.support_contact)  # type: ignore[attr-defined]
        return shown
