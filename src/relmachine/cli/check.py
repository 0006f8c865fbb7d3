"""`relm check`: every law of a machine with its witness, then which steps depend on each other, and why; or what it has
on a NATS server.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from relmachine.cli.failure import Exit, command
from relmachine.cli.options import JsonOption, MachineArgument

if TYPE_CHECKING:
    from rich.console import Console

    from relmachine.gates.explicit import ExplicitViolation
    from relmachine.machine.dependence import Dependence
    from relmachine.machine.machine import Machine
    from relmachine.machine.report import Report

_TABLES_SHOWN_MAX = 20
_STYLES = {"pass": "green", "warning": "yellow", "fail": "bold red"}


@command
def check(
    machine: MachineArgument,
    *,
    topology: Annotated[
        bool, typer.Option("--topology", help="Print streams, subjects, consumers and accounts instead of the matrix.")
    ] = False,
    nodes: Annotated[
        int | None, typer.Option("--nodes", min=1, max=9, help="With --topology: as `relm up --nodes N` runs it.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check a machine's laws and print its dependence matrix. Exit 1 when a law fails."""
    from relmachine.cli.output import out, print_json
    from relmachine.cli.topology_view import described, print_topology
    from relmachine.machine.dependence import derive
    from relmachine.machine.loader import load

    if nodes is not None and not topology:
        raise typer.BadParameter("it says how --topology is printed: give that too", param_hint="--nodes")
    declared = load(machine)
    report = declared.check()
    steps, pairs = sorted(declared.declaration.steps), derive(declared.declaration)
    found = described(declared.plan({}), machine, nodes) if topology and report.ok else None
    if as_json:
        digest = declared.laws_digest() if report.ok else None
        form = {**report.as_json(), "laws_digest": digest, "steps": steps, "dependence": _pairs_json(pairs)}
        form["tables"] = [asdict(tables) for tables in _of_tables(declared)]
        print_json(form if found is None else {**form, "topology": found.as_json()})
    elif found is not None:
        print_topology(out(), found)
        out().print(_last_line(declared, report), soft_wrap=True)
    else:
        _print_laws(out(), report)
        _print_tables(out(), _of_tables(declared))
        _print_matrix(out(), steps, pairs)
        _print_reasons(out(), pairs)
        out().print(_last_line(declared, report), soft_wrap=True)
    if not report.ok:
        raise typer.Exit(Exit.FAILED)


def _of_tables(machine: Machine) -> list[ExplicitViolation]:
    """What the programs of gate 3 find in tables that the machine gives."""
    explicit = machine.declaration.explicit
    if explicit is None:
        return []
    from relmachine.gates.explicit import explicit_violations

    return explicit_violations(explicit)


def _print_tables(console: Console, found: list[ExplicitViolation]) -> None:
    from relmachine.cli.output import cell, table

    if not found:
        return
    broken = table("fiber", "law", "witness", "which says", title="Tables")
    for item in found[:_TABLES_SHOWN_MAX]:
        broken.add_row(item.subject, item.law, cell(", ".join(map(str, item.witness))), cell(item.sentence))
    console.print(broken)
    if len(found) > _TABLES_SHOWN_MAX:
        console.print(f"{len(found) - _TABLES_SHOWN_MAX} more: --json lists all", style="dim")


def _last_line(machine: Machine, report: Report) -> str:
    count = len(report.verdicts)
    if not report.ok:
        failed = ", ".join(item.law for item in report.failed)
        return f"[bold red]failed[/]  {report.machine}: {len(report.failed)} of {count} laws failed: {failed}"
    warned = f", {len(report.warnings)} with a warning" if report.warnings else ""
    return f"[green]ok[/]  {report.machine}: {count} laws hold{warned}; laws digest {machine.laws_digest()}"


def _pairs_json(pairs: Dependence) -> list[dict[str, object]]:
    return [
        {
            "steps": list(pair),
            "reasons": [{"rule": why.rule, "witness": why.witness, "sentence": why.sentence} for why in reasons],
        }
        for pair, reasons in pairs.items()
    ]


def _print_laws(console: Console, report: Report) -> None:
    from relmachine.cli.output import cell, table, witness_text

    laws = table("law", "verdict", "meaning, or what breaks it", title=f"Laws of {report.machine}")
    for item in report.verdicts:
        style = _STYLES[item.verdict]
        broken = [f"{found.sentence}\n{witness_text(found.witness)}" for found in item.findings]
        laws.add_row(item.law, f"[{style}]{item.verdict}[/]", cell("\n".join(broken) or item.law.meaning))
    console.print(laws)


def _print_matrix(console: Console, steps: list[str], pairs: Dependence) -> None:
    """One row a step; the columns are the same steps by number."""
    from relmachine.cli.output import table

    matrix = table("#", "step", " ".join(f"{n % 100:2}" for n in range(1, len(steps) + 1)), title="Dependence")
    for number, one in enumerate(steps, start=1):
        marks = ["D" if one == other or (min(one, other), max(one, other)) in pairs else "." for other in steps]
        matrix.add_row(str(number), one, " ".join(f"{mark:>2}" for mark in marks))
    console.print(matrix)
    console.print("D dependent, . independent; every step depends on itself", style="dim")


def _print_reasons(console: Console, pairs: Dependence) -> None:
    from relmachine.cli.output import cell, table

    why = table("step", "step", "dependent because", title="Why")
    for (one, other), reasons in pairs.items():
        why.add_row(one, other, cell("; ".join(reason.sentence for reason in reasons)))
    console.print(why)
