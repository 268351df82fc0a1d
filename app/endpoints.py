"""The web interface: the endpoints that programs may call, which are MCP tools, too."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gradio as gr
from PIL import Image

from app.errors import told_plainly
from app.jobs.queue import Jobs, refuse_too_many
from app.limits import AT_ONCE
from app.photograph import Photograph
from app.predictors import Predictors
from ltad.checkpoint.card import summarise
from ltad.errors import ImageError, JobError
from ltad.inspection.pictures import overlay
from ltad.inspection.predictor import AUTO
from ltad.photos.gather import gather
from ltad.training.adaptation import DEFAULT_MINUTES


def build(predictors: Predictors, jobs: Jobs) -> None:
    """Offer the endpoints; their components are not on the page. Whatever is asked for may be None."""

    @told_plainly
    def inspect(image: str, checkpoint: str, class_name: str = AUTO) -> tuple[Image.Image, dict[str, Any]]:
        """Judge a photograph of a product: verdict, score, where it looks wrong, and which learned class it matches.

        Args:
            image: The photograph to inspect.
            checkpoint: Name of the checkpoint, one of those that checkpoints lists.
            class_name: A class of the checkpoint, or "auto" to recognise it.

        Returns:
            The photograph with the anomaly map laid over it, and the report.
        """
        prediction = predictors.get(checkpoint or "").predict(_given(image), class_name or AUTO)
        picture = overlay(prediction.photo.image, prediction.anomaly_map, prediction.judgement.threshold)
        return picture, prediction.report()

    @told_plainly
    def match_class(image: str, checkpoint: str) -> list[dict[str, Any]]:
        """Compare a photograph with every learned class name of a checkpoint, the most similar first.

        Args:
            image: The photograph to recognise.
            checkpoint: Name of the checkpoint, one of those that checkpoints lists.

        Returns:
            Each class with its similarity, the words nearest to its learned name, and its training images.
        """
        return predictors.get(checkpoint or "").match_classes(_given(image))

    @told_plainly
    def checkpoints() -> list[dict[str, Any]]:
        """List the checkpoints: data, imbalance level, classes, measured figures, size and hash."""
        return [summarise(predictors.card(name)) for name in predictors.names()]

    @told_plainly
    def adapt(files: list[str], checkpoint: str, class_name: str, minutes: float = DEFAULT_MINUTES) -> dict[str, str]:
        """Teach a checkpoint one more product from good photographs of it, in the background.

        Args:
            files: The photographs, 4 at least, or ZIP archives of them.
            checkpoint: Name of the checkpoint to start from.
            class_name: What the product is called.
            minutes: Of training, on two CPU cores; up to 15.

        Returns:
            The job's id, under "job". Whoever knows it can look at the job and cancel it.
        """
        if not isinstance(minutes := DEFAULT_MINUTES if minutes is None else minutes, int | float):
            raise JobError(f"The minutes must be a number, not “{minutes}”.")
        with TemporaryDirectory() as folder:
            good = gather([Path(file) for file in files or ()], Path(folder)).good()
            refuse_too_many(len(good.photographs))
            job = jobs.submit(good.readable(), predictors.card(checkpoint or "").path, class_name or "", minutes)
        return {"job": job.id}

    @told_plainly
    def job(job: str) -> dict[str, Any]:
        """Say how a training goes.

        Args:
            job: The id that adapt gave.

        Returns:
            State (queued, running, done, failed, cancelled, interrupted), steps, seconds left, loss, and once it is
            done the checkpoint's name, which inspect takes.
        """
        return jobs.get(job or "").report()

    @told_plainly
    def cancel(job: str) -> dict[str, Any]:
        """Stop a training that waits or runs.

        Args:
            job: The id that adapt gave.

        Returns:
            What job gives.
        """
        return jobs.cancel(job or "").report()

    with gr.Row(visible=False):
        image = Photograph(label="image")
        checkpoint = gr.Textbox(label="checkpoint")
        class_name = gr.Textbox(AUTO, label="class_name")
        picture = Photograph(format="png", label="overlay")
        report = gr.JSON(label="report")
        gr.Button().click(
            inspect,
            [image, checkpoint, class_name],
            [picture, report],
            api_name="inspect",
            concurrency_id="inspect",
            concurrency_limit=AT_ONCE,
        )
        gr.Button().click(match_class, [image, checkpoint], report, api_name="match_class", concurrency_id="inspect")
        files = gr.File(file_count="multiple", label="files")
        minutes = gr.Number(DEFAULT_MINUTES, label="minutes")
        job_id = gr.Textbox(label="job")
        gr.Button().click(adapt, [files, checkpoint, class_name, minutes], report, api_name="adapt")
        gr.Button().click(job, job_id, report, api_name="job")
        gr.Button().click(cancel, job_id, report, api_name="cancel")
        gr.Button().click(checkpoints, None, report, api_name="checkpoints")


def _given(image: str | None) -> str:
    if image is None:
        raise ImageError("No image was given. Send one as a file.")
    return image
