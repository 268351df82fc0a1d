"""The artwork of a circuit board: what is where, and its layers drawn as a board house would make them."""

from dataclasses import dataclass, field, replace
from functools import cache
from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ltad.data.demo.geometry import OVERSAMPLING
from ltad.data.demo.strokes import Flaw

IN_SIGHT = 82  # pixels from the middle, within which a mistake is sure to be photographed
BOARD = 400  # pixels across; more than the frame, so that the edge stays out of it


@dataclass(frozen=True)
class Part:
    """A component: its kind, middle and turn in degrees, and how many leads it has per side (chips with legs)."""

    kind: str
    x: float
    y: float
    turn: float
    name: str
    leads: int = 0


# Body width and height, pad offset from the middle, pad half sizes, all in pixels; then height and body colour.
SHAPES = {
    "resistor": ((15, 8.5), 8.0, (3.6, 5.0), 4.0, (0.022, 0.022, 0.024)),
    "capacitor": ((14, 9), 8.0, (3.6, 5.2), 7.0, (0.33, 0.235, 0.14)),
    "diode": ((19, 11), 11.0, (3.6, 5.0), 8.0, (0.03, 0.03, 0.032)),
    "chip": ((0, 34), 23.5, (1.9, 5.2), 10.0, (0.026, 0.027, 0.029)),
}
LEAD_PITCH = 8.0

PARTS = (
    Part("chip", -42, -30, 0, "U3", 8),
    Part("chip", 58, 44, 90, "U4", 5),
    Part("resistor", 36, -72, 0, "R11"),
    Part("resistor", 36, -48, 0, "R12"),
    Part("resistor", 36, -24, 0, "R13"),
    Part("capacitor", 82, -58, 90, "C7"),
    Part("capacitor", 104, -58, 90, "C8"),
    Part("capacitor", -88, 34, 0, "C2"),
    Part("capacitor", -88, 60, 0, "C3"),
    Part("diode", -34, 52, 0, "D1"),
    Part("resistor", -20, 88, 90, "R4"),
    Part("resistor", 0, 88, 90, "R5"),
    Part("capacitor", -110, -90, 90, "C1"),
    Part("resistor", 100, -104, 0, "R20"),
    Part("resistor", -64, 104, 0, "R7"),
)
TRACKS = (
    ((-70, -7), (-70, 20), (-104, 34)),
    ((-62, -7), (-62, 30), (-80, 34)),
    ((-54, -7), (-54, 44), (-46, 52)),
    ((-46, -7), (-46, 30), (-30, 40), (-22, 52)),
    ((-38, -7), (-38, 20), (-6, 50), (0, 78)),
    ((-30, -7), (-30, 10), (10, 50), (34, 50)),
    ((-22, -7), (-22, 2), (20, 42), (34, 42)),
    ((-14, -7), (-14, -2), (28, 34), (34, 34)),
    ((-14, -53), (4, -72), (28, -72)),
    ((-22, -53), (-22, -76), (60, -90), (90, -104)),
    ((-30, -53), (-30, -88), (-60, -110), (-160, -110)),
    ((-38, -53), (-38, -80), (-52, -96), (-170, -96)),
    ((44, -48), (70, -50), (82, -50)),
    ((44, -24), (72, -24), (92, -10), (92, 10), (82, 28)),
    ((44, -72), (60, -72), (82, -66)),
    ((104, -50), (104, 20), (96, 34), (82, 44)),
    ((-20, 96), (-20, 110), (-10, 124), (-10, 190)),
    ((0, 96), (0, 108), (30, 120), (150, 120)),
    ((-96, 60), (-118, 70), (-118, 170)),
    ((82, 60), (110, 76), (180, 76)),
    ((34, 58), (20, 70), (20, 100), (44, 112), (160, 112)),
    ((-56, 104), (-40, 104), (-20, 90)),
    ((-110, -82), (-110, -60), (-130, -40), (-180, -40)),
)
VIAS: tuple[tuple[float, float], ...] = (
    (-104, 20),
    (-54, 66),
    (20, -12),
    (70, -12),
    (-100, -60),
    (4, -92),
    (62, 86),
    (100, 96),
    (-82, 82),
    (116, -20),
    (-116, 8),
    (46, 8),
    (-2, 22),
    (-40, 120),
    (64, -112),
    (-72, -72),
    (24, 122),
    (-118, 110),
    (120, 46),
    (8, -40),
)


