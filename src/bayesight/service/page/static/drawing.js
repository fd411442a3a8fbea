// Ways to show an image besides the file chooser: drop it, paste it, and draw it where there is a canvas. All of
// them end in the form.

import { tr } from "./words.js";

const SIDE = 280;
const MARGIN = 0.07; // of the drawn letter, left free on every side

export function startDrawing(root) {
  const form = root.querySelector("form");
  if (root.querySelector("canvas")) startControls(root, form);
  const chooser = form.querySelector("input[type=file]");
  const send = () => chooser.files.length && form.requestSubmit();
  chooser.addEventListener("change", send);
  send(); // chosen before this script had come
  startDrop(form);
}

function startControls(root, form) {
  const pad = startPad(root.querySelector("canvas"), root.querySelector('[data-do="dark"]'));
  const actions = {
    clear: pad.clear,
    undo: pad.undo,
    ask: async () => {
      const file = await pad.file();
      if (file) give(form, [file]);
      else pad.hint(tr("Draw something first"));
    },
    dark: pad.redraw,
  };
  for (const control of root.querySelectorAll("[data-do]")) {
    control.addEventListener(control.type === "checkbox" ? "change" : "click", () => actions[control.dataset.do]());
  }
  // A lesson elsewhere on the page asks for the drawing as it is.
  root.addEventListener("collect", (event) => event.detail(pad));
}

/** Put files into a form's chooser and send it. */
function give(form, files) {
  if (!files.length) return;
  const bag = new DataTransfer();
  bag.items.add(files[0]);
  form.querySelector("input[type=file]").files = bag.files;
  form.requestSubmit();
}

function startDrop(form) {
  const mark = (on) => (event) => {
    event.preventDefault();
    form.classList.toggle("over", on);
  };
  form.addEventListener("dragover", mark(true));
  form.addEventListener("dragleave", mark(false));
  form.addEventListener("drop", (event) => {
    mark(false)(event);
    give(form, [...event.dataTransfer.files]);
  });
  const paste = (event) => {
    if (!form.isConnected) document.removeEventListener("paste", paste);
    else give(form, [...event.clipboardData.files]);
  };
  document.addEventListener("paste", paste);
}

/** Strokes on a canvas, kept so that the last one can be taken back. */
function startPad(canvas, dark) {
  const context = canvas.getContext("2d");
  let strokes = [];
  const colours = () => (dark.checked ? ["#fff", "#000"] : ["#000", "#fff"]);

  function place(event) {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) * SIDE) / box.width, ((event.clientY - box.top) * SIDE) / box.height];
  }

  function redraw() {
    const [paper, ink] = colours();
    context.fillStyle = paper;
    context.fillRect(0, 0, SIDE, SIDE);
    if (!strokes.length) hint(tr("Draw here"));
    Object.assign(context, { strokeStyle: ink, lineWidth: 24, lineCap: "round", lineJoin: "round" });
    for (const stroke of strokes) {
      context.beginPath();
      context.moveTo(...stroke[0]);
      for (const point of stroke.length > 1 ? stroke.slice(1) : stroke) context.lineTo(...point);
      context.stroke();
    }
  }

  function hint(words) {
    const [paper] = colours();
    context.fillStyle = paper;
    context.fillRect(0, 0, SIDE, SIDE);
    Object.assign(context, { fillStyle: paper === "#000" ? "#9a9a9a" : "#666", font: "16px sans-serif", textAlign: "center" });
    context.fillText(words, SIDE / 2, SIDE / 2);
  }

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    strokes.push([place(event)]);
    redraw();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!canvas.hasPointerCapture(event.pointerId)) return;
    for (const one of event.getCoalescedEvents?.() ?? [event]) strokes.at(-1).push(place(one));
    redraw();
  });
  redraw();

  /** What was drawn, cut out and centred as letters are; nothing while there is no stroke. */
  async function file() {
    if (!strokes.length) return undefined;
    const points = strokes.flat();
    const [left, top] = [0, 1].map((i) => Math.min(...points.map((p) => p[i])) - 12);
    const [right, bottom] = [0, 1].map((i) => Math.max(...points.map((p) => p[i])) + 12);
    const side = Math.max(right - left, bottom - top, 60) * (1 + 2 * MARGIN);
    const cut = new OffscreenCanvas(SIDE, SIDE);
    const onto = cut.getContext("2d");
    [onto.fillStyle] = colours();
    onto.fillRect(0, 0, SIDE, SIDE);
    const [x, y] = [(left + right - side) / 2, (top + bottom - side) / 2];
    onto.setTransform(SIDE / side, 0, 0, SIDE / side, (-x * SIDE) / side, (-y * SIDE) / side);
    onto.drawImage(canvas, 0, 0);
    const blob = await cut.convertToBlob({ type: "image/png" });
    return new File([blob], "drawing.png", { type: "image/png" });
  }

  return {
    file,
    hint,
    redraw,
    clear: () => {
      strokes = [];
      redraw();
    },
    undo: () => {
      strokes.pop();
      redraw();
    },
  };
}
