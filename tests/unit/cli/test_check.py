"""Goal: `relm check` shows every law and every dependent pair with its reason, ends with 1 when a law fails, and shows
what a machine has on a NATS server.

Method: the permit example, and small machine files that break a law.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from relmachine.cli.app import app
from relmachine.kernel.limits import Limits
from relmachine.machine.loader import load
from relmachine.machine.report import Law
from relmachine.stream import consumers, streams
from relmachine.stream.bounds import SHARED_ACK_WAIT_SECONDS, StreamBounds
from relmachine.stream.description import describe
from relmachine.stream.topology import topology

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
    last = f"ok  permit: {len(Law)} laws hold; laws digest {load(PERMIT).laws_digest()}"
    assert result.stdout.splitlines()[-1] == last


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
    count = len(report["laws"])
    assert plain.stdout.splitlines()[-1] == f"failed  broken: 1 of {count} laws failed: {Law.REQUIRES_ACYCLIC}"
    assert {"a", "b"} <= set(json.dumps(broken["findings"][0]["witness"]).replace('"', " ").split())


def test_laws_that_only_warn_are_counted_apart(tmp_path: Path) -> None:
    path = tmp_path / "doubtful.yaml"
    path.write_text(
        "machine: doubtful\nversion: '1'\nclaims: {a: {}}\n"
        "steps: {fact: {kind: process, asserts: [a]}, opinion: {kind: derivation, asserts: [a]}}\n"
    )
    result = _check(str(path))
    assert (result.exit_code, f"{len(Law)} laws hold, 1 with a warning;" in result.stdout) == (0, True)


@pytest.mark.parametrize(
    ("name", "content", "exit_code", "said"),
    [
        ("machine.yaml", None, 3, "not_found: there is no machine file"),
        ("machine.yaml", b"machine: [", 1, "machine_invalid: line 1 is not YAML"),
        ("machine.yaml", b"- 1", 1, "machine_invalid: the file: write a mapping"),
        (
            "machine.yaml",
            b"",
            1,
            "machine_invalid: the file declares nothing: write the keys machine, version and steps",
        ),
        ("machine.yaml", b"# nothing\n", 1, "machine_invalid: the file declares nothing"),
        ("machine.yaml", b"machine: x\n\tversion: 1\n", 1, "indent with spaces, not with tabs"),
        ("machine.yaml", b"\xff\xfe\x00", 1, "machine_invalid: write the machine file in UTF-8"),
        ("machine.py", b"\x00\xff", 1, "machine_invalid: importing the machine failed: SyntaxError"),
        ("machine.txt", b"machine: x", 1, "machine_invalid: name a .yaml or .py file"),
    ],
)
def test_a_file_that_is_no_machine_is_a_coded_error(
    tmp_path: Path, name: str, content: bytes | None, exit_code: int, said: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    result = _check(str(path))
    assert (result.exit_code, result.stderr.splitlines()[0].count(said)) == (exit_code, 1), result.stderr
    assert "next: relm check" not in result.stderr, "the command that was just typed"


def test_a_folder_without_a_machine_says_what_belongs_there(tmp_path: Path) -> None:
    folder = tmp_path / "desk.yaml"
    folder.mkdir()
    result = _check(str(folder))
    assert (result.exit_code, "put desk.yaml.yaml or desk.yaml.py into the folder" in result.stderr) == (3, True)


@pytest.mark.parametrize("name", ["machine.yaml", "machine.py"])
def test_a_machine_that_may_not_be_read_is_told_apart_from_a_bad_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = tmp_path / name
    path.write_text("")

    def forbidden(self: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", forbidden)
    monkeypatch.setattr(Path, "read_text", forbidden)
    result = _check(str(path))
    assert (result.exit_code, result.stderr.startswith(f"unreachable: {path}: Permission denied")) == (4, True)


def test_the_topology_is_that_of_the_node_or_the_cluster_that_would_run_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def shown(*arguments: str) -> dict[str, object]:
        found: dict[str, object] = json.loads(_check(str(PERMIT), "--topology", "--json", *arguments).stdout)[
            "topology"
        ]
        return found

    def described(replicas: int, **bounds: float) -> object:
        names = topology(load(PERMIT).plan())
        return json.loads(json.dumps(describe(names, Limits(), StreamBounds(**bounds), replicas).as_json()))

    assert shown() == described(1)
    assert shown("--nodes", "1") == described(1, ack_wait_seconds=SHARED_ACK_WAIT_SECONDS)
    assert shown("--nodes", "5") == described(3, ack_wait_seconds=SHARED_ACK_WAIT_SECONDS)
    monkeypatch.setenv("RELM_REPLICAS", "5")
    monkeypatch.setenv("RELM_STREAM_BOUNDS", '{"dedupe_window_seconds": 7}')
    assert shown() == described(5, dedupe_window_seconds=7)


def test_the_printed_topology_names_everything() -> None:
    result = _check(str(PERMIT), "--topology")
    assert result.exit_code == 0, result.output
    words = set(result.stdout.replace(",", " ").split())
    names = topology(load(PERMIT).plan())
    found = describe(names, Limits(), StreamBounds())
    assert {*names.streams, names.consumer("STORE_ID"), names.metadata["matrix_digest"]} <= words
    assert {item.subject for item in found.subjects} | {right.subject for right in found.node_rights} <= words
    assert {account.name for account in found.accounts} <= words
    assert {*streams.PROMISED, *consumers.PROMISED, *consumers.TUNED} <= words
    assert result.stdout.splitlines()[-1].startswith("ok  permit: ")


def test_a_machine_that_breaks_a_law_has_no_topology(tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(CYCLE)
    plain, as_json = _check(str(path), "--topology"), _check(str(path), "--topology", "--json")
    assert (plain.exit_code, as_json.exit_code) == (1, 1)
    assert Law.REQUIRES_ACYCLIC in plain.stdout
    assert "topology" not in json.loads(as_json.stdout)


def test_nodes_without_topology_make_no_sense() -> None:
    result = _check(str(PERMIT), "--nodes", "3")
    assert (result.exit_code, "--topology" in result.stderr) == (2, True)
