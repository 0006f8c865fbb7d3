"""Goal: the CPU of a program and of all it started is counted. Method: a child with a grandchild that waits."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from relmachine.node.cpu import cpu_seconds, families

SPENT = 0.1
GRANDCHILD = f"""
import sys, time
while time.process_time() < {SPENT}:
    pass
print(flush=True)
sys.stdin.read()
"""
CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {GRANDCHILD!r}])"


@pytest.mark.skipif(cpu_seconds([]) is None, reason="no /proc on this system")
def test_a_family_is_a_process_and_all_below_it() -> None:
    with subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()  # the grandchild runs
        found = families([child.pid])
        assert found[0] == child.pid
        assert len(found) == 2
        assert set(found) < set(families([os.getpid()]))
        assert families([child.pid, found[1]]).count(found[1]) == 1
        spent = cpu_seconds(found)
        assert spent is not None
        assert spent > SPENT / 2  # the kernel counts in hundredths of a second
        child.communicate(b"")


def test_a_process_that_is_gone_counts_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
    assert families([child.pid]) == [child.pid]
    assert cpu_seconds([child.pid]) in (0.0, None)
