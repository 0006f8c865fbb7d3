"""Goal: `relm check` shows every law and every dependent pair with its reason, and ends with 1 when a law fails.

Method: the permit example, and small machine files that break a law.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from relmachine.cli.app import app
from relmachine.machine.loader import load
from relmachine.machine.report import Law

PERMIT = Path(__file__).parents[3] / "examples" / "permit" / "permit.yaml"
CYCLE = """
machine: broken
version: "1"
claims: {a: {requires: [b]}, b: {requires: [a]}}
steps: {put_a: {kind: process, asserts: [a]}, put_b: {kind: process, asserts: [b]}}
"""


def _check(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["check", *arguments])


def test_the_permit_machine_passes_every_law() -> None:
    result = _check(str(PERMIT))
    assert result.exit_code == 0, result.output
    laws = [line.split()[:2] for line in result.stdout.splitlines() if line.split()[:1] and line.split()[0] in set(Law)]
    assert laws == [[law, "pass"] for law in Law]
    assert f"ok  permit  laws {load(PERMIT).laws_digest()}" in result.stdout


def test_the_matrix_is_symmetric_and_every_dependent_pair_has_its_reason() -> None:
    shown = json.loads(_check(str(PERMIT), "--json").stdout)
    pairs = {tuple(item["steps"]): item["reasons"] for item in shown["dependence"]}
    plan = load(PERMIT).plan()
    names = [step.name for step in plan.steps]
    assert shown["steps"] == names
    assert set(pairs) == {
        (one, other)
        for i, one in enumerate(names)
        for j, other in enumerate(names)
        if i < j and plan.dependent[i] >> j & 1
    }
    assert all(reasons for reasons in pairs.values())
    assert pairs["t02", "t03"] == [
        {"rule": "assert_and_contest", "witness": "checked", "sentence": "t02 asserts checked, which t03 contests"}
    ]


def test_the_printed_matrix_marks_the_same_pairs() -> None:
    printed = _check(str(PERMIT)).stdout.split("\nDependence ", 1)[1].split("Why", 1)[0]
    rows = [line.split() for line in printed.splitlines()]
    marks = {row[1]: row[2:] for row in rows if row[:1] and row[0].isdigit() and "D" in row}
    plan = load(PERMIT).plan()
    assert marks == {
        step.name: ["D" if plan.dependent[step.index] >> n & 1 else "." for n in range(len(plan.steps))]
        for step in plan.steps
    }


def test_a_broken_law_is_shown_with_its_witness_and_fails(tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(CYCLE)
    plain, as_json = _check(str(path)), _check(str(path), "--json")
    assert (plain.exit_code, as_json.exit_code) == (1, 1)
    line = next(line for line in plain.stdout.splitlines() if line.split()[:1] == [Law.REQUIRES_ACYCLIC])
    assert line.split()[1] == "fail"
    report = json.loads(as_json.stdout)
    (broken,) = [item for item in report["laws"] if item["law"] == Law.REQUIRES_ACYCLIC]
    assert (report["ok"], report["laws_digest"], broken["verdict"]) == (False, None, "fail")
    assert {"a", "b"} <= set(json.dumps(broken["findings"][0]["witness"]).replace('"', " ").split())


@pytest.mark.parametrize(("content", "exit_code"), [(None, 3), ("machine: [", 1), ("- 1", 1)])
def test_a_file_that_is_no_machine_is_a_coded_error(tmp_path: Path, content: str | None, exit_code: int) -> None:
    path = tmp_path / "machine.yaml"
    if content is not None:
        path.write_text(content)
    result = _check(str(path))
    assert result.exit_code == exit_code
    assert result.stderr.startswith(("not_found: ", "machine_invalid: "))
