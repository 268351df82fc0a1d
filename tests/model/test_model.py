"""The four modules of the paper's figure, each alone and then together."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from ltad.config import LTADConfig
from ltad.foundation import FoundationModel
from ltad.model.losses import jitter, name_loss, reconstruction_loss, semantic_loss, vae_loss
from ltad.model.ltad import LTAD, build_model
from ltad.model.patches import PatchFeatures
from ltad.model.prompts import ClassPrompts, start_tokens
from ltad.model.reconstruction import Attention, ReconstructionModule, neighbour_mask
from ltad.model.semantic import SemanticModule
from ltad.model.synthesis import FeatureVAE
from ltad.presets import default, paper

CLASSES = 3


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="module")
def model(foundation: FoundationModel, tiny_config: LTADConfig) -> LTAD:
    """Untrained, but its names are read."""
    torch.manual_seed(0)
    tokens = start_tokens(
        foundation, "abc", tokens=2, start="object", spread=0.02, generator=torch.Generator().manual_seed(0)
    )
    model = build_model(tiny_config, foundation, tokens)
    model.read_names(foundation)
    return model.eval()


def some_maps(foundation: FoundationModel, images: int, generator: torch.Generator) -> list[Tensor]:
    sizes = zip(foundation.channels, foundation.strides, strict=True)
    return [torch.randn(images, c, 256 // s, 256 // s, generator=generator) for c, s in sizes]


# Patches


def test_maps_of_several_strides_become_one_grid_of_patches() -> None:
    patches = PatchFeatures([0, 1], [2, 3], (4, 6), pool=1)
    fine, coarse = torch.arange(48.0).reshape(1, 2, 4, 6), torch.full((1, 3, 2, 3), 7.0)
    joined = patches([fine, coarse])
    assert joined.shape == (1, 24, patches.feature_dim)
    assert torch.equal(joined[0, 6 + 2, :2], fine[0, :, 1, 2])  # row 1, column 2: rows first
    assert (joined[..., 2:] == 7).all()


def test_pooling_keeps_constants_at_the_border() -> None:
    constant = torch.full((1, 2, 5, 5), 3.0)
    torch.testing.assert_close(PatchFeatures([0], [2], (5, 5), pool=3)([constant]), torch.full((1, 25, 2), 3.0))


def test_standardising_counts_every_class_the_same(
    model: LTAD, foundation: FoundationModel, generator: torch.Generator
) -> None:
    class_ids = torch.tensor([0] * 6 + [1] * 2 + [2])
    shift = class_ids[:, None, None, None] * 10.0
    maps = tuple(m * 2 + shift for m in some_maps(foundation, 9, generator))
    model = deepcopy(model)
    model.patches.learn_channels(maps, class_ids)
    torch.testing.assert_close(model.patches.mean, torch.full_like(model.patches.mean, 10), atol=0.3, rtol=0)
    for layer in model.patches.standardise(maps[:2]):
        by_class = [layer[class_ids == k] for k in range(CLASSES)]
        mean = torch.stack([m.mean((0, 2, 3)) for m in by_class]).mean(0)
        square = torch.stack([m.square().mean((0, 2, 3)) for m in by_class]).mean(0)
        torch.testing.assert_close(mean, torch.zeros_like(mean), atol=1e-4, rtol=0)
        torch.testing.assert_close(square, torch.ones_like(square), atol=1e-4, rtol=0)


# Prompts


def class_prompts(class_tokens: Tensor, **options: object) -> ClassPrompts:
    settings = {"learned": True, "pair": "class", "start": "object", "normal": ["a {}"], "abnormal": ["a bad {}"]}
    return ClassPrompts(class_tokens, **{"seed": 0} | settings | options)


def read(foundation: FoundationModel, *texts: str) -> Tensor:
    return foundation.encode_prompts([foundation.embed_words(text) for text in texts])


def given(foundation: FoundationModel, *class_names: str, tokens: int) -> Tensor:
    return start_tokens(foundation, class_names, tokens=tokens, start="{}", spread=9, generator=torch.Generator())


def test_a_name_made_of_words_reads_like_these_words(foundation: FoundationModel) -> None:
    screw, cable = (foundation.embed_words(word) for word in ("screw", "cable"))
    normal, abnormal = ("a perfect {} indeed", "my {}"), ("a broken {}",)
    prompts = class_prompts(torch.stack([screw, cable]), normal=normal, abnormal=abnormal)
    with torch.no_grad():
        torch.testing.assert_close(prompts.name_features(foundation), read(foundation, "screw", "cable"))
        features = prompts.text_features(foundation)
        assert features.shape == (2, 2, foundation.joint_dim)
        torch.testing.assert_close(features.norm(dim=-1), torch.ones(2, 2))
        torch.testing.assert_close(features[:, 1], read(foundation, "a broken screw", "a broken cable"))
        both = read(foundation, "a perfect cable indeed", "my cable").mean(0)
        torch.testing.assert_close(features[1, 0], both / both.norm())


def test_names_start_near_one_word_and_apart(foundation: FoundationModel, generator: torch.Generator) -> None:
    tokens = start_tokens(foundation, "abcd", tokens=2, start="object", spread=0.02, generator=generator)
    assert tokens.shape == (4, 2, foundation.token_size)
    assert (tokens - foundation.embed_words("object")).std() == pytest.approx(0.02, rel=0.1)
    assert (tokens[0] - tokens[1]).abs().max() > 0


def test_every_name_gets_a_gradient(model: LTAD, foundation: FoundationModel) -> None:
    (gradient,) = torch.autograd.grad(model.prompts.text_features(foundation).sum(), [model.prompts.class_tokens])
    assert (gradient.norm(dim=-1) > 0).all()


def test_given_names_of_any_length_read_like_their_words(foundation: FoundationModel) -> None:
    prompts = class_prompts(given(foundation, "metal_nut", "cable", tokens=4))
    assert prompts.class_tokens.shape == (2, 4, foundation.token_size)
    torch.testing.assert_close(prompts.name_features(foundation), read(foundation, "metal nut", "cable"))
    pairs = prompts.text_features(foundation)
    torch.testing.assert_close(pairs[:, 1], read(foundation, "a bad metal nut", "a bad cable"))
    (gradient,) = torch.autograd.grad(pairs.sum(), [prompts.class_tokens])
    assert torch.equal(gradient.any(-1), torch.tensor([[True, True, False, False], [True, False, False, False]]))


@pytest.mark.parametrize(("name", "count"), [("metal_nut", 2), ("_", 0)])
def test_a_given_name_that_does_not_fit_is_refused(foundation: FoundationModel, name: str, count: int) -> None:
    spelt = name.replace("_", " ")
    with pytest.raises(ValueError, match=f"“{spelt}” has {count} text tokens, but prompts.tokens allows 1 to 1"):
        given(foundation, "cable", name, tokens=1)


@pytest.mark.parametrize("start", ["part", "{}"])
def test_a_shared_pair_knows_no_class(foundation: FoundationModel, start: str) -> None:
    tokens = given(foundation, "screw", "cable", tokens=1)
    prompts = class_prompts(tokens, pair="shared", start=start)
    word = "part" if start == "part" else "object"
    pair = read(foundation, f"a {word}", f"a bad {word}")
    torch.testing.assert_close(prompts.text_features(foundation), torch.stack([pair, pair]))
    assert torch.equal(prompts.name_features(foundation), class_prompts(tokens).name_features(foundation))


def test_a_random_pair_depends_on_the_seed_only(foundation: FoundationModel) -> None:
    tokens = given(foundation, "screw", "cable", tokens=1)
    first, again, other = (
        class_prompts(t, pair="random", seed=s).text_features(foundation)
        for t, s in ((tokens, 0), (tokens.flip(0), 0), (tokens, 1))
    )
    assert torch.equal(first, again) and torch.equal(first[0], first[1]) and not torch.equal(first, other)
    torch.testing.assert_close(first.norm(dim=-1), torch.ones(2, 2))
    assert (first[0, 0] @ first[0, 1]).abs() < 0.5
    assert torch.equal(
        class_prompts(tokens, pair="random").name_features(foundation), class_prompts(tokens).name_features(foundation)
    )


def test_one_wording_is_enough(foundation: FoundationModel) -> None:
    config = default().override('prompts.normal=["a normal {}"]').override('prompts.abnormal=["an abnormal {}"]')
    model = build_model(config, foundation, given(foundation, "screw", tokens=2))
    model.read_names(foundation)
    torch.testing.assert_close(model.text_features[0], read(foundation, "a normal screw", "an abnormal screw"))


# Synthesis


@pytest.mark.parametrize("layout", [1, 8])
def test_the_generator_draws_maps_of_the_real_shapes(layout: int, generator: torch.Generator) -> None:
    torch.manual_seed(0)
    grids = [(16, 16), (8, 8)]
    vae = FeatureVAE(
        deepest_channels=6, joint_dim=5, channels=[4, 7], grids=grids, latent=3, layout=layout, layouts=2, width=16
    )
    deepest, names = torch.randn(2, 6, 4, 4), torch.randn(2, 5, requires_grad=True)
    drawn = vae(deepest, names, generator)
    assert [tuple(m.shape) for m in drawn.maps] == [(2, 4, 16, 16), (2, 7, 8, 8)]
    assert drawn.mean.shape == drawn.log_variance.shape == (2, 3, layout, layout)
    for synthesised in drawn.maps:
        (gradient,) = torch.autograd.grad(synthesised[0].sum(), [names], retain_graph=True)
        assert gradient[0].abs().min() > 0  # the name conditions every stride
        assert gradient[1].abs().max() == 0  # and only its own image
        inside = synthesised[0, :, 3:-3, 3:-3]  # without what the border of a convolution adds
        assert inside.std((1, 2)).min() > 1e-3  # even a global latent is not the same everywhere
    assert not torch.equal(vae(deepest, names, generator).maps[0], drawn.maps[0])


@pytest.mark.parametrize("layout", [1, 4])
def test_the_prior_needs_the_name_only(layout: int, generator: torch.Generator) -> None:
    torch.manual_seed(0)
    grids = [(16, 16), (8, 8)]
    vae = FeatureVAE(
        deepest_channels=6, joint_dim=5, channels=[4, 7], grids=grids, latent=3, layout=layout, layouts=2, width=16
    )
    names = torch.randn(1, 5).expand(2, -1)
    state = generator.get_state()
    maps = vae.draw(names, generator)
    assert [tuple(m.shape) for m in maps] == [(2, 4, 16, 16), (2, 7, 8, 8)]
    assert (maps[0][0] - maps[0][1]).abs().max() > 1e-3  # every image is another
    latent = torch.randn(2, 3, layout, layout, generator=generator.set_state(state))
    for drawn, decoded, others in zip(maps, vae.decode(latent, names), vae.decode(latent, names + 1), strict=True):
        assert torch.equal(drawn, decoded) and not torch.equal(drawn, others)


# Reconstruction


@pytest.mark.parametrize(("grid_size", "side"), [((5, 7), 3), ((4, 4), 1), ((6, 3), 5), ((3, 3), 7), ((4, 5), 0)])
def test_a_token_may_not_look_at_its_neighbours(grid_size: tuple[int, int], side: int) -> None:
    h, w = grid_size
    mask = neighbour_mask(grid_size, side)
    for i in range(h * w):
        for j in range(h * w):
            near = abs(i // w - j // w) <= side // 2 and abs(i % w - j % w) <= side // 2
            assert mask[i, j] == (side == 0 or not near)


def test_attention_sees_exactly_what_the_mask_allows() -> None:
    torch.manual_seed(0)
    attention, mask = Attention(8, 2), neighbour_mask((5, 5), 3)
    query, memory, position = torch.randn(1, 25, 8), torch.randn(1, 25, 8), torch.randn(25, 8)
    before = attention(query, memory, position, mask)
    for changed in (0, 7, 12):
        other = memory.clone()
        other[:, changed] += 1
        moved = (attention(query, other, position, mask) - before).abs().amax((0, 2)) > 1e-7
        assert torch.equal(moved, mask[:, changed])


def test_positions_tell_where_to_look_but_are_no_content() -> None:
    torch.manual_seed(0)
    attention, everything = Attention(8, 2), torch.ones(9, 9, dtype=torch.bool)
    position, same = torch.randn(9, 8), torch.randn(1, 1, 8).expand(1, 9, 8)
    before = attention(same, same, position, everything)
    torch.testing.assert_close(attention(same, same, 5 * position, everything), before)
    memory = torch.randn(1, 9, 8)
    moved = attention(same, memory, 5 * position, everything) - attention(same, memory, position, everything)
    assert moved.abs().max() > 1e-3


def reconstruction_module(**options: int) -> ReconstructionModule:
    torch.manual_seed(0)
    settings = {"dim": 16, "depth": 1, "heads": 2, "pack": 1, "neighbourhood": 3, "layer_queries": True} | options
    return ReconstructionModule(4, (8, 12), **settings).eval()


def test_what_nobody_may_look_at_never_gets_through() -> None:
    """With everything masked a shortcut past the attention would be the only way from input to output."""
    module = reconstruction_module(neighbourhood=99)
    patches = torch.randn(2, 96, 4)
    torch.testing.assert_close(module(patches), module(3 * patches + 1))
    seeing = reconstruction_module(neighbourhood=3)
    assert (seeing(patches) - seeing(3 * patches + 1)).abs().max() > 1e-3


def test_every_layer_has_a_query_of_its_own_or_all_share_one() -> None:
    own, shared = (reconstruction_module(depth=3, layer_queries=each) for each in (True, False))
    assert [layer.query is not None for layer in own.decoder] == [True] * 3
    queries = [name for name, _ in shared.named_parameters() if name.endswith("query")]
    assert queries == [name for name in shared.state_dict() if name.endswith("query")] == ["decoder.0.query"]
    patches = torch.randn(2, 96, 4)
    with torch.no_grad():
        for layer in own.decoder[1:]:
            layer.query.copy_(own.decoder[0].query)
        assert torch.equal(own(patches), shared(patches))
        own.decoder[2].query.zero_()
        assert not torch.equal(own(patches), shared(patches))


def test_packing_joins_neighbours_and_is_undone() -> None:
    module = reconstruction_module(depth=0, pack=2)
    seen: list[Tensor] = []

    class Eraser(nn.Module):
        def forward(self, tokens: Tensor) -> Tensor:
            seen.append(tokens)
            return torch.cat([tokens[:, :1], 0 * tokens[:, 1:2], tokens[:, 2:]], dim=1)

    module.embed = module.norm = nn.Identity()
    module.unembed = Eraser()
    patches = torch.randn(2, 96, 4)
    rebuilt = module(patches).unflatten(1, (8, 12))
    assert seen[0].shape == (2, 24, 16)
    expected = patches.unflatten(1, (8, 12)).clone()
    expected[:, 0:2, 2:4] = 0  # the second token is the second block of 2 x 2 patches in the first row
    assert torch.equal(rebuilt, expected)


def test_packs_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"pack must divide the patch grid \(8, 12\), got 3"):
        reconstruction_module(pack=3)


# Semantics


def test_the_logit_grows_towards_the_abnormal_prompt() -> None:
    module = SemanticModule([1, 2], 3, by_stride=False, hidden=4, temperature=0.1)
    module.project = nn.Identity()
    normal, abnormal = torch.eye(3)[0], torch.eye(3)[1]
    text = torch.stack([normal, abnormal])[None]
    patches = torch.stack([5 * normal, 5 * abnormal, normal + abnormal])[None]
    torch.testing.assert_close(module(patches, text), torch.tensor([[-10.0, 10.0, 0.0]]))
    torch.testing.assert_close(module(patches, text.flip(1)), torch.tensor([[10.0, -10.0, 0.0]]))


@pytest.mark.parametrize("hidden", [0, 4])
def test_a_projection_per_stride_averages_what_each_says(hidden: int) -> None:
    torch.manual_seed(0)
    module = SemanticModule([2, 3], 6, by_stride=True, hidden=hidden, temperature=0.1)
    patches = torch.randn(1, 7, 5)
    whole = module.project(patches)
    assert whole.shape == (1, 7, 6)
    fine, coarse = torch.cat([patches[..., :2], torch.zeros(1, 7, 3)], -1), patches.clone()
    coarse[..., :2] = 0
    torch.testing.assert_close(whole + module.project(0 * patches), module.project(fine) + module.project(coarse))
    other = SemanticModule([2, 3], 6, by_stride=False, hidden=4, temperature=0.1).project  # is no such sum
    assert (other(patches) + other(0 * patches) - other(fine) - other(coarse)).abs().max() > 1e-3


def test_without_a_hidden_layer_the_projection_is_linear() -> None:
    for hidden, is_linear in ((0, True), (4, False)):
        torch.manual_seed(0)
        project = SemanticModule([2, 3], 6, by_stride=False, hidden=hidden, temperature=0.1).project
        patches = torch.randn(1, 7, 5)
        doubled = project(2 * patches) + project(0 * patches)
        assert torch.allclose(doubled, 2 * project(patches), atol=1e-5) == is_linear


def test_each_image_is_judged_by_its_own_class(
    model: LTAD, foundation: FoundationModel, generator: torch.Generator
) -> None:
    maps = some_maps(foundation, 1, generator)
    first, second = (model(maps, torch.tensor([class_id])) for class_id in (0, 1))
    assert (first.semantic_logits - second.semantic_logits).abs().max() > 1e-4
    assert torch.equal(first.reconstructed_features, second.reconstructed_features)  # one for all classes


# All together


def test_an_image_does_not_depend_on_its_batch(
    model: LTAD, foundation: FoundationModel, generator: torch.Generator
) -> None:
    maps, class_ids = some_maps(foundation, 3, generator), torch.tensor([2, 0, 1])
    together = model(maps, class_ids)
    assert together.patch_features.shape == together.reconstructed_features.shape == (3, 256, 168)
    assert together.semantic_logits.shape == (3, 256) and together.memory_distances.shape == (3, 3, 256)
    for i in range(3):
        alone = model([m[i : i + 1] for m in maps], class_ids[i : i + 1])
        for part, whole in zip(alone, together, strict=True):
            torch.testing.assert_close(part, whole[i : i + 1], atol=1e-4, rtol=1e-4)


def test_matching_is_the_cosine_to_the_names(model: LTAD) -> None:
    similarity = model.match(model.name_features)
    torch.testing.assert_close(similarity.diag(), torch.ones(CLASSES))
    assert (similarity.argmax(1) == torch.arange(CLASSES)).all()


def test_a_state_dict_holds_what_was_learned_and_nothing_frozen(model: LTAD) -> None:
    state = model.state_dict()
    roots = {
        "patches",
        "prompts",
        "synthesis",
        "reconstruction",
        "memories",
        "semantic",
        "name_features",
        "text_features",
        "class_embeddings",
    }
    assert {name.split(".")[0] for name in state} == roots
    assert sum(t.numel() for t in state.values() if t.is_floating_point()) < 1_000_000


@pytest.mark.parametrize("config", [default(), paper()], ids=["default", "paper"])
def test_both_presets_can_be_built(foundation: FoundationModel, config: LTADConfig) -> None:
    model = build_model(config, foundation, torch.zeros(2, 2, foundation.token_size))
    assert model.patches.grid_size == (16, 16)
    assert model.patches.channels == (48, 120)


@pytest.mark.parametrize(
    "assignments",
    [
        ["prompts.pair=shared"],
        ["prompts.pair=shared", "prompts.start=part"],
        ["prompts.pair=random"],
        ["prompts.pair=random", "seed=1"],
        ["reconstruction.neighbourhood=0"],
        ["reconstruction.depth=2", "reconstruction.layer_queries=false"],
        ["semantic.projection=stride"],
        ["semantic.hidden=0"],
    ],
    ids=" ".join,
)
def test_every_setting_reaches_the_model(
    assignments: list[str], foundation: FoundationModel, tiny_config: LTADConfig, generator: torch.Generator
) -> None:
    """The last assignment of each list changes what the model says; the others hold before and after it."""
    maps, class_ids = some_maps(foundation, 1, generator), torch.tensor([0])
    config, outputs = tiny_config, []
    for assignment in ["seed=0", *assignments]:
        config = config.override(assignment)
        torch.manual_seed(0)
        model = build_model(config, foundation, given(foundation, "screw", tokens=2))
        model.read_names(foundation)
        outputs.append(torch.cat([part.flatten() for part in model(maps, class_ids)[1:4]]))
    assert (outputs[-1] - outputs[-2]).abs().max() > 1e-3


def test_unknown_strides_are_refused(foundation: FoundationModel) -> None:
    config = default().override("patches.strides=[4]")
    with pytest.raises(ValueError, match=r"different ones of \[8, 16, 32\], which align-mini has, got \[4\]: .*=\[8\]"):
        build_model(config, foundation, torch.zeros(2, 2, foundation.token_size))


# Losses


def test_losses_by_hand(generator: torch.Generator) -> None:
    maps, zeros = [torch.randn(2, 3, 4, 4), torch.randn(2, 5, 2, 2)], torch.zeros(2, 3, 1, 1)
    assert vae_loss(maps, maps, zeros, zeros, 1.0) == 0
    assert vae_loss(maps, maps, zeros + 2, zeros, 0.5).item() == pytest.approx(0.5 * 2)
    assert vae_loss(maps, [maps[0] + 1, maps[1] + 3], zeros, zeros, 1.0).item() == pytest.approx((1 + 9) / 2)
    assert reconstruction_loss(maps[0], maps[0] - 2).item() == pytest.approx(4)
    far = torch.full((2, 4), 20.0)
    assert semantic_loss(-far, far) < 1e-6 < 10 < semantic_loss(far, -far)
    names = torch.eye(3)
    right, wrong = (name_loss(names, names, ids, 0.05) for ids in (torch.arange(3), torch.tensor([1, 2, 0])))
    assert right < 1e-6 < 10 < wrong


def test_noise_is_measured_by_the_patch(generator: torch.Generator) -> None:
    patches = torch.tensor([1.0, 10.0])[:, None, None] * torch.ones(2, 500, 64)
    noise = torch.randn(patches.shape, generator=generator)
    assert torch.equal(jitter(patches, 0.0, noise), patches)
    noise = (jitter(patches, 20.0, noise) - patches).std((1, 2))
    torch.testing.assert_close(noise, 20 * torch.tensor([8.0, 80.0]) / 64, rtol=0.05, atol=0)  # ‖p‖ = 8 and 80
