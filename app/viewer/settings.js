// How results are looked at: one set for the whole page, so that every verdict and map on it follows at once.

const settings = {
  rate: null, // of false alarms; null = what the checkpoint was calibrated for
  part: "all",
  opacity: CONSTANTS.opacity,
  colours: Object.keys(CONSTANTS.colours)[0],
  contour: true,
  boxes: true,
  wipe: 0, // share of the width, from the left, that shows the bare photograph
};
window.ltadRate = () => settings.rate; // for what is asked of the server
const followers = new Set(); // those that are on the page

function change(name, value) {
  settings[name] = value;
  followers.forEach((element) => element.update());
}

/** An element that is shown when it comes and when it is told something else, and updated when a setting changes. */
class Follower extends HTMLElement {
  connectedCallback() {
    this.show();
    followers.add(this);
  }

  /** The page may keep the element and change what it is told; once all of that is done, it is shown anew. */
  attributeChangedCallback() {
    if (followers.has(this)) queueMicrotask(() => this.show());
  }

  disconnectedCallback() {
    followers.delete(this);
  }
}

/** Make an element: make("p", { class: "quiet" }, "text", child …); a function is taken as an event's handler. */
function make(tag, attributes = {}, ...children) {
  const svg = ["svg", "path", "line", "rect", "text"].includes(tag);
  const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== undefined && value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

/** Call `move` with every movement of the pointer until it is let go. */
function whileDown(move) {
  const drop = () => {
    removeEventListener("pointermove", move);
    removeEventListener("pointerup", drop);
  };
  addEventListener("pointermove", move);
  addEventListener("pointerup", drop);
}

/** Say something to a screen reader: one region that stays, since one that is replaced is not read. */
function announce(text) {
  let region = document.getElementById("ltad-announcer");
  if (!region) {
    region = make("div", { id: "ltad-announcer", role: "status", "aria-live": "polite", class: "ltad-hidden" });
    document.body.append(region);
  }
  region.textContent = text;
}

/** <ltad-hint data-hint="…">: what to do where there is nothing to show yet. */
class Hint extends HTMLElement {
  static observedAttributes = ["data-hint"];

  connectedCallback() {
    this.className = "card empty";
    this.textContent = WORDS.hints[this.dataset.hint];
  }

  attributeChangedCallback() {
    if (this.isConnected) queueMicrotask(() => this.connectedCallback());
  }
}

customElements.define("ltad-hint", Hint);
