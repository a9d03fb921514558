"""What a training is at one moment, read from its trainer and put back into a fresh one.

Weights, EMA and optimizer stay in float32; what is written after batch k and put back gives, on one
machine and without loader workers, the very numbers of a training that was never stopped.
"""

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from ultralytics.utils import LOGGER
from ultralytics.utils.torch_utils import unwrap_model

from distill_jobs.errors import TrainingFailed
from distill_jobs.training import ranks
from distill_jobs.training.batch_order import fast_forward
from distill_jobs.training.position import Position
from distill_jobs.training.resume_random import put_back_random_states, read_random_states

if TYPE_CHECKING:
    from distill_jobs.training.trainer import LessonTrainer

_Tensors = dict[str, torch.Tensor]


def take_state(trainer: "LessonTrainer") -> dict[str, Any] | None:
    """Read a trainer's state; every process must call it, and only the first gets it.

    Returns:
        Tensors and plain containers: `resume_file.write_state` takes them; None for the others.
    """
    processes = ranks.gathered(_of_this_process(trainer))
    if not ranks.leads():
        return None
    position, model = trainer.position, unwrap_model(trainer.model)
    return {
        "position": position.plain(),
        "finished": bool(trainer.stop),
        "model": trainer.trained_tensors(),
        "ema": trainer.ema.ema.state_dict(),
        "ema_updates": int(trainer.ema.updates),
        "optimizer": trainer.optimizer.state_dict(),
        "scaler": trainer.scaler.state_dict(),
        "scheduler_epoch": int(trainer.scheduler.last_epoch),
        "criterion_updates": getattr(_criterion(model), "updates", None),
        "stopper": {
            "best_fitness": float(trainer.stopper.best_fitness),
            "best_epoch": int(trainer.stopper.best_epoch),
            "possible_stop": bool(trainer.stopper.possible_stop),
        },
        "best_fitness": _number(trainer.best_fitness),
        "fitness": _number(trainer.fitness),
        "metrics": {name: float(value) for name, value in (trainer.metrics or {}).items()},
        "losses": dict(trainer.tloss or {}),
        "loss_names": list(trainer.loss_names),
        "curves": trainer.csv.read_text(encoding="utf-8") if trainer.csv.exists() else "",
        "processes": processes,
    }


def put_back_state(trainer: "LessonTrainer", state: dict[str, Any]) -> None:
    """Make a trainer that was just set up go on from a state.

    Raises:
        TrainingFailed: It was written by another number of processes, or for another network.
    """
    if len(state["processes"]) != ranks.count():
        raise TrainingFailed(
            f"the training was begun by {len(state['processes'])} processes and is resumed by "
            f"{ranks.count()}: each has a random state of its own, so resume with as many"
        )
    trainer.position = Position(**state["position"])
    epoch, batch = trainer.position.epoch, trainer.position.batch
    LOGGER.info(f"going on with epoch {epoch + 1} of {trainer.epochs}, after {batch} batches")
    own = state["processes"][ranks.rank()]
    model = unwrap_model(trainer.model)
    _overwrite(trainer.trained_tensors(), {**state["model"], **own["buffers"]})
    _overwrite(trainer.ema.ema.state_dict(), state["ema"])
    trainer.ema.updates = state["ema_updates"]
    _put_back_gradients(model, own["gradients"], trainer.device)
    trainer.optimizer.load_state_dict(state["optimizer"])
    trainer.scaler.load_state_dict(state["scaler"])
    trainer.scheduler.last_epoch = state["scheduler_epoch"]
    _put_back_criterion(model, state["criterion_updates"])
    _put_back_scores(trainer, state)
    fast_forward(trainer, own["buffered_images"])
    # The last: what comes before may draw.
    put_back_random_states(own["random"])


def _of_this_process(trainer: "LessonTrainer") -> dict[str, Any]:
    """What differs between the processes of one training."""
    model: nn.Module = unwrap_model(trainer.model)
    trained = trainer.trained_tensors()
    buffers: _Tensors = {}
    if ranks.count() > 1:  # each process has batch statistics of its own
        buffers = {name: one.cpu() for name, one in model.named_buffers() if name in trained}
    return {
        "random": read_random_states(),
        "buffers": buffers,
        # Processes sum theirs up only in the batch that updates the weights.
        "gradients": {
            name: parameter.grad.cpu()
            for name, parameter in model.named_parameters()
            if parameter.grad is not None
        },
        "buffered_images": [int(index) for index in trainer.train_loader.dataset.buffer],
    }


def _overwrite(tensors: _Tensors, saved: _Tensors) -> None:
    if tensors.keys() != saved.keys():
        strange = sorted(tensors.keys() ^ saved.keys())[:3]
        raise TrainingFailed(
            f"the resume file is of another network (it differs in {', '.join(strange)}): remove "
            "the training's folder to begin anew"
        )
    for name, tensor in tensors.items():
        tensor.copy_(saved[name])


def _put_back_gradients(model: nn.Module, gradients: _Tensors, device: torch.device) -> None:
    for name, parameter in model.named_parameters():
        parameter.grad = gradients[name].to(device) if name in gradients else None


def _put_back_criterion(model: Any, updates: int | None) -> None:
    """Give an end-to-end head's losses the weights that they had reached."""
    if updates is None:
        return
    model.criterion = _criterion(model) or model.init_criterion()
    model.criterion.updates = updates - 1
    model.criterion.update()


def _criterion(model: nn.Module) -> Any:
    return getattr(model, "criterion", None)


def _put_back_scores(trainer: "LessonTrainer", state: dict[str, Any]) -> None:
    trainer.stopper.best_fitness = state["stopper"]["best_fitness"]
    trainer.stopper.best_epoch = state["stopper"]["best_epoch"]
    trainer.stopper.possible_stop = state["stopper"]["possible_stop"]
    trainer.best_fitness = state["best_fitness"]
    trainer.fitness = state["fitness"]
    trainer.loss_names = tuple(state["loss_names"])
    if trainer.metrics is not None:
        trainer.metrics.update(state["metrics"])
    losses = {name: value.to(trainer.device) for name, value in state["losses"].items()}
    trainer.tloss = losses or None
    if state["curves"] and ranks.leads():
        trainer.csv.write_text(state["curves"], encoding="utf-8")


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
