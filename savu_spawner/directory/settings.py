"""Where the directory is and what its entries look like: traits, checked when the hub starts."""

from __future__ import annotations

import ssl
from pathlib import Path

from traitlets import Bool, Enum, Float, Int, List, TraitError, Unicode
from traitlets.config import SingletonConfigurable

from savu_spawner.directory.connections import ServerAddress, Unusable, is_filter


class LdapSettings(SingletonConfigurable):
    """Traits of :class:`savu_spawner.directory.LdapDirectory`; configured under that name."""

    servers = List(
        Unicode(),
        help="""
        URLs of the LDAP servers, the preferred one first; the next is asked if one fails.

        ``ldaps://`` (port 636) is TLS from the start; ``ldap://`` (port 389) needs ``tls`` set to
        ``start_tls``, or to ``none``.

            c.LdapDirectory.servers = ["ldaps://ldap1.facility.example", "ldaps://ldap2.facility.example"]
        """,
    ).tag(config=True)

    tls = Enum(
        ["ldaps", "start_tls", "none"],
        "ldaps",
        help="""
        How the connection is protected; certificate and host name are always verified.

        With ``none`` anybody between hub and directory can say who a user is, user IDs included,
        and passwords would be readable: see ``allow_insecure_passwords``.

            c.LdapDirectory.tls = "start_tls"
        """,
    ).tag(config=True)

    ca_file = Unicode(
        "",
        help="""
        File (PEM) with the certificate authorities that vouch for the servers; empty for the
        machine's own. Read when the hub starts.

            c.LdapDirectory.ca_file = "/etc/ssl/certs/facility-ca.pem"
        """,
    ).tag(config=True)

    bind_dn = Unicode(
        "",
        help="""
        The account that asks, if the directory does not answer anonymous questions.

            c.LdapDirectory.bind_dn = "cn=savu-hub,ou=services,dc=facility,dc=example"
        """,
    ).tag(config=True)

    bind_password = Unicode(
        "",
        help="""
        The password of ``bind_dn``; better kept in a file, see ``bind_password_file``.

            c.LdapDirectory.bind_password = os.environ["LDAP_BIND_PASSWORD"]
        """,
    ).tag(config=True)

    bind_password_file = Unicode(
        "",
        help="""
        File whose first line is the password of ``bind_dn``, readable by the hub alone.

            c.LdapDirectory.bind_password_file = "/etc/jupyterhub/ldap-password"
        """,
    ).tag(config=True)

    allow_insecure_passwords = Bool(
        False,
        help="""
        Send passwords, of users and of ``bind_dn``, without TLS (``tls = "none"``).

        Everybody on the way can read them. For a directory on the hub's own machine.

            c.LdapDirectory.allow_insecure_passwords = True
        """,
    ).tag(config=True)

    user_base = Unicode(
        "",
        help="""
        Where the users' entries are: this entry and all below it.

            c.LdapDirectory.user_base = "ou=people,dc=facility,dc=example"
        """,
    ).tag(config=True)

    name_attribute = Unicode(
        "uid",
        help="""
        Attribute that holds the login name: ``uid`` in most directories, ``cn`` at STFC,
        ``sAMAccountName`` in Active Directory.

        The user is the one entry whose value, in lower case, is the name of the JupyterHub user.
        Several entries, or several values, are refused as ambiguous.

            c.LdapDirectory.name_attribute = "cn"
        """,
    ).tag(config=True)

    user_filter = Unicode(
        "",
        help="""
        LDAP filter that users' entries match besides, in parentheses; empty for none.

        Entries without UNIX attributes are better not excluded here: found, they are refused with
        a sentence that names the attribute; excluded, they merely do not exist.

            c.LdapDirectory.user_filter = "(objectClass=person)"
        """,
    ).tag(config=True)

    uid_attribute = Unicode(
        "uidNumber",
        help="""
        Attribute of users that holds the UNIX user ID.

            c.LdapDirectory.uid_attribute = "uidNumber"
        """,
    ).tag(config=True)

    gid_attribute = Unicode(
        "gidNumber",
        help="""
        Attribute that holds the UNIX group ID: of users their primary group's, of groups their own.

            c.LdapDirectory.gid_attribute = "gidNumber"
        """,
    ).tag(config=True)

    display_name_attributes = List(
        Unicode(),
        ["displayName", "givenName sn", "cn"],
        help="""
        Attributes that make the person's name as shown: the first that is complete.

        Several in one line are joined by spaces.

            c.LdapDirectory.display_name_attributes = ["givenName sn", "cn"]
        """,
    ).tag(config=True)

    group_base = Unicode(
        "",
        help="""
        Where the groups' entries are: this entry and all below it.

            c.LdapDirectory.group_base = "ou=group,dc=facility,dc=example"
        """,
    ).tag(config=True)

    group_filter = Unicode(
        "(objectClass=posixGroup)",
        help="""
        LDAP filter that groups' entries match, in parentheses.

        A matching group without a group ID makes the account incomplete, since a session never
        starts with some of the user's groups missing. Exclude groups that are not UNIX groups:

            c.LdapDirectory.group_filter = "(&(objectClass=group)(gidNumber=*))"
        """,
    ).tag(config=True)

    group_name_attribute = Unicode(
        "cn",
        help="""
        Attribute of groups that holds their name.

        Visits are found by these names, and the policy's groups are compared with them.

            c.LdapDirectory.group_name_attribute = "cn"
        """,
    ).tag(config=True)

    member_attribute = Unicode(
        "memberUid",
        help="""
        Attribute of groups that lists their members; see ``member_value`` for how.

        ``memberUid`` in RFC 2307, ``member`` in RFC 2307bis and Active Directory. There, groups in
        groups are followed by ``member:1.2.840.113556.1.4.1941:``.

            c.LdapDirectory.member_attribute = "member"
        """,
    ).tag(config=True)

    member_value = Enum(
        ["name", "dn"],
        "name",
        help="""
        How groups list their members: by login name, or by distinguished name.

            c.LdapDirectory.member_value = "dn"
        """,
    ).tag(config=True)

    timeout = Float(
        5.0,
        min=0.1,
        help="""
        Seconds after which a look-up, or the check of a password, is given up, whatever the
        servers do.

            c.LdapDirectory.timeout = 5
        """,
    ).tag(config=True)

    server_timeout = Float(
        1.0,
        min=0.05,
        help="""
        Seconds for which one server may keep us waiting, to connect or to answer, while there is
        another one to ask. The last one has what remains of ``timeout``.

            c.LdapDirectory.server_timeout = 1
        """,
    ).tag(config=True)

    retry_after = Float(
        30.0,
        min=0,
        help="""
        Seconds for which a server that failed is asked only if all others fail.

            c.LdapDirectory.retry_after = 30
        """,
    ).tag(config=True)

    keep_seconds = Float(
        60.0,
        min=0,
        help="""
        Seconds for which an unused connection is kept: fewer than the servers, and firewalls on
        the way, keep it.

            c.LdapDirectory.keep_seconds = 60
        """,
    ).tag(config=True)

    threads = Int(
        8,
        min=2,
        max=64,
        help="""
        Questions asked at the same time, each on a connection of its own; further ones wait.

            c.LdapDirectory.threads = 8
        """,
    ).tag(config=True)

    def checked_addresses(self) -> tuple[ServerAddress, ...]:
        """The servers' addresses, if the settings make sense.

        Raises:
            TraitError: they contradict each other or are incomplete; says which and how.
        """
        for name in ("servers", "user_base", "group_base", "name_attribute", "member_attribute"):
            if not getattr(self, name):
                raise TraitError(f"c.LdapDirectory.{name} is not set")
        if self.bind_dn and not (self.bind_password or self.bind_password_file):
            raise TraitError("c.LdapDirectory.bind_dn is set, and no password for it")
        if self.tls == "none":
            if self.bind_dn and not self.allow_insecure_passwords:
                raise TraitError(
                    "c.LdapDirectory.bind_dn would send its password readable for everybody:"
                    " set c.LdapDirectory.tls to 'start_tls' or 'ldaps'"
                )
            self.log.warning(
                "LdapDirectory.tls is 'none': anybody between here and the directory can say who a"
                " user is"
            )
        for name in ("user_filter", "group_filter"):
            text = getattr(self, name)
            if text and not is_filter(text):
                raise TraitError(
                    f"c.LdapDirectory.{name} {text!r} is not a filter like (objectClass=posixGroup)"
                )
        try:
            return tuple(ServerAddress.parse(url, self.tls) for url in self.servers)
        except ValueError as error:
            raise TraitError(f"c.LdapDirectory.servers: {error}") from None

    def tls_context(self) -> ssl.SSLContext | None:
        """How certificates are verified; None without TLS.

        Raises:
            TraitError: ``ca_file`` cannot be read.
        """
        if self.tls == "none":
            return None
        try:
            return ssl.create_default_context(cafile=self.ca_file or None)
        except OSError as error:
            raise TraitError(f"c.LdapDirectory.ca_file {self.ca_file!r}: {error}") from None

    @property
    def may_send_passwords(self) -> bool:
        """Whether users' passwords can be checked without everybody on the way reading them."""
        return self.tls != "none" or self.allow_insecure_passwords

    def service_password(self) -> str:
        """The password of ``bind_dn``, read anew each time so that it can be changed.

        Raises:
            Unusable: its file cannot be read.
        """
        if self.bind_password:
            return self.bind_password
        try:
            lines = Path(self.bind_password_file).read_text().splitlines()
        except OSError as error:
            raise Unusable(f"LdapDirectory.bind_password_file: {error}", down=False) from None
        return lines[0] if lines else ""
