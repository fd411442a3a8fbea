// What every view shares: parts that come alive, and forms sent without leaving the page.
//
// A view is whole without this file. With it, a form marked data-swap is sent in the background and the main
// part of the answer takes the place of this one.

import { startAnswer } from "./answer.js";
import { startDrawing } from "./drawing.js";
import { startLesson } from "./lesson.js";
import { startRate } from "./rate.js";
import { send } from "./session.js";
import { startTheorem } from "./theorem.js";
import { tr } from "./words.js";

const STARTERS = { rate: startRate, theorem: startTheorem, answer: startAnswer, drawing: startDrawing, lesson: startLesson };

let shown = location.pathname + location.search;
const main = () => document.querySelector("main");

function enliven(root) {
  for (const element of root.querySelectorAll("[data-live]")) STARTERS[element.dataset.live](element);
  for (const element of root.querySelectorAll(".newest")) element.scrollLeft = element.scrollWidth;
}

/** Say something to those who listen instead of looking. */
function say(sentence) {
  document.querySelector("#said").textContent = sentence;
}

/** Take the main part of an answer in place of this one, and put the focus where the answer begins. */
async function show(response, push) {
  const text = await response.text();
  const page = new DOMParser().parseFromString(text, "text/html");
  const next = page.querySelector("main");
  if (!next) throw new Error(tr("The service gave no page."));
  main().replaceWith(document.adoptNode(next));
  document.title = page.title;
  if (push && response.url !== location.href) history.pushState({}, "", response.url);
  shown = location.pathname + location.search;
  enliven(next);
  const first = next.querySelector("[data-focus]") ?? next;
  first.focus({ preventScroll: first === next });
  if (first !== next) first.scrollIntoView({ block: "nearest" });
  say(next.querySelector("[data-say]")?.dataset.say ?? "");
}

/** Send a form in the background and show the answer. */
async function submit(form, button) {
  if (form.dataset.sent) return;
  form.dataset.sent = "yes";
  document.body.classList.add("waiting");
  try {
    await show(await send(form.action, { method: "POST", body: new FormData(form, button) }), true);
  } catch (problem) {
    complain(form, problem);
  } finally {
    delete form.dataset.sent;
    document.body.classList.remove("waiting");
  }
}

function complain(form, problem) {
  form.querySelector(".problem")?.remove();
  const line = document.createElement("p");
  line.className = "problem";
  line.setAttribute("role", "alert");
  line.textContent = problem instanceof TypeError ? tr("The service does not answer. Is it running?") : problem.message;
  form.append(line);
}

document.addEventListener("submit", (event) => {
  if (!event.target.hasAttribute("data-swap")) return;
  event.preventDefault();
  submit(event.target, event.submitter);
});

// Back and forward; a jump inside the page is none of our business.
window.addEventListener("popstate", async () => {
  if (location.pathname + location.search === shown) return;
  try {
    await show(await send(location.href), false);
  } catch {
    location.reload();
  }
});

// The numbers from 1 to 9 press the buttons that show them; not while something is being typed.
document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
  if (!/^[1-9]$/.test(event.key) || event.target.closest("input, textarea, select, [contenteditable]")) return;
  document.querySelector(`main [data-key="${event.key}"]`)?.click();
});

document.documentElement.classList.add("scripted");
enliven(document);
