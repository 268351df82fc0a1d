"""The web interface: ``/inspect``, ``/match_class`` and ``/checkpoints``, which are MCP tools, too."""

from typing import Any

import gradio as gr
from PIL import Image

from app.errors import told_plainly
from app.photograph import Photograph
from app.predictors import Predictors
from ltad.checkpoint import summarise
from ltad.errors import ImageError
from ltad.predictor import AUTO
from ltad.visualization import overlay


def build(predictors: Predictors) -> None:
    """Offer the endpoints; their components are not on the page."""

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
        prediction = predictors.get(checkpoint).predict(_given(image), class_name or AUTO)
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
        return predictors.get(checkpoint).match_classes(_given(image))

    @told_plainly
    def checkpoints() -> list[dict[str, Any]]:
        """List the checkpoints: data, imbalance level, classes, measured figures, size and hash."""
        return [summarise(predictors.card(name)) for name in predictors.names()]

    with gr.Row(visible=False):
        image = Photograph(label="image")
        checkpoint = gr.Textbox(label="checkpoint")
        class_name = gr.Textbox(AUTO, label="class_name")
        picture = gr.Image(format="png", label="overlay")
        report = gr.JSON(label="report")
        gr.Button().click(
            inspect,
            [image, checkpoint, class_name],
            [picture, report],
            api_name="inspect",
            concurrency_id="inspect",
            concurrency_limit=2,
        )
        gr.Button().click(match_class, [image, checkpoint], report, api_name="match_class", concurrency_id="inspect")
        gr.Button().click(checkpoints, None, report, api_name="checkpoints")


def _given(image: str | None) -> str:
    if image is None:
        raise ImageError("No image was given. Send one as a file.")
    return image
