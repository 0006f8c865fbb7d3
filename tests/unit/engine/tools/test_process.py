"""Goal: a tool that is not trusted gets its answer through, and nothing else. Method: hostile tools, each called in a
real process, and a look at what is left afterwards.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import orjson
import psutil
import pytest

from relmachine.engine.tools import process
from relmachine.engine.tools.bounds import ToolBounds
from relmachine.engine.tools.child import Child
from relmachine.engine.tools.place import place_of
from relmachine.engine.tools.process import ToolProcesses
from relmachine.errors import Code, RelmError
from relmachine.machine.machine import Machine
from relmachine.machine.runs import Tool
from tests.unit.engine.tools import hostile

SECONDS = 0.5
"""The bound of the tools here; what must not be cut off gets more."""


def tool(function: Callable[..., object], seconds: float = 20.0, **bounds: int) -> Tool:
    return Tool(function.__name__, function, trusted=False, seconds=seconds, **bounds)


def call(given: Tool, bounds: ToolBounds | None = None, /, **arguments: object) -> object:
    async def scenario() -> object:
        processes = ToolProcesses(bounds)
        try:
            return await processes.call(given, arguments)
        finally:
            await processes.close()

    return asyncio.run(scenario())


def failure(given: Tool, bounds: ToolBounds | None = None, /, **arguments: object) -> tuple[object, str]:
    with pytest.raises(RelmError) as caught:
        call(given, bounds, **arguments)
    assert caught.value.code is Code.TOOL_FAILED
    assert caught.value.witness["tool"] == given.name
    return caught.value.witness["kind"], str(caught.value.witness["detail"])


def test_elsewhere_than_on_linux_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def started(*_: object, **__: object) -> None:
        raise AssertionError("started")

    monkeypatch.setattr(process, "Child", started)
    monkeypatch.setattr(process.sys, "platform", "darwin")
    kind, detail = failure(tool(hostile.add), one=1, other=2)
    assert (kind, detail) == ("system", "this is darwin")


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Folders of calls are made in one of the test's own, which is empty afterwards, and no process is left."""
    tmp_path.chmod(0o711)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    temporary.chmod(0o711)
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    before = {child.pid for child in psutil.Process().children()}
    yield
    assert list(temporary.iterdir()) == []
    assert {child.pid for child in psutil.Process().children()} <= before, "no process is left, not even its remains"


def alive(text: str) -> list[str]:
    """Processes in whose command line `text` stands, but zombies."""
    found: list[str] = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and text.encode() in (entry / "cmdline").read_bytes():
                found.append(entry.name)
        except OSError:
            continue
    return found


def test_it_answers_plain_and_async_and_by_declared_types() -> None:
    assert call(tool(hostile.add), one=1, other=2) == 3
    assert call(tool(hostile.add_later), one=1, other=2) == 3
    order = hostile.Order(item="bolt", count=2)
    assert call(tool(hostile.typed), order=order, at=datetime(2024, 1, 2)) == {"item": "BOLT", "count": 2026}


def test_a_tool_is_found_where_it_is_declared(tmp_path: Path) -> None:
    from relmachine.machine.loader import load

    file = tmp_path / "tools.py"
    file.write_text(
        "from __future__ import annotations\n"
        "from relmachine import Machine\n"
        "machine = Machine('m')\n"
        "@machine.tool(trusted=False)\n"
        "def twice(number: int) -> int:\n"
        "    return number * 2\n"
    )
    assert isinstance(load(file), Machine)
    (found,) = load(file).declaration.tools.values()
    assert call(found, number="21") == 42  # arguments become what the annotations say
    assert call(tool(hostile.Shelf.look)) == "on the shelf"


def test_one_that_cannot_be_found_again_does_not_start(tmp_path: Path) -> None:
    def local() -> None: ...

    assert failure(tool(local))[0] == "start"
    gone = tool(hostile.add)
    gone.function.__qualname__ = "gone"
    try:
        kind, detail = failure(gone)
    finally:
        gone.function.__qualname__ = "add"
    assert (kind, "AttributeError" in detail) == ("start", True)


