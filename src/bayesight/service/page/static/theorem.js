// The page of the theorem: three rates in, everything else follows.

import { after, clamp, decimal, frequencies, logit, percent } from "./bayes.js";
import { moveDots } from "./dots.js";
import { setShare, shareOf } from "./rate.js";
import { tr } from "./words.js";

const POINTS = 161;

export function startTheorem(root) {
  const blocks = [...root.querySelectorAll(".rate")];
  const show = () => draw(root, ...blocks.map(shareOf));
  root.addEventListener("share", show);
  for (const button of root.querySelectorAll("[data-set]")) {
    button.addEventListener("click", () => {
      button.dataset.set.split(" ").forEach((percent, i) => setShare(blocks[i], Number(percent) / 100));
      show();
    });
  }
}

function draw(root, prevalence, sensitivity, falseAlarm) {
  const one = after(prevalence, sensitivity, falseAlarm);
  const steps = {
    before: prevalence,
    one,
    two: after(one, sensitivity, falseAlarm),
    negative: after(prevalence, 1 - sensitivity, 1 - falseAlarm),
  };
  for (const [name, p] of Object.entries(steps)) {
    const row = root.querySelector(`[data-step="${name}"]`);
    row.querySelector(".fill").setAttribute("width", (100 * p).toFixed(3));
    row.querySelector("output").textContent = percent(p, 2);
  }
  const evidence = prevalence * sensitivity + (1 - prevalence) * falseAlarm;
  const values = { prevalence, sensitivity, evidence, one };
  for (const [name, value] of Object.entries(values)) {
    root.querySelector(`[data-value="${name}"]`).textContent = decimal(value);
  }
  root.querySelector('[data-value="one-rate"]').textContent = percent(one, 2);
  const rates = [prevalence, sensitivity, falseAlarm];
  people(root, frequencies(...rates), frequencies(...rates, 1000));
  curves(root.querySelector('[data-figure="curves"] svg'), prevalence, sensitivity, falseAlarm, one);
}

function people(root, told, { tp, fn, fp, tn }) {
  const counts = {
    ...told, ill: told.tp + told.fn, healthy: told.fp + told.tn, positives: told.tp + told.fp,
  };
  for (const place of root.querySelectorAll("[data-count]")) {
    place.textContent = counts[place.dataset.count].toLocaleString("en");
  }
  const label = tr(
    "{people} people as dots: {tp} affected and found, {fn} affected and missed, {fp} false alarms, {tn} rightly cleared",
    { people: 1000, tp, fn, fp, tn },
  );
  moveDots(root.querySelector('[data-figure="people"] svg'), [tp, fn, fp, tn], label);
}

function curves(svg, prevalence, sensitivity, falseAlarm, one) {
  const { left, right, bottom, one: top, low } = Object.fromEntries(
    Object.entries(svg.dataset).map(([name, value]) => [name, Number(value)]),
  );
  const across = (p) => left + ((Math.log(p) - Math.log(low)) / -Math.log(low)) * (right - left);
  const down = (p) => bottom + p * (top - bottom);
  const places = Array.from({ length: 2 * POINTS - 1 }, (_, i) => {
    const x = logit(low) * (1 - Math.min(i, 2 * POINTS - 2 - i) / (POINTS - 1));
    const p = 1 / (1 + Math.exp(-x));
    return i < POINTS ? p : 1 - p;
  });
  const path = (ill, well) =>
    places.map((p, i) => `${i ? "L" : "M"}${across(p).toFixed(2)} ${down(after(p, ill, well)).toFixed(2)}`).join("");
  svg.querySelector(".positive").setAttribute("d", path(sensitivity, falseAlarm));
  svg.querySelector(".negative").setAttribute("d", path(1 - sensitivity, 1 - falseAlarm));
  const x = across(clamp(prevalence)).toFixed(2);
  for (const end of ["x1", "x2"]) svg.querySelector(".here").setAttribute(end, x);
  svg.querySelector(".now").setAttribute("cx", x);
  svg.querySelector(".now").setAttribute("cy", down(one).toFixed(2));
  svg.setAttribute(
    "aria-label",
    tr("Probability of being ill against prevalence; at {here}, {now} after a positive", {
      here: percent(prevalence),
      now: percent(one),
    }),
  );
}
