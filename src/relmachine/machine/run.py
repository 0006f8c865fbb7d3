"""What a coroutine closure is given: the run itself (`docs/agents.md`). Implemented by `engine.runs.run`.

Everything that a closure cannot know beforehand it asks here, so that it is recorded and a playback gives it again.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

if TYPE_CHECKING:
    from pydantic import BaseModel

Output = TypeVar("Output", bound="BaseModel")


class Run(Protocol):
    """One run. When its budget is spent, or a model fails for good, it ends where it is: no closure goes on then.

    One call at a time, from the closure's own thread: a closure that makes another before it has waited for one, as
    `asyncio.gather` does, or that lets go of one, as a time-out does, ends its run with `closure_failed`.
    """

    @overload
    async def ask(self, prompt: str, output: type[Output], *, model: str | None = None) -> Output: ...
    @overload
    async def ask(self, prompt: str, output: None = None, *, model: str | None = None) -> str: ...
    async def ask(self, prompt: str, output: type[Output] | None = None, *, model: str | None = None) -> Output | str:
        """A model's answer, without tools: an `output`, or text. `model` names another than the step's."""
        ...

    @overload
    async def agent(self, prompt: str, output: type[Output]) -> Output: ...
    @overload
    async def agent(self, prompt: str, output: None = None) -> str: ...
    async def agent(self, prompt: str, output: type[Output] | None = None) -> Output | str:
        """The same from the step's model with the step's tools."""
        ...

    async def tool(self, name: str, /, **arguments: object) -> Any:
        """What a tool of the step gives, as plain JSON values.

        Errors: `tool_failed`, and what its own tools say, such as `undeclared_read`.
        """
        ...

    def now(self) -> datetime:
        """The time, in UTC; in a playback the time of then."""
        ...

    def new_id(self) -> str:
        """An id that nobody else has; in a playback the same one again."""
        ...

    def random(self) -> float:
        """The next number in [0, 1) of the run's generator, which its frozen plan seeds."""
        ...

    def publish(self, step: str, /, **payload: object) -> None:
        """Propose a step, one of the `targets`, for this thread. It is published when the run is done.

        Errors: `output_invalid`.
        """
        ...
