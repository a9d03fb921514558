"""How a student's operating thresholds are chosen."""

from typing import Literal

from pydantic import Field

from distill_jobs.recipe.section import Section


class Thresholds(Section):
    """Scores from which cameras hear of a detection, chosen on the validation split.

    A student scores otherwise than its teacher, so the same threshold raises more or fewer alarms.

    Attributes:
        match: What the student keeps of its teacher, class by class: the `precision` at the
            teacher's thresholds, with half to twice its detections, or their `count`; `none` keeps
            `default`.
        default: The teacher's threshold for every class, and the student's where nothing can be
            matched.
        min_instances: A class with fewer labels in the validation split takes the threshold that
            is matched over all classes together; where those are fewer too, `default`.
    """

    match: Literal["precision", "count", "none"] = "precision"
    default: float = Field(default=0.25, ge=0.01, le=0.95)
    min_instances: int = Field(default=20, ge=1)
