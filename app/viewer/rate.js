// The rate of false alarms that is allowed: one for the whole page, chosen on a slider wherever verdicts stand.

class Rate {
  /** smallest: what the normals behind it can promise; usual: what holds until another rate is chosen. */
  constructor(smallest, usual) {
    Object.assign(this, { smallest, usual });
    this.slider = make("input", { type: "range", min: 0, max: 100, step: 0.5, input: () => change("rate", this.chosen()) });
    this.text = make("output", {});
    this.element = make(
      "div",
      { class: "controls" },
      make("label", { title: WORDS.rateHelp }, WORDS.rate, this.slider, this.text),
      make("button", { type: "button", click: () => change("rate", null) }, WORDS.reset),
    );
  }

  get current() {
    return settings.rate ?? this.usual;
  }

  /** The slider is logarithmic. */
  chosen() {
    return this.smallest * (CONSTANTS.largestRate / this.smallest) ** (this.slider.value / 100);
  }

  update() {
    this.slider.value = (100 * Math.log(this.current / this.smallest)) / Math.log(CONSTANTS.largestRate / this.smallest);
    this.text.textContent = percent(this.current);
  }
}
