import pytest
import torch
from training_processes import write_teacher

from distill_jobs.checkpoints import load_detector

CPU = torch.device("cpu")


@pytest.fixture
def student(tmp_path):
    return load_detector(write_teacher(tmp_path / "student.pt")).train()


def test_a_healthy_student_is_granted_bfloat16_and_left_as_it_was(student):
    from distill_jobs.training.amp import choose_precision

    before = {name: tensor.clone() for name, tensor in student.state_dict().items()}
    random_before = torch.get_rng_state()

    precision = choose_precision("bf16", student, CPU, 64)

    assert precision.dtype is torch.bfloat16
    assert not precision.scaled
    assert student.training
    assert torch.equal(torch.get_rng_state(), random_before)
    assert all(torch.equal(tensor, before[n]) for n, tensor in student.state_dict().items())
    with precision.autocast(CPU):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is torch.bfloat16


def test_a_student_whose_activations_overflow_is_refused_float16(student):
    from distill_jobs.training.amp import probe

    with torch.no_grad():  # at 7e4 float16 has no numbers left, and float32 has
        student.model[0].bn.bias.fill_(7e4)

    doubt = probe(student, CPU, 64, torch.float16)

    assert doubt == "its answers are not finite"


def test_answers_that_differ_too_much_are_refused(student):
    from distill_jobs.training.amp import probe

    with torch.no_grad():  # scores hang on small differences of numbers around a thousand
        for *_, before, last in student.model[-1].cv3:
            before.bn.bias.fill_(1000.0)
            last.bias.copy_(-1000.0 * last.weight.sum(dim=(1, 2, 3)))

    doubt = probe(student, CPU, 64, torch.bfloat16)

    assert "scores differ by" in doubt
    assert "0.1 is allowed" in doubt


@pytest.mark.parametrize(("wish", "dtype"), [("auto", None), ("off", None)])
def test_on_a_cpu_float32_stays_unless_bfloat16_is_asked_for(student, wish, dtype):
    from distill_jobs.training.amp import choose_precision

    precision = choose_precision(wish, student, CPU, 64)

    assert precision.dtype is dtype
    assert precision.doubt == ""
    with precision.autocast(CPU):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is torch.float32
