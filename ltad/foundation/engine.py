"""Where a frozen image tower runs: on a CPU in OpenVINO, as torch's own modules on every other device.

An engine takes images (B, 3, S, S) in [0, 1] from wherever they lie, and gives what its tower gives, on its device:
the maps of ``ImageFeatures``, then the embedding. One of any size takes other sides, too, as a fine view has them. It
runs in float32, and the weights are the tower's: what engines say of an image differs by less than 1e-5 of the largest
value.
"""

import logging
import os
import shutil
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from ltad.errors import DeviceError, LTADError, WriteError
from ltad.files import whole_folder
from ltad.machine import CPU, cache_folder, threads

logger = logging.getLogger(__name__)

CHOICES = ("openvino", "torch")  # of LTAD_ENGINE, on a CPU
MOST_THREADS = 4  # on one image: more wait for each other; where there are more, several images run side by side
AGREEMENT = 1e-4  # of the largest value: a translated tower that is farther from torch's own is not used
MODEL = "tower.xml"
LAST = torch.channels_last


class Engine(ABC):
    """What runs an image tower; it may be called from several threads.

    name: what a person is told. device: where what it gives lies.
    """

    name: str
    device: torch.device

    @abstractmethod
    def __call__(self, images: Tensor) -> tuple[Tensor, ...]:
        """What the tower gives for images (B, 3, S, S)."""


class TorchEngine(Engine):
    """The tower as torch runs it; on a CPU with folded batch norms and channels last, which costs no accuracy."""

    def __init__(self, tower: nn.Module, image_size: int, device: torch.device, *, any_size: bool = False) -> None:
        self.name, self.device = f"torch {torch.__version__}", device
        self._tower: Any = tower.eval().to(device)
        if device.type == "cpu":
            folded = _folded(_traced(tower, image_size))
            sides = _other_sides(image_size) if any_size else (image_size, image_size)
            if _distance(lambda image: folded(image.contiguous(memory_format=LAST)), tower, sides) <= AGREEMENT:
                self._tower = folded

    @override
    @torch.no_grad()
    def __call__(self, images: Tensor) -> tuple[Tensor, ...]:
        layout = LAST if self.device.type == "cpu" else torch.contiguous_format
        return tuple(part.contiguous() for part in self._tower(images.to(self.device).contiguous(memory_format=layout)))


