"""A cluster whose supervisor is a process of its own, which stays when this command ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

from relmachine.cli.cluster_view import starting
from relmachine.cluster.holding import holding, supervisor_pid
from relmachine.cluster.logs import last_lines, log_file
from relmachine.cluster.running import make_folder
from relmachine.cluster.spec import ClusterSpec
from relmachine.cluster.state import ClusterState, Phase
from relmachine.errors import Code, RelmError

_LOOK_SECONDS = 0.05


def start(spec: ClusterSpec) -> ClusterState:
    """Start the supervisor of `spec` and return the state once every process is ready.

    Errors: what kept it from getting ready. Ctrl-C ends the supervisor as well.
    """
    if supervisor_pid(spec.data_dir) is not None:
        with holding(spec.data_dir):  # says who has it
            pass
    log = log_file(spec.data_dir, "supervisor")
    make_folder(spec.data_dir)
    log.parent.mkdir(exist_ok=True)
    with log.open("ab") as output:
        supervisor = subprocess.Popen(
            _command(spec), stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        with starting() as show:
            while supervisor.poll() is None:
                state = _state(spec, supervisor.pid)
                if state is not None:
                    show(state)
                    if state.phase is Phase.READY:
                        return state
                time.sleep(_LOOK_SECONDS)
    except KeyboardInterrupt:
        supervisor.send_signal(signal.SIGTERM)
        supervisor.wait()
        raise
    raise _failure(spec, supervisor.pid)


def _command(spec: ClusterSpec) -> list[str]:
    options: dict[str, object] = {
        "--nodes": spec.nodes,
        "--machine": spec.machine_path,
        "--data": spec.data_dir,
        "--first-port": spec.first_port,
        "--sync": spec.sync,
        **({} if spec.grants_path is None else {"--grants": spec.grants_path}),
    }
    arguments = [f"{name}={value}" for name, value in options.items()]
    arguments += [f"--only={kind}" for kind in sorted(spec.kinds)]
    return [sys.executable, "-m", "relmachine", "up", *arguments, "--json"]


def _state(spec: ClusterSpec, supervisor: int) -> ClusterState | None:
    """What that supervisor wrote down; None when it wrote nothing yet."""
    try:
        state = ClusterState.load(spec.data_dir)
    except RelmError:
        return None
    return state if state.supervisor_pid == supervisor else None


def _failure(spec: ClusterSpec, supervisor: int) -> RelmError:
    state = _state(spec, supervisor)
    if state is not None and state.error is not None:
        return state.error.as_error()
    log = log_file(spec.data_dir, "supervisor")
    sentence = "the cluster did not start: read the supervisor's last lines in the witness"
    return RelmError(Code.UNREACHABLE, sentence, log_file=str(log), log=last_lines(log))