class _Sheet:
    """One layer of the artwork, in board pixels around the board's middle."""

    def __init__(self) -> None:
        """Start with an empty layer."""
        self.image = Image.new("L", (BOARD * OVERSAMPLING,) * 2)
        self.draw = ImageDraw.Draw(self.image)

    def at(self, points: np.ndarray) -> list[tuple[float, float]]:
        """Turn board pixels into dots."""
        return [tuple(p) for p in (np.asarray(points, float) + BOARD / 2) * OVERSAMPLING]

    def line(self, points: np.ndarray, width: float, fill: int = 255) -> None:
        """Draw a track with round joints."""
        self.draw.line(self.at(points), fill=fill, width=round(width * OVERSAMPLING), joint="curve")

    def disc(self, x: float, y: float, radius: float, fill: int = 255) -> None:
        """Draw a filled circle."""
        (left, top), (right, bottom) = self.at(np.array([[x - radius, y - radius], [x + radius, y + radius]]))
        self.draw.ellipse((left, top, right, bottom), fill=fill)

    def slab(
        self, part: Part, dx: float, dy: float, half: tuple[float, float], fill: int = 255, outline: int | None = None
    ) -> None:
        """Draw a rectangle at (dx, dy) in a component's own turned frame; an outline is two dots wide."""
        a = np.deg2rad(part.turn)
        corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * np.asarray(half) + (dx, dy)
        turned = corners @ np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]]) + (part.x, part.y)
        self.draw.polygon(self.at(turned), fill=fill, outline=outline, width=2)


@dataclass
class Artwork:
    """The layers of one board; values are coverage, but ``body`` counts component heights in 1/20 pixel."""

    copper: _Sheet = field(default_factory=_Sheet)
    pads: _Sheet = field(default_factory=_Sheet)
    drills: _Sheet = field(default_factory=_Sheet)
    ink: _Sheet = field(default_factory=_Sheet)
    body: _Sheet = field(default_factory=_Sheet)
    kind: _Sheet = field(default_factory=_Sheet)
    metal: _Sheet = field(default_factory=_Sheet)


def _pads(part: Part) -> list[tuple[float, float]]:
    """Give the middles of a component's pads in its own frame."""
    _, offset, _, _, _ = SHAPES[part.kind]
    if not part.leads:
        return [(-offset, 0.0), (offset, 0.0)]
    places = [(k - (part.leads - 1) / 2) * LEAD_PITCH for k in range(part.leads)]
    return [(x, side * offset) for side in (-1, 1) for x in places]


def _draw_part(art: Artwork, part: Part) -> None:
    """Put a component's body and metal on the board."""
    (width, height), _, _, thickness, _ = SHAPES[part.kind]
    index = 1 + list(SHAPES).index(part.kind)
    tall = int(20 * thickness)
    if part.leads:
        half = (part.leads * LEAD_PITCH / 2 + 1, height / 2)
        for x, y in _pads(part):
            side = np.sign(y)
            art.body.slab(part, x, y - side * 4, (1.5, 4.5), fill=int(0.35 * tall))
            art.metal.slab(part, x, y - side * 3, (1.5, 5.5))
        art.metal.slab(part, 0, 0, half, fill=0)
        art.body.slab(part, 0, 0, half, fill=tall)
        art.kind.slab(part, 0, 0, half, fill=index)
        return
    art.body.slab(part, 0, 0, (width / 2, height / 2), fill=tall)
    art.kind.slab(part, 0, 0, (width / 2, height / 2), fill=index)
    for x, _ in _pads(part):
        end = np.sign(x) * (width / 2 - 1.4)
        art.metal.slab(part, end, 0, (1.7, height / 2))


