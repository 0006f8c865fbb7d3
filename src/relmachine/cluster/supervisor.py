"""Starts the processes of a plan in the order of their needs, keeps them running, drains them in the reverse order.
Goes over to another plan while what both plans have runs on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path

import structlog

from relmachine.cluster import logs
from relmachine.cluster.keepers import Keepers
from relmachine.cluster.leftovers import end_leftovers
from relmachine.cluster.spec import ClusterPlan, ProcessSpec
from relmachine.cluster.state import ClusterState, Failure, Phase, ProcessState, Stage, Wish
from relmachine.cluster.telling import Telling, Watcher
from relmachine.errors import Code, RelmError
from relmachine.node.private import write_private

_log = structlog.get_logger(__name__)

_WELL = {Stage.READY, Stage.JOINING, Stage.LEAVING}


class Supervisor:
    """The processes of one plan. Use `Supervisor.running`, in the main thread, while holding the folder."""

    def __init__(self, wish: Wish, folder: Path, watcher: Watcher | None) -> None:
        self._folder = folder
        self.state = ClusterState(wish=wish, supervisor_pid=os.getpid(), processes=[])
        self._telling = Telling(self.state, folder, watcher)
        self._keepers = Keepers(folder, self._changed)
        self._bounding = asyncio.create_task(self._bound_logs(), name="logs")
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
        supervisor = cls(wish, folder, watcher)
        try:
            await supervisor._start(plan)
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
        failing = asyncio.create_task(self._keepers.failed(), name="failed")
        try:
            done, _ = await asyncio.wait({failing, self._bounding}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            failing.cancel()

    async def restart(self, name: str) -> None:
        """Stop a process in order and wait until its successor is ready. Errors: `not_found`, `unreachable`."""
        self.state.process(name)
        await self._keepers[name].restart()

    async def ready(self, name: str, seconds_max: float = 60.0) -> None:
        """Wait until the process is ready. Errors: `not_found`; `unreachable` when it takes too long."""
        process = self.state.process(name)
        try:
            async with asyncio.timeout(seconds_max):
                await self._keepers[name].ready.wait()
        except TimeoutError as error:
            sentence = f"{name} is not ready after {seconds_max:g} s: read its log"
            raise RelmError(Code.UNREACHABLE, sentence, log=logs.last_lines(process.log)) from error

    def want(self, wish: Wish) -> None:
        """See `Telling.want`: to be done before `change`."""
        self._telling.want(wish)

    async def change(self, plan: ClusterPlan, wish: Wish) -> None:
        """Go over to `plan`: what is new in it joins, then what it does not have leaves; everything else runs on.

        Errors: as `running`, for what joins; OSError when its files cannot be written. All of it is still there then:
        change to a plan without it.
        """
        self.state.wish = wish
        here = self._keepers.names()
        leaving = [name for name in here if name not in plan.names()]
        for name in leaving:
            self._keepers[name].leave()
        for process in plan.processes:
            if process.name in here:
                self._keepers[process.name].spec = process  # its rule of restarts may follow from the others
        await self._join(plan, [process for process in plan.processes if process.name not in here], Stage.JOINING)
        await self._keepers.end(leaving)
        await asyncio.to_thread(end_leftovers, self._folder, of=leaving)
        self._keepers.forget(leaving)
        self.state.processes = [process for process in self.state.processes if process.name not in leaving]
        self._changed()

    async def _start(self, plan: ClusterPlan) -> None:
        (self._folder / logs.FOLDER_NAME).mkdir(parents=True, exist_ok=True)
        await self._join(plan, plan.processes, Stage.WAITING)
        self._was_ready = True
        self._changed()

    async def _join(self, plan: ClusterPlan, processes: Sequence[ProcessSpec], stage: Stage) -> None:
        """Start these processes of `plan` once the files in their folders are written; return when all are ready."""
        for file in plan.files:
            if any(file.path.is_relative_to(process.folder) for process in processes):
                file.path.parent.mkdir(parents=True, exist_ok=True)
                write_private(file.path, file.text, file.mode)
        states = [_initial(process, self._folder, stage) for process in processes]
        places = {name: place for place, name in enumerate(plan.names())}
        both = [*self.state.processes, *states]
        self.state.processes = sorted(both, key=lambda process: places.get(process.name, len(places)))
        self._changed()
        await self._keepers.join(processes, states)

    async def _bound_logs(self) -> None:
        while True:
            await asyncio.sleep(logs.LOOK_SECONDS)
            for process in self.state.processes:
                if await asyncio.to_thread(logs.bound, process.log):
                    _log.info("log_moved_aside", process=process.name)
            self._telling.catch_up()

    async def _drain(self) -> None:
        self.state.phase = Phase.DRAINING
        self._bounding.cancel()
        await self._keepers.end(self._keepers.names())
        await asyncio.to_thread(end_leftovers, self._folder)
        self.state.phase = Phase.STOPPED if self.state.error is None else Phase.FAILED
        self._telling.tell()

    def _changed(self) -> None:
        if self.state.phase is not Phase.DRAINING and self._was_ready:
            good = all(process.stage in _WELL for process in self.state.processes)
            self.state.phase = Phase.READY if good else Phase.DEGRADED
        self._telling.tell()


def _initial(process: ProcessSpec, folder: Path, stage: Stage) -> ProcessState:
    return ProcessState(
        name=process.name,
        kind=process.kind,
        address=process.address,
        ports=dict(process.ports),
        ready=list(process.ready),
        log=logs.log_file(folder, process.name),
        stage=stage,
    )
