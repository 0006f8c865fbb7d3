"""A guard under which code may compute, and nothing else."""

from __future__ import annotations

import gc
import sys
from collections.abc import Generator
from contextlib import contextmanager
from threading import get_ident
from types import FrameType
from typing import NoReturn

from relmachine.errors import Code, RelmError
from relmachine.testing.forbidden import audited, in_c, in_python

_IMPORTING = "<frozen importlib"


class _Guard:
    """Watches the calls of one thread, by whatever name they are made."""

    def __init__(self, base: FrameType) -> None:
        self._base = base
        self.touched: RelmError | None = None

    def called(self, frame: FrameType, event: str, called: object) -> None:
        """For `sys.setprofile`: before each call. What is raised here is raised in place of the call."""
        what = in_c(called) if event == "c_call" else in_python(frame) if event == "call" else None
        if what is not None and not self._importing(frame):
            self._refuse(what, frame)

    def heard(self, event: str) -> None:
        """For audit events, which the interpreter itself raises, also where no call of Python is to be seen."""
        if audited(event):  # asking for the frame is an event too
            frame = sys._getframe(2)  # pyright: ignore[reportPrivateUsage]
            if not self._importing(frame):
                self._refuse(event, frame)

    def _importing(self, frame: FrameType) -> bool:
        """Whether a module is being imported: that reads files, and happens once."""
        seen: FrameType | None = frame
        while seen is not None and seen is not self._base:
            if seen.f_code.co_filename.startswith(_IMPORTING):
                return True
            seen = seen.f_back
        return False

    def _refuse(self, what: str, frame: FrameType) -> NoReturn:
        where = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        sentence = f"{what} was touched under the guard of purity: take what it gives from the payload or the view"
        self.touched = RelmError(Code.IMPURE, sentence, touched=what, where=where)
        raise self.touched


_guards: dict[int, _Guard] = {}
"""By thread: only what a guarded thread does is watched."""


@contextmanager
def purity() -> Generator[None]:
    """Within, clocks, randomness, the environment, files, processes and the network may not be touched.

    Errors: `impure`, with what was `touched` and `where`, at the call itself; and again at the end when the code caught
    it. What the guard sees and what it cannot see: `docs/purity.md`.
    """
    _listen()
    guard = _Guard(sys._getframe())  # pyright: ignore[reportPrivateUsage]
    before, collects = sys.getprofile(), gc.isenabled()
    gc.disable()  # it would run finalizers of strangers' objects, at any point within
    _guards[get_ident()] = guard
    sys.setprofile(guard.called)
    error: BaseException | None = None
    try:
        yield
    except BaseException as raised:
        error = raised
        raise
    finally:
        sys.setprofile(before)
        del _guards[get_ident()]
        if collects:
            gc.enable()
        if guard.touched is not None and error is not guard.touched:
            raise guard.touched


def _hear(event: str, _: object) -> None:
    guard = _guards.get(get_ident()) if _guards else None
    if guard is not None:
        guard.heard(event)


_listening: list[bool] = []


def _listen() -> None:
    """Hear audit events, from the first use on: a hook cannot be taken off again."""
    if not _listening:
        _listening.append(True)
        sys.addaudithook(_hear)
