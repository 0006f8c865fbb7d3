"""Goal: the page on laws of one's own says what the code knows. Method: its tables, laws and query against the
vocabulary, the kinds of reads, the example's files and the test that counts."""

from __future__ import annotations

from relmachine.gates.own_law_vocabulary import VOCABULARY, Argument
from relmachine.machine.own_law import KINDS, parse_own_law
from relmachine.machine.plan import FieldType
from tests import permit
from tests.e2e.test_permit_strict import BOTH
from tests.unit.docs_pages import blocks, code, page, rows, section

PAGE = page("own-laws.md")
LETTERS = {
    Argument.EVENT: "EP",
    Argument.STEP: "S",
    Argument.CLAIM: "C",
    Argument.READ_CLAIM: "C",
    Argument.FIELD: "F",
    Argument.TEXT: "P",
    Argument.VALUE: "V",
}


def test_every_predicate_has_its_line_with_its_arguments() -> None:
    told = [code(row[0])[0] for row in rows(section(PAGE, "## Vocabulary")) if "(" in row[0]]
    assert [name.partition("(")[0] for name in told] == list(VOCABULARY)
    for shown in told:
        name, _, rest = shown.partition("(")
        letters = rest.rstrip(")").split(",")
        known = VOCABULARY[name]
        assert len(letters) == len(known), shown
        assert all(letter in LETTERS[argument] for letter, argument in zip(letters, known, strict=True)), shown


def test_every_type_has_its_term_and_every_kind_of_read_its_line() -> None:
    types = [name for row in rows(section(PAGE, "## Vocabulary")) if "(" not in row[0] for name in code(row[0])]
    assert sorted(types) == sorted(map(str, FieldType))
    reads = [code(row[0])[0] for row in rows(section(PAGE, "## A law"))]
    assert [read.partition("(")[2].partition(",")[0] for read in reads] == list(KINDS)


def test_the_laws_shown_are_those_of_the_example() -> None:
    shown = [block.text for block in blocks(PAGE, "prolog")]
    for name, text in zip(("four_eyes", "deadline"), shown, strict=True):
        kept = (permit.FOLDER / f"{name}.lp").read_text()
        assert " ".join(text.split()) == " ".join(kept.split())
        assert parse_own_law(name, kept).flaws == ()


def test_the_query_shown_is_the_one_that_counts() -> None:
    (shown,) = blocks(PAGE, "sql")
    assert shown.text.split() == BOTH.split()
