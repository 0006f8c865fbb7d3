"""Subjects whose row was not taken: each waits, twice as long every time, so that it holds up nobody else. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, NamedTuple, TypeVar

_FIRST_SECONDS = 1.0

_Subject = TypeVar("_Subject", bound=Hashable)


class _Hold(NamedTuple):
    until: float
    seconds: float


class Held(Generic[_Subject]):
    """Who waits, and until when. Times are seconds of one clock."""

    def __init__(self, seconds_max: float, subjects_max: int) -> None:
        self._seconds_max, self._subjects_max = seconds_max, subjects_max
        self._holds: OrderedDict[_Subject, _Hold] = OrderedDict()

    def __len__(self) -> int:
        return len(self._holds)

    def waits(self, subject: _Subject, now: float) -> bool:
        """Whether it is not the subject's time yet."""
        hold = self._holds.get(subject)
        return hold is not None and now < hold.until

    def hold(self, subject: _Subject, now: float) -> float:
        """Its row was not taken at `now`; how many seconds it waits. The longest held is forgotten beyond the bound."""
        before = self._holds.pop(subject, None)
        seconds = min(self._seconds_max, _FIRST_SECONDS if before is None else before.seconds * 2)
        self._holds[subject] = _Hold(now + seconds, seconds)
        if len(self._holds) > self._subjects_max:
            self._holds.popitem(last=False)
        return seconds

    def release(self, subject: _Subject) -> None:
        """Its row was taken."""
        self._holds.pop(subject, None)
