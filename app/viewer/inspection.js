// <ltad-inspection data-facts="…" data-photo="…">: everything that the page shows of one inspected photograph.

const ICONS = {
  ok: "M2 12a10 10 0 1 0 20 0 10 10 0 1 0-20 0M7.5 12.5l3 3 6-6.5",
  borderline: "M12 3 2.5 20h19ZM12 10v4.5M12 17v.5",
  defect: "M2 12a10 10 0 1 0 20 0 10 10 0 1 0-20 0M8.5 8.5l7 7m0-7-7 7",
  unknown: "M2 12a10 10 0 1 0 20 0 10 10 0 1 0-20 0M9.5 9.5a2.5 2.5 0 1 1 3 2.5c-.5.3-.5.6-.5 1.2M12 16.5v.5",
};
const [HEIGHT, BASE, BARS] = [96, 70, 40]; // of the histogram's drawing, in pixels; it is as wide as there is room
const USUAL_WIDTH = 480; // where that is not known yet

class Inspection extends Follower {
  static observedAttributes = ["data-facts"];

  disconnectedCallback() {
    super.disconnectedCallback();
    this.resized.disconnect();
  }

  show() {
    this.resized?.disconnect();
    this.build();
    this.update();
    this.resized.observe(this.histogram);
    announce(`${this.headline.textContent}. ${this.truth.textContent} ${this.sentence.textContent}`);
  }

  build() {
    this.facts = JSON.parse(this.dataset.facts);
    this.report = this.facts.report;
    this.viewer = new Viewer(this.facts, make("img", { src: this.dataset.photo }));
    this.headline = make("span", {});
    this.icon = make("path", {});
    this.sentence = make("p", {});
    this.truth = make("p", { class: "truth", hidden: !this.facts.label });
    this.histogram = make("svg", { class: "scale", height: HEIGHT, role: "img", pointerdown: (event) => this.drag(event) });
    this.resized = new ResizeObserver(() => this.update());
    this.source = make("p", { class: "quiet" });
    this.rate = new Rate(smallestRate(this.facts.calibration), this.facts.calibration.rate);
    this.verdict = make(
      "section",
      { class: "card verdict" },
      make("div", { class: "headline" }, make("svg", { viewBox: "0 0 24 24" }, this.icon), this.headline),
      this.truth,
      this.sentence,
      this.histogram,
      this.rate.element,
      this.source,
    );
    this.places = make("section", { class: "card places" });
    this.why = make("section", { class: "card why" });
    this.replaceChildren(this.verdict, this.viewer.element, this.places, this.why, this.matches(), ...this.notes());
  }

  update() {
    const { facts } = this;
    const judgement = judge(this.report.image_score, facts.calibration, this.rate.current);
    const regions = facts.everywhere ? [] : findRegions(this.viewer.fine.all, judgement.threshold, this.report.image_size);
    this.showVerdict(judgement);
    this.showPlaces(regions, judgement.threshold);
    this.showWhy(judgement.threshold);
    this.viewer.update(judgement.threshold, regions);
    this.rate.update();
  }

  showVerdict(judgement) {
    const { known } = this.report.class;
    const { calibration, everywhere, judgedAs: name } = this.facts;
    const below = calibration.scores.filter((normal) => normal < this.report.image_score).length;
    const nearest = this.report.top_classes[0].name;
    const other = !known && nearest !== name;
    const state = verdictOf(this.facts, judgement);
    const inWords = WORDS.verdicts[judgement.verdict];
    const miss = missed(this.facts.label, state);
    this.truth.textContent = this.facts.label ? [WORDS.labelled(this.facts.label), WORDS.missed[miss]].filter(Boolean).join(" ") : "";
    this.truth.classList.toggle("missed", miss !== null);
    this.verdict.className = `card verdict ${state}`;
    this.icon.setAttribute("d", ICONS[state]);
    const provisional = known && calibration.provisional ? ` (${WORDS.provisional})` : "";
    this.headline.textContent = WORDS.verdicts[other ? "other" : everywhere ? "everywhere" : state] + provisional;
    this.sentence.textContent = other
      ? WORDS.other(name, nearest, inWords)
      : everywhere
        ? WORDS.everywhere(name, inWords)
        : known
        ? WORDS.unusual(below, calibration, name)
        : WORDS.unknown(name, inWords);
    const { changed } = calibration;
    this.source.textContent =
      WORDS.promise(calibration, this.rate.current, judgement.threshold) +
      (changed.length && !calibration.provisional
        ? WORDS.changed(changed.filter((score) => score > judgement.threshold).length / changed.length)
        : "");
    this.drawHistogram(judgement, state);
  }

