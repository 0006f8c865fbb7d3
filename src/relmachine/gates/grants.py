"""The policy's source: its rules, and the wire form of its data: who may submit what.

Shipped default: everybody everything, up to `large`.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from relmachine.algebra.identity import digest
from relmachine.errors import Code, RelmError
from relmachine.gates.classes import RateClass, SizeClass
from relmachine.kernel.problems import problems
from relmachine.machine.canonical import canonical_text

_Patterns = Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]


class Grant(BaseModel):
    """One grant: patterns of names (a name, a prefix followed by `*`, or `*`) and classes of size and rate."""

    model_config = ConfigDict(extra="forbid", strict=True)

    principals: _Patterns
    machines: _Patterns
    threads: _Patterns
    steps: _Patterns
    sizes: list[SizeClass]
    rates: list[RateClass]


class Grants(BaseModel):
    """All grants: a step is allowed when one of them covers all of it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    grants: list[Grant]


def parse_grants(text: str) -> Grants:
    """The grants in the JSON `text`. Errors: `grants_invalid` with what is wrong."""
    try:
        return Grants.model_validate_json(text)
    except ValidationError as error:
        sentence = "write an object with 'grants', a list of objects with principals, machines, threads, steps, sizes"
        raise RelmError(Code.GRANTS_INVALID, f"{sentence} and rates", problems=problems(error)) from error


def shipped_grants() -> Grants:
    """The grants that hold when nobody names others."""
    return parse_grants(shipped_policy("grants.json"))


def shipped_policy(name: str) -> str:
    """The text of the file `name` of the shipped policies."""
    return files("relmachine").joinpath("policies", name).read_text(encoding="utf-8")


class PolicySource(NamedTuple):
    """What decides: the rules, their data, and the digest of both, which is the same wherever they are evaluated."""

    rules: str
    data: dict[str, object]
    revision: str


def policy_source(grants: Grants | None = None) -> PolicySource:
    """The shipped rules with `grants`, or with the shipped ones."""
    rules = shipped_policy("steps.rego")
    data = (grants or shipped_grants()).model_dump(mode="json")
    return PolicySource(rules, data, digest("policy", rules, canonical_text(data)))