def _draw_ink(art: Artwork, parts: tuple[Part, ...], flaw: Flaw | None) -> None:
    """Print outlines and names; a misprint displaces, drops or overprints one name."""
    seen = [k for k, part in enumerate(parts) if max(abs(part.x), abs(part.y)) < IN_SIGHT]
    wrong = int(flaw.rng.choice(seen)) if flaw and flaw.kind == "misprint" else -1
    for number, part in enumerate(parts):
        (_, height), offset, _, _, _ = SHAPES[part.kind]
        half = (part.leads * LEAD_PITCH / 2 + 3, height / 2 - 3) if part.leads else (offset + 6, height / 2 + 3)
        art.ink.slab(part, 0, 0, half, fill=0, outline=230)
        upright = part.turn == 0
        reach = 36 if part.leads else (half[1] if upright else half[0]) + 5
        x, y = part.x, part.y - reach
        font = ImageFont.load_default(size=18 if part.leads else 15)
        texts = [(x, y, part.name)]
        if number == wrong and flaw:
            shift = flaw.between(6, 15) * np.array([flaw.rng.uniform(-1, 1), -0.7])
            moved = (x + shift[0], y + shift[1], part.name)
            texts = [[moved], [], [*texts, moved]][flaw.rng.integers(3)]
        for left, top, text in texts:
            art.ink.draw.text(art.ink.at(np.array([[left, top]]))[0], text, fill=235, font=font, anchor="mm")
    art.ink.draw.text(art.ink.at(np.array([[-72, -116]]))[0], "LT-200 REV C", fill=235, anchor="mm", font_size=20)


def _displaced(parts: tuple[Part, ...], flaw: Flaw) -> list[Part]:
    """Leave out or push aside one of the small components."""
    small = [k for k, part in enumerate(parts) if not part.leads and max(abs(part.x), abs(part.y)) < IN_SIGHT]
    chosen = int(flaw.rng.choice(small))
    placed = list(parts)
    if flaw.kind == "missing_part":
        del placed[chosen]
        return placed
    part = parts[chosen]
    angle, away = flaw.rng.uniform(0, 2 * np.pi), flaw.between(1.0, 5)
    turn = part.turn + flaw.rng.choice([-1, 1]) * flaw.between(10, 50)
    placed[chosen] = replace(part, x=part.x + away * np.cos(angle), y=part.y + away * np.sin(angle), turn=turn)
    return placed


def _cut_track(art: Artwork, flaw: Flaw) -> None:
    """Etch one track through, somewhere inside the frame."""
    legs = [np.array(leg, float) for track in TRACKS for leg in pairwise(track)]
    legs = [leg for leg in legs if np.abs(leg).max() < IN_SIGHT and np.linalg.norm(leg[1] - leg[0]) > 14]
    start, end = legs[flaw.rng.integers(len(legs))]
    middle = start + flaw.rng.uniform(0.35, 0.65) * (end - start)
    along = (end - start) / np.linalg.norm(end - start)
    gap = flaw.between(4.0, 13)
    art.copper.line(np.stack([middle - gap * along, middle + gap * along]), 4.0, fill=0)


def _bridge(art: Artwork, flaw: Flaw) -> None:
    """Let solder flow between two neighbouring leads of a chip."""
    chips = [part for part in PARTS if part.leads]
    part = chips[flaw.rng.integers(len(chips))]
    k = flaw.rng.integers(part.leads - 1)
    x, y = (k + 1 - part.leads / 2) * LEAD_PITCH, flaw.rng.choice([-1, 1]) * 23.5
    half = (4.0, flaw.between(1.8, 5))
    art.pads.slab(part, x, y + flaw.rng.uniform(-1.5, 1.5), half)


def _draw(flaw: Flaw | None) -> Artwork:
    """Draw all layers, with at most one mistake of manufacture."""
    art = Artwork()
    for track in TRACKS:
        art.copper.line(np.array(track), 2.6)
    for x, y in VIAS:
        art.copper.disc(x, y, 4.0)
        art.pads.disc(x, y, 3.2)
        art.drills.disc(x, y, 1.7)
    if flaw and flaw.kind == "cut_track":
        _cut_track(art, flaw)
    for part in PARTS:
        pad_half = SHAPES[part.kind][2]
        for x, y in _pads(part):
            art.copper.slab(part, x, y, (pad_half[0] + 1, pad_half[1] + 1))
            art.pads.slab(part, x, y, pad_half)
    _draw_ink(art, PARTS, flaw)
    moved = flaw is not None and flaw.kind in ("missing_part", "shifted_part")
    for part in _displaced(PARTS, flaw) if flaw and moved else PARTS:
        _draw_part(art, part)
    if flaw and flaw.kind == "solder_bridge":
        _bridge(art, flaw)
    return art


@cache
def _flawless() -> Artwork:
    """Draw the board as designed, once."""
    return _draw(None)


def artwork(flaw: Flaw | None) -> Artwork:
    """Give the layers of the board, with the flaw if it is one of the artwork."""
    kinds = ("cut_track", "missing_part", "shifted_part", "solder_bridge", "misprint")
    return _draw(flaw) if flaw and flaw.kind in kinds else _flawless()
