// <ltad-batch data-key data-total data-rows data-calibration>: the table of a batch, which fills as results come.
// It sends "ltad-choose" with a row's number when one is chosen; a row that holds its own facts is shown at once.

const STATES = ["defect", "borderline", "ok", "unknown", "error"];
const COLUMNS = ["number", "name", "state", "ratio", "className"];
const NARROW = 544; // pixels, under which a table has no room for all of its columns
const SPAN = [-0.5, 2.5]; // of the histogram, in thresholds

/** A file's name that may break where its words end. */
const breakable = (name) => name.split(/(?<=[_-])/).flatMap((part) => [part, make("wbr")]);

class Batch extends Follower {
  static observedAttributes = ["data-rows", "data-key"];

  /** Take the rows that came; they stay until another batch begins, since the page sends each only once. */
  show() {
    if (this.key !== this.dataset.key) {
      this.key = this.dataset.key;
      this.rows = new Map();
      this.calibration = JSON.parse(this.dataset.calibration);
      this.filter = { state: null, text: "" };
      this.order = { column: "number", down: false };
      this.chosen = null;
      this.build();
    } else if (!this.contains(this.body)) this.append(...this.kept); // the page took the children away
    for (const row of JSON.parse(this.dataset.rows)) if (!this.rows.has(row.number)) this.rows.set(row.number, row);
    this.update();
  }

  connectedCallback() {
    super.connectedCallback();
    this.resized = new ResizeObserver(() => this.classList.toggle("narrow", this.clientWidth < NARROW));
    this.resized.observe(this);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    this.resized.disconnect();
  }

  build() {
    const heads = COLUMNS.map((column) =>
      make(
        "th",
        { scope: "col", "data-column": column },
        make("button", { type: "button", click: () => this.sort(column) }, WORDS.columns[column]),
      ),
    );
    this.count = make("p", { class: "quiet" });
    this.bar = make("progress", { max: 1, value: 0 });
    this.histogram = make("svg", { class: "scale still", height: HEIGHT, role: "img", "aria-label": WORDS.batchScale });
    const smallest = Math.min(...Object.values(this.calibration.classes).map(smallestRate));
    this.rate = new Rate(smallest, this.calibration.rate);
    this.chips = make("div", { class: "chips", role: "group", "aria-label": WORDS.filter });
    this.search = make("input", { type: "search", placeholder: WORDS.search, "aria-label": WORDS.search, input: () => this.narrow() });
    this.body = make("tbody", { keydown: (event) => this.walk(event) });
    this.heads = heads;
    this.kept = [
      make("section", { class: "card" }, this.bar, this.count, this.histogram, this.rate.element, make("div", { class: "controls" }, this.chips, this.search)),
      make("section", { class: "card table" }, make("table", {}, make("thead", {}, make("tr", {}, ...heads)), this.body)),
    ];
    this.replaceChildren(...this.kept);
  }

  calibrationOf(className) {
    return { ...this.calibration.classes[className], rate: this.calibration.rate };
  }

  /** Judge every row again at the rate that holds now. */
  update() {
    const rate = this.rate.current;
    this.rate.update();
    for (const row of this.rows.values()) {
      if (row.error !== undefined) {
        Object.assign(row, { state: "error", ratio: -Infinity });
        continue;
      }
      const judgement = judge(row.score, this.calibrationOf(row.judgedAs), rate);
      Object.assign(row, { state: verdictOf(row, judgement), ratio: row.score / judgement.threshold });
    }
    const total = Number(this.dataset.total);
    this.bar.value = this.rows.size / total;
    this.bar.hidden = this.rows.size === total;
    this.count.textContent = WORDS.progress(this.rows.size, total);
    this.drawChips();
    this.drawHistogram(rate);
    this.list();
  }

  drawChips() {
    const counts = Object.fromEntries(STATES.map((state) => [state, 0]));
    for (const row of this.rows.values()) counts[row.state]++;
    const chip = (state, label, count) =>
      make(
        "button",
        {
          type: "button",
          class: `chip ${state ?? ""}`,
          "aria-pressed": String(this.filter.state === state),
          click: () => {
            this.filter.state = state;
            this.drawChips();
            this.list();
          },
        },
        `${label} ${count}`,
      );
    this.chips.replaceChildren(
      chip(null, WORDS.everything, this.rows.size),
      ...STATES.filter((state) => counts[state]).map((state) => chip(state, WORDS.states[state], counts[state])),
    );
  }

