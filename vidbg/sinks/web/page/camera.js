// Cameras: what is there, what is wrong with each, and in which format it runs.
import { get } from "./api.js";
import { attempt, element, rebuild, withCode } from "./dom.js";
import { change, onConnection, store, subscribe, valueOf } from "./store.js";
import { text } from "./strings.js";

const LOOK_AGAIN_MS = 5000;  // while the list is open, for cameras that are plugged in

let cameras = null;  // until vidbg has looked

export function cameraPane(visible) {
  const list = element("div", { className: "devices", aria: { role: "radiogroup", label: text.camera.list } });
  const empty = element("div", { className: "empty", hidden: true }, element("h3", {}, text.camera.empty), element("p", {}, text.camera.emptyBody));
  const modes = element("select", { id: "camera-mode", className: "control" });
  const modeRow = element("div", { className: "setting choice" }, element("label", { htmlFor: modes.id, className: "name" }, text.camera.mode), modes);
  const own = element("input", { type: "text", id: "camera-other", spellcheck: false, autocomplete: "off", aria: { describedby: "camera-other-help" } });
  const use = element("button", { type: "submit" }, text.camera.use);
  const form = element("form", { className: "own" }, element("label", { htmlFor: own.id }, text.camera.other), own, use, element("p", { className: "help", id: "camera-other-help" }, text.camera.otherHelp));
  form.onsubmit = (event) => { event.preventDefault(); if (own.value.trim()) { change({ camera: own.value.trim() }); own.value = ""; } };
  modes.onchange = () => change(JSON.parse(modes.value));

  async function load() {
    if (!visible() || document.hidden) return;
    await attempt(async () => { cameras = await get("cameras"); });
    show(store);
  }
  onConnection(() => { load(); });  // nothing waits for it
  setInterval(() => { if (store.link === "open") load(); }, LOOK_AGAIN_MS);

  function show({ state, link }) {
    for (const control of [modes, own, use]) control.disabled = link !== "open";
    if (!state) return;
    const current = valueOf("camera");
    rebuild(list, cameras ?? [], (all) => all.map(row));
    const chosen = cameras?.find((camera) => camera.value === current);
    for (const radio of list.querySelectorAll("input")) {
      radio.checked = radio.value === chosen?.value;
      radio.disabled = link !== "open";
    }
    empty.hidden = cameras === null || cameras.length > 0;
    const formats = chosen?.modes ?? [];
    modeRow.hidden = formats.length === 0;
    rebuild(modes, formats, (all) => all.map((mode) => element("option", { value: JSON.stringify(mode) }, text.camera.modeValue(mode.size, mode.fps, mode.format))));
    const now = formats.find((mode) => Object.entries(mode).every(([key, value]) => valueOf(key) === value));
    if (document.activeElement !== modes) modes.value = now ? JSON.stringify(now) : "";
  }
  subscribe(show);
  const card = element("section", { className: "card", aria: { label: text.camera.list } }, element("h2", {}, text.camera.list), empty, list, modeRow, form);
  return { cards: [card], load };
}

function row(camera) {
  const radio = element("input", { type: "radio", name: "camera", value: camera.value, data: { key: camera.value } });
  radio.onchange = () => change({ camera: camera.value });
  return element("div", { className: "device" },
    element("label", {}, radio, element("span", { className: "title" }, camera.label)),
    camera.problem ? element("p", { className: "problem" }, ...withCode(camera.problem)) : null);
}
