"""What a job pushes: each epoch of a training, how the run goes, and what came of it."""

import contextlib
import time
from collections.abc import Iterator, Sequence

from distill_jobs.progress import Reporter
from distill_jobs.results import ModelResult, read_model
from distill_jobs.run_folder import RunFolder
from distill_jobs.tracking.pushgateway import Figures, Pushgateway, pushgateway_address
from distill_jobs.training.listening import EpochSeen

_STATES = ("running", "done", "failed")
_ROLES = ("teacher", "student")
_RATIOS = ("map50", "map50_95", "precision", "recall")


class PushedEpochs:
    """Pushes each epoch of a training: an `EpochListener`.

    Args:
        gateway: Of the job.
        role: "teacher" or "student".
    """

    def __init__(self, gateway: Pushgateway, role: str) -> None:
        self._gateway = gateway
        self._role = role

    def epoch_ended(self, seen: EpochSeen) -> None:
        """Push an epoch's values."""
        one = Figures.one
        validation = {name: seen.validation[name] for name in _RATIOS if name in seen.validation}
        self._gateway.push(
            (
                one("epoch", "Epochs of the training that have ended", seen.epoch + 1),
                one("epochs", "Epochs that the training may have", seen.epochs),
                one("training_seconds", "Training and validation so far", seen.seconds),
                one("teacher_weight_ratio", "Weight of the teacher in the epoch", seen.alpha),
                one("learning_rate", "Of the first parameter group", seen.learning_rates[0]),
                Figures(
                    "loss",
                    "Mean over the epoch's batches",
                    seen.losses,
                    "loss",
                ),
                Figures(
                    "validation_ratio",
                    "On the validation split, 0 to 1",
                    validation,
                    "figure",
                ),
                one("progress_timestamp_seconds", "When the epoch ended, Unix time", time.time()),
            ),
            self._role,
        )


@contextlib.contextmanager
def run_pushed(folder: RunFolder, reporter: Reporter) -> Iterator[None]:
    """Push how a run goes and, once the block has ended, what came of it.

    Nothing is pushed where no Pushgateway is named.

    Args:
        folder: Of the run.
        reporter: Told of a push that failed.

    Raises:
        JobError: What is named is no address.
    """
    address = pushgateway_address()
    if address is None:
        yield
        return
    gateway = Pushgateway(address, folder.job().name, reporter)
    gateway.push((_state("running"), _now("began", "When the run began, or went on")))
    try:
        yield
    except BaseException:
        gateway.push((_state("failed"), _now("ended", "When the run ended")))
        raise
    for role in _ROLES:
        model = read_model(folder, role)
        if model is not None:
            gateway.push(_came_of(model), role)
    succeeded = _now("succeeded", "When a run of the job last succeeded")
    gateway.push((_state("done"), _now("ended", "When the run ended"), succeeded))


def _state(now: str) -> Figures:
    values = {state: float(state == now) for state in _STATES}
    return Figures("state", "1 at the state that the run is in, 0 at the others", values, "state")


def _now(event: str, text: str) -> Figures:
    return Figures.one(f"{event}_timestamp_seconds", f"{text}, Unix time", time.time())


def _came_of(model: ModelResult) -> Sequence[Figures]:
    held_out = {"map50": model.map50, "map50_95": model.map50_95}
    figures = [
        Figures.one("parameters", "Of the model", model.parameters),
        Figures.one("archive_bytes", "Of its archive; 0: none", model.archive_bytes),
        Figures(
            "held_out_ratio",
            "On the held-out split, 0 to 1",
            {name: value for name, value in held_out.items() if value is not None},
            "figure",
        ),
    ]
    variants = model.variants
    return (
        *figures,
        Figures(
            "variant_p50_seconds",
            "Median of one image, the model alone, where the archive was built",
            {one.name: one.p50_ms / 1000 for one in variants},
            "variant",
        ),
        Figures(
            "variant_map50_95_ratio",
            "On the held-out split, 0 to 1",
            {one.name: one.map50_95 for one in variants if one.map50_95 is not None},
            "variant",
        ),
    )
