"""Control records: messages on a thread's subject that nodes publish, and that say more than one step does.

They fork, merge, close or resolve; they answer for a step that ran outside its turn (`kernel.answer`); or they let a
step that is held be decided again (`kernel.held`).

Their step tokens begin with an underscore, which no step's name does. They travel as steps do, as CloudEvents whose
`type` is the token, with a key and a principal; `data` is one of the models here.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from relmachine.algebra.identity import HASH_PATTERN
from relmachine.kernel.answer import Answer
from relmachine.kernel.record import Record

FORK, MERGE, CLOSE, RESOLVE, ANSWER, RELEASE = "_fork", "_merge", "_close", "_resolve", "_answer", "_release"

_Hash = Annotated[str, Field(pattern=f"^{HASH_PATTERN}$")]
_Thread = Annotated[str, Field(min_length=1, max_length=1024)]


class Fork(Record):
    """First message of a new thread: it goes on from a history that `source` had once `at_sequence` was decided.

    Sequence 0 stands for the empty history. `at` is the hash in the history's id.
    """

    source: _Thread
    at: _Hash
    at_sequence: Annotated[int, Field(ge=0, lt=2**63)]

    def threads(self) -> tuple[str, ...]:
        """The source."""
        return (self.source,)


class Merge(Record):
    """On the thread that goes on: it takes over what `source` has and it has not. The message before is its `Close`."""

    source: _Thread

    def threads(self) -> tuple[str, ...]:
        """The source."""
        return (self.source,)


class Close(Record):
    """On the thread that ends: it is merged into `target`. The message after it on the stream is that `Merge`."""

    target: _Thread

    def threads(self) -> tuple[str, ...]:
        """The target."""
        return (self.target,)


class Resolve(Record):
    """On the thread of an obstruction: the side of thread `keep` stays, further merges leave the other out."""

    obstruction: _Hash
    keep: _Thread
    reason: Annotated[str, Field(min_length=1, max_length=1000)]

    def threads(self) -> tuple[str, ...]:
        """The one whose side stays."""
        return (self.keep,)


class Release(Record):
    """The step held at stream sequence `held` of the same thread is decided again; one that is `expired` is refused."""

    held: Annotated[int, Field(ge=1, lt=2**63)]
    expired: bool = False


RECORDS: dict[str, type[Record]] = {
    FORK: Fork,
    MERGE: Merge,
    CLOSE: Close,
    RESOLVE: Resolve,
    ANSWER: Answer,
    RELEASE: Release,
}
"""The records by step token."""
