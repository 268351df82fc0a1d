"""The app's entry point: ``python app.py``, ``gradio app.py``, or a Hugging Face Space."""

from app.zero import settle_on_zero_gpu

settle_on_zero_gpu()

from app.home import settle_where_it_can_be_written  # noqa: E402  # brings torch

settle_where_it_can_be_written()

from app.ui import build_demo, launch_options  # noqa: E402  # brings Gradio

demo = build_demo()

if __name__ == "__main__":
    demo.launch(**launch_options())
