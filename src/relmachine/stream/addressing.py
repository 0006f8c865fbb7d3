"""Which thread a message is for, as its subject says. Pure.

Whoever may publish chooses the bytes of a subject, and the server takes nearly any. A subject that no thread of ours
could answer on is *unaddressable*: its message can be read by nobody, so it is put aside and counted, the same way
each time it is seen.
"""

from __future__ import annotations

import re

THREAD_BYTES_MAX = 1024
"""Bytes of a thread's token that its feeds can carry: a control line of the server takes 4,096 in all."""

_ORDINARY = re.compile(r"[A-Za-z0-9_~%-]{1,200}")
SPACE = re.compile(r"[\t-\r ]")
"""White space as a control line knows it: most clients split there, wherever the server does."""

_WILDCARDS = ("*", ">")


def address(subject: str) -> tuple[str, str] | None:
    """(thread, step token) of a step's subject as the client decoded it; None when it is unaddressable.

    Unaddressable are a thread that is no UTF-8, a wildcard (a read of it would be a read of all threads), one with
    white space, and one longer than `THREAD_BYTES_MAX`. Every other thread gets its answer, if only a refusal.
    """
    _, _, _, thread, step_token = subject.split(".")
    if not _ORDINARY.fullmatch(thread) and not _carried(thread):
        return None
    return thread, text(step_token)


def text(decoded: str) -> str:
    """What the client decoded, with the replacement character for what is no UTF-8: as the client decodes headers."""
    return decoded.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def escaped(decoded: str) -> str:
    """What the client decoded, for a log: its odd bytes as `\\xNN`, at most 200 characters."""
    return ascii(decoded.encode("utf-8", "surrogateescape"))[2:-1][:200]


def _carried(thread: str) -> bool:
    try:
        size = len(thread.encode())
    except UnicodeEncodeError:
        return False
    return size <= THREAD_BYTES_MAX and thread not in _WILDCARDS and SPACE.search(thread) is None
