// The page of one image: a slider of a base rate moves prior and posterior at once, in words, bars and dots.

import { frequencies, percent, posterior, restated } from "./bayes.js";
import { moveDots } from "./dots.js";
import { setShare, shareOf } from "./rate.js";
import { tr } from "./words.js";

const WORTH_A_WORD = 0.001;
const TENTH = { minimumFractionDigits: 1, maximumFractionDigits: 1 };

export function startAnswer(root) {
  const { names, prior, logLikelihood, known } = JSON.parse(root.dataset.terms);
  const which = root.querySelector("#which");
  const block = root.querySelector(".rate");
  const chosen = () => names.indexOf(which.value);
  which.addEventListener("change", () => {
    setShare(block, prior[chosen()]);
    draw(prior);
  });
  root.addEventListener("share", () => draw(restated(prior, chosen(), shareOf(block))));

  function draw(now) {
    const { p, logEvidence } = posterior(now, logLikelihood);
    const best = p.indexOf(Math.max(...p));
    runnerUp(root, names, p, best);
    root.querySelector("[data-evidence]").textContent = logEvidence.toLocaleString("en", TENTH);
    for (const button of root.querySelectorAll(".labels button")) {
      button.classList.toggle("likely", button.value === names[best]);
    }
    for (const row of root.querySelectorAll("[data-k]")) {
      const k = Number(row.dataset.k);
      row.classList.toggle("best", k === best);
      fill(row.querySelector('[data-term="prior"]'), now[k]);
      fill(row.querySelector('[data-term="posterior"]'), p[k]);
    }
    for (const place of root.querySelectorAll("[data-best]")) place.textContent = names[best];
    for (const place of root.querySelectorAll("[data-sure]")) place.textContent = percent(p[best]);
    const k = chosen();
    const warning = known ? "" : ` ${tr("It is unlike anything known, though, and stays unknown.")}`;
    const shares = { name: names[k], prior: percent(now[k]), posterior: percent(p[k]) };
    root.querySelector("[data-moved]").textContent =
      tr("{name} at {prior} here: {posterior} sure.", shares) + warning;
    root.querySelector("[data-chosen]").textContent = names[k];
    dots(root, "prior", now[k], tr("{name}, before looking", { name: names[k] }));
    dots(root, "posterior", p[k], tr("{name}, after looking", { name: names[k] }));
  }
}

/** The second most probable class, in words while it is worth one. */
function runnerUp(root, names, p, best) {
  const place = root.querySelector("[data-next]");
  if (!place) return;
  const others = p.map((value, k) => (k === best ? -1 : value));
  const next = others.indexOf(Math.max(...others));
  place.hidden = others[next] < WORTH_A_WORD;
  place.querySelector("[data-next-name]").textContent = names[next];
  place.querySelector("[data-next-sure]").textContent = percent(p[next]);
}

function fill(cell, p) {
  cell.querySelector("output").textContent = percent(p);
  cell.querySelector(".fill").setAttribute("width", (100 * p).toFixed(3));
}

function dots(root, name, p, what) {
  const told = frequencies(p, 1, 0);
  root.querySelector(`[data-people="${name}"]`).textContent = told.people.toLocaleString("en");
  root.querySelector(`[data-dots="${name}"]`).textContent = told.tp.toLocaleString("en");
  const count = frequencies(p, 1, 0, 1000).tp;
  const label = tr("{count} of 1,000 dots are filled: {name}", { count, name: what });
  moveDots(root.querySelector(`[data-figure="${name}"] svg`), [count, 0, 0, 1000 - count], label);
}
