"""What a routing policy may say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from simlora.actions import Binding, ColdStart, Hold, Reject, Route, ToInstance
from simlora.testing.contracts.base import PolicyContract, unchanged
from simlora.testing.worlds import World
from simlora.views import InstanceState


class RoutingContract(PolicyContract):
    """A route is one of the four there are; an instance it leads to serves the function and has not ended.

    ``binding`` is one of the two there are, and the same question has the same answer.
    """

    role = "routing"

    def questions(self, policy: Any, world: World) -> Iterator[tuple[Any, Any]]:
        for function in world.view.functions:
            for request in list(world.view.front.by_function.get(function, ()))[:1]:
                yield function, unchanged(policy.route, [request], function, world.view)

    def check(self, policy: Any, asked: Any, answer: Route, world: World) -> None:
        assert isinstance(policy.binding, Binding), f"binding must be a Binding (found {policy.binding!r})"
        routes = ToInstance | ColdStart | Hold | Reject
        assert isinstance(answer, routes), f"a route is ToInstance, ColdStart, Hold or Reject (found {answer!r})"
        if isinstance(answer, ToInstance):
            instance = answer.instance
            assert getattr(instance, "id", None) in world.view.instances_of(asked), (
                f"routed {asked.id} to {instance}, which does not serve it"
            )
            assert instance.state is not InstanceState.STOPPED, f"routed {asked.id} to {instance}, which has ended"