@pytest.mark.parametrize("function", [hostile.loop, hostile.hang, hostile.deaf])
def test_one_that_does_not_end_is_ended(function: Callable[..., object]) -> None:
    assert failure(tool(function, SECONDS))[0] == "timeout"


def test_memory_is_bounded_on_top_of_what_the_import_took() -> None:
    megabyte = 1024 * 1024
    assert call(tool(hostile.eat, memory_bytes=64 * megabyte), megabytes=32) == 32 * megabyte
    assert failure(tool(hostile.eat, memory_bytes=64 * megabyte), megabytes=1000)[0] == "memory"


def test_output_is_cut_at_its_bound() -> None:
    assert call(tool(hostile.flood, output_bytes=10_002), count=10_000) == "x" * 10_000
    assert failure(tool(hostile.flood, output_bytes=10_001), count=10_000)[0] == "output"
    assert failure(tool(hostile.flood, output_bytes=100), count=101)[0] == "output"
    assert failure(tool(hostile.flood), count=50_000_000)[0] == "output"


def test_what_it_prints_goes_nowhere() -> None:
    assert call(tool(hostile.babble)) == "said"


@pytest.mark.parametrize("text", ["garbage\n", "[1]\n", '{"raised": 1}\n'])
def test_what_it_writes_into_the_pipe_is_at_most_a_failure(text: str) -> None:
    assert failure(tool(hostile.forge), text=text)[0] == "output"


@pytest.mark.parametrize("function", [hostile.not_json, hostile.no_number])
def test_what_has_no_json_is_no_answer(function: Callable[..., object]) -> None:
    assert failure(tool(function))[0] == "output"


def test_what_it_raises_is_told() -> None:
    assert failure(tool(hostile.fail), text="wrong") == ("raised", "ValueError: wrong")
    kind, detail = failure(tool(hostile.fail), text="x" * 100_000)
    assert (kind, len(detail) < 1000) == ("raised", True)
    assert failure(tool(hostile.add), one=1)[0] == "raised"  # an argument is missing


def test_ways_to_go_without_an_answer() -> None:
    assert failure(tool(hostile.leave), code=3) == ("exit", "it ended with exit code 3")
    assert failure(tool(hostile.kill_itself))[0] == "exit"
    assert failure(tool(hostile.kill_itself), number=int(signal.SIGXCPU))[0] == "timeout"  # as the CPU limit does
    assert failure(tool(hostile.shut), ToolBounds(end_seconds_max=0.2))[0] == "exit"


def test_arguments_are_bounded_and_json() -> None:
    assert failure(tool(hostile.fail), ToolBounds(arguments_bytes_max=100), text="x" * 101)[0] == "arguments"
    assert failure(tool(hostile.fail), text=object())[0] == "arguments"


def test_processes_of_its_own_are_bounded_and_end_with_it() -> None:
    assert 1 <= int(str(call(tool(hostile.fork_bomb), ToolBounds(children_max=5)))) <= 6


@pytest.mark.parametrize("own_session", [False, True])
def test_what_it_leaves_behind_ends_with_it(own_session: bool) -> None:
    name = f"orphan-{os.getpid()}-{own_session}"
    # The orphan is a fork of the worker, whose command line has the place and the limits of this very call.
    assert call(tool(hostile.orphan, memory_bytes=300_000_001), file=name, own_session=own_session) == 1
    assert alive('"memory_bytes": 300000001') == []


def test_files_are_bounded_and_in_a_folder_that_goes() -> None:
    kind, detail = failure(tool(hostile.write), ToolBounds(file_bytes_max=2 * 1024 * 1024), megabytes=3)
    assert (kind, "OSError" in detail) == ("raised", True)
    assert call(tool(hostile.write), megabytes=3) == 3 * 1024 * 1024
    assert call(tool(hostile.litter)) == []
    assert Path(str(call(tool(hostile.where)))).name.startswith("relm-tool-")


