"""Goal: who has no step with a model does not wait for the libraries of models. Method: a fresh interpreter that
imports the carrier and carries out a plain run.
"""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import asyncio, sys
import relmachine
from relmachine.engine.runs.carrier import RunCarrier
import tests.unit.engine.runs.plain as plain
assert asyncio.run(plain.carried()) == "done"
print("pydantic_ai" in sys.modules)
"""


def test_a_run_without_a_model_loads_no_model_library() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False, timeout=120)
    assert (done.stdout.strip(), done.returncode) == ("False", 0), done.stderr
