"""What a release's report is written from."""

from collections.abc import Sequence
from dataclasses import dataclass

from distill_jobs.release.assess import Findings
from distill_jobs.release.bootstrap import REPORTED_CONFIDENCE
from distill_jobs.release.checks import Check
from distill_jobs.release.evaluate import Quality
from distill_jobs.release.request import ReleaseRequest
from distill_jobs.release.result import VariantResult


@dataclass(frozen=True)
class Told:
    """A release as far as it came: published, or refused.

    Attributes:
        request: What was asked for.
        findings: What came of it.
        quality: Of the default variant, which will serve; None: unmeasured.
        in_pytorch: Of the checkpoint itself; likewise.
        parameters: Of the checkpoint.
        variants: Those that passed, the default first.
        left_out: Why a variant is not among them, by name.
        live: Name of the live model; "" where there is none.
    """

    request: ReleaseRequest
    findings: Findings
    quality: Quality | None
    in_pytorch: Quality | None
    parameters: int
    variants: Sequence[VariantResult]
    left_out: dict[str, str]
    live: str = ""

    @property
    def confidence(self) -> float:
        """Of the bounds that are shown, each one-sided."""
        return self.request.gate.confidence or REPORTED_CONFIDENCE

    @property
    def bounds_text(self) -> str:
        """What the bounds are, in words."""
        return f"one-sided {100 * self.confidence:g}% bounds"

    @property
    def failed(self) -> tuple[Check, ...]:
        """The limits that are broken."""
        return tuple(one for one in self.findings.checks if one.verdict == "refused")
