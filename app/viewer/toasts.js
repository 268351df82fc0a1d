// A refusal that no field can show stands in Gradio's toast: it goes when its time is over, and at the next success.

const RESULTS = "#result, #verdicts, #batch-table, #batch-made, #names-result, #difference, #teach-found, #teach-sent";
const WITHIN = "ltad-batch, ltad-inspection, [data-testid=status-tracker]"; // what changes without an answer

new MutationObserver((changes) => {
  const succeeded = changes.some(({ target, addedNodes }) => addedNodes.length && target.closest?.(RESULTS) && !target.closest(WITHIN));
  if (succeeded) document.querySelectorAll("[data-testid=toast-close]").forEach((button) => button.click());
}).observe(document.documentElement, { childList: true, subtree: true });
