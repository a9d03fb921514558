"""Where the images of `understudy release build` come from, as its options say it."""

from dataclasses import dataclass, field
from pathlib import Path

from distill_jobs.data.dataset import IMAGE_SUFFIXES, Dataset, Sample
from distill_jobs.data.taught import Taught
from distill_jobs.errors import ReleaseInvalid
from distill_jobs.release.int8_images import Int8Images, int8_images


@dataclass(frozen=True)
class Sources:
    """The options.

    Attributes:
        data: data.yaml of labelled images.
        split: Its split to measure on; None for `test`, or `val` where that is accepted.
        accept_val: Whether `val`, which chose the checkpoint, may judge it.
        limit: Measure on the first so many images.
        calibration_split: Of `data`, what INT8 is fitted to.
        images: Folder of images without labels.
    """

    data: Path | None
    split: str | None
    accept_val: bool
    limit: int | None
    calibration_split: str
    images: Path | None

    def find(self) -> "Found":
        """Look everything up.

        Raises:
            ReleaseInvalid: There is no split that may judge, or the folder holds no image.
            DataSetInvalid: The data set is none, or lacks the split.
        """
        unlabelled = _images_in(self.images)
        if self.data is None:
            return Found(images=unlabelled)
        dataset = Dataset.load(self.data)
        split = self._judging(dataset)
        validation = () if split == "val" else dataset.splits.get("val", ())
        return Found(
            class_names=dataset.class_names,
            samples=dataset.split(split)[: self.limit],
            images=unlabelled,
            validation=validation,
            taught=Taught.of(dataset),
            int8=int8_images(dataset.splits.get(self.calibration_split, ()), validation),
            data=self.data.resolve().parent.name,
            split=split,
        )

    def _judging(self, dataset: Dataset) -> str:
        split = self.split or dataset.held_out_split
        if split == "train":
            raise ReleaseInvalid(
                "split",
                f"{dataset.path}: the checkpoint was trained on `train`, so figures on it say "
                "nothing: name another split",
            )
        if split == "val" and not self.accept_val:
            raise ReleaseInvalid(
                "split",
                f"{dataset.path}: `val` chose the checkpoint, so figures on it flatter. Add a "
                "`test:` split, name another with --split, or accept that with --accept-val",
            )
        return split


@dataclass(frozen=True)
class Found:
    """What was found.

    Attributes:
        class_names: Of the data set; None without one.
        samples: Labelled images that judge.
        images: Images without labels.
        validation: Labelled images that operating thresholds are chosen on.
        int8: What makes INT8.
        taught: The train split, on which the checkpoint is taken to have been trained.
        data: Name of the data set.
        split: Of it, what judges.
    """

    class_names: tuple[str, ...] | None = None
    samples: tuple[Sample, ...] = ()
    images: tuple[Path, ...] = ()
    validation: tuple[Sample, ...] = ()
    int8: Int8Images = field(default_factory=Int8Images)
    taught: Taught = field(default_factory=Taught)
    data: str = ""
    split: str = ""


def _images_in(folder: Path | None) -> tuple[Path, ...]:
    if folder is None:
        return ()
    found = sorted(file for file in folder.glob("*") if file.suffix.lower() in IMAGE_SUFFIXES)
    if not found:
        raise ReleaseInvalid("images", f"{folder} holds no image ({', '.join(IMAGE_SUFFIXES)})")
    return tuple(found)
