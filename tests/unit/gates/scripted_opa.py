"""A server that speaks OPA's answers, and misbehaves as told, on a thread of its own: a test may stand still."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable

import orjson

from relmachine.gates.grants import policy_source

REVISION = policy_source().revision

ALLOW = {"allow": True, "reasons": [], "any_thread": False}


def answer(result: object, revision: str = REVISION, status: str = "200 OK") -> bytes:
    """A whole HTTP answer."""
    told = {"provenance": {"version": "1", "bundles": {"b": {"revision": revision}}}}
    body = orjson.dumps(told if result is None else {**told, "result": result})
    return raw(body, status)


def raw(body: bytes, status: str = "200 OK") -> bytes:
    """An HTTP answer with this body."""
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(body), body)


class Silence:
    """Take the query and say nothing."""


class Reset:
    """Send this much, then break the connection."""

    def __init__(self, sent: bytes = b"") -> None:
        self.sent = sent


Reply = bytes | Silence | Reset


class ScriptedOpa:
    """Gives the replies of `script` one after the other, then allows all that is asked. Use as `with`."""

    def __init__(self, *script: Reply | Callable[[list[object]], Reply]) -> None:
        self.script = deque(script)
        self.bodies: list[bytes] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> ScriptedOpa:
        self._thread.start()
        self._server = self._call(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, coroutine):  # type: ignore[no-untyped-def]
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _end(self) -> None:
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                self.bodies.append(await reader.readexactly(length))
                asked = orjson.loads(self.bodies[-1])["input"]["questions"]
                reply = self.script.popleft() if self.script else answer([ALLOW] * len(asked))
                reply = reply(asked) if callable(reply) else reply
                match reply:
                    case Silence():
                        await reader.read()
                        return
                    case Reset(sent=sent):
                        writer.write(sent)
                        await writer.drain()
                        return
                    case _:
                        writer.write(reply)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()
