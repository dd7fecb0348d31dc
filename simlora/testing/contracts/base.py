"""The laws of all roles, and how they are tested on random worlds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from simlora.policies.base import Binds, Foresees, ObservesArrivals
from simlora.testing.elsewhere import answers_elsewhere
from simlora.testing.worlds import World, worlds
from simlora.views import InstanceState, InstanceView

EXAMPLES = 40
"""Worlds a law is tested on."""

LAWS = (
    "answers_are_admissible",
    "equal_pasts_give_equal_answers",
    "asking_changes_nothing",
    "order_of_dictionaries_does_not_matter",
)
"""Methods of a contract, each a law of one world."""


def is_free(instance: InstanceView) -> bool:
    """Whether a policy may end it or take from it: idle, and nothing bound to it."""
    return instance.state is InstanceState.IDLE and not instance.bound


def unchanged(ask: Callable[..., Any], *question: Any) -> Any:
    """The answer to a question, which the same question again must not change."""
    first, again = ask(*question), ask(*question)
    assert repr(first) == repr(again), f"asked the same again, it changed its answer from {first!r} to {again!r}"
    return first


def in_many_worlds(law: Callable[[World], None]) -> None:
    """Test a law on random worlds; the smallest world that breaks it is the one shown."""
    from hypothesis import HealthCheck, given, settings

    often = settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
    )

    @often
    @given(worlds())
    def holds(world: World) -> None:
        law(world)

    holds()


class PolicyContract:
    """Laws of all roles. A subclass says how to make the policy; a role's contract what to ask and what may be said.

    Each law takes one world and raises :class:`AssertionError` where the policy breaks it; each ``test_`` puts one to
    the test in many.
    """

    role: ClassVar[str]

    def make_policy(self) -> Any:
        """A fresh policy, not yet bound."""
        raise NotImplementedError("a contract's subclass must define make_policy")

    def questions(self, policy: Any, world: World) -> Iterator[tuple[Any, Any]]:
        """Pairs of what was asked about and the answer."""
        raise NotImplementedError

    def check(self, policy: Any, asked: Any, answer: Any, world: World) -> None:
        """Assert that the answer is admissible in this world."""
        raise NotImplementedError

    def told(self, world: World) -> Any:
        """A fresh policy that knows its context and the arrivals so far."""
        policy = self.make_policy()
        if isinstance(policy, Binds):
            policy.bind(world.context())
        if isinstance(policy, Foresees):
            policy.foresee(world.future())
        if isinstance(policy, ObservesArrivals):
            for function, at_s in world.arrivals:
                policy.observe_arrival(function, at_s)
        return policy

    def ask_all(self, world: World) -> list[tuple[Any, Any]]:
        """A fresh policy's answers to everything its role can be asked in this world."""
        return list(self.questions(self.told(world), world))

    def answers_are_admissible(self, world: World) -> None:
        """Every answer is of the role's type, and the engine could act on it."""
        policy = self.told(world)
        for asked, answer in self.questions(policy, world):
            self.check(policy, asked, answer, world)

    def equal_pasts_give_equal_answers(self, world: World) -> None:
        """Two fresh policies that were told the same answer the same."""
        one, other = (repr(self.ask_all(world)) for _ in range(2))
        assert one == other, f"two policies with one past: one says {one}, the other {other}"

    def asking_changes_nothing(self, world: World) -> None:
        """The view and its queues are only read."""
        before = world.view.describe()
        self.ask_all(world)
        assert world.view.describe() == before, "the view was changed while the policy was asked"

    def order_of_dictionaries_does_not_matter(self, world: World) -> None:
        """Mappings of the view have no order by meaning; choices among equals end with an id."""
        answers = repr(self.ask_all(world))
        world.view.reverse_mappings()
        turned = repr(self.ask_all(world))
        assert turned == answers, f"with the view's mappings turned round {answers} became {turned}"

    def test_answers_are_admissible(self) -> None:
        in_many_worlds(self.answers_are_admissible)

    def test_equal_pasts_give_equal_answers(self) -> None:
        in_many_worlds(self.equal_pasts_give_equal_answers)

    def test_asking_changes_nothing(self) -> None:
        in_many_worlds(self.asking_changes_nothing)

    def test_order_of_dictionaries_does_not_matter(self) -> None:
        in_many_worlds(self.order_of_dictionaries_does_not_matter)

    def test_another_process_gives_the_same_answers(self) -> None:
        here, there = answers_elsewhere(type(self))
        assert here == there
