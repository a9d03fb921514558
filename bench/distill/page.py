"""`docs/distillation.md`: the results file as a page for people."""

from pathlib import Path
from textwrap import fill

from bench.distill import arms, tables
from bench.distill.cells import Figures
from distill_jobs.files import write_atomically

_HEAD = """# Distillation, measured

Made by `make bench-distill` from `{result}`, where every training's exact arguments
and every trial stand. BCCD, all 364 images in three folds; each fold has its own yolov8s teacher,
students are yolov8n from the COCO weights at 320 px. An inner part of each training fold chooses
that fold's epochs and trials; its held-out images are measured once and choose nothing. {device}

{folds} mAP50-95 and mAP50 are means over the folds of each fold's own, in points, with 95%
intervals of a bootstrap over each fold's images, the same resamples for all arms; they do not hold
the chance of another seed ({seeds} a training). "Pooled" is the mAP50-95 of all folds' detections
in one curve: there an arm also loses by scores that lie higher in one fold than in another.
"""


_INT8 = (
    "INT8 here takes the fewest float layers whose loss of mAP50-95 on the inner part the gate "
    "allows, else the last way tried. A release asks more: the answers must match PyTorch's as "
    "well (F1), and a variant that fails is left out of the card, where this arm keeps it. "
    "OpenVINO's variants are not in it."
)
_FEW = (
    'The arms called "a quarter" know the labels of one training image in four, dealt as the '
    "folds are; the teacher is the fold's own and knew them all, as a company's teacher has seen "
    "what is no longer at hand. Without labels the other images are left out, or get the "
    "teacher's boxes (score 0.25 and above) as labels, or are explained by the teacher alone "
    "(ours: its losses, no ground truth). Nobody tunes again: each takes what its counterpart "
    f"chose in the fold. Who has the quarter alone trains up to {arms.FEW_EPOCHS} epochs of a "
    "quarter of the steps. The inner part that chooses the epoch keeps its labels, for all alike. "
    "This set-up was added after the first folds had shown that with all labels known the teacher "
    "does not lead; no goal was set for it."
)
_HOW_CELLS_ARE_KNOWN = (
    "A cell is kept by what it was asked for, not by the code that did it: where several commits "
    "stand here, the changes between them were read and found to leave those cells' meaning, and "
    "nothing was measured again. Cells of a2e3911 and before chose each training's epoch by "
    "ultralytics' validation (suppression at IoU 0.7), later ones by a release's (0.6, boxes cut "
    "at the picture's edge): every arm alike, and what is reported was always measured as a "
    "release is."
)


def write_page(report: Figures, page: Path, picture: str, result: str) -> None:
    """Write the page.

    Args:
        report: The results.
        page: The file.
        picture: Path of the plot, relative to the page.
        result: The results file, as the page names it.
    """
    head = _HEAD.format(
        result=result, device=_device(report), folds=_folds(report), seeds=_seeds(report)
    )
    parts = [
        *(f"{fill(paragraph, 100)}\n" for paragraph in head.split("\n\n")),
        f"![The arms' mAP50-95 and their differences]({picture})\n",
        "## Goals\n",
        _teachers_lead(report),
        tables.goals(report),
        "## Arms\n",
        tables.arms(report),
        "## Differences\n",
        tables.differences(report),
        f"{fill(_INT8, 100)}\n",
        "## The teacher's share\n",
        tables.shares(report),
        "## With a quarter of the labels\n",
        f"{fill(_FEW, 100)}\n",
        "## Speed and size\n",
        tables.speed(report),
        "## What a training takes\n",
        tables.costs(report),
        "## Trials\n",
        _choices(report),
        tables.trials(report),
        *(f"- Dropped: {text}." for text in report["protocol"]["tried_and_dropped"]),
        _provenance(report),
    ]
    write_atomically(page, ("\n".join(parts)).encode())


def _device(report: Figures) -> str:
    gpus = sorted({one["gpu"] for one in report["costs"] if one["gpu"]})
    if gpus:
        return f"Trained on {', '.join(gpus)}, in float16 where a job would; measured on the CPU."
    return f"Trained and measured on a CPU ({report['cpu']}), one thread a training; not on a GPU."


def _folds(report: Figures) -> str:
    """Say which folds speak, and of how many images."""
    planned, whole = report["folds"]["planned"], report["folds"]["whole"]
    if not whole:
        return "**No fold has all its arms yet: rows of different folds are not comparable.**"
    sizes = report["protocol"]["folds"]
    images = f"{sum(sizes[fold]['held_out'] for fold in whole)} held-out images"
    named = ", ".join(str(fold) for fold in whole)
    if whole == planned:
        return f"Folds {named}: {images}."
    return f"**{len(whole)} of {len(planned)} folds finished so far ({named}): {images}.**"


def _seeds(report: Figures) -> str:
    seeds = len(report["protocol"]["seeds"])
    return "one seed" if seeds == 1 else f"{seeds} seeds"


def _teachers_lead(report: Figures) -> str:
    """Say how far the teacher leads: the shares of it mean as much as that."""
    if "ours" not in report["gap_closed"]:
        return ""
    gap = report["gap_closed"]["ours"]["gap_map50_95"]
    spaces = report["protocol"]["trials"]["spaces"]
    text = (
        f"The teacher is {tables.bounds(gap, '+')} points of mAP50-95 above the student without "
        f"one, chosen from {len(spaces['teacher'])} trials a fold where each student has "
        f"{len(spaces['none'])}."
    )
    if gap["low"] is None or gap["low"] <= 0:
        text += (
            " **It does not surely lead, so what a student keeps of it, and the share of a gap "
            "that it closes, say little here.**"
        )
    return f"{fill(text, 100)}\n"


def _choices(report: Figures) -> str:
    count = report["protocol"]["trials"]["an_arm_and_fold"]
    teachers = len(report["protocol"]["trials"]["spaces"]["teacher"])
    text = (
        f"Each arm that tunes has {count} trials in each fold, the teacher {teachers}; the chosen "
        "one is the fold's model. A fold's other arms take over the rate and mosaic that its "
        "student without a teacher chose; so does the one of our wall-clock, which has no trials "
        "of its own. At an edge: nothing was tried beyond it."
    )
    return f"{fill(text, 100)}\n"


def _provenance(report: Figures) -> str:
    commits = "; ".join(
        f"{commit} ({', '.join(sorted(kinds))})"
        for commit, kinds in report["commits_of_cells"].items()
    )
    text = (
        f"`{report['command']}`, {report['finished']}, {report['cpu']}, {report['cores']} cores. "
        f"Trained and measured at commit {commits or 'none yet'}; reported at {report['commit']}."
    )
    return f"\n{fill(text, 100)}\n\n{fill(_HOW_CELLS_ARE_KNOWN, 100)}\n"
