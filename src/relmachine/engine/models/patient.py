"""A model that is asked again when it fails in passing, and left alone when it keeps failing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

from pydantic_ai import RunContext
from pydantic_ai.exceptions import ModelHTTPError, UserError
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from relmachine.engine.models.bounds import ModelBounds
from relmachine.engine.models.breaker import Breaker
from relmachine.engine.models.deadline import at_most, beyond
from relmachine.engine.models.patience import passes, pause, unwell
from relmachine.errors import Code, RelmError

_DETAIL_CHARACTERS = 500


class PatientModel(WrapperModel):
    """Asks `wrapped`, bound as `binding`. All requests of a binding share its breaker and its places.

    What fails for good is `model_failed`, whose witness has the binding as `model`, the last HTTP `status` (or null),
    the `attempts` of this request (0 when the breaker let none through), `open_seconds` while the breaker is open, and
    the `error` and its `detail`. There is no fallback inside: whom a run asks instead is recorded by the run.
    """

    def __init__(
        self,
        wrapped: Model,
        binding: str,
        bounds: ModelBounds,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        jitter: Callable[[], float],
    ) -> None:
        super().__init__(wrapped)
        self._binding = binding
        self._bounds = bounds
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._breaker = Breaker(bounds.failures_in_a_row_max, bounds.rest_seconds, clock)
        self._places = asyncio.Semaphore(bounds.requests_in_flight_max)

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """The whole answer. Errors: `model_failed`."""
        settings = self._once(model_settings)
        error: Exception | None = None
        for attempts in range(1, self._bounds.attempts_max + 1):
            async with self._places:
                if self._breaker.rest() > 0:
                    raise self._failure(error, attempts - 1) from error
                try:
                    return await self._attempt(messages, settings, model_request_parameters)
                except Exception as raised:  # an adapter may raise anything: told in the witness, never swallowed
                    error = raised
            seconds = pause(error, attempts, self._bounds, self._jitter()) if passes(error) else None
            last = attempts == self._bounds.attempts_max or self._breaker.rest() > 0
            if last or seconds is None or beyond(self._clock() + seconds):
                raise self._failure(error, attempts) from error
            await self._sleep(seconds)
        raise AssertionError("the last attempt returns or raises")

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """Refused: a run records whole answers, and half an answer cannot be asked for again."""
        raise UserError("a run takes whole answers: ask its model without streaming")
        yield cast(StreamedResponse, None)

    async def _attempt(
        self, messages: list[ModelMessage], settings: ModelSettings, parameters: ModelRequestParameters
    ) -> ModelResponse:
        with self._breaker.through():
            try:
                async with asyncio.timeout(at_most(self._bounds.request_seconds_max, self._clock())):
                    answer = await self.wrapped.request(messages, settings, parameters)
            except Exception as error:
                (self._breaker.failed if unwell(error) else self._breaker.answered)()
                raise
            self._breaker.answered()
            return answer

    def _once(self, given: ModelSettings | None) -> ModelSettings:
        """Settings under which the client itself repeats nothing, where it can be told: attempts are counted here."""
        settings = cast(ModelSettings, dict(given or {}))
        if "max_retries" not in self.wrapped.unsupported_settings:
            settings["max_retries"] = 0
        return settings

    def _failure(self, error: Exception | None, attempts: int) -> RelmError:
        rest = self._breaker.rest()
        witness: dict[str, object] = {
            "model": self._binding,
            "status": error.status_code if isinstance(error, ModelHTTPError) else None,
            "attempts": attempts,
        }
        if rest > 0:
            witness["open_seconds"] = round(rest, 3)
        if error is not None:
            witness |= {"error": type(error).__name__, "detail": str(error)[:_DETAIL_CHARACTERS]}
        why = "failed too often in a row and is left alone" if rest > 0 else "gave no answer"
        sentence = f"the model {self._binding!r} {why}: look at its server, or give the step a fallback"
        return RelmError(Code.MODEL_FAILED, sentence, **witness)
