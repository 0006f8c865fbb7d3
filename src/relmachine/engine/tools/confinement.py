"""What the process of a tool is kept from, with what the kernel grants to whoever runs the node. Linux only."""

from __future__ import annotations

import ctypes
import math
import os
import resource
import signal
import time
from collections.abc import Mapping
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_SET_NO_NEW_PRIVS = 38
_CAP_SETUID = 7
_NEW_USER, _NEW_PID, _NEW_NET, _NEW_IPC = 0x10000000, 0x20000000, 0x40000000, 0x08000000
_CAPABILITIES_VERSION_3 = 0x20080522

_UIDS = range(61184, 65520)
"""Numbers that belong to nobody, by the convention of systemd's dynamic users."""

_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """End this process when the thread that started it ends, however that ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def enter_namespaces() -> bool:
    """Go on as the second process of new namespaces: no network, and no hand on processes outside.

    The calling process only waits, tells how the second one ended, and ends all that is in the namespaces when it is
    asked to (SIGTERM). False, and nothing changed, where this is not allowed. Call it with a single thread.
    """
    trial = os.fork()  # some systems let a process leave its namespaces, and then nothing in the new ones
    if trial == 0:
        os._exit(0 if _unshared() else 1)
    if os.waitpid(trial, 0)[1] != 0 or not _unshared():
        return False
    _stay_behind(ends_all=True)  # the first process of the namespaces; when it ends, the kernel ends all of them
    _stay_behind(ends_all=False)  # the second, which signals reach as usual
    return True


def drop_rights(number: int) -> None:
    """Give up every right. Root becomes nobody: a user of its own for each `number`, so that tools are strangers to
    one another too. Files are root's to it only where Python itself can be read by nobody else.
    """
    if os.getuid() == 0:
        nobody = _UIDS[number % len(_UIDS)]
        keeps_files = not _open_to_all(Path(os.__file__).resolve())
        if not keeps_files:
            os.chown(".", nobody, nobody)
        _libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
        os.setgroups([])
        os.setresgid(nobody, nobody, nobody)
        os.setresuid(nobody, nobody, nobody)
        die_with_parent()  # forgotten when the user changes
        if keeps_files:
            _keep_only(1 << _CAP_SETUID)
            _libc.setfsuid(0)
    _keep_only(0)
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def set_limits(limits: Mapping[str, int], *, alone: bool) -> None:
    """Bound this process. `memory_bytes` and `cpu_seconds` are on top of what it has and had.

    `children_max` counts processes of a user: only where this user has no others, `alone`, does it mean these.
    """
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    memory = pages * resource.getpagesize() + limits["memory_bytes"]
    bounds = {
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_FSIZE: limits["file_bytes_max"],
        resource.RLIMIT_NOFILE: limits["open_files_max"],
        resource.RLIMIT_CORE: 0,
    }
    if alone:
        bounds[resource.RLIMIT_NPROC] = limits["children_max"] + 2
    for which, bound in bounds.items():
        resource.setrlimit(which, (bound, bound))
    cpu_seconds = math.ceil(time.process_time()) + limits["cpu_seconds"]
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 1))  # SIGXCPU, which can be told, then SIGKILL


def _keep_only(rights: int) -> None:
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES_VERSION_3, 0)
    _libc.capset(header, (ctypes.c_uint32 * 6)(rights, rights))


def _open_to_all(file: Path) -> bool:
    return all(folder.stat().st_mode & 0o001 for folder in file.parents) and bool(file.stat().st_mode & 0o004)


def _unshared() -> bool:
    uid, gid = os.getuid(), os.getgid()
    if _libc.unshare(_NEW_PID | _NEW_NET | _NEW_IPC | (_NEW_USER if uid else 0)) != 0:
        return False
    if uid:
        try:
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
            Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
        except OSError:
            return False
    return True


def _stay_behind(*, ends_all: bool) -> None:
    """Fork. The child returns; the parent waits for it, and ends as it did."""
    child = os.fork()
    if child == 0:
        die_with_parent()
        return

    def end(_signal: int, _frame: object) -> None:
        os.kill(child, signal.SIGKILL)

    if ends_all:
        signal.signal(signal.SIGTERM, end)
    os.closerange(0, 256)  # the pipes are the child's: whoever reads them must see it end
    while True:
        ended, status = os.wait()
        if ended == child:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)
