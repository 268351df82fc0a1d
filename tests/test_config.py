"""Every switch by its name, and what is out of range in a sentence."""

import pytest

from ltad.config import LTADConfig
from ltad.presets import PRESETS, default, paper

SWITCHES = {
    "patches.grid=coarsest": "coarsest",
    "prompts.tokens=8": 8,
    "prompts.start=part": "part",
    "prompts.start={}": "{}",
    'prompts.start="{}"': "{}",
    "prompts.start=null": "null",  # a word, too
    'prompts.normal=["a normal {}"]': ("a normal {}",),
    "prompts.learned=false": False,
    "prompts.pair=shared": "shared",
    "prompts.pair=random": "random",
    "synthesis.layout=1": 1,
    "reconstruction.neighbourhood=0": 0,
    "reconstruction.layer_queries=false": False,
    "semantic.projection=stride": "stride",
    "semantic.hidden=0": 0,
    "phase2.reconstruction_jitter=0": 0.0,
    "phase2.same_noise=true": True,
    "phase2.synthesis_source=prior": "prior",
    "phase2.synthesis_probability=1": 1.0,
    "phase2.tail_synthesis_probability=0.75": 0.75,
    "phase2.tail_synthesis_probability=0": 0.0,
    "phase2.tail_synthesis_probability=null": None,
}

REFUSED = {
    "patches.grid=middle": "grid must be one of finest, coarsest, got 'middle'",
    "prompts.tokens=0": "tokens must be 1 to 8, got 0",
    "prompts.tokens=9": "tokens must be 1 to 8, got 9",
    "prompts.start= ": r"prompts\.start must be a word or \{\}, got ' '",
    'prompts.normal=["a normal"]': r"a prompt must hold \{\} once, for the name, got 'a normal'",
    "prompts.normal=[]": r"prompts\.normal must be a list, got \[\]",
    "prompts.learned=1": r"prompts\.learned must be of type bool, got 1",
    "prompts.learned=no": r"prompts\.learned must be of type bool, got 'no'",
    "prompts.pair=none": "pair must be one of class, shared, random, got 'none'",
    "prompts.pair=3": "pair must be one of class, shared, random, got '3'",
    "synthesis.layout=0": "layout must be 1 to 64, got 0",
    "synthesis.layout=true": r"synthesis\.layout must be of type int, got True",
    "reconstruction.neighbourhood=2": r"reconstruction\.neighbourhood must be odd or 0, got 2",
    "reconstruction.neighbourhood=-1": "neighbourhood must be 0 to 1000000, got -1",
    "reconstruction.layer_queries=0": r"reconstruction\.layer_queries must be of type bool, got 0",
    "semantic.projection=patch": "projection must be one of joint, stride, got 'patch'",
    "semantic.hidden=-1": "hidden must be 0 to 8192, got -1",
    "phase2.reconstruction_jitter=-1": "reconstruction_jitter must be finite and not negative, got -1.0",
    "phase2.same_noise=5": r"phase2\.same_noise must be of type bool, got 5",
    "phase2.synthesis_source=both": "synthesis_source must be one of posterior, prior, got 'both'",
    "phase2.synthesis_probability=1.5": r"synthesis_probability must be in \[0, 1\], got 1.5",
    "phase2.synthesis_probability=null": r"phase2\.synthesis_probability must be of type float, got None",
    "phase2.tail_synthesis_probability=2": r"tail_synthesis_probability must be in \[0, 1\], got 2.0",
    "phase2.tail_synthesis_probability=-1": "tail_synthesis_probability must be finite and not negative, got -1.0",
    "phase2.tail_synthesis_probability=all": r"tail_synthesis_probability must be of type float, got 'all'",
}


@pytest.mark.parametrize("assignment", SWITCHES)
def test_every_switch_is_reached_by_its_name(assignment: str) -> None:
    config = default().override(assignment)
    section, name = assignment.partition("=")[0].split(".")
    value = getattr(getattr(config, section), name)
    assert value == SWITCHES[assignment] and type(value) is type(SWITCHES[assignment])
    assert LTADConfig.from_dict(config.to_dict()) == config


def test_switches_that_fit_only_together_are_changed_together() -> None:
    changes = ("memory.strides=[16]", "memory.pools=[1]", 'memory.metrics=["cosine"]', "memory.weights=[1.0]")
    assert default().override(*changes).memory.strides == (16,)
    with pytest.raises(ValueError, match="must be of one length"):
        default().override(*changes[:2])


@pytest.mark.parametrize("assignment", REFUSED)
def test_what_is_out_of_range_is_refused_with_a_sentence(assignment: str) -> None:
    with pytest.raises(ValueError, match=f"{REFUSED[assignment]}$"):
        default().override(assignment)


@pytest.mark.parametrize("value", [[1], {}, None, 3, True])
def test_a_choice_of_another_type_is_refused(value: object) -> None:
    values = default().to_dict()
    values["prompts"]["pair"] = value
    with pytest.raises(ValueError, match="pair must be one of class, shared, random, got"):
        LTADConfig.from_dict(values)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_survives_being_written(preset: str) -> None:
    config = PRESETS[preset]()
    assert LTADConfig.from_dict(config.to_dict()) == config


def test_the_preset_of_the_paper_takes_what_is_known_of_it() -> None:
    config = paper()
    assert len(config.patches.strides) > 1  # several layers
    assert (config.prompts.learned, config.prompts.pair) == (True, "class")
    assert len(config.prompts.normal) == len(config.prompts.abnormal) == 1
    assert (config.synthesis.layout, config.phase1.contrastive_weight) == (1, 0)
    assert (config.semantic.projection, config.reconstruction.pack) == ("stride", 1)
    assert config.phase2.same_noise and config.phase2.reconstruction_jitter == config.phase2.semantic_jitter
    assert config.phase2.tail_synthesis_probability is None
