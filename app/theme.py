"""How the page looks: one theme for light and dark, fonts of the visitor's own system."""

from pathlib import Path

import gradio as gr

STYLE = Path(__file__).with_name("style.css")
NAMES_STYLE, TEACH_STYLE = (Path(__file__).parent / "tabs" / tab / f"{tab}.css" for tab in ("names", "teach"))


def theme() -> gr.themes.Base:
    """Calm greys and one accent; the result's own colours carry the meaning."""
    return gr.themes.Base(
        primary_hue="indigo",
        neutral_hue="slate",
        radius_size="md",
        font=["ui-sans-serif", "system-ui", "sans-serif"],
        font_mono=["ui-monospace", "Consolas", "monospace"],
    ).set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        body_text_color_subdued="*neutral_600",  # 7 : 1 on white
        body_text_color_subdued_dark="*neutral_400",
        block_border_width="1px",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_500",
    )
