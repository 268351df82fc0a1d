"""What the benchmarks' commands have in common: a run that writes a file, and a file that is printed again."""

import argparse
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ltad.commands.options import SOURCES
from ltad.data.longtail import ORDERS
from ltad.errors import LTADError
from ltad.machine import AUTO, DEVICES


def parser(
    name: str, description: str, output: str, *, again: str = "print what a run wrote", trains: bool = True
) -> argparse.ArgumentParser:
    """The options of a run on a data set, or of its file; again: what is done with that. trains: it has settings."""
    options = argparse.ArgumentParser(prog=name, description=description)
    task = options.add_mutually_exclusive_group(required=True)
    task.add_argument("--data", help="several are joined to one data set", **SOURCES)
    task.add_argument("--table", type=Path, metavar="FILE", help=again)
    options.add_argument("--device", default=AUTO, metavar=DEVICES, help="what computes; auto: the best there is")
    if trains:
        options.add_argument(
            "--set", dest="settings", action="append", default=[], metavar="KEY=VALUE", help="one setting"
        )
    options.add_argument("--output", type=Path, default=Path(output), metavar="FILE")
    return options


def add_tail(options: argparse.ArgumentParser, *, several: bool = False) -> None:
    """Which training images are left; several: levels may be given."""
    levels: dict[str, Any] = {"nargs": "+", "default": ["none"]} if several else {"default": "none"}
    options.add_argument("--imbalance", metavar="none|expN|stepN[-reverse]", **levels)
    options.add_argument("--order", default="alphabetical", choices=ORDERS, help="which class comes first")


def add_resume(options: argparse.ArgumentParser) -> None:
    """Whether an interrupted run goes on."""
    options.add_argument("--resume", action="store_true", help="keep what FILE has of the same run")


def add_seeds(options: argparse.ArgumentParser, what: str) -> None:
    """How often everything is done."""
    options.add_argument("--seeds", nargs="+", type=int, default=[0], metavar="N", help=what)


def written(path: Path) -> dict[str, Any]:
    """What a run wrote."""
    return json.loads(path.read_text(encoding="utf-8"))


def finished(path: Path, header: dict[str, Any], kept: str = "runs") -> list[dict[str, Any]]:
    """What a file keeps of the same run, of this header, to go on with; nothing where there is no file."""
    if not path.exists():
        return []
    results = written(path)
    other = [key for key, value in header.items() if results["header"].get(key) != value]
    if other:
        raise ValueError(
            f"“{path}” was made with other {', '.join(other)}: give another --output or leave out --resume"
        )
    return results[kept]


def carry_out(
    name: str,
    options: argparse.Namespace,
    run: Callable[[argparse.Namespace], None],
    table: Callable[[dict[str, Any]], str],
    draw: Callable[[dict[str, Any], Path], None] | None = None,
) -> None:
    """Run, unless there is a file to be printed again; print what was written, and draw it where that is asked."""
    with plainly(name):
        if not options.table:
            run(options)
        results = written(options.table or options.output)
        print(table(results))
        if draw and options.figure:
            draw(results, options.figure)


@contextmanager
def plainly(name: str) -> Iterator[None]:
    """End with one sentence where something is refused."""
    try:
        yield
    except (LTADError, ValueError, OSError) as error:
        raise SystemExit(f"{name}: {error}") from error
