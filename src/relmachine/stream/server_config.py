"""What a server of ours may take, and the configuration file that says so to nats-server. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from relmachine.stream.bounds import MIB
from relmachine.stream.folder import Folder

Sync = Literal["default", "always"]
"""What an acknowledgement survives: "default" a crash of any process (the operating system holds the data, the disk
within two minutes), "always" a power failure too, at a sixth of the throughput."""


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """What the server may take. Bytes, counts and seconds as the names say."""

    message_bytes_max: int = MIB
    store_bytes_max: int = 64 * 1024 * MIB
    log_bytes_max: int = 16 * MIB
    start_seconds_max: float = 20.0
    stop_seconds_max: float = 10.0
    start_attempts_max: int = 3


def configuration(folder: Folder, port: int, sync: Sync, limits: ServerLimits) -> str:
    """The configuration of a server on `folder` that listens on `port` of 127.0.0.1."""
    interval = "\n  sync_interval: always" if sync == "always" else ""
    return (
        f"listen: 127.0.0.1:{port}\n"
        f"max_payload: {limits.message_bytes_max}\n"
        f'pid_file: "{folder.pid_file}"\n'
        f'log_file: "{folder.log_file}"\n'
        f"logfile_size_limit: {limits.log_bytes_max}\n"
        "jetstream {\n"
        f'  store_dir: "{folder.path / "data"}"\n'
        f"  max_file_store: {limits.store_bytes_max}{interval}\n"
        "}\n"
    )
