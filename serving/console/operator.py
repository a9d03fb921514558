"""What a signed-in person does: the admin API's use cases, their key checked before each."""

from pathlib import Path
from typing import NamedTuple

from serving.api.admin_models import DeployRequest
from serving.console.services import Services
from serving.console.sessions import Session
from serving.console.troubles import told
from serving.controlplane.propagation import propagated
from serving.errors import InvalidField, Unauthenticated
from serving.store.rollouts_values import Rollout, RolloutPlan
from serving.store.values import ApiKey, Release, ReleaseKey, Route, RouteRevision, Scope

# As the admin API: in characters.
_MOST_WORDS = 1000


class Applied(NamedTuple):
    """A route's new state.

    Attributes:
        revision: As it was written.
        everywhere: Whether every gateway that is heard sends by it already.
    """

    revision: RouteRevision
    everywhere: bool

    def __str__(self) -> str:
        gateways = "every gateway sends" if self.everywhere else "not every gateway does yet send"
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
            Unauthenticated: It is revoked or expired, or the session is over.
            PermissionDenied: Its scope does not reach so far.
        """
        if self.session.is_over:
            raise Unauthenticated("your session has ended: sign in again")
        try:
            self.session.key = await self.services.authenticator.again(
                self.session.key, Scope.DETECT
            )
        except Unauthenticated:
            self.session.end()
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
                route, who=key.name, why=_bounded(why), expected_revision=expected_revision
            )
        )

    async def roll_back(self, route: str, *, why: str, revision: int) -> Applied:
        """Go back to a revision; raises as `Controller.rollback` and `look` do."""
        key = await self.look(Scope.OPERATE)
        return await self._in_effect(
            await self.services.controller.rollback(
                route, who=key.name, why=_bounded(why), revision=revision
            )
        )

    async def deploy(self, wanted: DeployRequest) -> Release:
        """Verify, load and warm an archive; raises as `Controller.deploy` and `look` do."""
        key = await self.look(Scope.OPERATE)
        options = wanted.model_dump(exclude={"path"})
        return await self.services.controller.deploy(Path(wanted.path), **options, who=key.name)

    async def retire(self, release: ReleaseKey, *, why: str) -> Release:
        """Drain and remove a release; raises as `Controller.retire` and `look` do."""
        key = await self.look(Scope.OPERATE)
        return await self.services.controller.retire(release, who=key.name, why=_bounded(why))

    async def start_rollout(
        self, plan: RolloutPlan, *, why: str, expected_revision: int
    ) -> Rollout:
        """Begin a rollout; raises as `Rollouts.start` and `look` do."""
        key = await self.look(Scope.OPERATE)
        return await self.services.controller.rollouts.start(
            plan, who=key.name, why=_bounded(why), expected_revision=expected_revision
        )

    async def move_rollout(self, rollout_id: str, how: str, *, why: str, at_stage: int) -> Rollout:
        """Pause, resume, cancel or roll back a rollout.

        Args:
            rollout_id: Which.
            how: "pause", "resume", "cancel" or "roll_back".
            why: The operator's words.
            at_stage: That this was decided at; a rollback is done at whichever it is by then.

        Raises:
            UnderstudyError: As that method of `Rollouts`, and as `look`.
        """
        key = await self.look(Scope.OPERATE)
        why = _bounded(why)
        rollouts = self.services.controller.rollouts
        if how == "roll_back":
            return await rollouts.roll_back(rollout_id, who=key.name, why=why)
        act = {"pause": rollouts.pause, "resume": rollouts.resume, "cancel": rollouts.cancel}[how]
        return await act(rollout_id, who=key.name, why=why, at_stage=at_stage)

    async def _in_effect(self, added: RouteRevision) -> Applied:
        try:
            everywhere = await propagated(self.services.store, added.revision)
        except Exception as error:  # noqa: BLE001 - the route is changed, whatever cannot be read
            told(error)
            everywhere = False
        return Applied(added, everywhere)


def _bounded(why: str) -> str:
    """Return an operator's words, as long as the admin API takes them.

    Raises:
        InvalidField: They are longer.
    """
    if len(why) > _MOST_WORDS:
        raise InvalidField(
            "why", f"why: {len(why):,} characters; say it in at most {_MOST_WORDS:,}"
        )
    return why
