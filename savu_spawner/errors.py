"""What can go wrong with a session, by who can mend it.

::

    SavuSpawnerError
    ├── AccountError             this account gets no session; the directory's keepers can mend it
    │   ├── AccountNotFound          the directory has no such entry
    │   ├── AccountAmbiguous         it has several that could be meant
    │   ├── AccountIncomplete        a needed attribute is missing or absurd
    │   └── AccountRefused           the site's policy says no
    ├── DirectoryUnavailable     nobody's fault; trying again may help
    ├── RequestInvalid           the user asked for something that cannot be; the user can mend it
    └── SessionFailed            a program of the session did not start or ended; the administrator

Refused, broken and absent are different answers: nothing here is ever signalled by ``None``.
"""

from __future__ import annotations


class SavuSpawnerError(Exception):
    """Base of all; never raised itself.

    ``str(error)`` is a sentence for the user: plain words, no stack, no secret. What only the
    administrator should read goes to ``log_message``.
    """

    reason = "error"
    """Machine-readable code: in logs, metrics and JupyterHub's failure reason."""

    status_code = 500
    """HTTP status of the answer. Below 500 JupyterHub does not count the failure against itself."""

    def __init__(self, message: str, *, log_message: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.log_message = log_message or message

    def sentence(self, support_contact: str = "") -> str:
        """The message, and whom to ask if it does not help itself."""
        if not support_contact:
            return self.message
        return f"{self.message} For help, contact {support_contact}."


class AccountError(SavuSpawnerError):
    """This account cannot have a session as the directory describes it."""

    reason = "account"
    status_code = 403


class AccountNotFound(AccountError):
    """The directory answered, and has no entry of that name."""

    reason = "account-not-found"


class AccountAmbiguous(AccountError):
    """Several entries could be meant: the first is never taken."""

    reason = "account-ambiguous"


class AccountIncomplete(AccountError):
    """An attribute that decides the UNIX identity is missing, not a number or out of range."""

    reason = "account-incomplete"


class AccountRefused(AccountError):
    """The entry is sound and the site's policy refuses it."""

    reason = "account-refused"


class DirectoryUnavailable(SavuSpawnerError):
    """No server of the directory gave a usable answer in time."""

    reason = "directory-unavailable"
    # Not 5xx: five users during an outage of the directory would make JupyterHub end itself
    # (``consecutive_failure_limit`` counts server errors).
    status_code = 424


class RequestInvalid(SavuSpawnerError):
    """A server name or spawn option that cannot be; the sentence says which and why."""

    reason = "request-invalid"
    status_code = 400


class SessionFailed(SavuSpawnerError):
    """A program of the session could not be started, did not become ready, or ended."""

    reason = "session-failed"
    status_code = 500
