"""``ltad inspect``: photographs in, a JSON line each out, and their maps as pictures."""

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ltad.commands import DONE, FAILED
from ltad.commands.options import add_checkpoint, open_predictor
from ltad.errors import LTADError
from ltad.inspection.pictures import full_scale, overlay, save_map, save_result
from ltad.inspection.predictor import AUTO, Predictor
from ltad.photos.clutter import MAP, OVERLAY
from ltad.photos.gather import files_below


def add_options(parser: argparse.ArgumentParser) -> None:
    """What is judged by what, and where the pictures go."""
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="files, or folders of them")
    add_checkpoint(parser)
    parser.add_argument("--class-name", default=AUTO, metavar="NAME|auto")
    parser.add_argument("--output", type=Path, metavar="DIR", help="write STEM_map.png and STEM_overlay.png there")


def run(options: argparse.Namespace) -> int:
    """Judge every file; a bad one is a line with an error, and the others go on."""
    predictor = open_predictor(options)
    if options.class_name != AUTO:
        predictor.card.class_id(options.class_name)  # an unknown class fails once, not once per image
    paths = [Path(path) for path in options.images]
    files = [file for path in paths for file in (files_below(path) if path.is_dir() else [path])]
    status = DONE
    stems: Counter[str] = Counter()
    for file in tqdm(files, desc="inspect", disable=None if len(files) > 1 else True):
        stems[file.stem] += 1
        stem = file.stem if stems[file.stem] == 1 else f"{file.stem}-{stems[file.stem]}"
        line = _line(predictor, file, stem, options)
        status = FAILED if "error" in line else status
        print(json.dumps({"image": str(file)} | line, ensure_ascii=False), flush=True)
    return status


def _line(predictor: Predictor, file: Path, stem: str, options: argparse.Namespace) -> dict[str, Any]:
    """The report on a file, or its error; the pictures go to the output folder as STEM_map.png, STEM_overlay.png."""
    try:
        prediction = predictor.predict(file, options.class_name)
        if options.output:
            options.output.mkdir(parents=True, exist_ok=True)
            threshold = prediction.judgement.threshold
            picture, scale = overlay(prediction.photo.image, prediction.anomaly_map, threshold), full_scale(threshold)
            save_result(picture, options.output / f"{stem}{OVERLAY}", scale)
            save_map(prediction.anomaly_map, options.output / f"{stem}{MAP}", scale)
    except (LTADError, OSError) as error:
        return {"error": str(error)}
    return prediction.report()
