"""What the arithmetic runs on: which device, how many threads, how they wait, and where this machine keeps things.

Decided here for the page, the commands, their workers and whoever imports ``ltad``.
"""

import ctypes
import logging
import os
import sys
import tempfile
from functools import cache
from getpass import getuser
from pathlib import Path

import torch

from ltad.errors import DeviceError, WriteError
from ltad.files import refuse_unwritable

logger = logging.getLogger(__name__)

AUTO = "auto"
CPU = torch.device("cpu")
ARENAS = 2  # of glibc's allocator: by itself it gives every thread one, and each keeps what it once held
M_ARENA_MAX = -8  # malloc.h
DEVICES = "auto|cpu|cuda|cuda:N|mps"


def choose_device(name: str = AUTO) -> torch.device:
    """The device of a name, one of ``DEVICES``; "auto" takes what LTAD_DEVICE names, or the best there is.

    DeviceError says what there is. On CUDA products of float32 are then made in float32, not in TF32: scores must be
    those of every other device.
    """
    there = _devices()
    name = (os.environ.get("LTAD_DEVICE") or AUTO) if name == AUTO else name
    name = {AUTO: there[0], "cuda": "cuda:0"}.get(name, name)
    if name not in there:
        raise DeviceError(f"There is no device “{name}” here; there is {', '.join(there)}. The forms are {DEVICES}.")
    device = torch.device(name)
    if device.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
    return device


def in_words(device: torch.device) -> str:
    """A device as a person knows it."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return f"cpu ({threads()} threads)" if device.type == "cpu" else str(device)


def _devices() -> list[str]:
    """The devices of this machine, the best first."""
    cuda = [f"cuda:{i}" for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    return [*cuda, *(["mps"] if torch.backends.mps.is_available() else []), "cpu"]


def cores() -> int:
    """The processors that this process may use: those it is bound to, or fewer where a container allows less time."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = Path("/sys/fs/cgroup/cpu.max")  # "microseconds period", or "max period"
    share = quota.read_text(encoding="ascii").split() if quota.is_file() else []
    if share and share[0].isdigit():
        bound = min(bound, max(1, -(-int(share[0]) // int(share[1]))))
    return bound


def threads() -> int:
    """How many threads compute together: as many as there are cores, or as OMP_NUM_THREADS says."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    return int(said) if said.isdigit() and int(said) else cores()


def settle() -> None:
    """Let this process compute with ``threads``, and bound in how many places glibc keeps what they have freed."""
    torch.set_num_threads(threads())
    _tell_glibc("mallopt", M_ARENA_MAX, ARENAS)


def return_memory() -> None:
    """Give the system back what this process has freed."""
    _tell_glibc("malloc_trim", 0)


def _tell_glibc(function: str, *values: int) -> None:
    """Call a function of the C library, where it is glibc; others have none of these, and need none."""
    told = getattr(ctypes.CDLL(None), function, None) if sys.platform == "linux" else None
    if told:
        told(*values)


def cache_folder() -> Path:
    """Where what can be made again is kept between two runs: the folder that LTAD_CACHE names, or the user's.

    Where that cannot be written, as in a container that runs as somebody without a home, it is one below the temporary
    folder, which is said once.
    """
    caches = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return _writable(Path(os.environ.get("LTAD_CACHE") or Path(caches, "ltad")))


@cache
def _writable(folder: Path) -> Path:
    """The folder, or another one where it can never be written."""
    try:
        if folder.parts[:1] == ("~",):  # nobody knows where this user is at home
            raise WriteError(f"“{folder}” is nowhere.")
        refuse_unwritable(folder, is_folder=True)
    except WriteError:
        other, why = temporary_folder("ltad"), f"since “{folder}” cannot be written; LTAD_CACHE names another folder"
        logger.warning("Caches and trainings are kept in “%s”, %s.", other, why)
        return other
    return folder


def temporary_folder(name: str) -> Path:
    """A folder below the system's temporary one that is this user's alone, and the same at every start."""
    user = os.getuid() if hasattr(os, "getuid") else getuser()
    folder = Path(tempfile.gettempdir(), f"{name}-{user}")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if not hasattr(os, "getuid") or folder.lstat().st_uid == os.getuid():  # nobody else laid it there
            return folder
    except OSError as error:
        logger.warning("“%s” cannot be used: %s", folder, error.strerror)
    return Path(tempfile.mkdtemp(prefix=f"{name}-"))
