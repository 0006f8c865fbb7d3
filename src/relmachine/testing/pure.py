"""Whether the closure of a step is a function of its payload and its view, tried out."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from typing import cast

import orjson
from pydantic import BaseModel

from relmachine.engine.tools.place import place_of
from relmachine.errors import Code, RelmError
from relmachine.machine.machine import Machine
from relmachine.machine.plan import Plan, StepPlan
from relmachine.machine.view import View, visible_claims
from relmachine.testing.outcomes import Case, outcomes, pack

_AGAIN = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); import relmachine.testing.again as a; a.main()"

AGAIN_SECONDS_MAX = 120.0
"""Longest that the cases may take in another process."""

Fields = Mapping[str, object]


def assert_pure(
    machine: Machine | Plan,
    step: str,
    payloads: Iterable[BaseModel | Mapping[str, object]],
    views: Iterable[View | Fields] = ({},),
    *,
    hash_seeds: Sequence[int] = (1, 2),
) -> None:
    """Run the closure of `step` on every payload with every view, twice under the guard of `purity`, and compare.

    A view may be given as the values of fields; all claims that the step may look at are effective then. A closure at
    the top level of a file is also run in a process for each of `hash_seeds`, in which sets have other orders; none
    leaves that out. An exception is an outcome like another: it must come again.
    Of a step that runs outside its turn it is the fallback closure.
    Errors: `impure` with what was touched, or with the payload and the two outcomes that differ; `unknown_step` when
    the step has no such closure.
    """
    plan = machine.plan() if isinstance(machine, Machine) else machine
    found = plan.step(step)
    pure = None if found is None else found.closure if found.run is None else found.run.fallback_closure
    if found is None or pure is None:
        sentence = f"step {step!r} has no closure that runs inside the turn, and none to fall back on"
        raise RelmError(Code.UNKNOWN_STEP, sentence, step=step)
    closure = cast(Callable[[object, View], object], pure)
    cases = [_case(plan, found, payload, view) for payload, view in product(payloads, list(views))]
    first = outcomes(closure, found.payload_model, cases)
    _same(step, cases, first, outcomes(closure, found.payload_model, cases), "a second time")
    place = place_of(closure)
    for seed in hash_seeds if place is not None else ():
        again = _elsewhere(pack(cast(dict[str, str], place), cases), seed)
        _same(step, cases, first, again, f"with hash seed {seed}")


def _case(plan: Plan, step: StepPlan, payload: BaseModel | Mapping[str, object], view: View | Fields) -> Case:
    model = step.payload_model
    given = payload if isinstance(payload, BaseModel) else model.model_validate(payload)
    if not isinstance(view, View):
        claims = frozenset(plan.claim_names(visible_claims(plan, step)))
        view = View(step.name, step.read_fields, view, claims, claims)
    return Case(given.model_dump_json(by_alias=True), view)


def _elsewhere(packed: bytes, seed: int) -> list[str]:
    command = [sys.executable, "-c", _AGAIN, orjson.dumps(sys.path).decode()]
    ran = subprocess.run(
        command,
        input=packed,
        capture_output=True,
        check=False,
        timeout=AGAIN_SECONDS_MAX,
        env={"PYTHONHASHSEED": str(seed)},
    )
    if ran.returncode != 0:
        sentence = "the closure could not be run in another process: see the detail"
        raise RelmError(Code.IMPURE, sentence, detail=ran.stderr.decode(errors="replace")[-1000:])
    return cast(list[str], orjson.loads(ran.stdout))


def _same(step: str, cases: Sequence[Case], first: Sequence[str], other: Sequence[str], when: str) -> None:
    for case, one, two in zip(cases, first, other, strict=True):
        if one != two:
            sentence = (
                f"the closure of {step!r} gives something else {when}: let it depend on nothing but its arguments"
            )
            raise RelmError(Code.IMPURE, sentence, step=step, payload=case.payload, first=one, other=two)
