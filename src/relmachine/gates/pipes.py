"""A line asked of a process and a line answered, within a time."""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import time
from typing import IO, cast

_PIECE_BYTES = 65_536


def close(pipe: IO[bytes]) -> None:
    """Close a pipe of a process that may have ended."""
    with contextlib.suppress(OSError):  # what was still to be written has nobody to read it
        pipe.close()


def exchange(
    worker: subprocess.Popen[bytes], question: bytes, end: float, answer_bytes_max: int | None = None
) -> bytes | None:
    """Write the question, if any, and read a line; None when it takes too long, a torn line when the worker ends.

    Of a line longer than `answer_bytes_max` no more is read than shows it.
    """
    given, taken = cast(IO[bytes], worker.stdin).fileno(), cast(IO[bytes], worker.stdout).fileno()
    left, answer = memoryview(question), bytearray()
    with selectors.DefaultSelector() as ready:
        ready.register(taken, selectors.EVENT_READ)
        if left:
            ready.register(given, selectors.EVENT_WRITE)
        while not answer.endswith(b"\n"):
            found = ready.select(end - time.monotonic())
            if not found:
                return None
            for key, _ in found:
                if key.fd == given:
                    left = _written(given, left)
                    if not left:
                        ready.unregister(given)
                    continue
                piece = os.read(taken, _PIECE_BYTES)
                if not piece:
                    return bytes(answer)
                answer += piece
                if answer_bytes_max is not None and len(answer) > answer_bytes_max:
                    return bytes(answer)
    return bytes(answer)


def _written(pipe: int, left: memoryview) -> memoryview:
    try:
        return left[os.write(pipe, left[:_PIECE_BYTES]) :]
    except BrokenPipeError:  # it has ended: reading tells how
        return left[:0]
    except BlockingIOError:
        return left
