"""Gate 2 of a node: the grants that it is told of, and the policy that judges by them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from relmachine.errors import Code, RelmError
from relmachine.gates.classes import RateMeter
from relmachine.gates.grants import Grants, parse_grants
from relmachine.gates.policy import RegoPolicy

if TYPE_CHECKING:
    import contextlib
    from pathlib import Path

    from relmachine.gates.port import PolicyGate
    from relmachine.node.settings import Settings


def read_grants(path: Path) -> Grants:
    """The grants in the file. Errors: `not_found`, `grants_invalid`."""
    try:
        return parse_grants(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise RelmError(Code.NOT_FOUND, f"name a file of grants that can be read: {error}", path=str(path)) from error
    except UnicodeDecodeError as error:
        raise RelmError(Code.GRANTS_INVALID, "write the grants in UTF-8", path=str(path)) from error


async def open_policy(
    stack: contextlib.AsyncExitStack, machine: str, grants: Grants | None, settings: Settings
) -> PolicyGate:
    """The policy in process, or on the node's OPA server when it is told of one."""
    meter = RateMeter(time.monotonic, settings.steps_per_minute_max)
    if settings.opa_url is None:
        return RegoPolicy(machine, grants, meter)
    from relmachine.gates.opa import OpaPolicy  # its client comes with the extra "cluster"

    opened = OpaPolicy.opened(settings.opa_url, machine, grants, meter, opa_bounds=settings.opa_bounds)
    return await stack.enter_async_context(opened)
