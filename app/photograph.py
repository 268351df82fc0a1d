"""The input for a photograph, Gradio's image component that leaves the decoding to us, and pictures to click."""

from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import ImageData
from PIL import Image

from app.answers import in_a_new_file
from app.texts import say
from ltad.photos.decode import open_photo

NO_PHOTOGRAPH = "There is no photograph yet: drop one or click an example."


class Photograph(gr.Image):
    """An image that comes as the path of the uploaded file, untouched and unopened, and is shown from a new file.

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

    def postprocess(self, value: Any) -> Any:
        """Show a picture, or the file at a path."""
        return super().postprocess(in_a_new_file(value, self.GRADIO_CACHE))


class Pictures(gr.Gallery):
    """Pictures, or the files at paths, with captions; each picture is shown from a new file."""

    is_template = True  # for the browser it is the gallery component

    def postprocess(self, value: Any) -> Any:
        """Show pairs of picture (or path) and caption."""
        return super().postprocess([(in_a_new_file(picture, self.GRADIO_CACHE), text) for picture, text in value or ()])


def small_photograph(elem_id: str) -> Photograph:
    """The input where a photograph is one of several things that are asked for."""
    return Photograph(
        label=say("photograph"),
        placeholder="Drop or paste a photograph, or click to choose one",
        format="png",
        sources=["upload", "clipboard"],
        height=260,
        elem_id=elem_id,
        elem_classes="photograph",
    )


def small_picture(path: Path, side: int) -> Image.Image:
    """A photograph at the size of a thumbnail: no side longer than ``side`` pixels."""
    picture = open_photo(path).image
    picture.thumbnail((side, side))
    return picture


def pictures_to_click(pictures: list[Any], label: Any, elem_id: str, columns: int) -> gr.Gallery:
    """Pairs of picture (or path) and caption, of which a click chooses one."""
    return Pictures(
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
