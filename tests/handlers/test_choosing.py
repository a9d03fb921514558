"""A worker serves the fastest of the card's variants that answers its golden frames rightly."""

import json
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from chosen_archives import RED, variant, write_archive

from handlers.card import Card
from handlers.choice_memory import ChoiceMemory, card_digest
from handlers.choosing import Chooser, Wishes
from handlers.errors import BadSetting, CardError
from handlers.frames import Detections, Frame
from handlers.golden import Golden
from handlers.pipeline import Pipeline
from handlers.trials import Outcome, Trials, try_here
from handlers.trials_apart import try_apart

SLOW = variant("onnxruntime-fp32", "slow.onnx")
RIGHT = variant("openvino-fp32", "right.onnx")
WRONG = variant("onnxruntime-fp16", "wrong.onnx")
Says = Callable[[], str]
# The slow variant takes some forty times as long as the right one.
QUICKLY = partial(try_here, least_s=0.0)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """The default is wrong and fast, the second right and slow, the third right and fast."""
    return write_archive(tmp_path / "archive", [WRONG, SLOW, RIGHT])


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    """A private folder."""
    folder = tmp_path / "choices"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Says:
    """What the worker's log says of the choice, since it was last asked."""
    caplog.set_level(logging.INFO, logger="handlers")

    def read() -> str:
        text = "\n".join(caplog.messages)
        caplog.clear()
        return text

    return read


def choose(archive: Path, memory: Path | None = None, variant: str | None = None) -> str:
    """Return who serves, after having it answer."""
    kept = ChoiceMemory(memory) if memory else None
    wishes = Wishes(variant, threads=1, memory=kept, try_all=QUICKLY)
    chosen = Chooser(archive, wishes).choose()
    (answer,) = chosen.pipeline.detect([Frame(RED)])
    assert isinstance(answer, Detections)
    return chosen.variant.name


def test_the_fastest_that_is_right_is_chosen_and_the_wrong_one_discarded(
    archive: Path, said: Says
) -> None:
    assert choose(archive) == "openvino-fp32"

    line = said()
    assert line.startswith("variant: cells-1.0 serves openvino-fp32: ")
    assert "onnxruntime-fp16: wrong here: its golden frames reach F1 0.000" in line
    assert "onnxruntime-fp32 " in line
    assert ": slower" in line


def test_the_wrong_one_would_have_been_the_fastest(tmp_path: Path) -> None:
    loose = {"min_iou": 0.0, "max_score_difference": 1.0, "min_f1": 0.0}
    tolerated = write_archive(tmp_path / "a", [WRONG | {"tolerance": loose}, SLOW])

    assert choose(tolerated) == "onnxruntime-fp16"


def test_when_the_time_is_up_the_first_that_is_right_is_taken(archive: Path) -> None:
    card = Card.read(archive)
    trials = Trials(Golden.read(archive), lambda name: Pipeline.load(archive, name, 1), budget_s=0)

    wrong, slow, right = trials.run(card.variants)

    assert "wrong here" in wrong.why_not
    assert slow.pipeline is not None
    assert (right.pipeline, right.why_not) == (None, "not tried, the time was up")


def test_auto_is_a_name_for_the_default(archive: Path) -> None:
    assert choose(archive, variant="auto") == "openvino-fp32"


def test_a_variant_that_is_asked_for_is_served_untimed(archive: Path, said: Says) -> None:
    assert choose(archive, variant="onnxruntime-fp32") == "onnxruntime-fp32"

    assert "UNDERSTUDY_VARIANT asks for it" in said()


def test_where_none_is_right_each_reason_is_told(tmp_path: Path) -> None:
    broken = variant("openvino-fp32", "absent.onnx")
    archive = write_archive(tmp_path / "a", [WRONG, broken])

    with pytest.raises(CardError, match=r"fp16: wrong here.*openvino-fp32: absent.onnx: the arch"):
        choose(archive)


def test_a_variant_without_a_tolerance_cannot_be_chosen(tmp_path: Path) -> None:
    fast = {name: value for name, value in RIGHT.items() if name != "tolerance"}

    assert choose(write_archive(tmp_path / "a", [fast, SLOW])) == "onnxruntime-fp32"


def test_without_golden_frames_the_cards_first_serves(tmp_path: Path, said: Says) -> None:
    archive = write_archive(tmp_path / "a", [SLOW, RIGHT], golden_frames=[])

    assert choose(archive) == "onnxruntime-fp32"
    assert "no golden frames" in said()


def test_golden_frames_that_show_nothing_prove_nothing(tmp_path: Path) -> None:
    frames = [{"file": "golden/1.png", "detections": []}]
    archive = write_archive(tmp_path / "a", [WRONG, RIGHT], golden_frames=frames)

    assert choose(archive) == "onnxruntime-fp16"


def test_the_second_load_remembers_and_measures_nothing(
    archive: Path, memory: Path, said: Says
) -> None:
    assert choose(archive, memory) == "openvino-fp32"
    assert "measured in" in said()

    assert choose(archive, memory) == "openvino-fp32"
    assert "the fastest here when it was measured; loaded in" in said()


