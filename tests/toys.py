"""Toy products, small enough to be learned in seconds, and what tests in several rooms say with them."""

import os
import shutil
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import conv2d, normalize

from app.jobs.job import LIVE, Job
from app.jobs.queue import Jobs
from app.jobs.worker import Process
from ltad.checkpoint.card import DataCard
from ltad.checkpoint.folder import Checkpoint
from ltad.config import AdaptConfig
from ltad.data import GOOD, Dataset, Sample
from ltad.data.longtail import split_hash
from ltad.foundation import Fingerprint, FoundationModel, ImageFeatures
from ltad.machine import CPU
from ltad.photos.pile import Photograph, Pile
from ltad.progress import Stage, quiet
from ltad.training.adaptation import adapt

WIDTH, HEIGHT = 128, 96
TRAIN_COUNTS = {"checker": 8, "dots": 4, "stripes": 1}  # a long tail
TEST_IMAGES = 3  # good ones, and as many with a blotch


def toy_picture(class_name: str, generator: np.random.Generator) -> np.ndarray:
    """A product of the class, (HEIGHT, WIDTH, 3) in 0..255, a little different every time."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] + generator.uniform(-1, 1, (2, 1, 1))
    pattern, dark, light = {
        "checker": ((x // 16 + y // 16) % 2, (40, 60, 90), (200, 190, 150)),
        "dots": (((x % 24 - 12) ** 2 + (y % 24 - 12) ** 2 < 40), (150, 60, 60), (230, 220, 210)),
        "stripes": (np.sin(x / 3) > 0, (60, 110, 60), (150, 170, 90)),
    }[class_name]
    clean = np.where(np.asarray(pattern, bool)[..., None], np.array(light), np.array(dark))
    return clean + generator.normal(0, 6, clean.shape)


def blotch(generator: np.random.Generator) -> np.ndarray:
    """A mask (HEIGHT, WIDTH) with one ellipse in it."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    radii = generator.uniform(9, 14, 2)
    centre = generator.uniform(20, [HEIGHT - 20, WIDTH - 20])
    return ((y - centre[0]) / radii[0]) ** 2 + ((x - centre[1]) / radii[1]) ** 2 < 1


def save_picture(pixels: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)


def toy_card(dataset: Dataset) -> DataCard:
    """The card of what a model of toy products is trained on."""
    return DataCard(
        name=dataset.name,
        imbalance="none",
        order="alphabetical",
        split_hash=split_hash(dataset),
        licence="CC0-1.0",
        command="python -m ltad train",
    )


