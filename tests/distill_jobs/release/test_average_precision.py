"""Average precision of weighted images: by hand, against ultralytics, and against copies."""

import numpy as np
import pytest

from distill_jobs.environment import offline
from distill_jobs.release.average_precision import average_precisions, classes_present
from distill_jobs.release.bootstrap import as_they_are
from distill_jobs.release.matches import ImageMatches

THRESHOLDS = 10


def image(*found: tuple[float, bool], labels: int, class_id: int = 0) -> ImageMatches:
    """One class's image: (score, whether it hits at every IoU threshold), best first."""
    scores = np.array([one[0] for one in found], np.float32)
    hits = np.array([[one[1]] * THRESHOLDS for one in found], bool).reshape(-1, THRESHOLDS)
    class_ids = np.full(len(found), class_id, np.int64)
    return ImageMatches(hits, scores, class_ids, np.full(labels, class_id, np.int64))


def random_images(seed: int, images: int = 12) -> list[ImageMatches]:
    generator = np.random.default_rng(seed)
    made = []
    for _ in range(images):
        count, labels = int(generator.integers(0, 30)), int(generator.integers(0, 9))
        scores = np.sort(generator.random(count).astype(np.float32))[::-1]
        reach = generator.integers(-6, THRESHOLDS + 1, count)
        hits = np.arange(THRESHOLDS) < reach[:, None]
        true_ids = generator.integers(0, 3, labels)
        class_ids = generator.integers(0, 3, count)
        for class_id in range(3):  # no more hits than labels
            limit = int((true_ids == class_id).sum())
            mine = class_ids == class_id
            hits[mine] &= np.cumsum(hits[mine], axis=0) <= limit
        made.append(ImageMatches(hits, scores, class_ids, true_ids))
    return made


def test_a_hand_reckoned_case() -> None:
    # A hit, a false alarm, a hit, of two labels: precision 1 up to recall 1/2, then 2/3 up to 1.
    # Of 101 recalls 0 (half a weight) and 49 full ones lie below 1/2, 50 from there to below 1.
    matches = [image((0.9, True), (0.8, False), (0.7, True), labels=2)]

    (ap,) = average_precisions(matches, (0,), as_they_are(1))[0]

    assert ap == pytest.approx([0.495 * 1 + 0.5 * 2 / 3] * THRESHOLDS)


def test_an_image_drawn_twice_weighs_twice() -> None:
    # First image: a false alarm at 0.9, no label. Second: a hit at 0.8 of one label.
    matches = [image((0.9, False), labels=0), image((0.8, True), labels=1)]
    counts = np.array([[1, 1], [2, 1], [1, 2], [0, 1], [1, 0]])

    ap50 = average_precisions(matches, (0,), counts)[:, 0, 0]

    # Precision at the hits: 1/2, 1/3, 2/3, 1; the last resample has no label.
    assert ap50[:4] == pytest.approx([0.995 / 2, 0.995 / 3, 0.995 * 2 / 3, 0.995])
    assert np.isnan(ap50[4])


@pytest.mark.parametrize("seed", range(8))
def test_the_figures_are_ultralytics(seed: int) -> None:
    offline()
    from ultralytics.utils.metrics import ap_per_class

    matches = random_images(seed)

    ours = average_precisions(matches, classes_present(matches), as_they_are(len(matches)))[0]

    theirs = ap_per_class(
        np.concatenate([one.hits for one in matches]),
        np.concatenate([one.scores for one in matches]),
        np.concatenate([one.class_ids for one in matches]),
        np.concatenate([one.true_ids for one in matches]),
    )[5]
    assert 0 < theirs.mean() < 1
    assert ours == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_weights_are_the_same_as_copies(seed: int) -> None:
    matches = random_images(seed)
    counts = np.random.default_rng(seed).multinomial(len(matches), [1 / len(matches)] * 12, size=5)

    weighted = average_precisions(matches, (0, 1, 2), counts)

    for row, drawn in enumerate(counts):
        copies = [one for one, times in zip(matches, drawn, strict=True) for _ in range(times)]
        copied = average_precisions(copies, (0, 1, 2), as_they_are(len(copies)))[0]
        assert weighted[row] == pytest.approx(copied, abs=1e-12, nan_ok=True)


def test_what_is_ignored_is_no_false_alarm() -> None:
    whole = image((0.9, False), (0.8, True), labels=1)
    ignored = np.zeros((2, THRESHOLDS), bool)
    ignored[0, :5] = True
    excused = ImageMatches(whole.hits, whole.scores, whole.class_ids, whole.true_ids, ignored)

    (ap,) = average_precisions([excused], (0,), as_they_are(1))[0]

    assert ap == pytest.approx([0.995] * 5 + [0.995 / 2] * 5)


def test_a_class_that_is_never_found_has_none() -> None:
    matches = [image(labels=2), image((0.5, False), labels=1)]

    assert (average_precisions(matches, (0,), as_they_are(2)) == 0).all()
