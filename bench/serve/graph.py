"""The FP32 graph that the peers run: a checkpoint at one fixed input size."""

from pathlib import Path

from distill_jobs.environment import offline

_OPSET = 17


def export_fixed(checkpoint: Path, side_px: int, path: Path) -> Path:
    """Write a detector as ONNX whose batch axis alone is dynamic, as it would be for any server.

    Not taken out of our archive: what a peer runs must not change with what we choose for ours.

    Args:
        checkpoint: Ultralytics detection checkpoint.
        side_px: Of the square input.
        path: Where to; replaced in one step.
    """
    offline()
    import torch  # noqa: PLC0415 - heavy, and after offline()

    from distill_jobs.checkpoints import load_detector  # noqa: PLC0415 - likewise
    from distill_jobs.release.dense import DenseDetector  # noqa: PLC0415 - likewise
    from distill_jobs.release.export import no_torchscript_noise, whole_file  # noqa: PLC0415

    module = DenseDetector(load_detector(checkpoint), side_px)
    example = torch.zeros(2, 3, side_px, side_px)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as partial, no_torchscript_noise():
        torch.onnx.export(
            module,
            (example,),
            str(partial),
            dynamo=False,
            opset_version=_OPSET,
            input_names=["images"],
            output_names=["predictions"],
            dynamic_axes={"images": {0: "batch"}, "predictions": {0: "batch"}},
        )
    return path
