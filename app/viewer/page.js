// What the page does with what Gradio shows: bring an answer into sight, and say what an element does not say itself.

const [LOOK, STILL, LONGEST] = [100, 400, 3000]; // milliseconds: between looks, to stay in sight, to come into it

/** Scroll to what was asked for as soon as it is there, until its beginning stays in sight or somebody does otherwise. */
window.ltadReveal = (selector) => {
  const other = new AbortController();
  for (const kind of ["wheel", "pointerdown", "keydown"]) addEventListener(kind, () => other.abort(), { signal: other.signal });
  let [left, still] = [LONGEST, 0];
  const look = () => {
    if (document.querySelector("ul.options")) other.abort(); // somebody is choosing from a list
    const asked = document.querySelector(selector);
    const { top, height } = asked?.getBoundingClientRect() ?? { height: 0 };
    const seen = height > 0 && top >= 0 && top <= 0.6 * innerHeight;
    if (height && !seen && !other.signal.aborted) asked.scrollIntoView();
    [left, still] = [left - LOOK, seen ? still + LOOK : 0];
    if (left > 0 && still < STILL && !other.signal.aborted) setTimeout(look, LOOK);
    else other.abort();
  };
  look();
};

/** Say that a batch was judged by another checkpoint or class than is chosen now, or that it is judged anew. */
window.ltadStale = (isStale) => {
  const table = document.querySelector("#batch-table");
  table.dataset.stale = WORDS.stale;
  table.classList.toggle("stale", isStale && Boolean(table.querySelector("ltad-batch")));
};

/** Save a file that the server made, as a click on its link would. */
window.ltadSave = ({ url, orig_name: name }) => make("a", { href: url, download: name }).click();

// What a browser cannot show, such as HEIC and TIFF, can be read; a picture that does not come says so in its place.
for (const kind of ["load", "error"])
  addEventListener(
    kind,
    ({ target }) => {
      if (!(target instanceof HTMLImageElement && target.closest(".photograph"))) return;
      target.classList.toggle("not-shown", kind === "error");
      target.alt = kind === "error" ? WORDS.notShown : "";
    },
    true,
  );
