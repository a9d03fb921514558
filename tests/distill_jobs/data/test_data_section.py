import pytest
from pydantic import ValidationError

from distill_jobs.recipe.data import Data


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"classes": {"a": ["cat"], "b": ["cat"]}}, "names 'cat' twice"),
        ({"classes": {"a": []}}, "at least 1 item"),
        ({"split": {"by": "camera"}}, r"needs a `pattern:` with a group \(\?P<camera>"),
        ({"split": {"by": "camera", "pattern": "("}}, "is no regular expression"),
        ({"split": {"by": "time", "pattern": "(?P<camera>.)"}}, r"lacks the group \(\?P<time>"),
        ({"split": {"by": "random", "pattern": "."}}, "means nothing with `by: random`"),
        ({"split": {"by": "random", "fractions": {"train": 0.9}}}, "must sum to 1, not 1.2"),
        ({"max_unlabelled_share": 1}, "less than 1"),
        ({"near_duplicate_bits": 64}, "less than or equal to 16"),
        ({"near_duplicates": "ignore"}, "'list' or 'refuse'"),
        ({"scenes": {"train": 8, "val": 4, "test": 4}}, "exactly one of"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(tmp_path, keys, says):
    with pytest.raises(ValidationError, match=says):
        Data.model_validate({"path": str(tmp_path), **keys})


def test_keys_that_drawn_scenes_cannot_follow_are_refused():
    with pytest.raises(ValidationError, match="`split:` means nothing with `scenes:`"):
        Data.model_validate(
            {"scenes": {"train": 8, "val": 4, "test": 4}, "split": {"by": "random"}}
        )


def test_paths_start_at_the_job_file_and_one_may_stand_alone(tmp_path):
    keys = {"path": "data.yaml", "unlabelled": "more", "classes": {"pet": "cat"}}

    data = Data.model_validate(keys, context={"base": tmp_path})

    assert data.path == tmp_path / "data.yaml"
    assert data.unlabelled == (tmp_path / "more",)
    assert data.classes == {"pet": ("cat",)}
