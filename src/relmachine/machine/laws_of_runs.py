"""Laws about what computes: closures, what they ask, what that may cost, and which steps they may propose."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import asdict
from math import isfinite

from relmachine.machine.closures import complaint
from relmachine.machine.declaration import Declaration, StepDeclaration
from relmachine.machine.payload import describable, member_names, member_types
from relmachine.machine.plan import FieldType, Kind
from relmachine.machine.report import Finding
from relmachine.machine.runs import OWN_TOOLS, RunPlan, Tool


def closures_run(declaration: Declaration) -> Iterator[Finding]:
    """A closure can be called, its output fits the fields it goes to, and its targets and tools are there."""
    for step in declaration.steps.values():
        if step.closure is None:
            continue
        what = complaint(step.closure, has_payload=step.payload is not None, awaits=step.kind is not Kind.PROCESS)
        if what:
            yield Finding(f"closure of step {step.name!r}: {what}", {"step": step.name})
        yield from _targets(declaration, step)
        if step.run is not None:
            yield from _asks(declaration, step, step.run)
            yield from _bounds(step, step.run)


def budget_sound(declaration: Declaration) -> Iterator[Finding]:
    """What a thread's runs may spend together is a positive number, or for tool calls none at all."""
    budget = declaration.budget
    if budget is None:
        return
    given = asdict(budget)
    if all(amount is None for amount in given.values()):
        yield Finding(f"the budget of a thread sets no bound: give at least one of {', '.join(given)}", {})
    for name, amount in given.items():
        if amount is None:
            continue
        whole = name in ("tokens", "tool_calls")
        least = "0 or more" if name == "tool_calls" else "more than 0"
        fits = amount >= 0 if name == "tool_calls" else amount > 0
        if not fits or not isfinite(amount) or (whole and not isinstance(amount, int)):
            sentence = f"the budget of a thread has {name} {amount}: give {'a whole number, ' if whole else ''}{least}"
            yield Finding(sentence, {"budget": name, "given": str(amount)})


def confirmation_computed(declaration: Declaration) -> Iterator[Finding]:
    """What a recorded Process asserts settles on the word of whoever publishes it: here a model would."""
    for step in declaration.steps.values():
        if step.run is None or step.run.model is None:
            continue
        for target in (declaration.steps[name] for name in step.targets if name in declaration.steps):
            if target.kind is Kind.PROCESS and target.closure is None and target.asserts:
                sentence = (
                    f"{step.name!r} asks a model and may propose {target.name!r}, whose claims would settle on the "
                    "model's word: let a function compute it, from what the model does not write"
                )
                yield Finding(sentence, {"step": step.name, "target": target.name, "claims": sorted(target.asserts)})


def _targets(declaration: Declaration, step: StepDeclaration) -> Iterator[Finding]:
    if step.kind is Kind.PROCEDURE and not step.targets:
        sentence = f"procedure {step.name!r} decides on nothing: give it `targets`, the steps that it may propose"
        yield Finding(sentence, {"step": step.name})
    for name in step.targets:
        if name not in declaration.steps:
            sentence = f"step {step.name!r} may propose {name!r}, which is no step of this machine"
            yield Finding(sentence, {"step": step.name, "target": name})


def _bounds(step: StepDeclaration, run: RunPlan) -> Iterator[Finding]:
    """What one run may spend, and its tools: positive and finite; `cost` may be left without a bound."""
    bounds = [(f"budget.{name}", amount) for name, amount in asdict(run.budget).items() if amount is not None]
    for tool in run.tools:
        given = {"seconds": tool.seconds, "memory_bytes": tool.memory_bytes, "output_bytes": tool.output_bytes}
        bounds += [(f"{tool.name}.{name}", amount) for name, amount in given.items()]
    for name, amount in bounds:
        least = 0 if name == "budget.tool_calls" else None
        if not isfinite(amount) or amount < 0 or (amount == 0 and least is None):
            sentence = f"step {step.name!r}: {name} is {amount}: give a finite number above 0"
            yield Finding(sentence, {"step": step.name, "bound": name, "given": str(amount)})


def _asks(declaration: Declaration, step: StepDeclaration, run: RunPlan) -> Iterator[Finding]:
    what = run.fallback_closure and complaint(run.fallback_closure, has_payload=True)
    if what:
        yield Finding(f"fallback closure of step {step.name!r}: {what}", {"step": step.name})
    if step.kind is Kind.PROCESS and run.model is not None:
        sentence = f"process {step.name!r} asks a model: make it a derivation, whose claims stay open"
        yield Finding(sentence, {"step": step.name, "model": run.model})
    if run.model is not None and run.output is None and not inspect.iscoroutinefunction(step.closure):
        sentence = f"step {step.name!r} asks a model: give it `output`, the Pydantic model of the answer"
        yield Finding(sentence, {"step": step.name})
    if run.output is not None:
        yield from _output(declaration, step, run)
    for name in run.own_tools:
        if name not in OWN_TOOLS:
            sentence = f"step {step.name!r} has no tool {name!r}: give a tool of the machine, or one of {OWN_TOOLS}"
            yield Finding(sentence, {"step": step.name, "tool": name})
    if "publish" in run.own_tools and not step.targets:
        sentence = f"step {step.name!r} has the tool 'publish' and no `targets`: say which steps it may propose"
        yield Finding(sentence, {"step": step.name})
    yield from (finding for tool in run.tools for finding in _tool(step, tool))


def _output(declaration: Declaration, step: StepDeclaration, run: RunPlan) -> Iterator[Finding]:
    assert run.output is not None
    if not describable(run.output):
        sentence = f"step {step.name!r}: make the output an object that has a JSON schema"
        yield Finding(sentence, {"step": step.name, "output": run.output.__name__})
        return
    names = member_names(run.output)
    if step.kind is Kind.PROCEDURE and "goto" not in names:
        sentence = f"procedure {step.name!r}: give its output a member `goto`, a target or a list of them"
        yield Finding(sentence, {"step": step.name, "output": run.output.__name__})
    unmapped = sorted(set(step.writes) - {name for name, _ in run.members})
    if unmapped:
        sentence = f"step {step.name!r}: map each field it writes to the member of the output that holds the value"
        yield Finding(sentence, {"step": step.name, "fields": unmapped})
    for name, member in run.members:
        field = declaration.fields.get(name)
        found = member_types(run.output, member) if member in names else None
        if field is None:
            continue
        allowed = {field.type, FieldType.INTEGER} if field.type is FieldType.NUMBER else {field.type}
        if found is None or not found <= allowed:
            sentence = (
                f"step {step.name!r} writes {name!r} ({field.type}) from output member {member!r}, which does not"
            )
            yield Finding(f"{sentence} hold one", {"step": step.name, "field": name, "member": member})


def _tool(step: StepDeclaration, tool: Tool) -> Iterator[Finding]:
    if not tool.trusted and "<locals>" in tool.function.__qualname__:
        sentence = (
            f"tool {tool.name!r} of step {step.name!r} runs in a process of its own: declare it at the top of a file"
        )
        yield Finding(sentence, {"step": step.name, "tool": tool.name})
