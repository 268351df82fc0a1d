"""The browser app: the only place that knows Gradio."""
