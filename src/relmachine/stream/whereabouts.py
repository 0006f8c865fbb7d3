"""Which runs are in other nodes' hands: a question on NATS to all of them, answered by those that are alive.

Nothing is stored: a node that was killed, is frozen or cut off does not answer, and what it had in hand is free. An
answer that is missing although its node lives costs a run that is carried out twice, of which one answer counts.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from nats.errors import Error
from pydantic import BaseModel, ConfigDict, ValidationError

from relmachine.stream.connection import Connection, unreachable
from relmachine.stream.replies import subscribe
from relmachine.stream.topology import Topology

if TYPE_CHECKING:
    from nats.aio.msg import Msg

ANSWER_SECONDS = 1.0
"""How long an answer is waited for: a node that begins many runs at once is late."""

Key = tuple[str, int]
"""Thread, and stream sequence of the request."""

Holds = Callable[[Key, bool], bool]
"""Whether a run is in this node's hands; the second argument says that whoever asks goes before this node where both
want it."""


class _Question(BaseModel):
    model_config = ConfigDict(frozen=True)

    asker: str
    store: str
    runs: tuple[Key, ...]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)

    held: tuple[Key, ...]


class Whereabouts:
    """Asks and answers about the runs of the store `store_id`."""

    def __init__(self, connection: Connection, topology: Topology, store_id: str) -> None:
        self._connection, self._subject, self._store_id = connection, topology.runs_subject, store_id
        self._name = secrets.token_hex(8)
        self._undo: Callable[[], Any] | None = None

    async def start(self, holds: Holds) -> None:
        """Answer by `holds` from now on. Errors: `unreachable`."""
        loop = asyncio.get_running_loop()
        sending: set[asyncio.Task[None]] = set()

        def asked(message: Msg) -> None:
            try:
                question = _Question.model_validate_json(message.data)
            except ValidationError:  # a node that starts tries whether it may ask
                return
            if question.asker == self._name or question.store != self._store_id:
                return
            found = tuple(key for key in question.runs if holds(key, question.asker < self._name))
            if found:
                task = loop.create_task(self._tell(message, _Answer(held=found)))
                sending.add(task)
                task.add_done_callback(sending.discard)

        try:
            self._undo = await subscribe(self._connection.client, self._subject, asked)
            await self._connection.heard()
        except (Error, OSError) as error:
            raise unreachable(self._connection.url, error) from error

    async def held(self, runs: Collection[Key]) -> frozenset[Key]:
        """Those that another node has in hand; takes `ANSWER_SECONDS`, less when that is all of them.

        Errors: `unreachable`: then nothing is known.
        """
        found: set[Key] = set()
        complete = asyncio.Event()

        def told(message: Msg) -> None:
            found.update(_Answer.model_validate_json(message.data).held)
            if found.issuperset(runs):
                complete.set()

        if not runs:
            return frozenset()
        if not self._connection.usable:
            raise unreachable(self._connection.url, ConnectionError("the connection is away"))
        question = _Question(asker=self._name, store=self._store_id, runs=tuple(runs))
        reply = self._connection.replies.open(told)
        try:
            await self._connection.client.publish(self._subject, question.model_dump_json().encode(), reply=reply)
            async with asyncio.timeout(ANSWER_SECONDS):
                await complete.wait()
        except TimeoutError:
            pass
        except (Error, OSError) as error:
            raise unreachable(self._connection.url, error) from error
        finally:
            self._connection.replies.close(reply)
        return frozenset(found)

    async def close(self) -> None:
        """Answer no more."""
        if self._undo is not None and not self._connection.client.is_closed:
            await self._undo()

    async def _tell(self, message: Msg, answer: _Answer) -> None:
        if self._connection.usable:
            await self._connection.client.publish(message.reply, answer.model_dump_json().encode())
