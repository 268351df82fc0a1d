// The photograph once, the map once as a small layer: colours, outline, boxes, wipe, zoom and pan need no server.

const STEP = 1.5; // of a zoom
const MOST = 16; // times; more shows single pixels as large squares

class Viewer {
  /** facts: of one inspection, see app/viewer/__init__.py; photo: its <img>. */
  constructor(facts, photo) {
    this.facts = facts;
    this.fine = Object.fromEntries(
      Object.entries(facts.maps).map(([part, map]) => [part, refine(decodeMap(map))]),
    );
    [this.zoom, this.x, this.y] = [1, 0, 0]; // the point of the sheet at the middle of the stage moves by x, y
    photo.alt = WORDS.photograph;
    this.canvas = make("canvas", { class: "map" });
    this.line = make("path", { class: "outline" });
    this.halo = make("path", { class: "halo" });
    this.marks = make("svg", { preserveAspectRatio: "none" }, this.halo, this.line);
    this.boxes = make("div", { class: "boxes" });
    this.tiles = facts.tiles && new Tiles(facts.tiles, photo);
    const layers = [photo, ...(this.tiles ? [this.tiles.element] : []), this.canvas, this.marks, this.boxes];
    this.sheet = make("div", { class: "sheet" }, ...layers);
    this.readout = make("output", { class: "readout" });
    this.stage = make(
      "div",
      {
        class: "stage",
        tabindex: 0,
        role: "group",
        "aria-label": WORDS.stage,
        keydown: (event) => this.key(event),
        wheel: (event) => this.wheel(event),
        pointerdown: (event) => this.grab(event),
        pointermove: (event) => this.read(event),
        pointerleave: () => (this.readout.textContent = ""),
        dblclick: () => this.zoomTo(this.zoom > 1 ? 1 : 3),
      },
      this.sheet,
      this.readout,
    );
    const [width, height] = facts.report.image_size;
    this.stage.style.setProperty("--shape", width / height);
    this.element = make(
      "section",
      { class: "card viewer" },
      make("h3", {}, WORDS.map),
      this.stage,
      this.bar(),
      this.controls(),
    );
  }

  bar() {
    this.ramp = make("canvas", { class: "ramp", width: 256, height: 1 });
    this.tick = make("div", { class: "tick" }, make("span", {}));
    this.end = make("span", {});
    return make("div", { class: "bar" }, this.ramp, this.tick, make("div", { class: "ends" }, make("span", {}, WORDS.normal), this.end));
  }

  controls() {
    const slider = (name, label, help) =>
      make(
        "label",
        { title: help },
        label,
        make("input", {
          type: "range",
          min: 0,
          max: 100,
          "data-setting": name,
          input: (event) => change(name, event.target.value / 100),
        }),
      );
    const choice = (name, label, options) =>
      make(
        "label",
        {},
        label,
        make(
          "select",
          { "data-setting": name, change: (event) => change(name, event.target.value) },
          ...options.map(([value, text]) => make("option", { value }, text)),
        ),
      );
    const tick = (name, label) =>
      make(
        "label",
        {},
        make("input", { type: "checkbox", "data-setting": name, change: (event) => change(name, event.target.checked) }),
        label,
      );
    const button = (sign, label, action) => make("button", { type: "button", title: label, "aria-label": label, click: action }, sign);
    return make(
      "div",
      { class: "controls" },
      slider("opacity", WORDS.opacity),
      slider("wipe", WORDS.wipe, WORDS.wipeHelp),
      choice("part", WORDS.shown, Object.entries(WORDS.parts)),
      choice("colours", WORDS.colours, Object.keys(CONSTANTS.colours).map((name) => [name, name])),
      tick("contour", WORDS.contour),
      tick("boxes", WORDS.boxes),
      make(
        "span",
        { class: "zoom" },
        button("−", WORDS.zoomOut, () => this.zoomTo(this.zoom / STEP)),
        button("+", WORDS.zoomIn, () => this.zoomTo(this.zoom * STEP)),
        button("⤢", WORDS.zoomReset, () => this.zoomTo(1)),
      ),
    );
  }

  /**
   * Draw what the settings and the threshold ask for; regions: as findRegions gives them. Where all of the photograph
   * is unusual, no map is laid over it: it would be red from side to side.
   */
  update(threshold, regions) {
    const table = colourTable(settings.colours);
    const map = this.fine[settings.part];
    paint(this.canvas, map, this.facts.top, table);
    this.marks.setAttribute("viewBox", `0 0 ${map.width} ${map.height}`);
    this.canvas.style.opacity = this.facts.everywhere ? 0 : settings.opacity;
    this.canvas.style.clipPath = `inset(0 0 0 ${100 * settings.wipe}%)`;
    const path = settings.contour && !this.facts.everywhere ? outline(map, threshold) : "";
    for (const line of [this.line, this.halo]) line.setAttribute("d", path);
    this.sheet.style.setProperty("--wipe", `${100 * settings.wipe}%`);
    this.sheet.classList.toggle("wiped", settings.wipe > 0 && settings.wipe < 1);
    this.drawBoxes(settings.boxes ? regions.slice(0, CONSTANTS.mostRegions) : []);
    this.drawBar(threshold, table);
    for (const input of this.element.querySelectorAll("[data-setting]")) {
      const value = settings[input.dataset.setting];
      if (input.type === "checkbox") input.checked = value;
      else if (input.type === "range") input.value = Math.round(100 * value);
      else input.value = value;
    }
    this.threshold = threshold;
  }

