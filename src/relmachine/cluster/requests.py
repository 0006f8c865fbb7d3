"""What the supervisor of a cluster may be asked, and what it answers: one JSON object on a line each."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from relmachine.cluster.spec import NODES_MAX
from relmachine.cluster.state import Failure

_STRICT = ConfigDict(extra="forbid", frozen=True)


class Add(BaseModel):
    """Have these nodes as well; or, when none is named, `count` more of them."""

    model_config = _STRICT

    verb: Literal["add"] = "add"
    nodes: tuple[str, ...] = Field(default=(), max_length=NODES_MAX)
    count: int = Field(default=1, ge=1, le=NODES_MAX)


class Remove(BaseModel):
    """Have these nodes no more."""

    model_config = _STRICT

    verb: Literal["remove"] = "remove"
    nodes: tuple[str, ...] = Field(min_length=1, max_length=NODES_MAX)


class Restart(BaseModel):
    """Restart these nodes, or all when none is named, one at a time."""

    model_config = _STRICT

    verb: Literal["restart"] = "restart"
    nodes: tuple[str, ...] = Field(default=(), max_length=NODES_MAX)


Request = Add | Remove | Restart

REQUEST: TypeAdapter[Request] = TypeAdapter(Annotated[Request, Field(discriminator="verb")])


class Done(BaseModel):
    """What became of a request: the nodes that joined, left or restarted, and all that the cluster has now."""

    model_config = _STRICT

    changed: tuple[str, ...]
    nodes: tuple[str, ...]


class Answer(BaseModel):
    """One line of an answer. The last one has what is done, or the error; a line without anything says that the
    supervisor is still at it.
    """

    model_config = _STRICT

    told: str | None = None
    done: Done | None = None
    error: Failure | None = None

    def line(self) -> bytes:
        """The answer as it is sent."""
        return self.model_dump_json(exclude_none=True).encode() + b"\n"
