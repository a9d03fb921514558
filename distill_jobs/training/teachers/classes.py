"""A teacher's classes in the student's terms."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from distill_jobs.errors import HeadsDiffer

# The sigmoid of this is 1e-13: no loss sees it, and every formula stays finite, in FP16 too.
UNKNOWN_LOGIT = -30.0
_NOWHERE = -1


@dataclass(frozen=True)
class ClassMap:
    """Which of the student's classes each class of a teacher stands for.

    Attributes:
        targets: The student's class id for each class of the teacher; -1 where it has none.
        class_count: How many classes the student has.
    """

    targets: tuple[int, ...]
    class_count: int

    @classmethod
    def between(
        cls,
        teacher_names: tuple[str, ...],
        student_names: tuple[str, ...],
        renamed: Mapping[str, str | None] | None = None,
    ) -> "ClassMap":
        """Match classes by name, and by what the job file says.

        Args:
            teacher_names: Index = class id.
            student_names: Index = class id.
            renamed: Teacher's name to student's name, or to None: not to be listened to. Several
                teacher's classes may become one of the student's. Names it leaves out match by
                equality.

        Raises:
            HeadsDiffer: `renamed` names a class that does not exist, or no class is left.
        """
        renamed = renamed or {}
        _check_names(renamed, teacher_names, student_names)
        wanted = [renamed.get(name, name) for name in teacher_names]
        ids = {name: index for index, name in enumerate(student_names)}
        targets = tuple(_NOWHERE if name is None else ids.get(name, _NOWHERE) for name in wanted)
        if all(target == _NOWHERE for target in targets):
            raise HeadsDiffer(
                f"the teacher knows {_some(teacher_names)}, the data set names "
                f"{_some(student_names)}, and none fit. Map them, "
                "`classes: {teacher's name: data set's name}`, or fine-tune the teacher on this "
                "data set first: `teacher: {weights: ..., train: {...}}`"
            )
        return cls(targets, len(student_names))

    @property
    def known(self) -> torch.Tensor:
        """The student's classes that the teacher knows, bool [C]."""
        known = torch.zeros(self.class_count, dtype=torch.bool)
        known[[target for target in self.targets if target != _NOWHERE]] = True
        return known

    @property
    def merges(self) -> bool:
        """Whether several of the teacher's classes become one of the student's."""
        used = [target for target in self.targets if target != _NOWHERE]
        return len(set(used)) < len(used)

    def logits(self, teacher_logits: torch.Tensor) -> torch.Tensor:
        """Gather class scores into the student's classes.

        Args:
            teacher_logits: float [N, C_t, A], before the sigmoid.

        Returns:
            float [N, C, A]: of several classes that became one the highest; `UNKNOWN_LOGIT` where
            the teacher does not know the class.
        """
        if self.targets == tuple(range(self.class_count)):
            return teacher_logits
        unknown = torch.full_like(teacher_logits[:, 0], UNKNOWN_LOGIT)
        return torch.stack([self._one(teacher_logits, c, unknown) for c in self._sources], dim=1)

    @property
    def _sources(self) -> list[list[int]]:
        """The teacher's class ids behind each class of the student."""
        return [
            [source for source, target in enumerate(self.targets) if target == class_id]
            for class_id in range(self.class_count)
        ]

    @staticmethod
    def _one(logits: torch.Tensor, sources: list[int], unknown: torch.Tensor) -> torch.Tensor:
        return logits[:, sources].amax(dim=1) if sources else unknown


def _check_names(
    renamed: Mapping[str, str | None],
    teacher_names: tuple[str, ...],
    student_names: tuple[str, ...],
) -> None:
    for teacher_name, student_name in renamed.items():
        if teacher_name not in teacher_names:
            raise HeadsDiffer(
                f"classes: {teacher_name!r} is no class of the teacher, which knows "
                f"{_some(teacher_names)}"
            )
        if student_name is not None and student_name not in student_names:
            raise HeadsDiffer(
                f"classes: {teacher_name!r} is mapped to {student_name!r}, which is no class of "
                f"the data set; it names {_some(student_names)}"
            )


def _some(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:4])
    return f"{len(names)} classes ({shown}{', ...' if len(names) > 4 else ''})"
