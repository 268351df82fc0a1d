"""The app's entry point: ``python app.py``, ``gradio app.py``, or a Hugging Face Space."""

from app.zero import settle_on_zero_gpu

settle_on_zero_gpu()

from app.ui import build_demo, launch_options  # noqa: E402  # brings torch

demo = build_demo()

if __name__ == "__main__":
    demo.launch(**launch_options())
