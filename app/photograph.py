"""The input for a photograph, Gradio's image component that leaves the decoding to us, and pictures to click."""

from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import ImageData
from PIL import Image

from app.texts import say
from ltad.photos.decode import open_photo


class Photograph(gr.Image):
    """An image input that gives the path of the uploaded file, untouched and unopened.

    Gradio's own would open the file first: what it cannot read ends in an error without a word, and a 16-bit image
    loses its upper bits.
    """

    is_template = True  # for the browser it is the image component

    def preprocess(self, payload: ImageData | None) -> str | None:
        """Give the path of the uploaded file, which Gradio has checked to be one."""
        if payload is None:
            return None
        if payload.path is None:
            raise gr.Error("The image came without a file. Send it as an upload.", print_exception=False)
        return payload.path


def small_photograph(elem_id: str) -> Photograph:
    """The input where a photograph is one of several things that are asked for."""
    return Photograph(
        label=say("photograph"),
        placeholder="Drop or paste a photograph, or click to choose one",
        format="png",
        sources=["upload", "clipboard"],
        height=260,
        elem_id=elem_id,
    )


def small_picture(path: Path, side: int) -> Image.Image:
    """A photograph at the size of a thumbnail: no side longer than ``side`` pixels."""
    picture = open_photo(path).image
    picture.thumbnail((side, side))
    return picture


def pictures_to_click(pictures: list[Any], label: Any, elem_id: str, columns: int) -> gr.Gallery:
    """Pictures, or pairs of picture and caption, of which a click chooses one."""
    return gr.Gallery(
        pictures,
        label=label,
        columns=columns,
        allow_preview=False,
        object_fit="cover",
        interactive=False,
        buttons=[],
        elem_id=elem_id,
        elem_classes="examples",
    )
