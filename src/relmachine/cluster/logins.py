"""Names and passwords of one cluster's NATS accounts: made once, kept in a file that only its owner reads."""

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
    """A user and its password. Both are safe inside a URL and inside NATS configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    user: str
    password: str = Field(default_factory=_password, repr=False, pattern=r"^[A-Za-z0-9_-]{16,}$")

    def url(self, scheme: str, host: str, port: int) -> str:
        """The address of a server with this login in it."""
        return f"{scheme}://{self.user}:{self.password}@{host}:{port}"


class Logins(BaseModel):
    """The logins: `core` for nodes, `publisher` for whoever may publish steps and nothing else, `system` for looking
    at the servers, `route` for the servers among themselves.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    core: Login = Field(default_factory=lambda: Login(user="core"))
    publisher: Login = Field(default_factory=lambda: Login(user="publisher"))
    system: Login = Field(default_factory=lambda: Login(user="system"))
    route: Login = Field(default_factory=lambda: Login(user="route"))

    def of(self, name: LoginName) -> Login:
        """The login that an account has (`stream.accounts`)."""
        return {"core": self.core, "publisher": self.publisher, "system": self.system}[name]

    @classmethod
    def load(cls, folder: Path) -> Logins:
        """The logins in `folder`. Errors: `not_found` when there are none, or they cannot be read."""
        path = folder / FILE_NAME
        try:
            return cls.model_validate_json(path.read_text())
        except (OSError, ValidationError) as error:
            sentence = f"the logins of the cluster in {folder} are lost: give `relm up` a new folder with --data"
            raise RelmError(Code.NOT_FOUND, sentence, path=str(path)) from error


def load_or_create(folder: Path) -> Logins:
    """The logins of the cluster in `folder`, made now when it has none yet. Call while holding the folder."""
    path = folder / FILE_NAME
    if not path.exists():
        write_private(path, Logins().model_dump_json(indent=2))
    return Logins.load(folder)
