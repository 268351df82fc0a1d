"""What ``pyproject.toml`` cannot say: an installed package brings one of the checkpoints that lie beside it here."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["ltad", "ltad.*"]), "ltad.shipped"],
    package_dir={"ltad.shipped": "checkpoints"},
    package_data={"ltad": ["py.typed", "foundation/*.safetensors"], "ltad.shipped": ["demo-exp100/*"]},
)
