"""The commands: ``python -m ltad COMMAND``, or ``ltad COMMAND`` once installed."""

import argparse
import json
import logging
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ltad.errors import CheckpointError, ImageError, LTADError

FAILED, USAGE = 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 = done, 1 = failed with one sentence on stderr, 2 = wrong usage."""
    parser = _parser()
    options = parser.parse_args(arguments)
    words = sys.argv[1:] if arguments is None else arguments
    # What makes a checkpoint again, whether or not it was interrupted this time.
    options.command_line = shlex.join(["python", "-m", "ltad", *(word for word in words if word != "--resume")])
    logging.basicConfig(level=logging.DEBUG if options.debug else logging.WARNING)
    try:
        return options.run(options)
    except (LTADError, ValueError, OSError) as error:
        if options.debug:
            raise
        print(f"ltad {options.command}: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print(f"ltad {options.command}: interrupted", file=sys.stderr)
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ltad", description="Long-tailed anomaly detection with learnable class names."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    train = _command(commands, "train", _train, "Learn a checkpoint from normal images.")
    _data_options(train)
    train.add_argument(
        "--foundation", default="align-mini", metavar="NAME", help="frozen model: align-mini, align, open_clip:ARCH/TAG"
    )
    train.add_argument("--output", required=True, type=Path, metavar="DIR", help="folder of the new checkpoint")
    train.add_argument("--preset", default="default", choices=("default", "paper"), help="all settings at once")
    train.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE", help="one setting")
    train.add_argument("--licence", default="", metavar="TEXT", help="licence of the data, for the model card")
    train.add_argument("--resume", action="store_true", help="go on with an interrupted training of the same settings")

    evaluate = _command(commands, "evaluate", _evaluate, "Measure a checkpoint on a data set's test images.")
    evaluate.add_argument("--data", required=True, metavar="DIR|demo|elpv")
    evaluate.add_argument("--checkpoint", required=True, metavar="NAME|DIR")
    evaluate.add_argument(
        "--class-name", default="given", choices=("given", "auto"), help="tell the class or predict it"
    )
    _foundation_option(evaluate)
    evaluate.add_argument("--output", type=Path, metavar="FILE", help="write the table as JSON, too")

    inspect = _command(commands, "inspect", _inspect, "Judge photographs; one JSON line each.")
    inspect.add_argument("images", nargs="+", metavar="IMAGE", help="files, or folders of files")
    inspect.add_argument("--checkpoint", required=True, metavar="NAME|DIR")
    inspect.add_argument("--class-name", default="auto", metavar="NAME|auto")
    _foundation_option(inspect)
    inspect.add_argument("--output", type=Path, metavar="DIR", help="write STEM_map.png and STEM_overlay.png there")

    adapt = _command(commands, "adapt", _adapt, "Teach a checkpoint one more product from a few good photographs.")
    adapt.add_argument("--images", required=True, type=Path, metavar="DIR|ZIP", help="good photographs, 4 at least")
    adapt.add_argument("--checkpoint", required=True, metavar="NAME|DIR")
    adapt.add_argument("--class-name", required=True, metavar="NEW|EXISTING")
    adapt.add_argument("--output", required=True, type=Path, metavar="DIR")
    adapt.add_argument("--minutes", type=float, default=3.0, metavar="M", help="of training, on two CPU cores")
    adapt.add_argument("--start", metavar="WORD", help="from which the name starts; left out: the nearest known name")
    adapt.add_argument(
        "--exclude", nargs="+", default=[], metavar="FILE", help="photographs that are not to be learned"
    )
    adapt.add_argument(
        "--defective",
        type=Path,
        metavar="DIR|ZIP",
        help="defective ones, only to measure with; X_mask marks those of X",
    )
    adapt.add_argument("--report", type=Path, metavar="FILE", help="write what changed as JSON, too")
    adapt.add_argument("--seed", type=int, default=0)
    adapt.add_argument("--no-replay", action="store_true", help="let the other classes fade, to see what replay is for")
    adapt.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    _foundation_option(adapt)

    _command(commands, "checkpoints", _checkpoints, "List the checkpoints that are here.")

    splits = _command(commands, "splits", _splits, "Write a long-tailed split as JSON lines.")
    _data_options(splits)
    splits.add_argument("--output", required=True, type=Path, metavar="FILE")
    return parser


def _command(commands: Any, name: str, run: Callable[[argparse.Namespace], int], what: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=what, description=what)
    parser.add_argument("--json", action="store_true", help="print JSON for machines")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    parser.set_defaults(run=run)
    return parser


def _foundation_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--foundation", metavar="NAME", help="the frozen model, where the checkpoint's name for it is not enough"
    )


def _data_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", required=True, metavar="DIR|demo|elpv", help="a folder as MVTec AD, VisA or DAGM is, or a name"
    )
    parser.add_argument(
        "--imbalance", default="none", metavar="none|expN|stepN[-reverse]", help="e.g. exp100; or a split file"
    )
    parser.add_argument(
        "--order", default="alphabetical", choices=("alphabetical", "size"), help="which class comes first"
    )


def _predictor(options: argparse.Namespace) -> Any:
    from ltad.checkpoint import find_checkpoint
    from ltad.foundation import load_foundation
    from ltad.predictor import Predictor

    folder = find_checkpoint(options.checkpoint)  # an unknown one is answered before a large model is read
    foundation = load_foundation(options.foundation) if options.foundation else None
    return Predictor.from_checkpoint(folder, foundation)


class Lines:
    """Progress for machines: a JSON object a step on stderr."""

    def __call__(self, stage: str, step: int, steps: int, loss: float | None = None) -> None:
        """Write where the stage is."""
        line = {"stage": stage, "step": step, "steps": steps, "loss": loss}
        print(json.dumps(line), file=sys.stderr, flush=True)

    def watch(self, photograph: str, error: Any) -> None:
        """Write how far off the reconstruction of a photograph's patches is."""
        rows = [[round(value, 3) for value in row] for row in error.tolist()]
        print(json.dumps({"photograph": photograph, "map": rows}), file=sys.stderr, flush=True)

    def leave_out(self, photograph: str, reason: str) -> None:
        """Write that a photograph cannot be used."""
        print(json.dumps({"left_out": photograph, "reason": reason}), file=sys.stderr, flush=True)

    def close(self) -> None:
        """Nothing is open."""


