"""Goal: every machine of `examples/broken` breaks exactly its law. Method: load and check each, with its witness."""

from __future__ import annotations

from pathlib import Path

import pytest

from relmachine.machine.loader import load
from relmachine.machine.report import Law

FOLDER = Path(__file__).parents[3] / "examples" / "broken"

EXPECTED: dict[str, tuple[Law, list[dict[str, object]]]] = {
    "cycle": (Law.REQUIRES_ACYCLIC, [{"cycle": ["approved", "drafted", "approved"]}]),
    "derivation_on_procedure": (Law.NUCLEI_COMMUTE, [{"claim": "cause_proposed", "rests_on": "routed"}]),
    "false_independence": (
        Law.INDEPENDENCE_TRUE,
        [{"independent": ["draft", "publish"], "rule": "touches_need", "claim": "drafted"}],
    ),
    "unknown_claim": (Law.REFERENCES_KNOWN, [{"step": "draft", "asserts": "draughted"}]),
    "assert_and_contest": (
        Law.FOOTPRINT_CONSISTENT,
        [{"step": "redraft", "asserts": "drafted", "contests": "drafted"}],
    ),
    "duplicate_names": (Law.NAMES_UNIQUE, [{"name": "work", "line": 9}]),
    "reserved_words": (Law.NAMES_VALID, [{"step": "_"}, {"claim": "class"}]),
    "empty": (Law.NOT_EMPTY, [{"machine": "empty", "steps": 0}]),
}


def test_every_file_is_expected_and_listed() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} == EXPECTED.keys()
    listed = (FOLDER / "README.md").read_text()
    assert all(f"| `{name}.yaml` | `{law}` |" in listed for name, (law, _) in EXPECTED.items())


@pytest.mark.parametrize("name", EXPECTED)
def test_each_breaks_its_law_and_no_other(name: str) -> None:
    law, witnesses = EXPECTED[name]
    report = load(FOLDER / f"{name}.yaml").check()
    assert [item.law for item in report.failed] == [law]
    assert [dict(item.witness) for item in report.of(law).findings] == witnesses