  drawBoxes(regions) {
    const [width, height] = this.facts.report.image_size;
    this.boxes.replaceChildren(
      ...regions.map((region, i) => {
        const [x, y, w, h] = region.box;
        const place = `left:${(100 * x) / width}%;top:${(100 * y) / height}%;width:${(100 * w) / width}%;height:${(100 * h) / height}%`;
        const point = () => this.point(i);
        const leave = () => this.point(null);
        return make(
          "button",
          { type: "button", style: place, "aria-label": WORDS.region(i + 1), "data-region": i, mouseenter: point, mouseleave: leave, focus: point, blur: leave },
          make("b", {}, String(i + 1)),
        );
      }),
    );
  }

  /** Emphasise one region, here and in the table; null for none. */
  point(index) {
    const root = this.element.parentElement ?? this.element;
    root.querySelectorAll("[data-region]").forEach((mark) => mark.classList.toggle("pointed", Number(mark.dataset.region) === index && index !== null));
  }

  drawBar(threshold, table) {
    const context = this.ramp.getContext("2d");
    const picture = context.createImageData(256, 1);
    picture.data.set(table);
    for (let i = 3; i < picture.data.length; i += 4) picture.data[i] = 255;
    context.putImageData(picture, 0, 0);
    this.tick.style.left = `${100 * Math.min(Math.max(threshold / this.facts.top, 0), 1)}%`;
    this.tick.firstChild.textContent = `${WORDS.threshold} ${threshold.toFixed(2)}`;
    this.end.textContent = `≥ ${this.facts.top.toFixed(2)}`;
  }

  zoomTo(zoom, anchorX = 0, anchorY = 0) {
    const next = Math.min(Math.max(zoom, 1), MOST);
    // The point under the anchor (relative to the stage's middle, in pixels) stays where it is.
    this.x = anchorX - ((anchorX - this.x) * next) / this.zoom;
    this.y = anchorY - ((anchorY - this.y) * next) / this.zoom;
    this.zoom = next;
    this.place();
  }

  place() {
    const limitX = (this.sheet.offsetWidth * (this.zoom - 1)) / 2;
    const limitY = (this.sheet.offsetHeight * (this.zoom - 1)) / 2;
    this.x = Math.min(Math.max(this.x, -limitX), limitX);
    this.y = Math.min(Math.max(this.y, -limitY), limitY);
    this.sheet.style.transform = `translate(${this.x}px, ${this.y}px) scale(${this.zoom})`;
    this.sheet.style.setProperty("--zoom", this.zoom);
    this.stage.classList.toggle("zoomed", this.zoom > 1);
    this.tiles?.show(this.stage, this.sheet);
  }

  key(event) {
    const move = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] }[event.key];
    if (event.key === "+" || event.key === "=") this.zoomTo(this.zoom * STEP);
    else if (event.key === "-") this.zoomTo(this.zoom / STEP);
    else if (event.key === "0") this.zoomTo(1);
    else if (move && this.zoom > 1) {
      [this.x, this.y] = [this.x + move[0], this.y + move[1]];
      this.place();
    } else return;
    event.preventDefault();
  }

  /** Zoom with Ctrl (a pinch, too); the wheel alone scrolls the page, as everywhere. */
  wheel(event) {
    if (!event.ctrlKey) return;
    event.preventDefault();
    const frame = this.stage.getBoundingClientRect();
    const [x, y] = [event.clientX - frame.left - frame.width / 2, event.clientY - frame.top - frame.height / 2];
    this.zoomTo(this.zoom * Math.exp(-event.deltaY / 200), x, y);
  }

  grab(event) {
    if (this.zoom === 1 || event.button !== 0) return;
    const from = [event.clientX - this.x, event.clientY - this.y];
    const move = (moved) => {
      [this.x, this.y] = [moved.clientX - from[0], moved.clientY - from[1]];
      this.place();
    };
    whileDown(move);
    event.preventDefault();
    this.stage.focus();
  }

  /** Say where the pointer is and what the map has there. */
  read(event) {
    const frame = this.sheet.getBoundingClientRect();
    const [u, v] = [(event.clientX - frame.left) / frame.width, (event.clientY - frame.top) / frame.height];
    if (u < 0 || v < 0 || u >= 1 || v >= 1) {
      this.readout.textContent = "";
      return;
    }
    const map = this.fine[settings.part];
    const value = map.values[Math.floor(v * map.height) * map.width + Math.floor(u * map.width)];
    const [x, y] = [Math.floor(u * this.facts.report.image_size[0]), Math.floor(v * this.facts.report.image_size[1])];
    this.readout.textContent = WORDS.readout(x, y, value.toFixed(2), times(value, this.threshold));
  }
}

/** 256 RGBA colours. */
function colourTable(name) {
  return Uint8Array.from(atob(CONSTANTS.colours[name]), (character) => character.charCodeAt(0));
}

/** How many times the threshold a value is, in words short enough for a table. */
const times = (value, threshold) => (threshold > 0 ? (value / threshold).toFixed(1) : "–");
