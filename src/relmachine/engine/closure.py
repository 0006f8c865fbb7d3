"""Calling one closure: its payload, its view, and its answer as contributions or as a refusal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from relmachine.errors import Code, RelmError
from relmachine.kernel.envelope import Candidate
from relmachine.kernel.verdicts import GateName, Refusal
from relmachine.machine.plan import Plan, StepPlan
