"""The twelve products: how each is built, lit, and what can go wrong with it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ltad.data.demo.board import LAMINATE, printed_board
from ltad.data.demo.capsule import capsule
from ltad.data.demo.connector import connector
from ltad.data.demo.hard import brushed_metal, ceramic_tile
from ltad.data.demo.lighting import Rig
from ltad.data.demo.metalware import bottle_cap, gear, hex_nut
from ltad.data.demo.natural import leather, wood
from ltad.data.demo.strokes import Flaw
from ltad.data.demo.surface import Surface
from ltad.data.demo.textile import woven_fabric
from ltad.data.demo.zipper import zipper

from . import defects

Build = Callable[[np.random.Generator, Flaw | None], Surface]
Damage = Callable[[Surface, Flaw], None]


@dataclass(frozen=True, kw_only=True)
class Product:
    """A class: ``build`` makes its surface, ``damage`` maps each kind of defect to what it does.

    A kind that maps to None is one that ``build`` itself knows how to make (a missing tooth is never cut).
    """

    build: Build
    rig: Rig
    damage: Mapping[str, Damage | None]


RAKING = Rig(elevation=(24, 42), softness=(0.12, 0.3), room=(0.25, 0.5))
SOFTBOX = Rig(elevation=(42, 64), softness=(0.12, 0.3), room=(0.35, 0.6), sweep=0.12)
GLOSSY = Rig(elevation=(48, 70), softness=(0.08, 0.16), room=(0.35, 0.6), sweep=0.12)
STEEL = (0.50, 0.49, 0.47)
DARK_CLAY = (0.14, 0.07, 0.04)

PRODUCTS: dict[str, Product] = {
    "bottle_cap": Product(
        build=bottle_cap,
        rig=GLOSSY,
        damage={
            "bent_rim": None,
            "misprint": None,
            "dent": partial(defects.dent, radius=(9, 26), depth=(1.1, 5.5)),
            "scratch": partial(defects.scratch, reveal=STEEL, bare_metal=0.9),
            "rust": partial(defects.rust, radius=(5, 18)),
        },
    ),
    "brushed_metal": Product(
        build=brushed_metal,
        rig=Rig(elevation=(50, 70), softness=(0.2, 0.4), room=(0.35, 0.55), exposure=0.5, sweep=0.2),
        damage={
            "scratch": partial(defects.scratch, lighten=1.35, bare_metal=1.0, depth=(0.1, 0.6)),
            "dent": partial(defects.dent, radius=(7, 26), depth=(0.35, 2.5)),
            "rust": partial(defects.rust, radius=(3, 18)),
            "stain": partial(defects.stain, colour=(0.62, 0.52, 0.42), strength=(0.15, 0.7), gloss=0.5),
            "scuff": partial(defects.scuff, lighten=1.25, roughness=0.6),
        },
    ),
    "capsule": Product(
        build=capsule,
        rig=replace(GLOSSY, azimuth=(248, 292), exposure=0.85),
        damage={
            "squeezed": None,
            "dimple": None,
            "misprint": None,
            "crack": partial(defects.crack, length=(16, 60), dark=0.3),
            "hole": partial(defects.hole, radius=(1.6, 5.5), inner=(0.06, 0.04, 0.03), depth=5),
            "contamination": partial(defects.contamination, colour=(0.16, 0.13, 0.10), radius=(1.0, 3.6)),
        },
    ),
    "ceramic_tile": Product(
        build=ceramic_tile,
        rig=Rig(elevation=(68, 83), softness=(0.1, 0.2), room=(0.3, 0.55), exposure=0.95, sweep=0.17),
        damage={
            "chip": None,
            "crack": partial(defects.crack, dark=0.2, length=(50, 190)),
            "pinhole": partial(defects.hole, radius=(1.2, 4.5), inner=DARK_CLAY, depth=1.5, rim=0.5),
            "grout_smear": partial(
                defects.smear, colour=(0.52, 0.50, 0.46), roughness=0.95, thickness=0.6, strength=(0.35, 1.0)
            ),
            "stain": partial(defects.stain, colour=(0.55, 0.36, 0.18), strength=(0.2, 0.75), gloss=0.4),
        },
    ),
    "connector": Product(
        build=connector,
        rig=SOFTBOX,
        damage={
            "missing_pin": None,
            "bent_pin": None,
            "broken_wall": None,
            "melted": None,
            "bridge": None,
            "contamination": partial(defects.contamination, colour=(0.07, 0.06, 0.05), radius=(2.6, 6.5)),
        },
    ),
    "gear": Product(
        build=gear,
        rig=SOFTBOX,
        damage={
            "missing_tooth": None,
            "worn_tooth": None,
            "crack": partial(defects.crack, length=(28, 85), dark=0.06),
            "rust": partial(defects.rust, radius=(5, 20)),
            "grease": partial(
                defects.smear, colour=(0.035, 0.028, 0.02), roughness=0.3, radius=(5, 13), strength=(0.6, 0.98)
            ),
        },
    ),
    "hex_nut": Product(
        build=hex_nut,
        rig=SOFTBOX,
        damage={
            "broken_corner": None,
            "damaged_thread": None,
            "crack": partial(defects.crack, length=(14, 48)),
            "rust": partial(defects.rust, radius=(6, 20)),
            "scratch": partial(defects.scratch, lighten=1.5, length=(26, 80), depth=(0.5, 1.6)),
        },
    ),
    "leather": Product(
        build=leather,
        rig=RAKING,
        damage={
            "cut": partial(
                defects.scratch, reveal=(0.05, 0.035, 0.025), width=(0.7, 2.4), depth=(1.2, 3.4), length=(34, 95)
            ),
            "scuff": partial(defects.scuff, reveal=(0.48, 0.36, 0.25)),
            "hole": partial(defects.hole, radius=(1.4, 6), depth=4),
            "discolouration": partial(defects.discolour, shift=(1.9, 2.2, 2.3)),
            "glue": partial(defects.smear, colour=(0.34, 0.30, 0.22), roughness=0.16, strength=(0.06, 0.5)),
        },
    ),
    "printed_board": Product(
        build=printed_board,
        rig=replace(SOFTBOX, azimuth=(225, 275), softness=(0.25, 0.45)),
        damage={
            "missing_part": None,
            "shifted_part": None,
            "solder_bridge": None,
            "cut_track": None,
            "misprint": None,
            "scratch": partial(defects.scratch, reveal=LAMINATE, length=(24, 90)),
            "burn": partial(defects.burn, radius=(9, 24)),
        },
    ),
    "wood": Product(
        build=wood,
        rig=RAKING,
        damage={
            "scratch": partial(defects.scratch, lighten=1.6, depth=(0.4, 1.6)),
            "crack": partial(defects.crack),
            "hole": partial(defects.hole, radius=(1.6, 6), rim=0.3, depth=5),
            "stain": partial(defects.stain, colour=(0.28, 0.22, 0.2)),
            "burn": partial(defects.burn),
            "dent": partial(defects.dent, radius=(8, 22), depth=(1.4, 5.0)),
        },
    ),
    "woven_fabric": Product(
        build=woven_fabric,
        rig=RAKING,
        damage={
            "missing_thread": None,
            "wrong_thread": None,
            "snag": None,
            "hole": partial(defects.hole, radius=(3.5, 11), depth=6),
            "stain": partial(defects.stain, colour=(0.22, 0.15, 0.10), radius=(14, 40)),
            "loose_fibre": partial(defects.fibre, width=(0.9, 2.0), length=(30, 100)),
        },
    ),
    "zipper": Product(
        build=zipper,
        rig=SOFTBOX,
        damage={
            "missing_tooth": None,
            "bent_tooth": None,
            "split": None,
            "hole": partial(defects.hole, radius=(2.5, 8), inner=(0.03, 0.035, 0.045), depth=4),
            "loose_fibre": partial(defects.fibre, colour=(0.42, 0.41, 0.39)),
            "stain": partial(defects.stain, colour=(3.0, 2.8, 2.2), strength=(0.4, 0.9), radius=(12, 34)),
        },
    ),
}