def only_choice(memory: Path) -> Path:
    (file,) = memory.glob("choice-*.json")
    return file


def rewrite(remembered: Path, **changes: Any) -> None:
    remembered.write_text(json.dumps(json.loads(remembered.read_text()) | changes))


def test_what_is_remembered_is_what_serves(archive: Path, memory: Path) -> None:
    choose(archive, memory)
    rewrite(only_choice(memory), variant="onnxruntime-fp32")

    assert choose(archive, memory) == "onnxruntime-fp32"


def test_a_variant_that_no_card_lists_is_never_chosen(
    tmp_path: Path, memory: Path, said: Says
) -> None:
    archive = write_archive(tmp_path / "archive", [SLOW, RIGHT])  # wrong.onnx lies there, ungated
    choose(archive, memory)
    said()
    rewrite(only_choice(memory), variant="onnxruntime-fp16", file="wrong.onnx")

    assert choose(archive, memory) == "openvino-fp32"
    assert "measured in" in said()
    assert json.loads(only_choice(memory).read_text())["variant"] == "openvino-fp32"


@pytest.mark.parametrize("garbage", ["", "{", "[]", '{"variant": "openvino-fp32"}', "\0"])
def test_garbage_is_measured_anew(archive: Path, memory: Path, said: Says, garbage: str) -> None:
    choose(archive, memory)
    said()
    only_choice(memory).write_text(garbage)

    assert choose(archive, memory) == "openvino-fp32"
    assert "measured in" in said()


def test_another_machines_choice_is_not_this_ones(archive: Path, memory: Path, said: Says) -> None:
    choose(archive, memory)
    said()
    file = only_choice(memory)
    conditions = json.loads(file.read_text())["conditions"]
    rewrite(file, conditions=conditions | {"cpu": "another"}, variant="onnxruntime-fp32")

    assert choose(archive, memory) == "openvino-fp32"
    assert "measured in" in said()


def test_another_number_of_threads_is_measured_by_itself(archive: Path, memory: Path) -> None:
    choose(archive, memory)
    Chooser(archive, Wishes(threads=2, memory=ChoiceMemory(memory), try_all=QUICKLY)).choose()

    assert len(list(memory.glob("choice-*.json"))) == 2


def test_a_remembered_variant_that_fails_is_measured_around(
    archive: Path, memory: Path, said: Says
) -> None:
    choose(archive, memory)
    said()
    (archive / "right.onnx").write_bytes(b"damaged")

    assert choose(archive, memory) == "onnxruntime-fp32"
    assert "openvino-fp32 was remembered and fails" in said()


def test_variants_are_tried_in_a_process_of_their_own(
    archive: Path, memory: Path, said: Says
) -> None:
    wishes = Wishes(threads=1, memory=ChoiceMemory(memory), try_all=try_apart)

    assert Chooser(archive, wishes).choose().variant.name == "openvino-fp32"
    assert "onnxruntime-fp16: wrong here" in said()
    only_choice(memory)


def test_where_trying_goes_wrong_the_cards_first_serves_and_nothing_is_remembered(
    archive: Path, memory: Path, said: Says
) -> None:
    def crash(folder: Path, names: Sequence[str], *_: int | None) -> list[Outcome]:
        return try_apart(folder / "absent", names, 1, None)  # ends with an error, far away

    wishes = Wishes(threads=1, memory=ChoiceMemory(memory), try_all=crash)

    assert Chooser(archive, wishes).choose().variant.name == "onnxruntime-fp16"
    assert "the card's first, since trying variants ended with 1" in said()
    assert list(memory.glob("choice-*")) == []


def test_workers_that_start_at_once_measure_once(archive: Path, memory: Path, said: Says) -> None:
    # Threads stand in for processes: a lock is an open file's, and each opens its own.
    with ThreadPoolExecutor(3) as pool:
        names = list(pool.map(choose, [archive] * 3, [memory] * 3))

    assert names == ["openvino-fp32"] * 3
    assert said().count("measured in") == 1
    only_choice(memory)
    assert not list(memory.glob(".partial-*"))


def test_a_deployment_asks_for_a_variant_of_one_card(archive: Path, memory: Path) -> None:
    (memory / f"pin-{card_digest(archive)}").write_text("onnxruntime-fp32\n")
    (memory / "pin-of-another-card").write_text("onnxruntime-fp16\n")

    assert choose(archive, memory) == "onnxruntime-fp32"
    assert choose(archive, memory, variant="openvino-fp32") == "onnxruntime-fp32"


def test_a_deployment_cannot_ask_for_what_no_card_lists(archive: Path, memory: Path) -> None:
    (memory / f"pin-{card_digest(archive)}").write_text("onnxruntime-int4\n")

    with pytest.raises(CardError, match="the card of cells has no 'onnxruntime-int4'"):
        choose(archive, memory)


def test_a_folder_that_others_may_write_is_refused(archive: Path, memory: Path) -> None:
    memory.chmod(0o777)

    with pytest.raises(BadSetting, match="nobody else may write there"):
        choose(archive, memory)
