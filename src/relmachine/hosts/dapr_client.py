"""The calling half's line to its sidecar: one channel, calls bounded in time, failures as coded errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from relmachine.errors import Code, RelmError
from relmachine.hosts.dapr_actor import METHOD, actor_id
from relmachine.hosts.dapr_tokens import NO_TOKENS, DaprTokens

if TYPE_CHECKING:
    from relmachine.hosts.dapr_bounds import DaprBounds


class SidecarCaller:
    """Implements `ActorCaller` (`hosts.dapr`) over the sidecar's gRPC API at `address` (host:port), which asks for
    `tokens.api` if that is given.

    Make it inside the running loop.
    """

    def __init__(self, address: str, type_name: str, bounds: DaprBounds, tokens: DaprTokens = NO_TOKENS) -> None:
        from dapr.proto.runtime.v1.dapr_pb2_grpc import DaprStub

        self._address, self._type, self._bounds = address, type_name, bounds
        self._shown = tokens.shown()
        self._channel = open_channel(address, bounds)
        self._sidecar: Any = DaprStub(self._channel)

    def for_actors(self) -> Any:
        """A client of the SDK on the same channel, for what actors ask of their sidecar: ours ask nothing, so it shows
        no token.
        """
        from dapr.clients.grpc.dapr_actor_grpc_client import DaprActorGrpcClient

        return DaprActorGrpcClient(timeout=int(self._bounds.call_seconds_max), channel=self._channel)

    async def call(self, thread: str, body: bytes) -> bytes:
        """See `ActorCaller.call`."""
        import grpc
        from dapr.proto.runtime.v1.actors_pb2 import InvokeActorRequest

        request = InvokeActorRequest(actor_type=self._type, actor_id=actor_id(thread), method=METHOD, data=body)
        try:
            answer = await self._sidecar.InvokeActor(
                request, timeout=self._bounds.call_seconds_max, metadata=self._shown
            )
        except grpc.RpcError as error:
            raise self._unreachable(error, thread) from error
        return answer.data

    async def close(self) -> None:
        """See `ActorCaller.close`."""
        await self._channel.close()

    async def placed(self) -> bool:
        """See `ActorCaller.placed`: the sidecar hosts the actor type and is connected to placement."""
        import grpc
        from dapr.proto.runtime.v1.metadata_pb2 import GetMetadataRequest

        try:
            found = await self._sidecar.GetMetadata(
                GetMetadataRequest(), timeout=self._bounds.call_seconds_max, metadata=self._shown
            )
        except grpc.RpcError:
            return False
        actors = found.actor_runtime
        return actors.host_ready and any(active.type == self._type for active in actors.active_actors)

    def _unreachable(self, error: Any, thread: str) -> RelmError:
        status = error.code().name
        reason = (
            f"no answer within call_seconds_max={self._bounds.call_seconds_max:g} s"
            if status == "DEADLINE_EXCEEDED"
            else f"{status}: {str(error.details())[:200]}"
        )
        sentence = f"see that the sidecar, placement and the other nodes run: {reason}"
        return RelmError(Code.UNREACHABLE, sentence, sidecar=self._address, thread=thread)


def open_channel(address: str, bounds: DaprBounds) -> Any:
    """A gRPC channel to a sidecar. One that comes back is found at once.

    By default the pause between two attempts to connect grows to two minutes.
    """
    import grpc.aio

    pause_ms = int(bounds.reconnect_seconds * 1000)
    pauses = [(f"grpc.{name}_reconnect_backoff_ms", pause_ms) for name in ("initial", "min", "max")]
    return grpc.aio.insecure_channel(address, [*pauses, ("grpc.enable_retries", 0)])
