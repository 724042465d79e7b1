// What this computer lacks for a live run, and what to do about it, as `vidbg doctor` says it.
import { get } from "./api.js";
import { attempt, button, element, notice, withCode } from "./dom.js";
import { onConnection, store, subscribe } from "./store.js";
import { text } from "./strings.js";

let missing = [], askedFor = null;
const listeners = new Set();

// Called with the steps about "camera" or "virtual camera", now and whenever they change.
export function onSetup(about, listener) {
  const tell = () => listener(missing.filter((step) => step.about === about));
  listeners.add(tell);
  tell();
}

async function ask() {
  await attempt(async () => {
    missing = await get("setup");
    for (const tell of listeners) tell();
  });
}
onConnection(() => { askedFor = null; });
// Asked again when the run or its outputs come and go: it takes a second to find out.
subscribe(({ state, link }) => {
  if (link !== "open" || !state.status) return;
  const now = JSON.stringify([state.status.state === "live", state.settings.camera, state.settings.output]);
  if (now !== askedFor) { askedFor = now; ask(); }
});

// The steps in order, with a button to copy each command.
export function stepList(steps) {
  const withCopy = (part) => (part.tagName !== "CODE" ? [part]
    : [part, button({ className: "quiet icon", label: text.setup.copy(part.textContent), onclick: () => copy(part.textContent) }, "copy")]);
  return element("ol", { className: "steps" }, ...steps.map(({ words }) => element("li", {}, ...withCode(words).flatMap(withCopy))));
}

async function copy(command) {
  try {
    await navigator.clipboard.writeText(command);
    notice(text.setup.copied);
  } catch {
    notice(text.setup.notCopied);
  }
}