  /** The batch's scores over those of the normal images, both in thresholds of their class. */
  drawHistogram(rate) {
    const width = this.histogram.clientWidth || USUAL_WIDTH;
    const [low, high] = SPAN;
    const place = (ratio) => Math.min(BARS - 1, Math.max(0, Math.floor((BARS * (ratio - low)) / (high - low))));
    const normals = new Array(BARS).fill(0);
    for (const className of Object.keys(this.calibration.classes)) {
      const calibration = this.calibrationOf(className);
      const { threshold } = judge(0, calibration, rate);
      for (const score of calibration.scores) normals[place(score / threshold)]++;
    }
    const batch = Array.from({ length: BARS }, () => ({}));
    for (const row of this.rows.values())
      if (row.state !== "error") {
        const bar = batch[place(row.ratio)];
        bar[row.state] = (bar[row.state] ?? 0) + 1;
      }
    const x = (i) => 8 + (i * (width - 16)) / BARS;
    const step = (width - 16) / BARS - 1;
    const most = Math.max(1, ...normals);
    const mostRows = Math.max(1, ...batch.map((bar) => Object.values(bar).reduce((a, b) => a + b, 0)));
    const bars = normals.map((count, i) => make("rect", { class: "normals", x: x(i), y: BASE - (56 * count) / most, width: step, height: (56 * count) / most }));
    batch.forEach((bar, i) => {
      let top = BASE;
      for (const [state, count] of Object.entries(bar)) {
        const height = (56 * count) / mostRows;
        top -= height;
        bars.push(make("rect", { class: `row ${state}`, x: x(i) + step / 4, y: top, width: step / 2, height }));
      }
    });
    const mark = x((BARS * (1 - low)) / (high - low));
    this.histogram.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    this.histogram.replaceChildren(
      ...bars,
      make("line", { class: "axis", x1: 8, x2: width - 8, y1: BASE, y2: BASE }),
      make("line", { class: "threshold", x1: mark, x2: mark, y1: 12, y2: BASE }),
      make("text", { x: mark + 4, y: 20 }, WORDS.threshold),
      make("text", { x: 8, y: HEIGHT - 6 }, WORDS.batchKey),
    );
  }

  narrow() {
    this.filter.text = this.search.value.toLowerCase();
    this.list();
  }

  sort(column) {
    this.order = { column, down: this.order.column === column && !this.order.down };
    this.list();
  }

  get listed() {
    const { state, text } = this.filter;
    const { column, down } = this.order;
    const value = (row) => (column === "state" ? STATES.indexOf(row.state) : (row[column] ?? ""));
    const compare = (a, b) => (value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : a.number - b.number);
    const rows = [...this.rows.values()].filter(
      (row) => (state === null || row.state === state) && `${row.name} ${row.className ?? row.nearest ?? ""}`.toLowerCase().includes(text),
    );
    return rows.sort((a, b) => (down ? compare(b, a) : compare(a, b)));
  }

  list() {
    for (const head of this.heads) {
      const own = head.dataset.column === this.order.column;
      head.setAttribute("aria-sort", own ? (this.order.down ? "descending" : "ascending") : "none");
    }
    this.body.replaceChildren(...this.listed.map((row) => this.line(row)));
  }

  line(row) {
    const chosen = row.number === this.chosen;
    const said = row.error !== undefined ? "" : row.className ? spell(row.className) : WORDS.nearest(row.nearest);
    const cells =
      row.error !== undefined
        ? [make("td", { colspan: 3, class: "reason" }, row.error)]
        : [
            make("td", {}, make("span", { class: `state ${row.state}` }, make("svg", { viewBox: "0 0 24 24" }, make("path", { d: ICONS[row.state] })), WORDS.states[row.state])),
            make("td", { "data-column": "ratio" }, `${row.ratio.toFixed(2)} ×`),
            make("td", { "data-column": "className" }, said),
          ];
    const picture = row.thumb ? [make("img", { src: row.thumb, alt: "" })] : [];
    return make(
      "tr",
      {
        "data-number": row.number,
        tabindex: chosen || (this.chosen === null && row === this.listed[0]) ? 0 : -1,
        "aria-selected": String(chosen),
        click: () => this.choose(row.number),
      },
      make("td", { "data-column": "number" }, String(row.number + 1)),
      make(
        "th",
        { scope: "row" },
        make("span", { class: "named", title: row.name }, ...picture, make("span", {}, ...breakable(row.name.split("/").pop()), make("small", {}, said))),
      ),
      ...cells,
    );
  }

  /** Arrow keys go through the rows as they are listed; the viewer follows. */
  walk(event) {
    const lines = [...this.body.rows];
    const at = lines.indexOf(event.target.closest("tr"));
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: lines.length - 1, Enter: at }[event.key];
    if (to === undefined || !lines[to]) return;
    event.preventDefault();
    this.choose(Number(lines[to].dataset.number));
  }

  choose(number) {
    this.chosen = number;
    const row = this.rows.get(number);
    for (const line of this.body.rows) {
      const own = Number(line.dataset.number) === number;
      line.setAttribute("aria-selected", String(own));
      line.tabIndex = own ? 0 : -1;
      if (own) line.focus();
    }
    if (row.facts) this.showOwn(row);
    else if (document.getElementById("shown")) document.getElementById("shown").replaceChildren(make("p", {}, row.error));
    else this.dispatchEvent(new CustomEvent("ltad-choose", { bubbles: true, detail: { number } }));
  }

  /** In a report, which has a place for it, there is no server: the row has everything. */
  showOwn(row) {
    const facts = { ...row.facts, calibration: this.calibrationOf(row.judgedAs) };
    const shown = make("ltad-inspection", { "data-facts": JSON.stringify(facts), "data-photo": row.photo });
    document.getElementById("shown").replaceChildren(shown);
  }
}

customElements.define("ltad-batch", Batch);

/** <ltad-back data-to="selector">: the way back to what an answer was asked for in, where that is above, not beside. */
class Back extends HTMLElement {
  connectedCallback() {
    const go = () => document.querySelector(this.dataset.to).scrollIntoView();
    this.replaceChildren(make("button", { type: "button", click: go }, WORDS.back));
  }
}

customElements.define("ltad-back", Back);
