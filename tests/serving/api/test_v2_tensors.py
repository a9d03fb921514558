import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.api.v2_tensors import Tensor, read_raw
from serving.errors import InvalidField


@given(st.lists(st.binary(max_size=40), max_size=5))
def test_what_is_written_raw_is_read_back(elements: list[bytes]) -> None:
    raw = Tensor("labels", "BYTES", (len(elements),), elements).raw()

    assert read_raw(raw, len(elements)) == elements


@given(st.binary(max_size=64), st.integers(1, 4))
def test_any_bytes_are_read_or_refused(raw: bytes, count: int) -> None:
    try:
        elements = read_raw(raw, count)
    except InvalidField:
        return

    assert Tensor("labels", "BYTES", (count,), elements).raw() == raw


def test_numbers_are_little_endian() -> None:
    assert Tensor("scores", "FP32", (2,), [0.5, 1.0]).raw() == struct.pack("<2f", 0.5, 1.0)
    assert Tensor("class_ids", "INT32", (1,), [258]).raw() == b"\x02\x01\0\0"


@pytest.mark.parametrize(
    ("raw", "count", "says"),
    [
        (b"\x05\0\0\0ab", 1, "element 0 says 5 bytes, and 2 follow"),
        (b"\xff\xff\xff\xff", 1, "says 4294967295 bytes, and 0 follow"),
        (b"\x01\0", 1, "2 bytes do not hold just the 1 elements"),
        (b"\x01\0\0\0a", 2, "5 bytes do not hold just the 2 elements"),
        (b"\x01\0\0\0a\0", 1, "6 bytes do not hold just the 1 elements"),
        (b"", 1, "0 bytes do not hold just the 1 elements"),
    ],
)
def test_wrong_bytes_are_told(raw: bytes, count: int, says: str) -> None:
    with pytest.raises(InvalidField, match=says):
        read_raw(raw, count)
