// <ltad-promise data-facts="…">: what stands behind a class's threshold, in the words of the verdict's card.
// The facts are those of a calibration; there is no threshold in them where the class is still to be learned.

class PromiseTold extends HTMLElement {
  connectedCallback() {
    const { threshold = null, ...calibration } = JSON.parse(this.dataset.facts);
    this.textContent = WORDS.promise(calibration, calibration.rate, threshold);
  }
}

customElements.define("ltad-promise", PromiseTold);
