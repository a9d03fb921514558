"""Whether a student is good enough to stand in for its teacher.

The point estimates are compared here. A bound on them needs the images' own matches
(`evaluate.ImageMatches`), resampled; that is where a bootstrap belongs.
"""

from distill_jobs.errors import GateRefused
from distill_jobs.recipe.release import Gate
from distill_jobs.release.evaluate import Quality


def check_retention(student: Quality, teacher: Quality, gate: Gate) -> float:
    """Hold a student against its teacher.

    Args:
        student: Measured on the same images as the teacher.
        teacher: The teacher's quality.
        gate: The limits.

    Returns:
        How much of the teacher's mAP50 the student keeps; 1 for a teacher that finds nothing.

    Raises:
        GateRefused: It keeps less than `gate.min_retention_map50`.
    """
    if student.images != teacher.images or student.objects != teacher.objects:
        raise GateRefused(
            "min_retention_map50",
            f"teacher ({teacher.images} images, {teacher.objects} objects) and student "
            f"({student.images}, {student.objects}) were measured on different images",
            measured=student.images,
            limit=teacher.images,
        )
    retention = student.map50 / teacher.map50 if teacher.map50 else 1.0
    if retention < gate.min_retention_map50:
        short = 100 * (gate.min_retention_map50 * teacher.map50 - student.map50)
        raise GateRefused(
            "min_retention_map50",
            f"the student keeps {100 * retention:.1f}% of its teacher's mAP50 "
            f"({student.map50:.3f} of {teacher.map50:.3f}), the gate asks for "
            f"{100 * gate.min_retention_map50:g}%: {short:.1f} points short. "
            "Train longer, take a larger student, or lower the limit in the job file",
            measured=retention,
            limit=gate.min_retention_map50,
        )
    return retention
