"""The permit machine in Python: what the office does computes, what its officers judge is recorded.

The same laws as `permit.yaml`, hence the same laws digest.
"""

from __future__ import annotations

from datetime import datetime

from pydantic import AwareDatetime, BaseModel

from relmachine import Machine, Section, View

permit = Machine("permit", version="1")

officers = permit.field("officers", str, reducer="union")
groups = permit.field("groups", str, reducer="union")
last_at = permit.field("last_at", datetime, reducer="max")
channel = permit.field("channel", str, reducer="once")
department = permit.field("department", str, reducer="once")
responsible = permit.field("responsible", str, reducer="once")
determined_by = permit.field("determined_by", str, reducer="once")
sent_by = permit.field("sent_by", str, reducer="once")

received = permit.claim("received")
checked = permit.claim("checked", requires=[received])
determined = permit.claim("determined", requires=[checked])
sent = permit.claim("sent", requires=[determined])
stop_advice = permit.claim("stop_advice_assessed", requires=[received])
stop_indication = permit.claim("stop_indication_assessed", requires=[stop_advice])
internal = {n: permit.claim(f"internal_advice_{n}_drafted", requires=[stop_advice]) for n in range(1, 6)}
requested = permit.claim("external_advice_requested", requires=[stop_advice])
external = {n: permit.claim(f"external_advice_{n}_received", requires=[requested]) for n in range(1, 5)}
unlicensed_created = permit.claim("unlicensed_created", requires=[stop_indication])
unlicensed_checked = permit.claim("unlicensed_checked", requires=[unlicensed_created])
unlicensed_determined = permit.claim("unlicensed_determined", requires=[unlicensed_checked])
unlicensed_printed = permit.claim("unlicensed_printed", requires=[unlicensed_determined])
hold_reported = permit.claim("hold_reported", requires=[stop_indication])
hold_checked = permit.claim("hold_checked", requires=[hold_reported])
hold_determined = permit.claim("hold_determined", requires=[hold_checked])
hold_printed = permit.claim("hold_printed", requires=[hold_determined])


class Work(BaseModel):
    """What the log says of every piece of work."""

    resource: str | None = None
    group: str | None = None
    at: AwareDatetime | None = None


class Receipt(Work):
    """The first piece of work also tells about the case."""

    channel: str | None = None
    department: str | None = None
    responsible: str | None = None


WHO = (officers, groups, last_at)


def who(step: Work) -> dict[str, object]:
    """Who did it, in which group, when."""
    return {"officers": step.resource, "groups": step.group, "last_at": step.at}


@permit.process(asserts=[received], writes=[*WHO, channel, department, responsible])
def confirmation_of_receipt(step: Receipt, view: View) -> Section:
    return Section(
        {
            **who(step),
            "channel": step.channel,
            "department": step.department,
            "responsible": step.responsible,
        }
    )


@permit.process(asserts=[determined], writes=[*WHO, determined_by])
def t04(step: Work, view: View) -> Section:
    return Section({**who(step), "determined_by": step.resource})


@permit.process(asserts=[sent], writes=[*WHO, sent_by])
def t05(step: Work, view: View) -> Section:
    return Section({**who(step), "sent_by": step.resource})


def work(step: Work, view: View) -> Section:
    """Every other piece of work of the office."""
    return Section(who(step))


ASSERTED = {
    "t02": checked,
    "t08": requested,
    "t10": stop_indication,
    "t11": unlicensed_created,
    "t12": unlicensed_checked,
    "t14": unlicensed_determined,
    "t15": unlicensed_printed,
    "t16": hold_reported,
    "t17": hold_checked,
    "t19": hold_determined,
    "t20": hold_printed,
}
CONTESTED = {"t03": checked, "t13": unlicensed_checked, "t18": hold_checked}
JUDGED = {
    "t06": stop_advice,
    **{f"t07_{n}": drafted for n, drafted in internal.items()},
    **{f"t09_{n}": answer for n, answer in external.items()},
}

for name, item in ASSERTED.items():
    permit.process(name=name, asserts=[item], writes=WHO)(work)
for name, item in CONTESTED.items():
    permit.process(name=name, contests=[item], writes=WHO)(work)
for name, item in JUDGED.items():
    recorded = {officers: "resource", groups: "group", last_at: "at"}
    permit.step(name, kind="derivation", payload=Work, asserts=[item], writes=recorded)

permit.ingest_xes(
    names={
        "Confirmation of receipt": "confirmation_of_receipt",
        "T02 Check confirmation of receipt": "t02",
        "T03 Adjust confirmation of receipt": "t03",
        "T04 Determine confirmation of receipt": "t04",
        "T05 Print and send confirmation of receipt": "t05",
        "T06 Determine necessity of stop advice": "t06",
        "T07-1 Draft intern advice aspect 1": "t07_1",
        "T07-2 Draft intern advice aspect 2": "t07_2",
        "T07-3 Draft intern advice hold for aspect 3": "t07_3",
        "T07-4 Draft internal advice to hold for type 4": "t07_4",
        "T07-5 Draft intern advice aspect 5": "t07_5",
        "T08 Draft and send request for advice": "t08",
        "T09-1 Process or receive external advice from party 1": "t09_1",
        "T09-2 Process or receive external advice from party 2": "t09_2",
        "T09-3 Process or receive external advice from party 3": "t09_3",
        "T09-4 Process or receive external advice from party 4": "t09_4",
        "T10 Determine necessity to stop indication": "t10",
        "T11 Create document X request unlicensed": "t11",
        "T12 Check document X request unlicensed": "t12",
        "T13 Adjust document X request unlicensed": "t13",
        "T14 Determine document X request unlicensed": "t14",
        "T15 Print document X request unlicensed": "t15",
        "T16 Report reasons to hold request": "t16",
        "T17 Check report Y to stop indication": "t17",
        "T18 Adjust report Y to stop indicition": "t18",
        "T19 Determine report Y to stop indication": "t19",
        "T20 Print report Y to stop indication": "t20",
    },
    payload={
        "resource": "event:org:resource",
        "group": "event:org:group",
        "at": "event:time:timestamp",
        "channel": "trace:channel",
        "department": "trace:department",
        "responsible": "trace:responsible",
    },
)