class OpenVINOEngine(Engine):
    """The tower as OpenVINO runs it, an image at a time: an image's features do not depend on those beside it.

    The translated tower is kept in a folder beginning with ``kept``, where it is looked for first, and so is what
    OpenVINO makes of it for this processor. Raises whatever OpenVINO provokes where it cannot run the tower, and
    ValueError where what it makes of an image is not what torch makes of it.
    """

    def __init__(
        self, make_tower: Callable[[], nn.Module], image_size: int, kept: Path, *, any_size: bool = False
    ) -> None:
        import openvino

        version = openvino.__version__.partition("-")[0]
        self.name, self.device = f"OpenVINO {version}", CPU
        side_by_side = max(1, threads() // MOST_THREADS)
        settings = {
            "INFERENCE_PRECISION_HINT": "f32",  # by itself it would take bfloat16 where the processor has it
            "EXECUTION_MODE_HINT": "ACCURACY",
            "INFERENCE_NUM_THREADS": threads(),
            "NUM_STREAMS": side_by_side,
            "ENABLE_CPU_PINNING": False,  # beside another process a thread must be free to move
        }
        folder = kept.with_name(f"{kept.name}-openvino-{version}")
        compiled = _compiled(make_tower, image_size, any_size, folder, settings)
        self._requests: SimpleQueue[Any] = SimpleQueue()
        for _ in range(side_by_side):
            self._requests.put(compiled.create_infer_request())
        self._workers = ThreadPoolExecutor(side_by_side, thread_name_prefix="tower")

    @override
    def __call__(self, images: Tensor) -> tuple[Tensor, ...]:
        rows = list(self._workers.map(self._see, images.float().cpu().split(1)))
        return tuple(torch.cat(parts) for parts in zip(*rows, strict=True))

    def _see(self, image: Tensor) -> Sequence[Tensor]:
        request = self._requests.get()
        try:
            request.infer([image.contiguous().numpy()], share_inputs=True)
            return [torch.from_numpy(output.data.copy()) for output in request.output_tensors]
        finally:
            self._requests.put(request)


def engine_choice() -> str:
    """What runs image towers on a CPU: the one of ``CHOICES`` that LTAD_ENGINE names; DeviceError for another name."""
    choice = os.environ.get("LTAD_ENGINE") or CHOICES[0]
    if choice not in CHOICES:
        raise DeviceError(f"LTAD_ENGINE is “{choice}”; it may be {' or '.join(CHOICES)}.")
    return choice


def start_engine(
    make_tower: Callable[[], nn.Module], image_size: int, key: str, device: torch.device, *, any_size: bool = False
) -> Engine:
    """The engine for a tower on a device; the tower is made only where no translation of it is kept.

    key: of the tower's weights, under which a translation is kept. any_size: whether it is to take other images than
    those of the tower's size, too, which makes it somewhat slower. On a CPU it is the one that ``engine_choice`` gives,
    but torch's, after one line of why, where OpenVINO cannot run.
    """
    if device.type == "cpu" and engine_choice() == "openvino":
        kept = cache_folder() / "engines" / f"{key}-{'any' if any_size else image_size}"
        try:
            return OpenVINOEngine(make_tower, image_size, kept, any_size=any_size)
        except LTADError:
            raise
        except Exception as error:  # whatever a processor or a foreign tower provokes
            reason = (str(error).strip().splitlines() or [type(error).__name__])[-1].rstrip(".")
            logger.warning("OpenVINO cannot run the image tower here (%s): torch does.", reason)
    return TorchEngine(make_tower(), image_size, device, any_size=any_size)


def _compiled(
    make_tower: Callable[[], nn.Module], image_size: int, any_size: bool, folder: Path, settings: dict[str, Any]
) -> Any:
    """The tower ready to run: the one that is kept in the folder, or translated, looked at, and kept there."""
    import openvino

    core = openvino.Core()

    def kept() -> Any:
        return core.compile_model(folder / MODEL, "CPU", settings | {"CACHE_DIR": str(folder)})

    if (folder / MODEL).is_file():
        try:
            return kept()
        except RuntimeError:  # it is damaged
            shutil.rmtree(folder, ignore_errors=True)
    tower = make_tower()
    model = _translated(tower, image_size, any_size)
    compiled = core.compile_model(model, "CPU", settings)
    sides = _other_sides(image_size) if any_size else (image_size, image_size)
    apart = _distance(lambda image: map(torch.from_numpy, compiled([image.numpy()]).values()), tower, sides)
    if not apart <= AGREEMENT:
        raise ValueError(f"what it makes of an image differs by {apart:.1e} from what torch makes of it")
    try:
        with whole_folder(folder) as partial:
            openvino.save_model(model, partial / MODEL, compress_to_fp16=False)
    except WriteError as error:  # the next start takes some seconds again
        logger.warning("%s", error)
        return compiled
    return kept()  # so that the first start computes to the last bit what later ones do


@torch.no_grad()
def _traced(tower: nn.Module, image_size: int) -> Any:
    """The tower's arithmetic, without its Python: what OpenVINO reads best, and what can be folded.

    torch deprecates it in favour of torch.export, for which OpenVINO's reader is not ready (2026.4: its table of
    operations misses some of torch 2.11's, and it takes three times as long).
    """
    example = torch.zeros(1, 3, image_size, image_size).contiguous(memory_format=LAST)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of this, and that shapes become constants, which they are
        return torch.jit.trace(tower.eval(), example, check_trace=False)


def _folded(traced: Any) -> Any:
    """A traced tower whose weights are constants, batch norms folded into them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.freeze(traced)


def _translated(tower: nn.Module, image_size: int, any_size: bool) -> Any:
    """The tower as an OpenVINO model of one image, of the tower's size or of any.

    Its reader of torch's models is asked directly: the way around it would report its use to its makers.
    """
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    shape = [1, 3, image_size, image_size]
    decoder = TorchScriptPythonDecoder(_traced(tower, image_size), example_input=torch.zeros(shape))
    reader = FrontEndManager().load_by_framework("pytorch")
    model = reader.convert(reader.load(decoder))
    model.reshape([1, 3, -1, -1] if any_size else shape)
    return model


def _other_sides(image_size: int) -> tuple[int, int]:
    """The sides of an image that is none of the tower's size, by which an engine of any size is checked."""
    return image_size, image_size + image_size // 2


@torch.no_grad()
def _distance(engine: Callable[[Tensor], Iterable[Tensor]], tower: nn.Module, sides: tuple[int, int]) -> float:
    """How far what an engine makes of an image is from what the tower itself makes of it, of the largest value."""
    image = torch.rand(1, 3, *sides, generator=torch.Generator().manual_seed(0))
    pairs = zip(engine(image), tower(image), strict=True)
    return max(float((mine - theirs).abs().max() / theirs.abs().max()) for mine, theirs in pairs)
