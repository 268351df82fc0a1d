"""A stage that is stopped goes on to the very bits, and learns meanwhile."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from ltad.errors import TrainingError
from ltad.progress import Stage, quiet
from ltad.training import optimisation
from ltad.training.optimisation import Optimisation, StageFolder, learning_rate_factor, optimise
from tests.toys import Recorder, Stopped

MAPS = Path("/proc/self/maps")


def line(noise: float = 0.1, *, muon: bool = False) -> tuple[nn.Linear, Optimisation]:
    """Fit a line to noisy points drawn anew at every step; muon: its weights by Muon."""
    torch.manual_seed(0)
    module = nn.Linear(3, 1)

    def loss(generator: torch.Generator) -> Tensor:
        x = torch.randn(8, 3, generator=generator)
        y = x.sum(1, keepdim=True) + noise * torch.randn(8, 1, generator=generator)
        return (module(x) - y).square().mean()

    weight, bias = {"params": [module.weight], "lr": 0.1}, {"params": [module.bias], "lr": 0.05}
    groups, muon_groups = ([bias], [weight]) if muon else ([weight, bias], [])
    return module, Optimisation(
        Stage("line"), 50, module, groups, loss, gradient_clip=1.0, weight_decay=0.01, muon_groups=muon_groups
    )


@pytest.mark.parametrize("muon", [False, True])
@pytest.mark.parametrize("stop", [3, 20, 27, 50])
def test_a_stage_goes_on_to_the_very_bits(
    stop: int, muon: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optimisation, "SAVE_EVERY", 10)
    whole, stage = line(muon=muon)
    optimise(stage, 5, None, quiet)
    folder = StageFolder(tmp_path, ["this one"], resume=True)
    _, stage = line(muon=muon)
    with pytest.raises(Stopped):
        optimise(stage, 5, folder, Recorder(lambda _, step: step == stop))
    resumed, stage = line(muon=muon)
    nn.init.zeros_(resumed.weight)  # what counts is the state, if there is one
    nn.init.zeros_(resumed.bias) if stop > 10 else resumed.load_state_dict(line()[0].state_dict())
    recorder = Recorder()
    optimise(stage, 5, folder, recorder)
    assert recorder.told[0][1] == (stop - 1) // 10 * 10 + 1
    assert torch.equal(resumed.weight, whole.weight) and torch.equal(resumed.bias, whole.bias)
    assert [path.name for path in folder.folder.iterdir()] == ["line.safetensors"]


def test_a_finished_stage_is_not_run_again(tmp_path: Path) -> None:
    folder = StageFolder(tmp_path, ["this one"], resume=True)
    first, stage = line()
    optimise(stage, 5, folder, quiet)
    second, stage = line()
    recorder = Recorder()
    optimise(stage, 5, folder, recorder)
    assert recorder.told == []
    assert torch.equal(first.weight, second.weight)
    assert StageFolder(tmp_path, ["another"], resume=True).load(Stage("line")) is None


@pytest.mark.skipif(not MAPS.exists(), reason="here a process cannot see which files it has mapped")
def test_no_state_is_held_open_so_that_windows_lets_it_be_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optimisation, "SAVE_EVERY", 10)
    folder = StageFolder(tmp_path, ["this one"], resume=True)
    with pytest.raises(Stopped):
        optimise(line()[1], 5, folder, Recorder(lambda _, step: step == 15))
    held = []
    optimise(line()[1], 5, folder, lambda *_, **__: held.append(str(tmp_path) in MAPS.read_text(encoding="utf-8")))
    assert len(held) == 40 and not any(held)


def test_a_state_of_other_tensors_is_refused_with_a_sentence(tmp_path: Path) -> None:
    folder = StageFolder(tmp_path, ["this one"], resume=True)
    folder.save(Stage("line"), 10, {"module.width": torch.zeros(3)})
    with pytest.raises(TrainingError, match=r"The state of line in “.*\.training” is damaged: remove that file"):
        optimise(line()[1], 5, folder, quiet)


def test_a_stage_learns_and_depends_on_its_seed() -> None:
    ends = []
    for seed in (0, 0, 1):
        module, stage = line()
        optimise(stage, seed, None, quiet)
        ends.append(module.weight.detach().clone())
    assert torch.equal(ends[0], ends[1]) and not torch.equal(ends[0], ends[2])
    torch.testing.assert_close(ends[0], torch.ones(1, 3), atol=0.2, rtol=0)


@pytest.mark.parametrize("steps", [1, 5, 100])
def test_the_learning_rate_rises_and_falls(steps: int) -> None:
    factors = [learning_rate_factor(step, steps) for step in range(steps)]
    top = factors.index(max(factors))
    assert max(factors) == 1 and min(factors) > 0
    assert factors[: top + 1] == sorted(factors[: top + 1]) and factors[top:] == sorted(factors[top:], reverse=True)
    if steps == 100:
        assert factors[0] == 0.1 and factors[-1] < 0.001
