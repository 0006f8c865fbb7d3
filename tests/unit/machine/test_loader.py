"""Goal: machine files load, and every mistake in one teaches. Method: small files with one mistake each."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from relmachine import Code, RelmError
from relmachine.engine.tools.place import place_of
from relmachine.machine.loader import load
from relmachine.machine.plan import FieldType, Kind
from relmachine.machine.report import Law
from relmachine.machine.yaml_form import parse_machine

SMALL = """
machine: small
version: "1"
fields: {who: {type: string, reducer: union}, n: {type: number, reducer: sum}, at: {type: datetime, reducer: max}}
claims: {a: {}, b: {requires: [a]}}
steps:
  do_a: {kind: process, asserts: [a], writes: &who {who: resource}}
  do_b:
    kind: derivation
    asserts: [b]
    reads: [a, n]
    writes: {<<: *who, n: amount, at: at}
    payload: {note: string, amount: {type: number, required: true}}
  undo: {kind: process, contests: [b], vetoes: [b]}
  free: {kind: process}
independent: [[free, do_a]]
dependent: [[free, undo]]
ingest: {xes: {names: {"Do A": do_a}, payload: {resource: "event:org:resource"}}}
"""

PYTHON = """
from __future__ import annotations
from pydantic import BaseModel
from relmachine import Machine, Section, View

m = Machine("m")
m.claim("a")

class Payload(BaseModel):
    note: str | None = None

@m.process(asserts=["a"])
def do_a(step: Payload, view: View) -> Section:
    return Section()
