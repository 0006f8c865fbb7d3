"""A circuit breaker: a model that keeps failing is left alone for a while, then asked once."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager


class Breaker:
    """Closed, it lets every request through. `failures_max` failures in a row open it for `rest_seconds`: nothing gets
    through. Then one request does, and its end closes it or opens it again. `clock` gives seconds that only grow.
    """

    def __init__(self, failures_max: int, rest_seconds: float, clock: Callable[[], float]) -> None:
        self._failures_max = failures_max
        self._rest_seconds = rest_seconds
        self._clock = clock
        self._failures = 0
        self._opened: float | None = None
        self._probing = False

    def rest(self) -> float:
        """Seconds until a request may get through; 0 when one may now. While one probes, the others wait as long
        again.
        """
        if self._opened is None:
            return 0.0
        if self._probing:
            return self._rest_seconds
        return max(0.0, self._opened + self._rest_seconds - self._clock())

    @contextmanager
    def through(self) -> Generator[None]:
        """Around a request that `rest` lets through. One that ends without a word leaves everything as it was."""
        probes = self._opened is not None
        self._probing = self._probing or probes
        try:
            yield
        finally:
            if probes:
                self._probing = False

    def answered(self) -> None:
        """The model answered, be it with a refusal: it lives."""
        self._failures, self._opened = 0, None

    def failed(self) -> None:
        """The model did not answer."""
        self._failures += 1
        if self._failures >= self._failures_max:
            self._opened = self._clock()
