// A probability as a slider on log-odds and a number in per cent, which follow each other.

import { clamp, expit, fromField, inPercent, logit, percent } from "./bayes.js";

/** The number a `.rate` block states, a fraction. */
export const shareOf = (block) => block.share;

/** Set a `.rate` block without telling anybody. */
export function setShare(block, share) {
  const [slide, field] = block.querySelectorAll("input");
  block.share = clamp(share);
  slide.value = logit(block.share);
  field.value = inPercent(block.share);
  slide.setAttribute("aria-valuetext", percent(block.share));
}

export function startRate(block) {
  const [slide, field] = block.querySelectorAll("input");
  setShare(block, fromField(field.value));
  const tell = () => block.dispatchEvent(new Event("share", { bubbles: true }));
  slide.addEventListener("input", () => {
    field.value = inPercent(clamp(expit(Number(slide.value))));
    block.share = clamp(fromField(field.value));
    slide.setAttribute("aria-valuetext", percent(block.share));
    tell();
  });
  field.addEventListener("input", () => {
    const value = fromField(field.value);
    if (!(value > 0 && value < 1)) return;
    block.share = clamp(value);
    slide.value = logit(block.share);
    slide.setAttribute("aria-valuetext", percent(block.share));
    tell();
  });
  // Twice as far for each press as the browser's own step, ten times with Page Up and Page Down.
  slide.addEventListener("keydown", (event) => {
    const steps = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 };
    if (!(event.key in steps)) return;
    event.preventDefault();
    slide.value = Number(slide.value) + 0.05 * steps[event.key];
    slide.dispatchEvent(new Event("input", { bubbles: true }));
  });
}
