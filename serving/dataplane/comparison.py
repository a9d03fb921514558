"""One frame that a second arm is asked about: who answered it, who is to answer it again."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

from serving.dataplane.agreement import compare, renumbered
from serving.dataplane.frames import Frame
from serving.dataplane.harvest_frame import ArmAnswer, Disagreement
from serving.store.observations import AgreementSums
from serving.store.values import Release
from serving.torchserve.inference import WorkerReply

# Beyond it a comparison takes longer than the loop should stand still (2 ms at 300 boxes).
_QUICK_BOXES = 150


@dataclass(frozen=True)
class Comparison:
    """A frame under way to the shadow arm.

    Attributes:
        frame: As it was sent to the first.
        route: Its name.
        revision: Of the route, under which both were asked.
        primary: What the camera got.
        arm: The shadow arm's name.
        release: Its release.
    """

    frame: Frame
    route: str
    revision: int
    primary: ArmAnswer
    arm: str
    release: Release

    async def agreement(self, reply: WorkerReply) -> AgreementSums:
        """Compare the two answers; class ids are the shadow arm's.

        Args:
            reply: The shadow arm's.

        Raises:
            WorkerFailed: It holds a class that its card does not.
        """
        names = self.release.class_names
        shadow = renumbered(reply, names, names)
        primary = renumbered(self.primary.reply, self.primary.release.class_names, names)
        if max(len(primary.scores), len(shadow.scores)) <= _QUICK_BOXES:
            return compare(primary, shadow)
        return await asyncio.to_thread(compare, primary, shadow)

    def fits_a_data_set(self) -> bool:
        """Whether both arms answered at their cards' own thresholds.

        Labels from other thresholds would teach boxes that nobody believes, or leave some out.
        """
        return not self.frame.has_own_thresholds

    def disagreement(self, reply: WorkerReply, agreement: AgreementSums) -> Disagreement:
        """Return what a harvest is offered."""
        return Disagreement(
            image=self.frame.image,
            camera_id=self.frame.camera_id,
            frame_id=self.frame.frame_id,
            at=datetime.now(UTC),
            route=self.route,
            revision=self.revision,
            primary=self.primary,
            shadow=ArmAnswer(self.arm, self.release, reply),
            agreement=agreement,
        )
