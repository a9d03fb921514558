import math

from distill_jobs.tracking.curves import MAP50, read_curves

TEXT = """epoch,train/box_loss,metrics/mAP50(B),val/box_loss,teacher_weight
1,1.5,0.2,1.7,0
2,1.4,0.6,,0.5
2,1.3,0.5,1.6,0.5
3,nan,0.4,1.6,1
"""


def test_an_epoch_done_twice_counts_once_and_the_later_row_holds(tmp_path):
    (tmp_path / "curves.csv").write_text(TEXT)

    curves = read_curves(tmp_path)

    assert curves is not None
    assert curves.epochs == (1, 2, 3)
    assert curves.columns["teacher_weight"] == (0.0, 0.5, 1.0)
    assert curves.best(MAP50) == (2, 0.5)
    assert curves.losses()["box_loss"]["val"] == (1.7, 1.6, 1.6)
    assert math.isnan(curves.losses()["box_loss"]["train"][2])


def test_a_training_under_way_is_read_from_what_it_has_written_so_far(tmp_path):
    (tmp_path / "results.csv").write_text("epoch, metrics/mAP50(B)\n1, 0.25\n2,")

    curves = read_curves(tmp_path)

    assert curves is not None
    assert curves.epochs == (1, 2)
    assert curves.best(MAP50) == (1, 0.25)


def test_no_epoch_no_curves(tmp_path):
    (tmp_path / "results.csv").write_text("epoch,x\n")

    assert read_curves(tmp_path) is None
    assert read_curves(tmp_path / "nowhere") is None
