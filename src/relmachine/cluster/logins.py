"""Names and passwords of one cluster: made once, kept in a file that only its owner reads."""

from __future__ import annotations

import secrets
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from relmachine.errors import Code, RelmError
from relmachine.node.private import write_private
from relmachine.stream.accounts import LoginName

FILE_NAME = "logins.json"


def _password() -> str:
    return secrets.token_urlsafe(24)


class Login(BaseModel):
    """A user and its password. Both are safe inside a URL, inside NATS configuration and inside JSON."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    user: str
    password: str = Field(default_factory=_password, repr=False, pattern=r"^[A-Za-z0-9_-]{16,}$")

    def url(self, scheme: str, host: str, port: int) -> str:
        """The address of a server with this login in it."""
        return f"{scheme}://{self.user}:{self.password}@{host}:{port}"


class Logins(BaseModel):
    """The logins. Of NATS: `core` for nodes, `publisher` for whoever may publish steps and nothing else, `system` for
    looking at the servers, `route` for the servers among themselves. Of rqlite: `store`, for nodes, for whoever
    administers it, and for the servers among themselves. Of Dapr, which takes a password alone: `sidecar` for nodes at
    their sidecars, `callback` for sidecars at their nodes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    core: Login = Field(default_factory=lambda: Login(user="core"))
    publisher: Login = Field(default_factory=lambda: Login(user="publisher"))
    system: Login = Field(default_factory=lambda: Login(user="system"))
    route: Login = Field(default_factory=lambda: Login(user="route"))
    store: Login = Field(default_factory=lambda: Login(user="store"))
    sidecar: Login = Field(default_factory=lambda: Login(user="sidecar"))
    callback: Login = Field(default_factory=lambda: Login(user="callback"))

    @property
    def passwords(self) -> tuple[str, ...]:
        """Every password: what may be in files for their owner's eyes only."""
        logins = (self.core, self.publisher, self.system, self.route, self.store, self.sidecar, self.callback)
        return tuple(login.password for login in logins)

    def of(self, name: LoginName) -> Login:
        """The login that an account has (`stream.accounts`)."""
        return {"core": self.core, "publisher": self.publisher, "system": self.system}[name]

    @classmethod
    def load(cls, folder: Path) -> Logins:
        """The logins in `folder`; those that an earlier version did not make yet are others each time, see
        `load_or_create`. Errors: `not_found` when there are none, or they cannot be read.
        """
        path = folder / FILE_NAME
        try:
            return cls.model_validate_json(path.read_text())
        except (OSError, ValidationError) as error:
            sentence = f"the logins of the cluster in {folder} are lost: give `relm up` a new folder with --data"
            raise RelmError(Code.NOT_FOUND, sentence, path=str(path)) from error


def load_or_create(folder: Path) -> Logins:
    """The logins of the cluster in `folder`. Those that it does not have yet are made now: all of a new one, and of one
    that an earlier version made what came since. Call while holding the folder.
    """
    path = folder / FILE_NAME
    logins = Logins.load(folder) if path.exists() else Logins()
    text = logins.model_dump_json(indent=2)
    if not path.exists() or path.read_text() != text:
        write_private(path, text)
    return logins