"""


def test_every_part_of_the_yaml_form_arrives() -> None:
    machine = parse_machine(SMALL)
    plan = machine.plan()
    assert (plan.machine, plan.version) == ("small", "1")
    step = plan.step("do_b")
    assert step is not None
    assert step.kind is Kind.DERIVATION
    assert step.recorded == (("at", "at"), ("n", "amount"), ("who", "resource"))
    assert plan.claim_names(step.needs) == ("a",)
    assert step.read_fields == {"n"}
    undo = plan.step("undo")
    assert undo is not None
    assert (plan.claim_names(undo.contests), plan.claim_names(undo.vetoes)) == (("b",), ("b",))
    assert plan.dependent[plan.step_index["free"]] == 1 << plan.step_index["free"] | 1 << plan.step_index["undo"]
    assert plan.fields["at"].type is FieldType.DATETIME
    assert dict(machine.ingest.names) == {"Do A": "do_a"}
    assert dict(machine.ingest.payload) == {"resource": "event:org:resource"}


@pytest.mark.parametrize(
    ("payload", "ok"),
    [
        ('{"amount":1.5}', True),
        ('{"amount":1,"note":"x","resource":"me","at":"2024-01-01T00:00:00+01:00"}', True),
        ('{"amount":1,"note":null}', True),
        ("{}", False),
        ('{"amount":"1"}', False),
        ('{"amount":true}', False),
        ('{"amount":1,"more":1}', False),
        ('{"amount":1,"note":5}', False),
        ('{"amount":1,"at":"2024-01-01T00:00:00"}', False),
        ('{"amount":1,"at":1700000000}', False),
    ],
)
def test_built_payload_models_are_strict(payload: str, ok: bool) -> None:
    step = parse_machine(SMALL).plan().step("do_b")
    assert step is not None
    try:
        step.payload_model.model_validate_json(payload)
    except ValueError:
        assert not ok
    else:
        assert ok


@pytest.mark.parametrize(
    ("change", "lesson"),
    [
        (("fields:", "feilds:"), "unknown key 'feilds' in the file: it knows machine, version, fields"),
        (("asserts: [b]", "assert: [b]"), "unknown key 'assert' in steps.do_b: it knows kind, asserts"),
        (("requires: [a]", "needs: [a]"), "unknown key 'needs' in claims.b: it knows requires"),
        (("reducer: max", "fold: max"), "unknown key 'fold' in fields.at: it knows type, reducer"),
        (("reducer: max", "fold: max"), "fields.at needs the key 'reducer'"),
        (("required: true", "must: true"), "unknown key 'must' in steps.do_b.payload.amount: it knows type, required"),
        (("xes:", "csv:"), "unknown key 'csv' in ingest: it knows xes"),
        (("names:", "name:"), "unknown key 'name' in ingest.xes: it knows names, payload"),
        (('version: "1"\n', ""), "the file needs the key 'version'"),
        (('version: "1"', "version: 1.0"), "version: write a text here; YAML reads an unquoted 1.0 as float"),
        (("{a: {}", "{no: {}"), "put it in quotes"),
        (("kind: derivation", "kind: guess"), "steps.do_b.kind: 'guess' is not one of 'process', 'derivation'"),
        (("type: number, reducer", "type: float, reducer"), "fields.n.type: 'float' is not one of 'string'"),
        (("note: string", "note: text"), "steps.do_b.payload.note.type: 'text' is not one of 'string'"),
        (("[[free, do_a]]", "[[free]]"), "independent.0: name exactly two steps"),
        (("claims: {a: {}", "claims: {a: "), "claims.a: write a mapping here, {} for an empty one"),
        (("asserts: [b]", "asserts: b"), "steps.do_b.asserts: write a list here"),
        (("claims: {a", "claims: {a: ["), "is not YAML"),
        (("<<: *who", "<<: *whom"), "is not YAML: found undefined alias"),
        (("machine: small", "machine: !!python/object:os.system small"), "is not YAML"),
        (("machine: small", "{[]: small}\nmachine: small"), "is not YAML"),
    ],
)
def test_a_mistake_in_the_file_teaches(change: tuple[str, str], lesson: str) -> None:
    assert change[0] in SMALL
    with pytest.raises(RelmError) as caught:
        parse_machine(SMALL.replace(*change))
    assert caught.value.code is Code.MACHINE_INVALID
    assert lesson in caught.value.sentence


@pytest.mark.parametrize("text", ["", "[]", "just text", "a: [" * 5000, "\x00", "a: &a [*a]", "2024-13-45"])
def test_what_is_no_machine_at_all_is_refused(text: str) -> None:
    with pytest.raises(RelmError) as caught:
        parse_machine(text)
    assert caught.value.code is Code.MACHINE_INVALID


def test_keys_given_twice_are_left_to_the_check_with_their_line() -> None:
    machine = parse_machine(
        SMALL.replace("  free: {kind: process}\n", "  free: {kind: process}\n  do_a: {kind: process}\n")
    )
    found = machine.check().of(Law.NAMES_UNIQUE).findings
    assert [dict(item.witness) for item in found] == [{"name": "do_a", "line": 16}]
    assert not parse_machine(SMALL).check().of(Law.NAMES_UNIQUE).findings


def test_a_broken_machine_still_loads() -> None:
    machine = parse_machine(SMALL.replace("requires: [a]", "requires: [b, nope]"))
    failed = {item.law for item in machine.check().failed}
    assert failed == {Law.REQUIRES_ACYCLIC, Law.REFERENCES_KNOWN}


def test_python_modules_and_folders(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    folder.mkdir()
    module = folder / "m.py"
    module.write_text(PYTHON)
    step = load(module).plan().step("do_a")
    assert step is not None
    assert step.computed
    assert load(folder).name == "m"
    assert load(f"{module}:m").name == "m"
    (folder / "m.yaml").write_text(SMALL)
    assert load(folder).name == "small"


@pytest.mark.parametrize(
    ("source", "suffix", "code", "lesson"),
    [
        (PYTHON + "n = Machine('n')\n", "", Code.MACHINE_INVALID, "choose one machine as path.py:name"),
        (PYTHON, ":n", Code.NOT_FOUND, "no machine called 'n'"),
        ("x = 1\n", "", Code.MACHINE_INVALID, "put one `Machine(...)` at module level"),
        ("def (:\n", "", Code.MACHINE_INVALID, "importing the machine failed: SyntaxError"),
        ("1 / 0\n", "", Code.MACHINE_INVALID, "ZeroDivisionError"),
        ("raise SystemExit(3)\n", "", Code.MACHINE_INVALID, "SystemExit"),
        (PYTHON + "m.field('f', bytes, reducer='once')\n", "", Code.MACHINE_INVALID, "field 'f': the type is one of"),
        (PYTHON + "m.field('f', str, reducer='first')\n", "", Code.MACHINE_INVALID, "the reducer is one of"),
        (PYTHON + "m.step('s', kind='guess')\n", "", Code.MACHINE_INVALID, "step 's': the kind is one of"),
    ],
)
def test_a_mistake_in_a_module_teaches(tmp_path: Path, source: str, suffix: str, code: Code, lesson: str) -> None:
    module = tmp_path / "m.py"
    module.write_text(source)
    with pytest.raises(RelmError) as caught:
        load(f"{module}{suffix}")
    assert caught.value.code is code
    assert lesson in caught.value.sentence


def test_a_machine_imports_the_files_beside_it_and_so_does_a_process_of_its_tools(tmp_path: Path) -> None:
    for folder, name in (("one", "first"), ("two", "second")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "beside.py").write_text(f"NAME = {name!r}\ndef say() -> str:\n    return NAME\n")
        machine = tmp_path / folder / f"{folder}.py"
        machine.write_text(
            "from relmachine import Machine\nfrom .beside import NAME, say\nm = Machine(NAME)\n"
            "def told() -> str:\n    return say()\nfirst, second = m.tool()(told), m.tool(trusted=False)(say)\n"
        )
        made = load(tmp_path / folder)
        assert made.name == name, "folders do not mix, though their files have the same names"
        for tool in made.declaration.tools.values():
            place = place_of(tool.function)
            assert place is not None
            asked = f"from relmachine.engine.tools.place import function_at; print(function_at({place!r})())"
            assert subprocess.check_output([sys.executable, "-c", asked], text=True) == f"{name}\n"


def test_paths_that_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text("")
    (tmp_path / "latin.yaml").write_bytes(b"machine: \xe9\n")
    for path, code in (
        ("nope.yaml", Code.NOT_FOUND),
        ("", Code.NOT_FOUND),
        ("m.toml", Code.MACHINE_INVALID),
        ("latin.yaml", Code.MACHINE_INVALID),
    ):
        with pytest.raises(RelmError) as caught:
            load(tmp_path / path)
        assert caught.value.code is code
