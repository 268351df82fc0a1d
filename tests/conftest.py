"""What several test files need and is too dear to make twice: pictures of toy products and a model trained on them."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from ltad.checkpoint.folder import Checkpoint, add_metrics
from ltad.config import LTADConfig
from ltad.data import Dataset
from ltad.data.folder import folder_dataset
from ltad.evaluation.table import evaluate
from ltad.foundation import FoundationModel, load_foundation
from ltad.foundation.features import Encoder, Store
from ltad.inspection.predictor import Predictor
from ltad.presets import default
from ltad.progress import quiet
from ltad.training.training import train
from tests.hub import ALICE, Hub
from tests.toys import (
    CHROMIUM,
    TEST_IMAGES,
    TRAIN_COUNTS,
    TinyFoundation,
    TrainToy,
    adapted_to,
    blotch,
    save_picture,
    toy_card,
    toy_picture,
)


def pytest_configure() -> None:
    """Let tests that run side by side not wait for each other's threads."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # of the processes that they start
        torch.set_num_threads(1)


LONGEST = (  # begun first, end together
    "test_readme.py", "test_browser.py", "test_worker.py", "test_teach_browser.py", "test_words_browser.py",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))
    if not os.environ.get("LTAD_SLOW"):
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="takes long; set LTAD_SLOW=1"))


