"""One window of messages on their way to a stream: sent without waiting in between, answered one by one.

The server closes the connection on a message or a line that is too long for it, and with it all that is under way. So
what cannot travel is refused here, alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson
from nats.errors import Error

from relmachine.stream.addressing import SPACE
from relmachine.stream.bounds import HEADER_BYTES_MAX
from relmachine.stream.connection import Connection

if TYPE_CHECKING:
    from nats.aio.msg import Msg


CONTROL_LINE_BYTES_MAX = 4096
"""Bytes of the line before a message's headers: the server's own default."""

_LINE_BYTES_ELSE = 64
"""Room in that line for the verb, the sizes and what is between."""


@dataclass(slots=True)
class Parcel:
    """A message for a stream. `silent` ones ask for no answer (inside an atomic batch only the last does)."""

    subject: str
    body: bytes
    headers: dict[str, str]
    silent: bool = False


@dataclass(frozen=True, slots=True)
class Ack:
    """Stored at `sequence`, now or before."""

    sequence: int
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """The server said no, with its error code; 0 for what could not be sent to it at all."""

    code: int
    description: str


@dataclass(frozen=True, slots=True)
class Lost:
    """Nobody answered: it may be stored or not."""


Answer = Ack | Refused | Lost


async def send(connection: Connection, parcels: Sequence[Parcel]) -> list[Answer]:
    """Send all of `parcels` in order; the answers of those that are not silent, in order.

    Ends after `answer_seconds_max`, or when the connection is lost: what is not answered then is `Lost`.
    """
    answers: list[Answer] = [Lost() for parcel in parcels if not parcel.silent]
    assert answers, "a window asks for at least one answer: nothing else ends the wait for it"
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    left = len(answers)

    def finish() -> None:
        if not done.done():
            done.set_result(None)

    def settle(index: int, answer: Answer) -> None:
        nonlocal left
        answers[index] = answer
        left -= 1
        if left == 0:
            finish()

    def handler(index: int) -> Callable[[Msg], None]:
        return lambda message: settle(index, _answer(message))

    replies = connection.replies
    subjects = [replies.open(handler(index)) for index in range(left)]
    forget = connection.on_reconnect(finish)
    try:
        async with asyncio.timeout(connection.bounds.answer_seconds_max):
            waiting = iter(enumerate(subjects))
            for parcel in parcels:
                place, reply = (None, "") if parcel.silent else next(waiting)
                objection = _objection(connection, parcel, reply)
                if objection is None:
                    await connection.client.publish(parcel.subject, parcel.body, reply=reply, headers=parcel.headers)
                elif place is None:
                    return [Refused(0, objection)] * len(answers)
                else:
                    settle(place, Refused(0, objection))
            await done
    except (Error, OSError, TimeoutError):
        pass  # what has no answer stays Lost
    finally:
        forget()
        for subject in subjects:
            replies.close(subject)
    return answers


def _objection(connection: Connection, parcel: Parcel, reply: str) -> str | None:
    """Why the parcel cannot be sent to the server that we are connected to, if it cannot."""
    try:
        line = len(parcel.subject.encode()) + len(reply) + _LINE_BYTES_ELSE
    except UnicodeEncodeError:
        return "its subject is no UTF-8"
    if line > CONTROL_LINE_BYTES_MAX:
        return f"its subject needs a line of {line} bytes, and the server reads {CONTROL_LINE_BYTES_MAX}"
    size, most = len(parcel.body) + HEADER_BYTES_MAX, connection.client.max_payload
    if size > most:
        return f"it needs {size} bytes with its headers, and the server takes {most}"
    return "its subject holds white space" if SPACE.search(parcel.subject) else None


def _answer(message: Msg) -> Answer:
    if message.headers and message.headers.get("Status") == "503":
        return Lost()
    answer = orjson.loads(message.data)
    error = answer.get("error")
    if error is None:
        return Ack(answer["seq"], answer.get("duplicate", False))
    if error.get("code") == 503:
        return Lost()
    return Refused(error.get("err_code", error.get("code", 0)), error.get("description", ""))
