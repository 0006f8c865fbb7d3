"""One window of messages on their way to a stream: sent without waiting in between, answered one by one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson
from nats.errors import Error

from relmachine.stream.connection import Connection

if TYPE_CHECKING:
    from nats.aio.msg import Msg


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
    """The server said no, with its error code."""

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

    def handler(index: int) -> Callable[[Msg], None]:
        def arrived(message: Msg) -> None:
            nonlocal left
            answers[index] = _answer(message)
            left -= 1
            if left == 0:
                finish()

        return arrived

    replies = connection.replies
    subjects = [replies.open(handler(index)) for index in range(left)]
    forget = connection.on_reconnect(finish)
    try:
        async with asyncio.timeout(connection.bounds.answer_seconds_max):
            waiting = iter(subjects)
            for parcel in parcels:
                reply = "" if parcel.silent else next(waiting)
                await connection.client.publish(parcel.subject, parcel.body, reply=reply, headers=parcel.headers)
            await done
    except (Error, OSError, TimeoutError):
        pass  # what has no answer stays Lost
    finally:
        forget()
        for subject in subjects:
            replies.close(subject)
    return answers


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
