"""Goal: what a cluster writes is whole, private where it must be, and bounded. Method: write, look at modes and sizes,
and at what a reader sees of broken files.
"""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from relmachine.cluster import logs
from relmachine.cluster.holding import holding, supervisor_pid
from relmachine.cluster.kind import Kind
from relmachine.cluster.logins import FILE_NAME, Logins, load_or_create
from relmachine.cluster.ports import check_free, free_block, ports, taken
from relmachine.cluster.running import first_port, recorded
from relmachine.cluster.spec import ClusterSpec
from relmachine.cluster.state import ClusterState, Wish
from relmachine.errors import Code, RelmError
from relmachine.node.living import birth
from relmachine.node.private import write_private


def spec(folder: Path, port: int = 20_000) -> ClusterSpec:
    """Servers without nodes."""
    return ClusterSpec(3, folder, "permit", folder / "permit.yaml", port, kinds=frozenset({Kind.NATS}))


def test_logins_are_made_once_and_only_their_owner_reads_them(tmp_path: Path) -> None:
    made = load_or_create(tmp_path)
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600
    assert load_or_create(tmp_path) == made == Logins.load(tmp_path)
    assert Logins() != made
    assert made.core.password not in repr(made)


def test_a_folder_of_an_earlier_version_gets_the_logins_that_came_since(tmp_path: Path) -> None:
    made = load_or_create(tmp_path).model_dump()
    del made["store"], made["sidecar"], made["callback"]
    (tmp_path / FILE_NAME).write_text(json.dumps(made))
    filled = load_or_create(tmp_path)
    assert filled.model_dump() == {**filled.model_dump(), **made}
    assert load_or_create(tmp_path) == filled == Logins.load(tmp_path)
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_broken_logins_are_said_to_be_lost(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text('{"core": {"user": "core", "password": "short"}}')
    with pytest.raises(RelmError) as lost:
        load_or_create(tmp_path)
    assert lost.value.code is Code.NOT_FOUND


def test_a_private_file_replaces_an_open_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o666)
    write_private(path, "new")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o600)
    assert list(tmp_path.iterdir()) == [path]


def test_the_wish_is_remembered_with_its_ports(tmp_path: Path) -> None:
    wished = spec(tmp_path, 21_000)
    assert recorded(tmp_path) is None
    ClusterState(wish=Wish.of(wished), supervisor_pid=1, processes=[]).save(tmp_path)
    assert recorded(tmp_path) == Wish.of(wished)
    assert first_port(tmp_path, None) == first_port(tmp_path, 21_000) == 21_000
    with pytest.raises(RelmError) as moved:
        first_port(tmp_path, 22_000)
    assert moved.value.witness["first_port"] == 21_000


@pytest.mark.parametrize("content", ["", "{", '{"phase": "ready"}'])
def test_a_broken_state_is_no_cluster(content: str, tmp_path: Path) -> None:
    (tmp_path / "cluster.json").write_text(content)
    with pytest.raises(RelmError) as nothing:
        ClusterState.load(tmp_path)
    assert nothing.value.code is Code.NOT_FOUND


def test_one_supervisor_has_a_folder(tmp_path: Path) -> None:
    assert supervisor_pid(tmp_path) is None
    with holding(tmp_path):
        mine = supervisor_pid(tmp_path)
        with pytest.raises(RelmError, match="relm down") as refused, holding(tmp_path):
            pass
        assert supervisor_pid(tmp_path) == mine is not None
    assert refused.value.witness["supervisor"] == mine
    assert supervisor_pid(tmp_path) is None
    with holding(tmp_path):
        pass


@pytest.mark.parametrize("written", ["{pid} another birth", "{pid}", "", "999999999 {birth}", "x y"])
def test_a_stranger_with_the_id_of_a_killed_supervisor_is_none(written: str, tmp_path: Path) -> None:
    """`relm down` would end it."""
    mine = os.getpid()
    (tmp_path / "supervisor.pid").write_text(written.format(pid=mine, birth=birth(mine)))
    assert supervisor_pid(tmp_path) is None
    (tmp_path / "supervisor.pid").write_text(f"{mine} {birth(mine)}")
    assert supervisor_pid(tmp_path) == mine


def test_a_folder_of_a_single_node_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "store.db").touch()
    with pytest.raises(RelmError, match="relm dev"), holding(tmp_path):
        pass


def test_a_taken_port_is_named_with_who_wants_it() -> None:
    port = free_block()
    wished = ports(spec(Path("/data"), port))
    assert taken(wished) == []
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port + 11))
        other.listen()
        assert taken(wished) == [("nats-2", "monitor", port + 11)]
        with pytest.raises(RelmError) as refused:
            check_free(wished)
        assert refused.value.witness["taken"] == {str(port + 11): "nats-2 monitor"}
        with pytest.raises(RelmError):
            free_block([port])


def test_a_log_is_moved_aside_while_it_is_written(tmp_path: Path) -> None:
    path = logs.log_file(tmp_path, "nats-1")
    path.parent.mkdir()
    with path.open("ab", buffering=0) as written:
        written.write(b"first\n" * 100)
        assert not logs.bound(path, 600)
        written.write(b"x")
        assert logs.bound(path, 600)
        written.write(b"second\n")
    assert path.read_bytes() == b"second\n"
    assert path.with_name("nats-1.log.1").stat().st_size == 601
    assert not logs.bound(tmp_path / "absent.log", 600)


def test_the_last_lines_of_a_long_log(tmp_path: Path) -> None:
    path = tmp_path / "long.log"
    path.write_text("".join(f"line {number}\n" for number in range(100_000)))
    assert logs.last_lines(path, 2) == ["line 99998", "line 99999"]
    assert logs.last_lines(tmp_path / "absent.log") == []


def test_the_state_is_json_that_others_can_read(tmp_path: Path) -> None:
    ClusterState(wish=Wish.of(spec(tmp_path)), supervisor_pid=7, processes=[]).save(tmp_path)
    written = json.loads((tmp_path / "cluster.json").read_text())
    assert written["supervisor_pid"] == 7 and written["wish"]["kinds"] == ["nats"]