class Bars:
    """Progress on a terminal: one bar per stage; nothing where stderr is no terminal."""

    def __init__(self) -> None:
        self._bar: tqdm | None = None
        self._stage = ""

    def __call__(self, stage: str, step: int, steps: int, loss: float | None = None) -> None:
        """Move the stage's bar."""
        if self._bar is None or stage != self._stage:
            self.close()
            self._bar = tqdm(total=steps, desc=stage, disable=None, leave=True)
            self._stage = stage
        if loss is not None:
            self._bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
        self._bar.update(step - self._bar.n)

    def leave_out(self, photograph: str, reason: str) -> None:
        """Write that a photograph cannot be used."""
        print(f"left out “{photograph}”: {reason}", file=sys.stderr)

    def close(self) -> None:
        """End the current bar."""
        if self._bar is not None:
            self._bar.close()


def _open_split(options: argparse.Namespace) -> Any:
    from ltad.data.longtail import long_tail, read_split
    from ltad.data.sources import open_dataset

    dataset = open_dataset(options.data)
    if Path(options.imbalance).is_file():
        return read_split(Path(options.imbalance), dataset)
    return long_tail(dataset, options.imbalance, options.order)


def _train(options: argparse.Namespace) -> int:
    from ltad.checkpoint import DataCard
    from ltad.config import PRESETS
    from ltad.data.longtail import split_hash
    from ltad.evaluation import evaluate, format_table, write_metrics
    from ltad.foundation import load_foundation
    from ltad.model_card import write_model_card
    from ltad.predictor import Predictor
    from ltad.training import train

    config = PRESETS[options.preset]().override(*options.settings)
    dataset = _open_split(options)
    foundation = load_foundation(options.foundation)
    data = DataCard(
        name=dataset.name,
        imbalance=options.imbalance,
        order=options.order,
        split_hash=split_hash(dataset),
        licence=options.licence or dataset.licence,
        command=options.command_line,
    )
    bars = Bars()
    checkpoint = train(dataset, foundation, config, options.output, data=data, resume=options.resume, progress=bars)
    table = evaluate(dataset, Predictor(foundation, checkpoint), progress=bars) if dataset.test else None
    bars.close()
    if table:
        write_metrics(table, options.output / "metrics.json")
    write_model_card(options.output)
    print(json.dumps(table) if options.json else format_table(table) if table else f"wrote {options.output}")
    return 0


