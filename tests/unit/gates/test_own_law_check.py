"""Goal: a law that is not understood is refused when it is loaded, with its line; dependence follows from what it
reads. Method: laws that break one rule each, over a small machine; the same law with and without each declared read."""

from __future__ import annotations

import time
from pathlib import Path
from random import Random

import pytest
from clingo.ast import parse_string

from relmachine.errors import Code, RelmError
from relmachine.gates import own_law_program, own_law_text
from relmachine.machine.dependence import Rule, dependence, derive
from relmachine.machine.loader import load
from relmachine.machine.machine import Machine
from relmachine.machine.report import Law
from relmachine.machine.yaml_form import parse_machine
from relmachine.store.declaration import dump_plan, load_plan
from tests import permit
from tests.unit.gates.own_law_desk import FOUR_EYES, desk, law

DECLARED = 'guards("determine"). reads(principal,"check").\nreads(claim,"checked"). reads(field,"amount").'


@pytest.mark.parametrize(
    ("rules", "line", "said"),
    [
        ("violation(E) :- principl(E).", 4, "no fact or rule gives principl/1"),
        ("violation(E) :-\n  step(E).", 5, "step has 2 arguments, not 1"),
        ("violation(E) :- step(E,check).", 4, 'write it as a text, "check"'),
        ('violation(E) :- step(E,"chek").', 4, 'step never has "chek"'),
        ('violation(E) :- step(E,"note").', 4, 'step never has "note"'),
        ('violation(E) :- value(E,"share",_).', 4, 'value never has "share"'),
        ('violation :- effective("received").', 4, 'effective never has "received"'),
        ('violation(E) :- asserts(E,"nothing").', 4, 'asserts never has "nothing"'),
        ("x.", 1, "derive violation(…)"),
        ('violation. step(this,"check").', 4, "step is given, not derived"),
        ("violation :- x.\n{ x }.", 5, "derive one atom"),
        ("violation :- x.\nx ; y.", 5, "derive one atom"),
        ("violation.\n:- event(E).", 5, "derive one atom"),
        ("violation.\nnot x.", 5, "derives what holds"),
        ("-violation.", 4, "another predicate"),
        ("violation :- a.\na :- not b.\nb :- not a.", 5, "several answers"),
        ("violation :- a(1).\na(N) :- N = #count { X : a(X) }.", 5, "several answers"),
        ("violation(X) :- not event(X).", 4, "nothing binds X"),
        ("violation :- not not event(this).", 4, "not not"),
        ("violation(1;2).", 4, "a rule for each alternative"),
        ("violation(X) :- X = (1;2).", 4, "a rule for each alternative"),
        ("violation(X) :- event(X), X = @now().", 4, "no function @now"),
        ("violation :- &sum { 1 } >= 0.", 4, "no theories"),
        ("violation :- _case(1).", 4, "begin the name of predicate"),
        ("violation :- event(", 5, "syntax error"),
        *(
            (f"violation.\n{directive}", 5, directive.split()[0].rstrip("."))
            for directive in (
                '#include "other.lp".',
                "#script (python) x #end.",
                "#external x.",
                "#show x/1.",
                "#minimize { 1 }.",
                "#const n = 1.",
                "#defined x/1.",
                "#program more.",
                "#theory t { }.",
                "#heuristic x. [1,true]",
                "#edge (a,b).",
                "#project x.",
            )
        ),
        ("violation.\n:~ event(E). [1,E]", 5, "rules alone"),
        ("violation(X) :- n(X+1).\nn(1).", 4, "calculations bind nothing"),
        ("violation(X) :- event(X), X = 2147483648.", 4, "numbers go up to 2147483647"),
        ("violation(X) :- event(X), X = " + "9" * 5000 + ".", 4, "numbers go up to 2147483647"),
        ("violation(X) :- event(X), X = 0x10.", 4, "take '0' away"),
        ("violation(" + "f(" * 3000 + "1" + ")" * 3000 + ").", 4, "nest less deeply"),
        ("violation(" + "-" * 3000 + "1).", 4, "nest less deeply"),
        ("violation(" + "1+" * 3000 + "1).", 4, "nest less deeply"),
        ("violation :- " + ", ".join(f"X{n}=1" for n in range(3000)) + ".", 4, "make this several laws"),
    ],
)
def test_a_law_that_means_nothing_is_refused_with_its_line(rules: str, line: int, said: str) -> None:
    machine = desk(strange=law(DECLARED.replace("\n", " "), rules))
    verdict = machine.check().of(Law.OWN_LAWS_SOUND)
    assert verdict.findings[0].witness == {"law": "strange", "line": line}
    assert any(said in finding.sentence for finding in verdict.findings), verdict.findings
    with pytest.raises(RelmError) as caught:
        machine.plan()
    assert caught.value.code is Code.MACHINE_INVALID


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("", 1, "end the declaration"),
        ("violation.", 1, "begin with `#program declaration.`"),
        ('guards("check").\n#program law.\nviolation.', 1, "begin with `#program declaration.`"),
        ('#program declaration.\nguards("check").', 2, "end the declaration"),
        ("#program declaration.\nguards(X) :- step(X).", 2, "and nothing else"),
        ('#program declaration.\nguards("check"). reads(clock,"now").', 2, "claim, field, step, principal, not clock"),
        ("#program declaration.\n#program law.\nviolation.", 2, "which steps the law guards"),
        (law('guards("chek").', "violation."), 2, "no step 'chek'"),
        (law('guards("check"). reads(claim,"amount").', "violation."), 2, "no claim 'amount'"),
        (law('guards("check"). reads(field,"checked").', "violation."), 2, "no field 'checked'"),
        (law('guards("check"). reads(principal,"checked").', "violation."), 2, "no step 'checked'"),
        (law('guards("check").', "violation. %" + "x" * 70_000), 1, "below 65536 bytes"),
    ],
)
def test_a_declaration_that_names_nothing_is_refused(text: str, line: int, said: str) -> None:
    (finding,) = desk(strange=text).check().of(Law.OWN_LAWS_SOUND).findings
    assert finding.witness == {"law": "strange", "line": line}
    assert said in finding.sentence


