"""What a node and its sidecar show each other: a token in each direction, in a header of every request."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

HEADER = "dapr-api-token"
"""Of requests in both directions. Source: Dapr, API token authentication, app API token authentication."""


@dataclass(frozen=True, slots=True)
class DaprTokens:
    """`api` opens the sidecar's API to the node, `app` the node to its sidecar; None where none is asked for."""

    api: str | None = field(default=None, repr=False)
    app: str | None = field(default=None, repr=False)

    def shown(self) -> tuple[tuple[str, str], ...]:
        """What the node shows its sidecar, as gRPC metadata."""
        return () if self.api is None else ((HEADER, self.api),)

    def admits(self, headers: Mapping[str, str]) -> bool:
        """Whether a request with these headers is the sidecar's."""
        return self.app is None or hmac.compare_digest(headers.get(HEADER, "").encode(), self.app.encode())


NO_TOKENS = DaprTokens()
