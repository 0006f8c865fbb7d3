"""Starts the processes of a plan in the order of their needs, keeps them running, drains them in the reverse order."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Callable, Mapping
from pathlib import Path

import structlog

from relmachine.cluster import logs
from relmachine.cluster.keeper import Keeper
from relmachine.cluster.leftovers import end_leftovers
from relmachine.cluster.spec import ClusterPlan, ProcessSpec
from relmachine.cluster.state import ClusterState, Failure, Phase, ProcessState, Stage, Wish
from relmachine.errors import Code, RelmError
from relmachine.node.private import write_private

_log = structlog.get_logger(__name__)

Watcher = Callable[[ClusterState], None]
"""Called whenever the state changed, and must not block."""


class Supervisor:
    """The processes of one plan. Use `Supervisor.running`, in the main thread, while holding the folder."""

    def __init__(self, plan: ClusterPlan, wish: Wish, folder: Path, watcher: Watcher | None = None) -> None:
        self._plan, self._folder, self._watcher = plan, folder, watcher
        states = [_initial(process, folder) for process in plan.processes]
        self.state = ClusterState(wish=wish, supervisor_pid=os.getpid(), processes=states)
        self._keepers = {
            process.name: Keeper(process, folder, state, self._changed)
            for process, state in zip(plan.processes, states, strict=True)
        }
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._was_ready = False

    @classmethod
    @contextlib.asynccontextmanager
    async def running(
        cls, plan: ClusterPlan, wish: Wish, folder: Path, watcher: Watcher | None = None
    ) -> AsyncGenerator[Supervisor]:
        """Every process of `plan` started and ready; all are drained when the block ends, however it ends.

        Errors: `unreachable`, with name and log of the process that is not ready in time or does not stay up;
        `not_found` when a program is missing.
        """
        supervisor = cls(plan, wish, folder, watcher)
        try:
            await supervisor._start()
            yield supervisor
        except RelmError as error:
            supervisor.state.error = Failure.of(error)
            raise
        finally:
            await supervisor._drain()

    @property
    def pids(self) -> Mapping[str, int]:
        """Process id by name, of those that run."""
        return {state.name: state.pid for state in self.state.processes if state.pid is not None}

    async def failed(self) -> None:
        """Return never; raise the error of a process without which the cluster cannot go on."""
        done, _ = await asyncio.wait(self._tasks.values(), return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def restart(self, name: str) -> None:
        """Stop a process in order and wait until its successor is ready. Errors: `not_found`, `unreachable`."""
        await self._keeper(name).restart()

    async def ready(self, name: str, seconds_max: float = 60.0) -> None:
        """Wait until the process is ready. Errors: `not_found`; `unreachable` when it takes too long."""
        try:
            async with asyncio.timeout(seconds_max):
                await self._keeper(name).ready.wait()
        except TimeoutError as error:
            sentence = f"{name} is not ready after {seconds_max:g} s: read its log"
            raise RelmError(Code.UNREACHABLE, sentence, log=logs.last_lines(self.state.process(name).log)) from error

    def _keeper(self, name: str) -> Keeper:
        self.state.process(name)
        return self._keepers[name]

    async def _start(self) -> None:
        (self._folder / logs.FOLDER_NAME).mkdir(parents=True, exist_ok=True)
        for file in self._plan.files:
            file.path.parent.mkdir(parents=True, exist_ok=True)
            write_private(file.path, file.text, file.mode)
        self._write()
        for name, keeper in self._keepers.items():
            self._tasks[name] = asyncio.create_task(self._keep(keeper), name=name)
        self._tasks["logs"] = asyncio.create_task(self._bound_logs(), name="logs")
        everybody = asyncio.create_task(self._everybody_ready(), name="everybody ready")
        try:
            await asyncio.wait({everybody, *self._tasks.values()}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            everybody.cancel()
        for task in self._tasks.values():
            if task.done():
                task.result()
        self._was_ready = True
        self._changed()

    async def _everybody_ready(self) -> None:
        for keeper in self._keepers.values():
            await keeper.ready.wait()

    async def _keep(self, keeper: Keeper) -> None:
        for name in keeper.spec.needs:
            await self._keepers[name].ready.wait()
        await keeper.keep()

    async def _bound_logs(self) -> None:
        while True:
            await asyncio.sleep(logs.LOOK_SECONDS)
            for process in self.state.processes:
                if await asyncio.to_thread(logs.bound, process.log):
                    _log.info("log_moved_aside", process=process.name)

    async def _drain(self) -> None:
        """Stop every process once all that need it are gone."""
        self.state.phase = Phase.DRAINING
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        gone = {name: asyncio.Event() for name in self._keepers}

        async def stop(keeper: Keeper) -> None:
            for other in self._plan.needed_by(keeper.spec.name):
                await gone[other].wait()
            if not await keeper.stop():
                _log.warning("process_killed", process=keeper.spec.name, after_seconds=keeper.spec.stop_seconds)
            gone[keeper.spec.name].set()

        await asyncio.gather(*(stop(keeper) for keeper in self._keepers.values()))
        await asyncio.to_thread(end_leftovers, self._folder)
        self.state.phase = Phase.STOPPED if self.state.error is None else Phase.FAILED
        self._write()

    def _changed(self) -> None:
        if self.state.phase is not Phase.DRAINING and self._was_ready:
            good = all(process.stage is Stage.READY for process in self.state.processes)
            self.state.phase = Phase.READY if good else Phase.DEGRADED
        self._write()

    def _write(self) -> None:
        self.state.save(self._folder)
        if self._watcher is not None:
            self._watcher(self.state)


def _initial(process: ProcessSpec, folder: Path) -> ProcessState:
    return ProcessState(
        name=process.name,
        kind=process.kind,
        address=process.address,
        ports=dict(process.ports),
        ready=list(process.ready),
        log=logs.log_file(folder, process.name),
    )
