"""The processes that are kept at one time: begun in the order of their needs, ended in the reverse order. Some may join
and leave while the others run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from pathlib import Path

import structlog

from relmachine.cluster.keeper import Keeper
from relmachine.cluster.spec import ProcessSpec
from relmachine.cluster.state import ProcessState

_log = structlog.get_logger(__name__)


class Keepers:
    """Keepers by process name, each with the task in which it keeps its process. `changed` is told of every change."""

    def __init__(self, cluster: Path, changed: Callable[[], None]) -> None:
        self._cluster, self._changed = cluster, changed
        self._keepers: dict[str, Keeper] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._joining: set[str] = set()
        self._some_ended = asyncio.Event()

    def __getitem__(self, name: str) -> Keeper:
        return self._keepers[name]

    def names(self) -> Collection[str]:
        """Names of all of them."""
        return list(self._keepers)

    async def join(self, processes: Collection[ProcessSpec], states: Collection[ProcessState]) -> None:
        """Begin to keep these, and return when all are ready.

        Errors: those of the first that cannot be, see `Keeper.keep`. All of them are then still to be ended.
        """
        names = [process.name for process in processes]
        for process, state in zip(processes, states, strict=True):
            self._keepers[process.name] = Keeper(process, self._cluster, state, self._changed)
        self._joining.update(names)
        for name in names:
            self._tasks[name] = asyncio.create_task(self._keep(self._keepers[name]), name=name)
            self._tasks[name].add_done_callback(lambda _: self._some_ended.set())
        everybody = asyncio.create_task(self._all_ready(names), name="all ready")
        tasks = [self._tasks[name] for name in names]
        try:
            await asyncio.wait({everybody, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            everybody.cancel()
        for task in tasks:
            if task.done():
                task.result()
        self._joining.difference_update(names)

    async def end(self, names: Collection[str]) -> None:
        """Keep these no more, and stop each once those among them that need it are gone. Never raises."""
        tasks = [self._tasks[name] for name in names]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        gone = {name: asyncio.Event() for name in names}

        async def stop(keeper: Keeper) -> None:
            for other in names:
                if keeper.spec.name in self._keepers[other].spec.needs:
                    await gone[other].wait()
            try:
                if not await keeper.stop():
                    _log.warning("process_killed", process=keeper.spec.name, after_seconds=keeper.spec.stop_seconds)
            finally:  # what it needs is stopped, whatever went wrong here
                gone[keeper.spec.name].set()

        ended = await asyncio.gather(*(stop(self._keepers[name]) for name in names), return_exceptions=True)
        for name, error in zip(names, ended, strict=True):
            if error is not None:
                _log.error("process_not_stopped_in_order", process=name, error=repr(error))

    def forget(self, names: Collection[str]) -> None:
        """Let go of processes that were ended."""
        for name in names:
            del self._keepers[name], self._tasks[name]
        self._joining.difference_update(names)

    async def failed(self) -> None:
        """Return never; raise the error of a process that is kept no more. One that joins has its own listener."""
        while True:
            await self._some_ended.wait()
            self._some_ended.clear()
            for name, task in self._tasks.items():
                if task.done() and not task.cancelled() and name not in self._joining:
                    task.result()

    async def _all_ready(self, names: Collection[str]) -> None:
        for name in names:
            await self._keepers[name].ready.wait()

    async def _keep(self, keeper: Keeper) -> None:
        for name in keeper.spec.needs:
            await self._keepers[name].ready.wait()
        await keeper.keep()
