// A handful of images of one class: chosen files and drawings, shown before they are taught.

import { tr } from "./words.js";

export function startLesson(form) {
  const chooser = form.querySelector("input[type=file]");
  const list = form.querySelector(".handful");
  let files = [];

  function show() {
    for (const image of list.querySelectorAll("img")) URL.revokeObjectURL(image.src);
    list.replaceChildren(...files.map(thumbnail));
    const bag = new DataTransfer();
    for (const file of files) bag.items.add(file);
    chooser.files = bag.files;
  }

  function thumbnail(file, index) {
    const item = document.createElement("li");
    const image = Object.assign(document.createElement("img"), { src: URL.createObjectURL(file), alt: "" });
    const button = document.createElement("button");
    button.type = "button";
    button.className = "plain";
    button.setAttribute("aria-label", tr("Leave out image {number}", { number: index + 1 }));
    button.textContent = "×";
    button.addEventListener("click", () => {
      files = files.filter((other) => other !== file);
      show();
      (list.querySelector("button") ?? chooser).focus();
    });
    item.append(image, button);
    return item;
  }

  chooser.addEventListener("change", () => {
    files = [...files, ...chooser.files];
    show();
  });
  form.querySelector('[data-do="collect"]')?.addEventListener("click", () => {
    const take = async (pad) => {
      const file = await pad.file();
      if (!file) return;
      files = [...files, file];
      pad.clear();
      show();
    };
    document.querySelector('[data-live="drawing"]').dispatchEvent(new CustomEvent("collect", { detail: take }));
  });
}
