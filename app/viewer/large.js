// A picture to click can be looked at in large: by the lens in its corner, or with "+" while it has the focus.

const LENS = 30; // pixels of the corner that is the lens, which the style draws

/** The picture whose lens an event is at. */
function lensAt({ target, clientX, clientY }) {
  const item = target instanceof Element && target.closest(".examples .thumbnail-item");
  const frame = item && item.querySelector("img")?.getBoundingClientRect();
  return frame && frame.right - clientX <= LENS && clientX <= frame.right && clientY - frame.top <= LENS ? item : null;
}

function showLarge(item) {
  const dialog = make(
    "dialog",
    { class: "large", "aria-label": WORDS.large, click: () => dialog.close(), close: () => dialog.remove() },
    make("img", { src: item.querySelector("img").src, alt: "" }),
    make("p", {}, item.querySelector(".caption-label")?.textContent ?? ""),
    make("button", { type: "button", autofocus: true }, WORDS.close),
  );
  document.body.append(dialog);
  dialog.showModal();
}

const asksForLarge = {
  click: lensAt,
  keydown: ({ key, target }) => (key === "+" ? target.closest?.(".examples .thumbnail-item") : null),
};
for (const [kind, find] of Object.entries(asksForLarge))
  addEventListener(
    kind,
    (event) => {
      const item = find(event);
      if (!item) return;
      event.stopPropagation(); // it is looked at, not chosen
      event.preventDefault();
      showLarge(item);
    },
    true,
  );
