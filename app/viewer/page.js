// What the page does with what Gradio shows: bring an answer into sight, and say what an element does not say itself.

/** Scroll to what was asked for, unless its beginning is in sight. */
window.ltadReveal = (selector) => {
  const asked = document.querySelector(selector);
  const top = asked?.getBoundingClientRect().top;
  if (top < 0 || top > 0.6 * innerHeight) asked.scrollIntoView();
};

/** Say that a batch was judged by another checkpoint or class than is chosen now, or that it is judged anew. */
window.ltadStale = (isStale) => {
  const table = document.querySelector("#batch-table");
  table.dataset.stale = WORDS.stale;
  table.classList.toggle("stale", isStale && Boolean(table.querySelector("ltad-batch")));
};

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
