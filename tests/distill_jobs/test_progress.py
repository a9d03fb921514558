import io

from rich.console import Console

from distill_jobs.progress import RichReporter


def drawn(width: int = 80) -> tuple[RichReporter, io.StringIO]:
    out = io.StringIO()
    return RichReporter(Console(file=out, width=width)), out


def test_stages_and_notes_fit_80_columns():
    reporter, out = drawn()

    with reporter:
        reporter.stage("demo-student-1.0: onnxruntime-int8's answers", 160)
        reporter.advance(160)
        reporter.stage("distil student", 4)
        reporter.advance()
        reporter.note("epoch 1/4: validation mAP50 0.912")
        reporter.stage("[b]odd[/x]", 1)
        reporter.note("class 'sign [stop]' and class 'lid[/x]': as they are")

    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert any("160/160" in line for line in lines)
    assert "  epoch 1/4: validation mAP50 0.912" in lines
    assert "  class 'sign [stop]' and class 'lid[/x]': as they are" in lines
    assert any("[b]odd[/x]" in line for line in lines)


def test_a_long_note_is_folded_between_words_and_a_path_stays_whole():
    reporter, out = drawn(width=40)
    path = "/a-folder/with-a-name/" + "x" * 40

    with reporter:
        reporter.note(f"the figures of this run   lie in the file {path} of it")

    assert out.getvalue().splitlines()[:3] == [
        "  the figures of this run   lie in the",
        "    file",
        f"    {path}",
    ]


def test_a_stage_that_ended_early_is_full_and_a_failed_one_is_not():
    reporter, out = drawn()
    failing, failed_out = drawn()

    with reporter:
        reporter.stage("train", 10)
        reporter.advance(3)
    try:
        with failing:
            failing.stage("train", 10)
            failing.advance(3)
            raise RuntimeError  # noqa: TRY301  # what a job does when it fails
    except RuntimeError:
        pass

    assert "10/10" in out.getvalue()
    assert "3/10" in failed_out.getvalue()


def test_parts_before_any_stage_are_ignored():
    reporter, _ = drawn()

    with reporter:
        reporter.advance()
