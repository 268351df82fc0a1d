"""``ltad inspect``: photographs in, a JSON line each out, and their maps as pictures."""

import argparse
import json
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ltad.commands import DONE, FAILED
from ltad.commands.options import add_checkpoint, add_output, open_predictor
from ltad.commands.printing import is_heard
from ltad.errors import LTADError
from ltad.inspection.predictor import AUTO, Predictor
from ltad.inspection.results import Results
from ltad.photos.gather import files_below


def add_options(parser: argparse.ArgumentParser) -> None:
    """What is judged by what, and where the pictures go."""
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="files, or folders of them")
    add_checkpoint(parser)
    parser.add_argument("--class-name", default=AUTO, metavar="NAME|auto")
    pictures = (
        "write STEM_map.png and STEM_overlay.png there, STEM-2 and so on where that is taken; nothing is replaced"
    )
    add_output(parser, "DIR", pictures)


def run(options: argparse.Namespace) -> int:
    """Judge every file; a bad one is a line with an error, and the others go on, for as long as it is of use."""
    predictor = open_predictor(options)
    if options.class_name != AUTO:
        predictor.card.class_id(options.class_name)  # an unknown class fails once, not once per image
    paths = [Path(path) for path in options.images]
    files = [file for path in paths for file in (files_below(path) if path.is_dir() else [path])]
    status, results = DONE, Results(options.output) if options.output else None
    for file in tqdm(files, desc="inspect", disable=None if len(files) > 1 else True):
        line = _line(predictor, file, options.class_name, results)
        status = FAILED if "error" in line else status
        print(json.dumps({"image": str(file)} | line, ensure_ascii=False), flush=True)
        if not (results or is_heard()):
            break
    return status


def _line(predictor: Predictor, file: Path, class_name: str, results: Results | None) -> dict[str, Any]:
    """The report on a file, and the paths of its pictures where they are wanted; or its error."""
    try:
        prediction = predictor.predict(file, class_name)
        return prediction.report() | (results.write(prediction, file) if results else {})
    except (LTADError, OSError) as error:
        return {"error": str(error)}
