"""What a run's model answers to images, asked once and kept in the run's folder."""

from collections.abc import Sequence

from distill_jobs.checkpoints import class_names, digest, load_detector
from distill_jobs.data.dataset import Sample
from distill_jobs.progress import Reporter
from distill_jobs.release.answers import ask, scoring_card
from distill_jobs.release.dense import DenseDetector
from distill_jobs.release.runtimes import TorchRuntime
from distill_jobs.release.stored import read_detections, write_detections
from distill_jobs.run_folder import RunFolder
from handlers.frames import Detections


def look(
    folder: RunFolder, role: str, samples: Sequence[Sample], reporter: Reporter
) -> tuple[Detections, ...]:
    """Ask a run's model, in PyTorch, about images, with every score from 0.001.

    Args:
        folder: Of the run; answers are kept in its `looks/`, by checkpoint and images.
        role: "teacher" or "student".
        samples: The images.
        reporter: Told of each image.

    Returns:
        One an image, pixels of the image.

    Raises:
        DataSetInvalid: An image does not decode.
        CheckpointRefused: There is no checkpoint.
    """
    checkpoint = folder.checkpoint(role)
    images = [sample.image for sample in samples]
    split = images[0].parent.name if images else "none"
    name = f"{role}-{split}-{len(images)}-{digest(checkpoint)[:12]}.npz"
    kept = folder.path / "looks" / name
    known = read_detections(kept, images)
    if known is not None:
        return known
    model = load_detector(checkpoint)
    size = folder.job().image_size
    reporter.stage(f"{folder.path.name}: {role} on {split}", len(images))
    found = ask(
        scoring_card(class_names(model), size),
        TorchRuntime(DenseDetector(model, size)),
        images,
        (),
        on_image=reporter.advance,
    ).detections
    write_detections(kept, images, found)
    return found