def rings(seed: int) -> Image.Image:
    """A product that the toy checkpoint does not know."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:96, :128] + generator.uniform(-1, 1, (2, 1, 1))
    wave = np.sin(np.hypot(x - 64, y - 48) / 2.5)[..., None] > 0
    picture = np.where(wave, (210, 120, 30), (60, 20, 90)) + generator.normal(0, 4, (96, 128, 3))
    return Image.fromarray(picture.clip(0, 255).astype(np.uint8))


def torn(seed: int) -> tuple[Image.Image, Image.Image]:
    """A defective ring and its mask."""
    picture, mask = np.array(rings(seed)), np.zeros((96, 128), dtype=np.uint8)
    picture[30:60, 40:70] = (240, 240, 240)
    mask[30:60, 40:70] = 255
    return Image.fromarray(picture), Image.fromarray(mask)


SHORT = AdaptConfig(name_steps=30, generator_steps=10, steps=20)


def ring_samples(count: int, seed: int = 0) -> list[Sample]:
    return [
        Sample(name=f"{i}.png", class_name="rings", defect=GOOD, read=lambda i=i: rings(100 * seed + i))
        for i in range(count)
    ]


def adapted_to(parent: Checkpoint, output: Path, foundation: FoundationModel, **changes: Any) -> Checkpoint:
    settings = changes.pop("settings", SHORT)
    images, name = changes.pop("images", ring_samples(6)), changes.pop("name", "rings")
    given = {"command": "adapt", "progress": quiet} | changes
    return adapt(parent, images, name, foundation, settings, output, **given)


class Stopped(Exception):
    """What the progress callback raises to interrupt a training."""


class Recorder:
    """Progress that remembers the steps told, and stops the training at one of them."""

    def __init__(self, stop: Callable[[str, int], bool] = lambda stage, step: False) -> None:
        self.told: list[tuple[str, int]] = []
        self.stop = stop

    def __call__(self, stage: Stage, step: int, steps: int, loss: float | None = None) -> None:
        self.told.append((str(stage), step))
        if self.stop(str(stage), step):
            raise Stopped


TrainToy = Callable[..., Checkpoint]


class TinyTower(nn.Module):
    """One convolution a stride, and a projection of the mean colour."""

    def __init__(self, kernels: list[Tensor], head: Tensor) -> None:
        super().__init__()
        self.kernels, self.head = nn.ParameterList(kernels).requires_grad_(False), nn.Buffer(head)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        maps = [conv2d(images - 0.5, kernel, stride=kernel.shape[-1]) for kernel in self.kernels]
        return *maps, normalize((images.mean((2, 3)) - 0.4) @ self.head, dim=-1)


class TinyFoundation(FoundationModel):
    """A foundation model of random weights that takes next to no time: what is learned on it is not worth much.

    seed: of the weights. seen: images that it was asked for so far.
    """

    strides, channels, joint_dim, token_size = (8, 16, 32), (6, 8, 12), 16, 10
    words = ("apple", "cat", "damaged", "normal", "object", "perfect", "ring", "rings", "screw")

    image_tower: TinyTower

    def __init__(self, seed: int = 0, device: torch.device = CPU) -> None:
        generator = torch.Generator().manual_seed(seed)
        kernels = [
            torch.randn(channels, 3, stride, stride, generator=generator) / stride
            for channels, stride in zip(self.channels, self.strides, strict=True)
        ]
        self.image_tower = TinyTower(kernels, torch.randn(3, self.joint_dim, generator=generator))
        self.device = device
        self.text_head = torch.randn(self.token_size, self.joint_dim, generator=generator).to(device)
        self.fingerprint = Fingerprint("tiny", f"{seed:064x}", WIDTH)
        self.seen = 0

    def encode_image(self, images: Tensor) -> ImageFeatures:
        self.seen += len(images)
        return super().encode_image(images)

    def embed_words(self, text: str) -> Tensor:
        vectors = [torch.randn(self.token_size, generator=_drawn_by(word)) for word in text.split()]
        return (torch.stack(vectors) if vectors else torch.zeros(0, self.token_size)).to(self.device)

    def encode_prompts(self, prompts: Sequence[Tensor]) -> Tensor:
        return normalize(torch.stack([tokens.tanh().mean(0) for tokens in prompts]) @ self.text_head, dim=-1)

    def vocabulary(self) -> tuple[list[str], Tensor]:
        return list(self.words), torch.cat([self.embed_words(word) for word in self.words])


def _drawn_by(word: str) -> torch.Generator:
    return torch.Generator().manual_seed(zlib.crc32(word.encode()))


CHROMIUM = shutil.which("chromium")
BROWSER_MARKS = [
    pytest.mark.browser,
    pytest.mark.filterwarnings("default"),
    pytest.mark.skipif(
        CHROMIUM is None and not os.environ.get("LTAD_REQUIRE_BROWSER"), reason="no Chromium is installed"
    ),
]


# Jobs


def ring_pile(folder: Path, count: int) -> Pile:
    """Photographs of good rings, "part 0.png" and so on."""
    folder.mkdir(parents=True)
    for i in range(count):
        rings(i).save(folder / f"{i}.png")
    return Pile(tuple(Photograph(f"part {i}.png", folder / f"{i}.png") for i in range(count)))


def until(holds: Callable[[], object], what: Callable[[], object] = str, seconds: float = 150) -> None:
    """Wait until something holds; what: said of it where it does not come."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, what()
        time.sleep(0.02)


def wait(jobs: Jobs, job_id: str, holds: Callable[[Job], bool]) -> Job:
    """Wait until something holds of a job."""
    until(lambda: holds(jobs.get(job_id)), lambda: jobs.get(job_id))
    return jobs.get(job_id)


def over(job: Job) -> bool:
    return job.state not in LIVE


ACT = """
import json, os, signal, sys, time
def say_line(line): print(json.dumps(line), file=sys.stderr, flush=True)
def say(step): say_line({"stage": "fold1-name", "step": step, "steps": 3, "loss": 0.5})
os.makedirs(NAME, exist_ok=True)
"""


def acting(script: str) -> Callable[[Job, Path], Process]:
    """Start, in the place of a worker, a process in the job's folder that says and does what a script tells it."""

    def start(job: Job, folder: Path) -> Process:
        code = ACT.replace("NAME", repr(job.name)) + script.replace("\n        ", "\n")
        return subprocess.Popen(
            [sys.executable, "-S", "-c", code], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )

    return start


@contextmanager
def full_disk() -> Iterator[None]:
    """No file may grow beyond 100 bytes; not even that which the tests' output may go to, so it must be brief."""
    resource = pytest.importorskip("resource", reason="limits the size of files, which Windows does not")
    _, most = limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