HIDDEN = '#include "secret.lp".'


@pytest.mark.parametrize(
    "rules",
    [
        f'x("\n).\n{HIDDEN}\ny(".',
        f'x.\n"\n{HIDDEN}\n".',
        f'%* %* *% x("*%\n{HIDDEN} % ").',
        f"%* *% %* % *% {HIDDEN}",
        f"%*\n{HIDDEN}",
        f'x("a\\").\n{HIDDEN} % ").',
        f'x("\\t").\n{HIDDEN}',
        f'x("\\\n").{HIDDEN}',
        "#include <incmode>.",
        f"#\n{HIDDEN}",
        f"x. \0 {HIDDEN}",
        f"x. \u00a0{HIDDEN}",
        f"x.\r{HIDDEN}",
        "#script (lua) x #end.",
        "#program base.",
        "#external x.",
        "#Include.",
        "#include_.",
    ],
)
def test_nothing_hides_from_whoever_reads_a_law(
    rules: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is found before the solver's grammar, which opens what it is told to, sees any of it."""
    (tmp_path / "secret.lp").write_text("secret of the node")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(own_law_program, "parse_string", _never)
    machine = desk(strange=law(DECLARED.replace("\n", " "), f"violation.\n{rules}"))
    (finding,) = machine.check().of(Law.OWN_LAWS_SOUND).findings
    assert "rules alone" in finding.sentence
    assert "secret of" not in finding.sentence + capfd.readouterr().err


def _never(*_: object, **__: object) -> None:
    raise AssertionError("read by the solver's grammar")


def test_whatever_is_let_through_is_rules_to_the_solver_too() -> None:
    """Random texts of what could begin or end texts, comments and directives."""
    rng, through = Random(5), 0
    parts = [
        '"',
        "\\",
        "\n",
        "%",
        "%*",
        "*%",
        "#include",
        '"x"',
        "#sum",
        "a.",
        "b(1).",
        " ",
        '"\\n"',
        "#program",
        "#const a=1.",
    ]
    for _ in range(20_000):
        text = "".join(rng.choice(parts) for _ in range(rng.randint(1, 9)))
        try:
            clean = own_law_text.plain(text)
        except own_law_text.UnreadableError:
            continue
        through += 1
        assert clean.count("\n") == text.count("\n")
        found: list[object] = []
        try:
            parse_string(clean, found.append, logger=lambda *_: None)
        except RuntimeError:
            continue
        assert {str(one.ast_type) for one in found[1:]} <= {"ASTType.Rule"}, text  # type: ignore[attr-defined]
    assert through > 1000


def test_looking_at_a_law_runs_nothing_of_it() -> None:
    rules = "n(1..2000000000). violation(X) :- n(X). violation(N) :- N = #count { X : X = 1..2000000000 }."
    begun = time.process_time()
    assert desk(large=law('guards("check").', rules)).check().ok
    assert time.process_time() - begun < 5


def test_a_comment_that_does_not_end_costs_one_look() -> None:
    begun = time.process_time()
    (finding,) = desk(strange="#program declaration.\n" + "%*\n" * 20_000).check().of(Law.OWN_LAWS_SOUND).findings
    assert "and nothing else" in finding.sentence
    assert time.process_time() - begun < 2


def test_comments_may_stand_anywhere() -> None:
    text = '%* why\n#include *%\n#program declaration. % what\nguards("check"). % "x"\n#program law. % then\n'
    text += 'violation("%", "#show") :- effective("checked"). %* #external *%\n% #include\n'
    assert desk(commented=text.replace('guards("check").', 'guards("check"). reads(claim,"checked").')).check().ok


@pytest.mark.parametrize(
    ("reads", "expected"),
    [
        ("", {}),
        ('reads(principal,"check").', {("check", "note"): (Rule.LAW_READS_STEP, "check")}),
        ('reads(step,"print_out").', {("note", "print_out"): (Rule.LAW_READS_STEP, "print_out")}),
        ('reads(claim,"received").', {("note", "receive"): (Rule.LAW_READS_CLAIM, "received")}),
        (
            'reads(claim,"checked").',
            {
                ("note", "receive"): (Rule.LAW_READS_CLAIM, "received"),
                ("check", "note"): (Rule.LAW_READS_CLAIM, "checked"),
                ("doubt", "note"): (Rule.LAW_READS_CLAIM, "checked"),
            },
        ),
        (
            'reads(claim,"printed").',
            {
                ("note", "print_out"): (Rule.LAW_READS_CLAIM, "printed"),
                ("note", "stop"): (Rule.LAW_READS_CLAIM, "printed"),
            },
        ),
        (
            'reads(field,"amount").',
            {
                ("note", "receive"): (Rule.LAW_READS_FIELD, "amount"),
                ("determine", "note"): (Rule.LAW_READS_FIELD, "amount"),
            },
        ),
    ],
)
def test_what_a_law_reads_makes_what_it_guards_dependent(
    reads: str, expected: dict[tuple[str, str], tuple[Rule, str]]
) -> None:
    """And nothing else does: `note` is independent of everything without it, and needs nothing with it."""
    machine = desk(law=law('guards("note").' + reads, "violation(this) :- candidate(this)."))
    found = {pair: why for pair, why in derive(machine.declaration).items() if "note" in pair}
    assert {pair: (why[0].rule, why[0].witness) for pair, why in found.items()} == expected
    plan = machine.plan()
    assert dependence(plan) == derive(machine.declaration)
    assert plan.steps[plan.step_index["note"]].needs == 0


def test_the_text_is_part_of_the_machines_identity_and_of_what_the_store_keeps() -> None:
    one, other = desk(four_eyes=FOUR_EYES), desk(four_eyes=FOUR_EYES + "% more\n")
    assert len({desk().laws_digest(), one.laws_digest(), other.laws_digest()}) == 3
    plan = one.plan()
    assert load_plan(dump_plan(plan)).own_laws == plan.own_laws
    assert "own_laws" not in dump_plan(desk().plan())


def test_a_law_given_twice_is_a_finding() -> None:
    machine = desk(four_eyes=FOUR_EYES)
    machine.law("four_eyes", FOUR_EYES)
    assert [item.law for item in machine.check().failed] == [Law.NAMES_UNIQUE]


def test_yaml_names_files_beside_it(tmp_path: Path) -> None:
    text = 'machine: m\nversion: "1"\nclaims: {done: {}}\nsteps: {check: {kind: process, asserts: [done]}}\n'
    (tmp_path / "m.yaml").write_text(text + "constraints: [once_only.lp]\n")
    with pytest.raises(RelmError) as missing:
        load(tmp_path / "m.yaml")
    assert missing.value.code is Code.NOT_FOUND
    rules = law('guards("check"). reads(claim,"done").', 'violation("done") :- effective("done").')
    (tmp_path / "once_only.lp").write_text(rules)
    machine = load(tmp_path / "m.yaml")
    assert machine.check().ok
    assert [one.name for one in machine.plan().own_laws] == ["once_only"]
    for name in ("../once_only.lp", "once_only", "/etc/passwd", "Once.lp"):
        with pytest.raises(RelmError) as caught:
            parse_machine(text + f'constraints: ["{name}"]\n')
        assert caught.value.code is Code.MACHINE_INVALID
        assert "four_eyes.lp" in caught.value.sentence
    with pytest.raises(RelmError, match="no file"):
        parse_machine(text + "constraints: [once_only.lp]\n")


def test_the_strict_permit_machine_is_sound() -> None:
    machine: Machine = permit.machine(permit.FOLDER / "permit_strict.yaml")
    assert machine.check().ok
    reasons = derive(machine.declaration)["t02", "t04"]
    assert Rule.LAW_READS_STEP in {why.rule for why in reasons}
    assert [why.sentence for why in derive(machine.declaration)["confirmation_of_receipt", "t05"]][-1] == (
        "confirmation_of_receipt writes received_at, which a law that guards t05 reads"
    )
