"""The app's entry point: ``python app.py``, ``gradio app.py``, or a Hugging Face Space."""

from app.ui import build_demo, launch_options

demo = build_demo()

if __name__ == "__main__":
    demo.launch(**launch_options())