  drawHistogram(judgement, state) {
    const score = this.report.image_score;
    const { threshold } = judgement;
    const { scores: normals, rate } = this.facts.calibration;
    const width = this.histogram.clientWidth || USUAL_WIDTH;
    const low = Math.min(normals[0], 0);
    const high = Math.max(low + 2.2 * (thresholdAt(this.facts.calibration, rate) - low), low + 1e-6);
    const x = (value) => 8 + ((width - 16) * (Math.min(Math.max(value, low), high) - low)) / (high - low);
    this.fromX = (position) => low + ((position - 8) / (width - 16)) * (high - low);
    const counts = new Array(BARS).fill(0);
    for (const normal of normals) counts[Math.min(BARS - 1, Math.floor((BARS * (Math.min(normal, high) - low)) / (high - low)))]++;
    const most = Math.max(...counts);
    const bars = counts.flatMap((count, i) => {
      const height = (56 * count) / most;
      return count ? [make("rect", { class: "normals", x: 8 + (i * (width - 16)) / BARS, y: BASE - height, width: (width - 16) / BARS - 1, height })] : [];
    });
    const [mark, here] = [x(threshold), x(score)];
    const label = score > high ? `${WORDS.thisImage} (${score.toFixed(1)}) ▸` : WORDS.thisImage;
    const anchor = here > width - 60 ? "end" : here < 60 ? "start" : "middle";
    this.histogram.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    this.histogram.setAttribute("aria-label", WORDS.scale(score.toFixed(2), threshold.toFixed(2)));
    this.histogram.replaceChildren(
      ...bars,
      make("line", { class: "axis", x1: 8, x2: width - 8, y1: BASE, y2: BASE }),
      make("line", { class: "threshold", x1: mark, x2: mark, y1: 12, y2: BASE }),
      make("text", { x: mark + (mark > width - 110 ? -4 : 4), y: 20, "text-anchor": mark > width - 110 ? "end" : "start" }, `${WORDS.threshold} ${threshold.toFixed(2)}`),
      make("text", here > 160 ? { x: 8, y: HEIGHT - 4 } : { x: width - 8, y: HEIGHT - 4, "text-anchor": "end" }, WORDS.normalImages),
      make("path", { class: `score ${state}`, d: `M${here} ${BASE - 2}l-6 12h12z` }),
      make("text", { x: here, y: HEIGHT - 4, "text-anchor": anchor }, label),
    );
  }

  /** Move the threshold to the pointer, while it is down. */
  drag(event) {
    const move = (moved) => {
      const frame = this.histogram.getBoundingClientRect();
      const score = this.fromX(moved.clientX - frame.left);
      change("rate", rateAt(score, this.facts.calibration));
    };
    whileDown(move);
    event.preventDefault();
    move(event);
  }

  showPlaces(regions, threshold) {
    const [width, height] = this.report.image_size;
    const shown = regions.slice(0, CONSTANTS.mostRegions);
    const rows = shown.map((region, i) => {
      const cells = WORDS.regionRow(region, percent(region.area / (width * height)), times(region.peak, threshold));
      const point = () => this.viewer.point(i);
      const leave = () => this.viewer.point(null);
      return make(
        "tr",
        { tabindex: 0, "data-region": i, mouseenter: point, mouseleave: leave, focus: point, blur: leave },
        make("th", { scope: "row" }, String(i + 1)),
        ...cells.map((cell) => make("td", {}, cell)),
      );
    });
    const head = make("tr", {}, ...WORDS.regionHead.map((text) => make("th", { scope: "col" }, text)));
    const left = regions.length - shown.length;
    this.places.replaceChildren(
      make("h3", {}, WORDS.regions),
      rows.length ? make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows)) : make("p", { class: "quiet" }, WORDS.noRegions),
      ...(left ? [make("p", { class: "quiet" }, WORDS.more(left))] : []),
    );
  }

  /** Where the peak is, what sees it, and as what the image was judged, in plain sentences. */
  showWhy(threshold) {
    const own = this.report.class;
    const { values, width, height } = this.viewer.fine.all;
    let peak = 0;
    values.forEach((value, i) => (peak = value > values[peak] ? i : peak));
    const third = (position, side) => Math.floor((3 * position) / side);
    const place = WORDS.places[third(Math.floor(peak / width), height)][third(peak % width, width)];
    const ratio = times(values[peak], threshold);
    const name = this.facts.judgedAs;
    const next = this.report.top_classes.find((match) => match.name !== name);
    const { reconstruction, semantic, fine } = this.report.scores;
    const sentences = [
      values[peak] > threshold ? WORDS.where(place, ratio) : WORDS.nowhere(ratio),
      ...(fine === undefined ? [] : [WORDS.closely(fine.toFixed(1), fine > threshold)]),
      WORDS.seenBy(reconstruction.toFixed(1), semantic.toFixed(1), reconstruction > threshold, semantic > threshold),
      WORDS.recognised(name, own.similarity.toFixed(2), next && { name: next.name, similarity: next.similarity.toFixed(2) }),
    ];
    this.why.replaceChildren(make("h3", {}, WORDS.why), make("p", {}, sentences.join(" ")));
  }

  matches() {
    const { class: own, top_classes: top } = this.report;
    const rows = top.map((match) => {
      const [group, images] = this.facts.trained[match.name];
      return make(
        "tr",
        { class: match.name === own.name ? "chosen" : null },
        make("th", { scope: "row", class: "name" }, spell(match.name)),
        make("td", { class: "meter" }, make("i", { style: `width:${100 * Math.max(match.similarity, 0)}%` })),
        make("td", { class: "number" }, fixed(match.similarity)),
        make("td", {}, make("span", { class: "tag" }, `${WORDS.groups[group]} · ${images}`)),
      );
    });
    const margin = `${own.margin >= 0 ? "+" : "−"}${Math.abs(own.margin).toFixed(2)}`;
    return make(
      "section",
      { class: "card" },
      make("h3", {}, WORDS.matched),
      make("table", { class: "matches" }, make("tbody", {}, ...rows)),
      make("p", { class: "quiet" }, WORDS.matchedHelp(margin)),
    );
  }

  notes() {
    const { notes } = this.report;
    if (!notes.length) return [];
    const items = notes.map((note) => make("li", {}, note));
    return [make("section", { class: "card" }, make("h3", {}, WORDS.notes), make("ul", { class: "notes" }, ...items))];
  }
}

customElements.define("ltad-inspection", Inspection);
