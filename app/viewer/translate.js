// What the server writes in English, refusals and cards alike, becomes Chinese here, for who reads it. A pair is what a
// piece of text is and what it becomes: {} stands for what changes, {#} for a number, in the same order on both sides.
// What stands for {} is translated, too, if it is a piece of its own.

/** Give the translation of a piece of text, or the text itself where there is none. */
const translated = (() => {
  const pairs = [...CARDS, ...SENTENCES];
  const plain = new Map(pairs.filter(([from]) => !/\{#?\}/.test(from)));
  const open = pairs.filter(([from]) => /\{#?\}/.test(from)).sort(([a], [b]) => b.length - a.length); // the closest first
  const patterns = open.map(([from, to]) => {
    const parts = from.split(/(\{#?\})/).map((part) => ({ "{}": "(.+?)", "{#}": "([+−-]?\\d+(?:[.,]\\d+)*)" })[part] ?? part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    return [new RegExp(`^${parts.join("")}$`, "s"), to];
  });
  const translate = (text) => {
    if (plain.has(text)) return plain.get(text);
    for (const [pattern, to] of patterns) {
      const found = text.match(pattern);
      if (found) return found.slice(1).reduce((said, part) => said.replace(/\{#?\}/, () => translate(part)), to);
    }
    return text;
  };
  return translate;
})();

const OWN = ".notes, .reason"; // the server's, within what was made in this language
const AS_THEY_ARE = ".near, [lang=en], ltad-inspection, ltad-batch"; // words of the vocabulary, licences; what was made so
const TRANSLATED = [
  ".card, #about, #verdicts, #teach-sent, #teach-leave-out",
  "[data-testid=image] .wrap, [data-testid=status-tracker], [aria-live], .caption-label, .validation-error, .toast-body",
  OWN,
].join();
const ATTRIBUTES = ["title", "aria-label", "alt", "placeholder"];

const inChinese = (text) => translated(text.replace(/\s+/g, " ").trim());

function translateText(node) {
  const parent = node.parentElement;
  if (!node.data.trim() || !parent?.closest(TRANSLATED) || (parent.closest(AS_THEY_ARE) && !parent.closest(OWN))) return;
  const said = node.data.replace(/^(\s*)([^]*?)(\s*)$/, (_, before, text, after) => before + inChinese(text) + after);
  if (said !== node.data) node.data = said;
}

function translateAttribute(element, name) {
  const text = element.getAttribute(name);
  if (!text || element.closest(AS_THEY_ARE)) return;
  const said = inChinese(text);
  if (said !== text) element.setAttribute(name, said);
}

function translateWithin(node) {
  if (node.nodeType === Node.TEXT_NODE) return translateText(node);
  if (node.nodeType !== Node.ELEMENT_NODE) return;
  const walker = document.createTreeWalker(node, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT);
  do {
    const here = walker.currentNode;
    if (here.nodeType === Node.TEXT_NODE) translateText(here);
    else for (const name of ATTRIBUTES) translateAttribute(here, name);
  } while (walker.nextNode());
}

if (WORDS === CHINESE) {
  translateWithin(document.documentElement); // what came before this script
  new MutationObserver((changes) => {
    for (const { type, target, attributeName, addedNodes } of changes) {
      if (type === "characterData") translateText(target);
      else if (type === "attributes") translateAttribute(target, attributeName);
      else addedNodes.forEach(translateWithin);
    }
  }).observe(document.documentElement, { childList: true, characterData: true, subtree: true, attributeFilter: ATTRIBUTES });
}
