import html.parser
import json
import re

import cv2
import numpy as np
import pytest

from distill_jobs.errors import TrainingFailed
from distill_jobs.progress import Silent
from distill_jobs.run_folder import RunFolder
from distill_jobs.tracking.run_page import page_written, write_run_page

_COLUMNS = (
    "epoch",
    "train/box_loss",
    "train/class_distill",
    "metrics/mAP50(B)",
    "metrics/mAP50-95(B)",
    "val/box_loss",
    "val/class_distill",
    "lr/pg0",
    "teacher_weight",
)
CURVES = f"""{",".join(_COLUMNS)}
1,1.5,0.0,0.2,0.1,1.7,0,0.01,0
2,1.3,0.3,0.5,0.3,1.6,0,0.005,1
"""
VARIANT = {
    "name": "onnxruntime-int8",
    "file_bytes": 3_431_913,
    "map50": 0.975,
    "map50_95": 0.827,
    "p50_ms": 102.9,
    "p99_ms": 103.5,
    "matched_f1": 0.991,
    "strict_f1": 0.962,
}


class Reader(html.parser.HTMLParser):
    """Collects text, pictures, links, and every address that a browser would fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.links: list[str] = []
        self.pictures = 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag not in {"meta", "img", "line", "circle", "polyline", "link"}:
            self.open.append(tag)
        for name in ("src", "href", "xlink:href"):
            if values.get(name, "").startswith("data:image/"):
                self.pictures += 1
            elif tag == "a" and name == "href":
                self.links.append(values[name])
            elif values.get(name):
                self.fetched.append(values[name])
        assert tag not in {"script", "iframe", "link"}

    def handle_endtag(self, tag):
        if tag in self.open:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data.strip())


@pytest.fixture
def run(write_job, tmp_path):
    folder = RunFolder.create(tmp_path / "run", write_job(), {})
    for step, figures in (
        ("data", {}),
        ("teacher", {"parameters": 3_011_628, "train_seconds": 216.4}),
        ("student", {"parameters": 913_028, "train_seconds": 120.0}),
        ("release-teacher", {"map50": 0.98, "map50_95": 0.8, "images": 160}),
        (
            "release-student",
            {
                "map50": 0.95,
                "map50_95": 0.76,
                "images": 160,
                "variants": [VARIANT],
                "left_out": {"torchscript-fp32": "matched F1 <0.5>"},
            },
        ),
    ):
        with folder.step(step) as marker:
            marker.update(figures)
    folder.training("student").mkdir(parents=True)
    (folder.training("student") / "curves.csv").write_text(CURVES)
    (folder.training("student") / "pictures").mkdir()
    cv2.imwrite(str(folder.training("student") / "pictures/0.jpg"), np.zeros((8, 8, 3), np.uint8))
    return folder


def test_the_report_is_one_file_that_fetches_nothing_and_is_well_formed(run):
    path = write_run_page(run)

    page = Reader(path.read_text())
    assert path == run.path / "report.html"
    assert page.fetched == []
    assert page.pictures == 1
    assert page.open == []
    assert "url(" not in path.read_text()
    assert "prefers-color-scheme: dark" in path.read_text()


def test_the_report_tells_figures_curves_and_the_job(run):
    words = Reader(write_run_page(run).read_text()).words

    assert {"0.800", "0.760", "95.0%", "30.3%", "3,011,628", "onnxruntime-int8"} <= set(words)
    assert {"box loss", "class distill", "alpha, the teacher's weight"} <= set(words)
    assert "matched F1 <0.5>" in words
    assert "2 epochs; best mAP50-95 on validation 0.300 after epoch 2." in words
    assert any("name: tiny" in word for word in words)


def test_the_report_counts_images_and_not_their_label_files(run):
    files = {f"{kind}/0{number}.{kind}": "" for kind in ("jpg", "txt") for number in range(3)}
    run.data_lock.write_text(json.dumps({"splits": {"train": files, "unlabelled": {"a.png": ""}}}))

    words = Reader(write_run_page(run).read_text()).words

    assert "Data: drawn scenes (images: 3 train, 1 unlabelled). Seed 3." in words


def test_the_report_leads_to_the_reports_of_the_releases(run):
    (run.path / "release/student").mkdir(parents=True)
    (run.path / "release/student/report.html").write_text("x")

    page = Reader(write_run_page(run).read_text())

    assert page.links == ["release/student/report.html"]
    assert page.fetched == []


def test_the_report_lies_beside_the_runs_archives_and_leads_nowhere(run, tmp_path):
    archive = tmp_path / "store" / "tiny-student-1.0.mar"
    archive.parent.mkdir()
    archive.write_bytes(b"an archive")
    (run.path / "release/student").mkdir(parents=True)
    (run.path / "release/student/report.html").write_text("x")
    with run.step("release-student") as figures:
        told = {"archive": str(archive), "signature": f"{archive}.sig", "map50": 0.9}
        figures.update(told, map50_95=0.7, images=160)

    write_run_page(run)

    page = Reader((tmp_path / "store" / "tiny-student-1.0.training.html").read_text())
    assert {"box loss", "0.700"} <= set(page.words)
    assert (page.links, page.fetched) == ([], [])


def test_a_loss_that_validation_does_not_have_draws_no_line_at_zero(run):
    text = write_run_page(run).read_text()

    chart = text[text.index("<h3>class distill</h3>") :]
    legend = re.search(r'<div class="legend">(.*?)</div>', chart, re.DOTALL)
    assert legend is not None
    assert legend.group(1).count("<i ") == 1


def test_a_checkpoint_that_is_better_than_its_curves_says_why(run):
    with run.step("student") as figures:
        norms = {"as_trained": 0.3, "settled": 0.4, "kept": "settled"}
        figures.update(parameters=913_028, train_seconds=120.0, batch_norms=norms)

    words = " ".join(Reader(write_run_page(run).read_text()).words)

    assert (
        "validation 0.300 after epoch 2; kept with its batch norms measured anew: 0.400, measured "
        "as a release is." in words
    )


def test_a_refused_run_says_so_until_it_goes_on(run):
    with pytest.raises(TrainingFailed), page_written(run, Silent()):
        raise TrainingFailed("2.1 points short")
    (run.path / "report.html").unlink()

    again = write_run_page(run).read_text()
    with page_written(run, Silent()):
        pass

    assert "2.1 points short" in again
    assert "2.1 points short" not in (run.path / "report.html").read_text()


def test_a_run_that_has_hardly_begun_has_a_report_too(write_job, tmp_path):
    folder = RunFolder.create(tmp_path / "run", write_job(), {})

    words = Reader(write_run_page(folder).read_text()).words

    assert "tiny 1.0" in words
