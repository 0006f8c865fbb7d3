"""Three agents work an incident: one observes, one judges with a model, one checks what the model says.

What the model says holds, and stays open for ever. What the check asserts settles, until somebody contests it.
"""

from __future__ import annotations

from typing import Literal, cast

from langgraph.types import Command
from pydantic import BaseModel, Field

from relmachine import Budget, Machine, Run, Section, View

from . import log_lines, offline

triage = Machine("triage", version="1")

# What is known of an incident. A `union` does not see the order of its writers, so they may come at once; a `log` does,
# because the newest cause is the one that counts.
service = triage.field("service", str, reducer="once")
symptoms = triage.field("symptoms", str, reducer="union")
log = triage.field("log", str, reducer="union")
disk_used = triage.field("disk_used", float, reducer="max")
error_rate = triage.field("error_rate", float, reducer="max")
minutes_since_deploy = triage.field("minutes_since_deploy", float, reducer="min")
causes = triage.field("causes", str, reducer="log")
objections = triage.field("objections", str, reducer="union")
report_text = triage.field("report", str, reducer="log")
filed = triage.field("filed", str, reducer="log")

# Each claim rests on those before it: when one falls, so does what rests on it.
observed = triage.claim("observed")
measured = triage.claim("measured")
cause_proposed = triage.claim("cause_proposed", requires=[observed])
cause_confirmed = triage.claim("cause_confirmed", requires=[cause_proposed, measured])
routed = triage.claim("routed", requires=[cause_confirmed])
owner_paged = triage.claim("owner_paged", requires=[cause_confirmed])
watching = triage.claim("watching", requires=[cause_confirmed])
reported = triage.claim("reported", requires=[cause_confirmed])
report_filed = triage.claim("report_filed", requires=[reported])

CauseName = Literal["disk_full", "bad_deploy", "overload"]

SERVICES = {
    "checkout": {"owner": "team-orders", "disk": "/data, 100 GB", "runs_on": "one server"},
    "search": {"owner": "team-find", "disk": "none", "runs_on": "six servers"},
}


def page(view: View, *fields: str) -> str:
    """What a step may see of the incident, a line for each value: what a model is told."""
    return "\n".join(f"{field}: {value}" for field in fields for value in values(view, field))


def values(view: View, field: str) -> list[object]:
    """All values of a field, none when nobody has written it."""
    found = view.get(field, [])
    return cast("list[object]", found) if isinstance(found, list) else [found]


class Asked(BaseModel):
    """A step that needs nothing but to be asked for."""


class Cause(BaseModel):
    """The most likely cause of the incident."""

    cause: CauseName
    certainty: Literal["low", "high"] = "low"


# The observer. Its steps are recorded: what they write stands in their payloads.


@triage.process(name="observe", asserts=[observed], writes={service: "service", symptoms: "symptom", log: "line"})
class Observation(BaseModel):
    """Somebody saw something."""

    service: Literal["checkout", "search"]
    symptom: str
    line: str | None = None


@triage.process(
    name="measure",
    asserts=[measured],
    writes={disk_used: "disk_used", error_rate: "error_rate", minutes_since_deploy: "minutes_since_deploy"},
)
class Measurement(BaseModel):
    """A monitor read its gauges. Shares are between 0 and 1."""

    disk_used: float = Field(ge=0, le=1)
    error_rate: float = Field(ge=0, le=1)
    minutes_since_deploy: float = Field(ge=0)


# The hypothesiser. A model may call these tools and no others.


@triage.tool()
def service_facts(service: str) -> dict[str, str]:
    """Who owns a service, and what it runs on."""
    return SERVICES[service]


parse_log_line = triage.tool(trusted=False, seconds=5)(log_lines.parse_log_line)


@triage.derivation(
    output=Cause,
    asserts=[cause_proposed],
    reads=[service, symptoms, log, objections],  # not the metrics: they are for the check, which must not be swayed
    writes={causes: "cause"},
    tools=[service_facts, parse_log_line, "settled", "publish"],
    targets=["verify"],
    budget=Budget(passes=8, tokens=20_000, tool_calls=8, wall_seconds=60),
)
def hypothesise(asked: Asked, view: View) -> str:
    """You find causes of incidents. Look at the service and its log before you judge, publish `verify`, then answer."""
    return page(view, "service", "symptoms", "log", "objections")


# The verifier: code, no opinion. It reads what was measured, and does not ask anybody.


def borne_out(cause: str, disk: float, errors: float, minutes: float) -> bool:
    """Whether the metrics are as they would be if `cause` were the cause."""
    match cause:
        case "disk_full":
            return disk >= 0.95
        case "bad_deploy":
            return minutes <= 30 and errors >= 0.01
        case _:
            return errors >= 0.2


@triage.process(
    asserts=[cause_confirmed],
    reads=[causes, disk_used, error_rate, minutes_since_deploy],
    targets=["route"],
)
def verify(asked: Asked, view: View) -> Section:
    """The newest cause against what was measured. A step that raises is refused: then nothing is asserted."""
    cause = values(view, "causes")[-1]
    disk, errors, minutes = (cast(float, view[field]) for field in (disk_used, error_rate, minutes_since_deploy))
    if not borne_out(str(cause), disk, errors, minutes):
        raise ValueError(f"what was measured does not bear out {cause}")
    return Section(propose=[("route", {})])


# What comes next is decided by code too. With `model="default"` a model would choose among the targets, and no others.


@triage.procedure(asserts=[routed], reads=[error_rate], targets=["page_owner", "keep_watching", "report"])
def route(asked: Asked, view: View) -> Command[str]:
    """To people when users notice; the report is written anyway."""
    urgent = cast(float, view[error_rate]) >= 0.05
    return Command(goto=["page_owner" if urgent else "keep_watching", "report"])


@triage.process(asserts=[owner_paged])
def page_owner(asked: Asked, view: View) -> Section:
    """The owner of the service is called."""
    return Section()


@triage.process(asserts=[watching])
def keep_watching(asked: Asked, view: View) -> Section:
    """Nobody is called."""
    return Section()


# A report may take a model minutes: durable, so that a crash of the node does not begin it anew.


@triage.inquiry(
    asserts=[reported],
    reads=[service, symptoms, causes],
    writes=[report_text],
    tools=["settled"],
    targets=["file_report"],
    durable=True,
    budget=Budget(passes=4, tokens=20_000, wall_seconds=600),
)
async def report(asked: Asked, view: View, run: Run) -> Section:
    """You write reports of incidents: a few plain sentences, and nothing that is not known."""
    text = await run.agent(page(view, "service", "symptoms", "causes"))
    return Section({"report": text}, propose=[("file_report", {})])


@triage.process(asserts=[report_filed], reads=[report_text], writes=[filed])
def file_report(asked: Asked, view: View) -> Section:
    """The newest report goes into the files, as it is."""
    return Section({"filed": values(view, "report")[-1]})


# A human has the last word. It falls on the confirmation too: else a new proposal alone would bring that back.


@triage.process(name="contest_cause", contests=[cause_proposed, cause_confirmed], writes={objections: "reason"})
class Objection(BaseModel):
    """Somebody knows better."""

    reason: str


triage.model("default", offline.model)  # a node's RELM_MODEL wins
