// Small helpers to make and update elements without disturbing focus or screen readers.
import { text } from "./strings.js";

export const $ = (id) => document.getElementById(id);

// "a.b" in strings.js.
export const lookUp = (path) => path.split(".").reduce((value, key) => value[key], text);

export function element(tag, properties = {}, ...children) {
  const { aria = {}, data = {}, ...rest } = properties;
  const made = Object.assign(document.createElement(tag), rest);
  for (const [name, value] of Object.entries(aria)) made.setAttribute(name === "role" ? name : `aria-${name}`, value);
  Object.assign(made.dataset, data);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

const SVG = "http://www.w3.org/2000/svg";
export function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}
export const icon = (name) => svg("svg", { "aria-hidden": "true" }, svg("use", { href: `#i-${name}` }));

// A button; `label` names it where it has no text.
export function button(properties, iconName, ...children) {
  const { label, ...rest } = properties;
  const made = element("button", { type: "button", ...rest }, iconName ? icon(iconName) : null, ...children);
  if (label) { made.setAttribute("aria-label", label); made.title = label; }
  return made;
}

// Live regions and focus stay calm: nothing is written that is already there.
export function tell(node, words) { if (node.textContent !== words) node.textContent = words; }
export function attribute(node, name, value) {
  if (value === null || value === undefined || value === false) { if (node.hasAttribute(name)) node.removeAttribute(name); }
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}
export function setIcon(holder, name) { attribute(holder.querySelector("use"), "href", `#i-${name}`); }

// Rebuild `list` only if `data` differs from what it was built from; keyboard focus returns to the
// element with the same data-key, or else to what stands in its place now.
export function rebuild(list, data, build) {
  const fingerprint = JSON.stringify(data);
  if (list.fingerprint === fingerprint) return false;
  list.fingerprint = fingerprint;
  const focused = list.contains(document.activeElement) ? document.activeElement : null;
  const at = [...list.children].findIndex((child) => child.contains(focused));
  list.replaceChildren(...build(data));
  if (focused) {
    const same = focused.dataset.key && list.querySelector(`[data-key="${CSS.escape(focused.dataset.key)}"]`);
    const instead = list.children[Math.min(at, list.children.length - 1)]?.querySelector("button, input, select");
    (same || instead || list.closest("[tabindex]"))?.focus();
  }
  return true;
}

// Arrow keys, Home and End move among `items()`; only one of them is a tab stop.
export function roving(container, items, { columns = () => 1, chosen = () => {} } = {}) {
  container.addEventListener("keydown", (event) => {
    const all = items(), at = all.indexOf(event.target);
    if (at < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns(), ArrowUp: -columns() }[event.key];
    const to = event.key === "Home" ? 0 : event.key === "End" ? all.length - 1 : step ? at + step : null;
    if (to === null) return;
    event.preventDefault();
    const target = columns() === 1 ? all[(to + all.length) % all.length] : all[Math.max(0, Math.min(all.length - 1, to))];
    makeStop(all, target);
    target.focus();
    chosen(target);
  });
}
export function makeStop(all, target) {
  for (const item of all) attribute(item, "tabindex", item === target ? 0 : -1);
}

export const fileName = (path) => path.split(/[\\/]/).at(-1);

// Fill what index.html leaves to strings.js.
export function fillStrings() {
  document.documentElement.lang = text.language;
  for (const node of document.querySelectorAll("[data-text]")) node.textContent = lookUp(node.dataset.text);
  for (const node of document.querySelectorAll("[data-label]")) {
    node.setAttribute("aria-label", lookUp(node.dataset.label));
    if (node.tagName === "BUTTON") node.title = lookUp(node.dataset.label);
  }
}

// What happened, for a few seconds; errors stay until they are dismissed or the next one comes.
export function notice(words, { urgent = false, action = null } = {}) {
  const region = $(urgent ? "notices-urgent" : "notices-polite");
  const box = element("div", { className: urgent ? "notice bad" : "notice" }, icon(urgent ? "warning" : "check"), element("p", {}, words));
  const end = () => box.remove();
  if (action) box.append(element("button", { type: "button", className: "quiet", onclick: () => { action.run(); end(); } }, action.label));
  box.append(button({ className: "quiet icon", label: text.close, onclick: end }, "close"));
  region.replaceChildren(box);
  if (!urgent) {
    // It waits while somebody reads it with the pointer or the keyboard.
    const timer = setInterval(() => { if (!box.matches(":hover, :focus-within")) { clearInterval(timer); end(); } }, 6000);
  }
  return end;
}
export function complain(error) { return notice(error.message ?? String(error), { urgent: true }); }
// Runs what may fail; what went wrong is shown.
export async function attempt(action) {
  try {
    await action();
  } catch (error) {
    complain(error);
  }
}
export function dismissErrors() { $("notices-urgent").replaceChildren(); }

// Ask a question; resolves to the form's fields if it is answered with `yes`, otherwise to null.
export function ask({ title, body = "", yes, danger = false, fields = [] }) {
  const dialog = $("dialog");
  $("dialog-title").textContent = title;
  $("dialog-body").replaceChildren(...(body ? [element("p", {}, body)] : []), ...fields);
  $("dialog-yes").textContent = yes;
  $("dialog-yes").className = danger ? "danger" : "primary";
  $("dialog-no").textContent = text.cancel;
  $("dialog-no").onclick = () => dialog.close("");
  dialog.returnValue = "";
  dialog.showModal();
  (fields.length ? fields[0].querySelector("input") : $("dialog-no")).focus();
  return new Promise((resolve) => {
    dialog.onclose = () => resolve(dialog.returnValue === "yes" ? new FormData(dialog.querySelector("form")) : null);
  });
}

// `code` in backquotes is shown as code.
export function withCode(words) {
  return words.split("`").map((part, index) => (index % 2 ? element("code", {}, part) : part));
}
