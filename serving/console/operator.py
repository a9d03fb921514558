"""What a signed-in person does: the admin API's use cases, their key checked before each."""

from pathlib import Path
from typing import NamedTuple

from serving.api.admin_models import DeployRequest
from serving.console.services import Services
from serving.console.sessions import Session
from serving.controlplane.propagation import propagated
from serving.errors import Unauthenticated
from serving.store.rollouts_values import Rollout, RolloutPlan
from serving.store.values import ApiKey, Release, ReleaseKey, Route, RouteRevision, Scope


class Applied(NamedTuple):
    """A route's new state.

    Attributes:
        revision: As it was written.
        everywhere: Whether every gateway that is heard sends by it already.
    """

    revision: RouteRevision
    everywhere: bool

    def __str__(self) -> str:
        gateways = "every gateway sends" if self.everywhere else "a gateway does not yet send"
        name, number = self.revision.route.name, self.revision.revision
        return f"Route “{name}” is at revision {number}; {gateways} by it."


class Operator:
    """Acts for a session; what its key's scope does not reach is refused here, whatever is shown.

    Args:
        services: What it acts through.
        session: Whose.

    Attributes:
        services: What it acts through.
        session: Whose.
    """

    def __init__(self, services: Services, session: Session) -> None:
        self.services = services
        self.session = session

    @property
    def key(self) -> ApiKey:
        """The session's key, as the store knew it at the last look."""
        return self.session.key

    def may(self, scope: Scope) -> bool:
        """Whether the key's scope reaches so far; only for what is shown."""
        return self.key.scope.reaches(scope)

    async def look(self, scope: Scope = Scope.DETECT) -> ApiKey:
        """Return the key as it is now.

        Raises:
            Unauthenticated: It is revoked or expired, or its holder has signed out.
            PermissionDenied: Its scope does not reach so far.
        """
        if self.session.ended:
            raise Unauthenticated("you have signed out: sign in again")
        try:
            self.session.key = await self.services.authenticator.again(
                self.session.key, Scope.DETECT
            )
        except Unauthenticated:
            self.session.ended = True
            raise
        return await self.services.authenticator.again(self.session.key, scope)

    async def set_route(self, route: Route, *, why: str, expected_revision: int) -> Applied:
        """Give a route another state; returns once the gateways send by it.

        Raises:
            UnderstudyError: As `Controller.set_route`, and as `look`.
        """
        key = await self.look(Scope.OPERATE)
        return await self._in_effect(
            await self.services.controller.set_route(
                route, who=key.name, why=why, expected_revision=expected_revision
            )
        )

    async def roll_back(self, route: str, *, why: str, revision: int) -> Applied:
        """Go back to a revision; raises as `Controller.rollback` and `look` do."""
        key = await self.look(Scope.OPERATE)
        return await self._in_effect(
            await self.services.controller.rollback(route, who=key.name, why=why, revision=revision)
        )

    async def deploy(self, wanted: DeployRequest) -> Release:
        """Verify, load and warm an archive; raises as `Controller.deploy` and `look` do."""
        key = await self.look(Scope.OPERATE)
        options = wanted.model_dump(exclude={"path"})
        return await self.services.controller.deploy(Path(wanted.path), **options, who=key.name)

    async def retire(self, release: ReleaseKey, *, why: str) -> Release:
        """Drain and remove a release; raises as `Controller.retire` and `look` do."""
        key = await self.look(Scope.OPERATE)
        return await self.services.controller.retire(release, who=key.name, why=why)

    async def start_rollout(self, plan: RolloutPlan, *, why: str) -> Rollout:
        """Begin a rollout; raises as `Rollouts.start` and `look` do."""
        key = await self.look(Scope.OPERATE)
        return await self.services.controller.rollouts.start(plan, who=key.name, why=why)

    async def move_rollout(self, rollout_id: str, how: str, *, why: str) -> Rollout:
        """Pause, resume, cancel or roll back a rollout.

        Args:
            rollout_id: Which.
            how: "pause", "resume", "cancel" or "roll_back".
            why: The operator's words.

        Raises:
            UnderstudyError: As that method of `Rollouts`, and as `look`.
        """
        key = await self.look(Scope.OPERATE)
        rollouts = self.services.controller.rollouts
        act = {
            "pause": rollouts.pause,
            "resume": rollouts.resume,
            "cancel": rollouts.cancel,
            "roll_back": rollouts.roll_back,
        }[how]
        return await act(rollout_id, who=key.name, why=why)

    async def _in_effect(self, added: RouteRevision) -> Applied:
        return Applied(added, await propagated(self.services.store, added.revision))