@pytest.fixture(scope="session")
def toy_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three toy classes in the layout of MVTec AD, with blotches and their exact masks."""
    root = tmp_path_factory.mktemp("data") / "toy"
    for class_id, (name, count) in enumerate(TRAIN_COUNTS.items()):
        generator = np.random.default_rng(class_id)
        for number in range(count):
            save_picture(toy_picture(name, generator), root / name / "train" / "good" / f"{number:03}.png")
        for number in range(TEST_IMAGES):
            save_picture(toy_picture(name, generator), root / name / "test" / "good" / f"{number:03}.png")
            picture, mask = toy_picture(name, generator), blotch(generator)
            picture[mask] = generator.choice([10, 245]) + generator.normal(0, 6, (mask.sum(), 3))
            save_picture(picture, root / name / "test" / "blotch" / f"{number:03}.png")
            save_picture(mask * 255.0, root / name / "ground_truth" / "blotch" / f"{number:03}_mask.png")
    return root


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the trainings of tested pages, and translated toy towers, away from real ones."""
    os.environ["LTAD_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def toy_data(toy_folder: Path) -> Dataset:
    return folder_dataset(toy_folder)


@pytest.fixture(scope="session")
def foundation() -> FoundationModel:
    """The real embedded foundation model."""
    return load_foundation()


@pytest.fixture(scope="session")
def tiny_foundation() -> TinyFoundation:
    """One that takes no time, for what does not depend on what a picture shows."""
    return TinyFoundation()


@pytest.fixture(scope="session")
def toy_store() -> Store:
    """What image towers said of toy pictures, in half precision: the real one sees each of them once."""
    return {}


@pytest.fixture(scope="session")
def toy_encoder(foundation: FoundationModel, toy_store: Store) -> Encoder:
    return Encoder(foundation, toy_store)


@pytest.fixture(scope="session")
def tiny_config() -> LTADConfig:
    """The default with small layers, a few small steps and no turned copies: seconds of training."""
    return default().override(
        "synthesis.width=32",
        "reconstruction.dim=32",
        "reconstruction.depth=1",
        "memory.per_class=64",
        "views.wanted=0",
        "semantic.hidden=64",
        "phase1.steps=20",
        "phase1.batch_size=8",
        "phase2.steps=40",
        "phase2.batch_size=3",
        "phase2.semantic_patches=64",
        "calibration.phase2_steps=25",
        "calibration.false_alarm_rate=0.12",  # what the 8 images of the largest class can just promise
    )


@pytest.fixture(scope="session")
def train_toy(toy_data: Dataset, foundation: FoundationModel, toy_store: Store, tiny_config: LTADConfig) -> TrainToy:
    """Train on the toy classes; what is given replaces the usual arguments."""

    def run(
        output: Path,
        *,
        dataset: Dataset = toy_data,
        config: LTADConfig = tiny_config,
        foundation: FoundationModel = foundation,
        **options,
    ) -> Checkpoint:
        given = {"store": toy_store, "progress": quiet} | options
        return train(dataset, foundation, config, output, data=toy_card(dataset), **given)

    return run


@pytest.fixture(scope="session")
def few(toy_data: Dataset) -> Dataset:
    """Two checkers, three dots, one with stripes."""
    return replace(toy_data, train=toy_data.train[6:11] + toy_data.train[12:])


@pytest.fixture(scope="session")
def short(tiny_config: LTADConfig) -> LTADConfig:
    return tiny_config.override("phase1.steps=5", "phase2.steps=6", "calibration.phase2_steps=6")


@pytest.fixture(scope="session")
def toy_checkpoint(
    train_toy: TrainToy, toy_data: Dataset, foundation: FoundationModel, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A whole checkpoint folder, as the command “train” leaves it."""
    output = tmp_path_factory.mktemp("checkpoints") / "toy"
    train_toy(output)
    predictor = Predictor.from_checkpoint(output, foundation)
    add_metrics(output, evaluate(toy_data, predictor, progress=quiet))
    return output


@pytest.fixture(scope="session")
def predictor(toy_checkpoint: Path, foundation: FoundationModel) -> Predictor:
    return Predictor.from_checkpoint(toy_checkpoint, foundation)


@pytest.fixture(scope="session")
def adapted(
    predictor: Predictor, foundation: FoundationModel, toy_store: Store, tmp_path_factory: pytest.TempPathFactory
) -> Checkpoint:
    output = tmp_path_factory.mktemp("adapted") / "more"
    return adapted_to(predictor.checkpoint, output, foundation, store=toy_store)


@pytest.fixture(scope="session")
def tiny_checkpoint(
    train_toy: TrainToy, tiny_foundation: TinyFoundation, tmp_path_factory: pytest.TempPathFactory
) -> Checkpoint:
    """One on the tiny foundation model, not measured."""
    return train_toy(tmp_path_factory.mktemp("tiny") / "tiny", foundation=tiny_foundation)


# The Hugging Face Hub


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A stand-in for it, asked with alice's token, and an empty cache."""
    from huggingface_hub import close_session, constants

    with Hub().open() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.address)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", f"{hub.address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        monkeypatch.setenv("HF_TOKEN", ALICE)
        yield hub
        close_session()


# The other foundation models, tiny and with random weights

ALIGN_WORDS = "[PAD] [UNK] [CLS] [SEP] a photo of cat object screw normal perfect damaged ##s #".split()
TINY_TEXT = {"context_length": 20, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
TINY_TOWERS = {  # of open_clip, one of each kind
    "tiny-vit": {"image_size": 64, "layers": 5, "width": 160, "head_width": 32, "patch_size": 16},
    "tiny-resnet": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8},
    "tiny-convnext": {"image_size": 64, "timm_model_name": "test_convnext", "timm_pool": "", "timm_proj": "linear"},
    "tiny-timm-vit": {"image_size": 160, "timm_model_name": "test_vit", "timm_pool": "token", "timm_proj": "linear"},
}


@pytest.fixture(scope="session")
def align_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ALIGN's architecture, as ``save_pretrained`` writes it."""
    from transformers import AlignConfig, AlignModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("align")
    text = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    text |= {"vocab_size": len(ALIGN_WORDS), "max_position_embeddings": 32, "initializer_range": 0.5}
    vision = {"width_coefficient": 0.25, "depth_coefficient": 0.5, "hidden_dim": 64}
    torch.manual_seed(0)
    network = AlignModel(AlignConfig(text_config=text, vision_config=vision, projection_dim=80))
    for parameter in network.vision_model.parameters():  # its own start is so small that nothing reaches the end
        if parameter.ndim == 4:
            torch.nn.init.kaiming_normal_(parameter)
    network.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(ALIGN_WORDS))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def open_clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny architectures that open_clip then knows, and NAME.safetensors of each."""
    import open_clip

    folder = tmp_path_factory.mktemp("open_clip")
    towers = TINY_TOWERS | {"tiny-looking-ahead": TINY_TOWERS["tiny-resnet"], "tiny-foreign": TINY_TOWERS["tiny-vit"]}
    for name, vision in towers.items():
        config = {"embed_dim": 24, "vision_cfg": vision, "text_cfg": dict(TINY_TEXT)}
        if name == "tiny-looking-ahead":
            config |= {"custom_text": True, "text_cfg": TINY_TEXT | {"no_causal_mask": True}}
        if name == "tiny-foreign":
            config["text_cfg"] |= {"hf_model_name": "roberta-base"}
        (folder / f"{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)
    for name in towers:
        if name == "tiny-foreign":
            continue
        torch.manual_seed(0)
        network = open_clip.create_model(name)
        for parameter in network.parameters():  # some start at zero and would hide mistakes
            parameter.data += 0.05 * torch.randn_like(parameter)
        save_file(network.state_dict(), folder / f"{name}.safetensors")
    return folder


# A real browser

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    assert CHROMIUM, "LTAD_REQUIRE_BROWSER is set, but there is no chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()
