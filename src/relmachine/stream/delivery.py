"""What the hint consumer delivers, sorted: steps of a thread, messages that no thread can own, ends of pulls. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from relmachine.kernel.candidate import Message
from relmachine.stream.addressing import address

if TYPE_CHECKING:
    from nats.aio.msg import Msg

_ACK_TOKENS_PLAIN = 9
NOT_DELIVERED = ""
"""The token of a message that was not delivered: nobody answers for it."""

_ORDINARY_ENDS = ("Batch Completed", "Message Size Exceeds MaxBytes", "Request Timeout")


@dataclass(frozen=True, slots=True)
class Step:
    """A step; `token` answers for it."""

    message: Message
    token: str


@dataclass(frozen=True, slots=True)
class Unaddressable:
    """A message whose subject names no thread that could be read or answered (`addressing.address`)."""

    sequence: int
    subject: str
    token: str


@dataclass(frozen=True, slots=True)
class End:
    """A pull ended with `pending` messages not delivered; `ordinary` ends tell nothing about the consumer."""

    pending: int
    ordinary: bool
    status: str
    description: str


Delivery = Step | Unaddressable | End


def delivery(message: Msg) -> Delivery:
    """What `message` is, which came to the inbox of the pulls."""
    return _delivery(message, message.subject)


def lane_delivery(message: Msg) -> Delivery:
    """The same on the control lane, whose subjects end with the thread: its `Step` has no token."""
    return _delivery(message, f"{message.subject}.")


def _delivery(message: Msg, subject: str) -> Delivery:
    headers = message.headers or {}
    if "Status" in headers and not message.reply:
        status, description = headers["Status"], headers.get("Description", "")
        ordinary = status == "100" or description in _ORDINARY_ENDS
        return End(int(headers.get("Nats-Pending-Messages", "0")), ordinary, status, description)
    tokens = message.reply.split(".")
    # $JS.ACK[.<domain>.<account>].<stream>.<consumer>.<delivered>.<stream sequence>. ...
    sequence = int(tokens[5] if len(tokens) == _ACK_TOKENS_PLAIN else tokens[7])
    addressed = address(subject)
    if addressed is None:
        return Unaddressable(sequence, message.subject, message.reply)
    thread, step_token = addressed
    return Step(Message(sequence, thread, step_token, message.data), message.reply)
