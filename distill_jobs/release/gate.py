"""Whether a student is good enough to stand in for its teacher, and for the one that serves now.

Every rule is held against the figures at once, so that a refusal names all that is missing. With
`gate.confidence` a bound from the paired bootstrap (see `bootstrap`) is compared, else the figure.
"""

from pathlib import Path

from distill_jobs.errors import Failure, GateRefused
from distill_jobs.recipe.release import Gate
from distill_jobs.release.checks import Check
from distill_jobs.release.evidence import Evidence
from distill_jobs.release.rules import RULES
from distill_jobs.release.unmeasured import unmeasured


def check_all(evidence: Evidence, gate: Gate) -> tuple[Check, ...]:
    """Hold every rule against what was measured.

    Args:
        evidence: The figures.
        gate: The limits.

    Returns:
        The checks that apply, those of a teacher only where there is one, and so on; then the
        limits that the job gives although nothing was measured for them.
    """
    checks = tuple(check for rule in RULES for check in rule(evidence, gate))
    return checks + tuple(unmeasured(evidence, gate, {check.rule for check in checks}))


def refuse_failed(checks: tuple[Check, ...], report: Path | None = None) -> None:
    """Refuse the release if any limit is broken.

    Args:
        checks: What `check_all` returned.
        report: Where all figures are, for the message.

    Raises:
        GateRefused: It names every limit that is broken, and by how much or what is missing.
    """
    failed = [check for check in checks if check.verdict == "refused"]
    if failed:
        raise GateRefused(
            tuple(
                Failure(one.rule, one.subject, one.judged_by, float(one.limit or 0), one.complaint)
                for one in failed
            ),
            report,
        )