def _adapt(options: argparse.Namespace) -> int:
    from dataclasses import replace
    from tempfile import TemporaryDirectory

    from ltad.adaptation import adapt, steps_for
    from ltad.archives import gather
    from ltad.before_after import as_defective, before_and_after, in_words
    from ltad.checkpoint import summarise
    from ltad.datacheck import as_samples, check_photographs
    from ltad.files import write_text
    from ltad.model_card import write_model_card
    from ltad.predictor import Predictor

    settings = replace(steps_for(options.minutes), seed=options.seed)
    if options.no_replay:
        settings = replace(settings, replayed=0)
    parent, bars = _predictor(options), Lines() if options.json else Bars()
    with TemporaryDirectory() as folder:
        found = gather(_files(options.images), Path(folder, "good"))
        spoilt = gather(_files(options.defective), Path(folder, "defective")) if options.defective else None
        defective, unreadable = as_defective(spoilt.photos, options.class_name) if spoilt else ([], [])
        check = check_photographs(found.photos, parent.foundation, bars, found.refused)
        for name, reason in (*check.refused, *(spoilt.refused if spoilt else ()), *unreadable):
            bars.leave_out(name, reason)
        for checked in check.photographs:
            if checked.name not in options.exclude and (remarks := checked.remarks()):
                print(f"look at “{checked.name}”: it {', and it '.join(remarks)}", file=sys.stderr)
        kept = [checked for checked in check.photographs if checked.name not in options.exclude]
        good = as_samples(kept, options.class_name)
        checkpoint = adapt(
            parent.checkpoint,
            good,
            options.class_name,
            parent.foundation,
            settings,
            options.output,
            command=options.command_line,
            start=options.start,
            resume=options.resume,
            progress=bars,
            watch=bars.watch if isinstance(bars, Lines) else None,
        )
        adapted = Predictor(parent.foundation, checkpoint)
        changes = before_and_after(parent, adapted, options.class_name, good, defective, bars)
    bars.close()
    write_model_card(options.output)
    if options.report:
        write_text(options.report, json.dumps(changes, indent=1))
    if options.json:
        print(json.dumps(summarise(checkpoint.card) | {"changes": changes}))
    else:
        print(f"wrote {options.output}\n{in_words(changes)}")
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    from ltad.data.sources import open_dataset
    from ltad.evaluation import evaluate, format_table, write_metrics

    bars = Bars()
    predictor = _predictor(options)
    table = evaluate(open_dataset(options.data), predictor, auto=options.class_name == "auto", progress=bars)
    bars.close()
    if options.output:
        write_metrics(table, options.output)
    print(json.dumps(table) if options.json else format_table(table))
    return 0


def _inspect(options: argparse.Namespace) -> int:
    predictor = _predictor(options)
    if options.class_name != "auto":
        predictor.card.class_id(options.class_name)  # an unknown class fails once, not once per image
    files = [file for path in options.images for file in _files(Path(path))]
    failed = False
    stems: Counter[str] = Counter()
    for file in tqdm(files, desc="inspect", disable=None if len(files) > 1 else True):
        stems[file.stem] += 1
        stem = file.stem if stems[file.stem] == 1 else f"{file.stem}-{stems[file.stem]}"
        line = _inspect_one(predictor, file, stem, options)
        failed = failed or "error" in line
        print(json.dumps({"image": str(file)} | line, ensure_ascii=False), flush=True)
    return FAILED if failed else 0


def _files(path: Path) -> list[Path]:
    """The path itself, or every visible file below a folder."""
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
    if not files:
        raise ImageError(f"The folder “{path}” holds no files to inspect.")
    return files


def _inspect_one(predictor: Any, file: Path, stem: str, options: argparse.Namespace) -> dict[str, Any]:
    """The report on a file, or its error; the pictures go to the output folder as STEM_map.png, STEM_overlay.png."""
    from ltad.images import save_map
    from ltad.visualization import full_scale, overlay

    try:
        prediction = predictor.predict(file, options.class_name)
        if options.output:
            options.output.mkdir(parents=True, exist_ok=True)
            threshold = prediction.judgement.threshold
            save_map(prediction.anomaly_map, options.output / f"{stem}_map.png", full_scale(threshold))
            picture = overlay(prediction.photo.image, prediction.anomaly_map, threshold)
            picture.save(options.output / f"{stem}_overlay.png")
    except (LTADError, OSError) as error:
        return {"error": str(error)}
    return prediction.report()


def _checkpoints(options: argparse.Namespace) -> int:
    from ltad.checkpoint import checkpoint_folders, read_card, summarise

    rows, failed = [], False
    for folder in checkpoint_folders():
        try:
            rows.append(summarise(read_card(folder)))
        except CheckpointError as error:
            failed = True
            print(f"ltad checkpoints: {error}", file=sys.stderr)
    print(json.dumps(rows) if options.json else "\n".join(map(_describe, rows)) or "There is no checkpoint here yet.")
    return FAILED if failed else 0


def _describe(row: dict[str, Any]) -> str:
    """Two lines on a checkpoint."""
    from ltad.evaluation import in_words

    return (
        f"{row['name']}: {row['data']}, {row['imbalance']}, {len(row['classes'])} classes on {row['foundation']}\n"
        f"  image AUROC {in_words(row['mean'])}; {row['size'] / 1e6:.1f} MB, sha256 {row['sha256'][:16]}…"
    )


def _splits(options: argparse.Namespace) -> int:
    from ltad.data.longtail import draw_long_tail, tail_classes, write_split

    dataset = _open_split(options)
    write_split(dataset, options.output)
    counts = dataset.train_counts
    row = {"counts": counts, "tail": sorted(tail_classes(counts)), "total": len(dataset.train)}
    row |= {"imbalance_factor": max(counts.values()) / min(counts.values()), "output": str(options.output)}
    print(json.dumps(row) if options.json else draw_long_tail(counts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
