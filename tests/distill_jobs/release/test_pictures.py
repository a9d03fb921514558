"""Pictures of teacher and student side by side."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from test_release_evaluate import HEIGHT, NAMES, WIDTH, found

from distill_jobs.release.pictures import side_by_side, write_picture

GREY = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
PANEL, BAR, GAP = 720, 44, 6


def test_two_panels_and_their_bars() -> None:
    picture = side_by_side(GREY, found(), found(), NAMES)

    assert picture.shape == (BAR + PANEL // 2, 2 * PANEL + GAP, 3)


def test_a_box_is_drawn_where_it_is_and_only_in_its_panel() -> None:
    picture = side_by_side(GREY, found((50, 20, 90, 40, 0.9, 0)), found(), NAMES)

    scale = PANEL / WIDTH
    left_edge = picture[BAR + round(30 * scale), round(50 * scale)]
    inside = picture[BAR + round(30 * scale), round(70 * scale)]
    assert left_edge.tolist() != [128, 128, 128]
    assert inside.tolist() == [128, 128, 128]
    assert (picture[BAR:, PANEL + GAP :] == 128).all()


@pytest.mark.parametrize("box", [(0, 0, 100, 50), (95, 45, 100, 50), (0, 0, 2, 2)])
def test_a_label_stays_inside_the_panel(box: tuple[float, ...]) -> None:
    bare = side_by_side(GREY, found(), found(), NAMES)
    picture = side_by_side(GREY, found((*box, 0.5, 1)), found(), NAMES)

    # Nothing spills into the bar above (but the count of detections), the gap or the other panel.
    assert (picture[:, PANEL:] == bare[:, PANEL:]).all()
    assert (picture[BAR:, :PANEL] != bare[BAR:, :PANEL]).any()


@pytest.mark.parametrize("ending", [".png", ".jpg"])
def test_pictures_are_written_in_the_right_colours(tmp_path: Path, ending: str) -> None:
    red = np.zeros((20, 20, 3), np.uint8)
    red[..., 0] = 250

    write_picture(red, tmp_path / f"red{ending}")

    blue, green, red_level = cv2.imread(str(tmp_path / f"red{ending}"))[10, 10]
    assert red_level > 240
    assert max(blue, green) < 10
