// Asking the service: an answer that is no success is an error with the service's own sentence.

import { tr } from "./words.js";

export async function send(url, options = {}) {
  const headers = { Accept: "text/html" };
  const response = await fetch(url, { ...options, headers, credentials: "same-origin", cache: "no-store" });
  if (response.ok) return response;
  throw new Error(await sentence(response));
}

async function sentence(response) {
  const text = await response.text();
  const said = new DOMParser().parseFromString(text, "text/html").querySelector("[data-problem]");
  if (said) return said.textContent.trim();
  try {
    return JSON.parse(text).message;
  } catch {
    return tr("The service answered {status}.", { status: response.status });
  }
}
