// Messages in the language of the page: those it brings along, English where it brings none.

const WORDS = JSON.parse(document.documentElement.dataset.words ?? "{}");

/** A message with its values, by their names in braces, put in. */
export function tr(message, values = {}) {
  return (WORDS[message] ?? message).replace(/\{(\w+)\}/g, (_, name) => values[name]);
}