def test_no_secret_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELM_MODEL_API_KEY", "the-secret")
    given = call(tool(hostile.environment))
    assert isinstance(given, dict)
    assert set(given) <= {"PATH", "LANG", "LC_CTYPE"}  # the interpreter sets the last one itself


def test_environments_of_other_processes_cannot_be_read() -> None:
    # The environment that this process was started with, in which the test runner itself is named.
    (own,) = [line for line in Path("/proc/self/environ").read_bytes().split(b"\0") if line.startswith(b"PATH=")]
    mine = str(os.getpid())
    assert mine in hostile.spy(own.decode())
    found = call(tool(hostile.spy), secret=own.decode())
    assert isinstance(found, list)
    assert mine not in found


def test_it_may_signal_no_process_outside() -> None:
    assert call(tool(hostile.signal_parents)) == []


def test_it_has_no_network() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert hostile.connect(server.getsockname()[1]) == "connected"
        assert call(tool(hostile.connect), port=server.getsockname()[1]) != "connected"


def test_it_has_no_rights() -> None:
    found = call(tool(hostile.rights))
    assert isinstance(found, dict)
    assert (found["effective"], found["no_new_privileges"], found["uid"] != 0) == (0, 1, True)


def test_it_may_start_programs() -> None:
    assert call(tool(hostile.run_echo), text="42") == "42\n"


def test_calls_at_the_same_time_get_their_own_answers_and_wait_for_a_place() -> None:
    async def scenario() -> None:
        processes = ToolProcesses(ToolBounds(processes_max=2))
        answers = await asyncio.gather(*(processes.call(tool(hostile.add), {"one": n, "other": 1}) for n in range(5)))
        assert answers == [1, 2, 3, 4, 5]
        await processes.close()

    asyncio.run(scenario())


@pytest.fixture
def meeting() -> Iterator[Path]:
    """A file that any user can write, and this process awaits."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o777)
        yield Path(folder, "begun")


def begun(file: Path) -> None:
    end = time.monotonic() + 30
    while not file.exists():
        assert time.monotonic() < end, "it did not begin"
        time.sleep(0.01)


def test_cancelling_the_caller_kills_the_process(meeting: Path) -> None:
    async def scenario() -> float:
        processes = ToolProcesses(ToolBounds(processes_max=1))
        given = tool(hostile.mark_and_hang, 60.0, memory_bytes=300_000_002)
        calling = asyncio.ensure_future(processes.call(given, {"file": str(meeting)}))
        waiting = asyncio.ensure_future(processes.call(given, {"file": str(meeting)}))
        await asyncio.to_thread(begun, meeting)
        start = time.monotonic()
        for task in (waiting, calling):
            task.cancel()
        results = await asyncio.gather(calling, waiting, return_exceptions=True)
        assert [type(result) for result in results] == [asyncio.CancelledError] * 2
        await processes.close()
        assert alive('"memory_bytes": 300000002') == []
        return time.monotonic() - start

    assert asyncio.run(scenario()) < 5


def test_one_that_is_ended_before_it_starts_does_not_start(meeting: Path) -> None:
    given = tool(hostile.mark_and_hang, SECONDS)
    place = place_of(given.function)
    assert place is not None
    child = Child(given, place, orjson.dumps({"file": str(meeting)}) + b"\n", ToolBounds())
    child.end()
    assert child.run() == ("ended", "")
    assert not meeting.exists()


def test_closing_ends_what_runs_and_says_so(meeting: Path) -> None:
    async def scenario() -> None:
        processes = ToolProcesses()
        calling = asyncio.ensure_future(processes.call(tool(hostile.mark_and_hang, 60.0), {"file": str(meeting)}))
        await asyncio.to_thread(begun, meeting)
        await processes.close()
        with pytest.raises(RelmError) as caught:
            await calling
        assert caught.value.witness["kind"] == "ended"

    asyncio.run(scenario())
