"""Files that somebody damaged on purpose: a picture or a sentence, in seconds, within two gigabytes."""

import io
import json
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ltad.errors import ImageError
from ltad.photos.decode import FORMATS, open_photo
from tests.photos.test_levels import bmp, png, tiff
from tests.toys import until

SECONDS = float(os.environ.get("LTAD_FUZZ_SECONDS", 120))
SLOWEST, MOST_MEMORY = 10, 2_000_000_000  # seconds of a file, bytes of the process
KEPT = {  # seeds that once gave something else, and what it was
    826: "the range of floats was more than a float holds",
    88155: "a NaN that is a signal was warned of",
}
ROOT = Path(__file__).parents[2]


def whole_files() -> list[bytes]:
    """One of each kind that the decoder has a way of its own for."""
    generator = np.random.default_rng(0)
    picture = Image.fromarray(generator.integers(0, 256, (60, 44, 3), dtype=np.uint8))
    files = []
    for name in FORMATS:
        if name == "HEIF":  # nothing here writes it
            files.append((Path(__file__).parent / "phone.heic").read_bytes())
            continue
        buffer = io.BytesIO()
        picture.save(buffer, name)
        files.append(buffer.getvalue())
    deep = generator.integers(0, 4096, (60, 44, 3))
    files += [png(deep), png(deep[..., 0], 12), tiff(deep), tiff(deep[..., 0], {262: 0}), bmp((1, 2, 3, 0))]
    for mode, file_format, options in (
        ("CMYK", "JPEG", {}),
        ("RGB", "TIFF", {"compression": "tiff_lzw"}),
        ("L", "TIFF", {"compression": "tiff_adobe_deflate"}),
        ("F", "TIFF", {}),
        ("P", "PNG", {"transparency": 0}),
        ("RGB", "JPEG", {"progressive": True}),
    ):
        buffer = io.BytesIO()
        picture.convert(mode).save(buffer, file_format, **options)
        files.append(buffer.getvalue())
    return files


def damaged(whole: bytes, generator: np.random.Generator) -> bytes:
    """A file with bytes changed, most of them in the header, others moved, doubled or cut off."""
    content = bytearray(whole)
    for _ in range(generator.integers(1, 12)):
        place = int(generator.random() ** generator.integers(1, 4) * (len(content) - 1))
        length = int(generator.integers(1, 9))
        kind = generator.integers(5)
        if kind == 0:
            content[place] = generator.integers(256)
        elif kind == 1:
            content[place] ^= 1 << int(generator.integers(8))
        elif kind == 2:  # a number of the header that is too large
            content[place : place + 4] = generator.choice([b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0"])
        elif kind == 3:
            content[place:place] = content[place : place + length]
        else:
            del content[place : place + length]
        content = content or bytearray(b"\0")
    return bytes(content[: int(len(content) * (1 - generator.random() ** 8))])


def fuzz(first: int, seconds: float) -> None:
    """Open damaged files, one a seed, and say each seed before: whoever listens knows which one ended this process."""
    files, seed, end = whole_files(), first, time.monotonic() + seconds
    while time.monotonic() < end:
        generator = np.random.default_rng(seed)
        content = damaged(files[generator.integers(len(files))], generator)
        print(json.dumps({"seed": seed}), flush=True)
        start, found = time.monotonic(), ""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                photo = open_photo(content)
            found = "" if photo.image.mode == "RGB" else photo.image.mode
        except ImageError as error:
            found = "" if str(error).endswith(".") else f"no sentence: {error}"
        except BaseException as error:
            found = repr(error)
        taken = time.monotonic() - start
        if found or taken > SLOWEST or most_memory() > MOST_MEMORY:
            print(json.dumps({"seed": seed, "found": found, "seconds": taken, "bytes": most_memory()}), flush=True)
        seed += 1


def most_memory() -> int:
    """The most bytes that this process has held so far, of which Linux tells; what it was started by does not count."""
    status = Path("/proc/self/status")
    told = dict(line.split(":") for line in status.read_text().splitlines()) if status.exists() else {}
    return int(told["VmHWM"].split()[0]) * 1024 if told else 0


def run(first: int, seconds: float, log: Path) -> list[dict]:
    """Fuzz in a process of its own, and give what it said."""
    code = f"from tests.photos.test_fuzz import fuzz; fuzz({first}, {seconds})"
    with log.open("w") as said, log.with_suffix(".libraries").open("w") as libraries:  # which say what they like
        process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=said, stderr=libraries)
        try:
            until(lambda: process.poll() is not None, log.read_text, seconds + 60)
        finally:
            process.kill()
    lines = log.read_text().splitlines()
    assert process.returncode == 0, lines[-3:]
    return [json.loads(line) for line in lines]


@pytest.mark.slow
def test_no_damaged_file_gives_anything_but_a_picture_or_a_sentence(tmp_path: Path) -> None:
    said = run(int(time.time()), SECONDS, tmp_path / "log")
    assert len(said) > 20 * SECONDS and not [each for each in said if "found" in each]


@pytest.mark.parametrize("seed", KEPT)
def test_what_was_once_found_is_mended(seed: int) -> None:
    generator, files = np.random.default_rng(seed), whole_files()
    content = damaged(files[generator.integers(len(files))], generator)
    try:
        open_photo(content)
    except ImageError:
        pass
