from hypothesis import given
from hypothesis import strategies as st

from proto.wire.v1 import detection_pb2 as wire
from serving.client.backlog import Backlog


def request(number: int) -> wire.DetectRequest:
    return wire.DetectRequest(camera_id="gate-7", frame_id=str(number))


def backlog(count: int, *, every_frame: bool = False) -> Backlog:
    made = Backlog(every_frame=every_frame, most=100)
    for number in range(count):
        made.add(request(number))
    return made


def told(made: Backlog) -> list[tuple[str, bool]]:
    return [(one.frame_id, one.dropped) for one in made.ready()]


def test_of_frames_that_wait_to_be_sent_the_newest_is() -> None:
    made = backlog(3)

    assert made.send().frame_id == "2"
    assert told(made) == [("0", True), ("1", True)]
    assert not made.to_send


def test_of_frames_that_a_connection_lost_the_newest_is_sent_again() -> None:
    made = backlog(0)
    for number in range(3):
        made.add(request(number))
        made.send()

    made.lost()

    assert told(made) == [("0", True), ("1", True)]
    assert made.send().frame_id == "2"


def test_a_frame_that_came_meanwhile_overtakes_all_that_were_lost() -> None:
    made = backlog(1)
    made.send()
    made.add(request(1))

    made.lost()

    assert told(made) == [("0", True)]
    assert made.send().frame_id == "1"


def test_where_every_frame_counts_all_are_sent_again_in_order() -> None:
    made = backlog(3, every_frame=True)
    made.send()
    made.send()

    made.lost()

    assert told(made) == []
    assert [made.send().frame_id for _ in range(3)] == ["0", "1", "2"]


class Played:
    """A backlog and a connection that answers in order."""

    def __init__(self, *, every_frame: bool) -> None:
        self.backlog = backlog(0, every_frame=every_frame)
        self.added = 0
        self.handed_out: list[tuple[str, bool]] = []
        self._on_the_wire: list[wire.DetectRequest] = []

    def step(self, action: str) -> None:
        getattr(self, action)()
        self.handed_out += told(self.backlog)

    def add(self) -> None:
        self.backlog.add(request(self.added))
        self.added += 1

    def send(self) -> None:
        if self.backlog.to_send:
            self._on_the_wire.append(self.backlog.send())

    def answer(self) -> None:
        if self._on_the_wire:
            asked = self._on_the_wire.pop(0)
            self.backlog.answered(wire.DetectResponse(frame_id=asked.frame_id))

    def lose(self) -> None:
        self.backlog.lost()
        self._on_the_wire.clear()


@given(
    st.lists(st.sampled_from(["add", "add", "send", "answer", "answer", "lose"]), max_size=80),
    st.booleans(),
)
def test_whatever_happens_each_frame_gets_one_answer_in_order_and_the_newest_a_real_one(
    steps: list[str], every_frame: bool
) -> None:
    played = Played(every_frame=every_frame)
    for step in steps:
        played.step(step)

    played.backlog.close()
    while not played.backlog.all_answered:
        played.step("send")
        played.step("answer")

    assert [frame_id for frame_id, _ in played.handed_out] == [str(n) for n in range(played.added)]
    assert not any(dropped for _, dropped in played.handed_out[-1:])
    assert not every_frame or not any(dropped for _, dropped in played.handed_out)
