// The gallery: kinds of backgrounds, included and own pictures and videos, and how they get in.
import { address, get, post, request, upload } from "./api.js";
import { $, ask, attempt, attribute, button, complain, element, fileName, icon, makeStop, notice, rebuild, roving, tell } from "./dom.js";
import { change, isPending, onList, store, subscribe, takeState, valueOf } from "./store.js";
import { settingRow } from "./controls.js";
import { text } from "./strings.js";

const MEDIA = /^(image|video)\//;
const VIDEO = /\.(mp4|mov|mkv|webm|m4v|avi|gif)$/i;
const SUFFIXES = /\.(jpe?g|png|webp|avif|heic|heif|gif|bmp|tiff?|mp4|mov|mkv|webm|m4v|avi)$/i;
const LARGEST = 500e6;  // bytes that vidbg takes

let listed = { kinds: [], pictures: [], files: [] };
let serial = 0;

export function backgroundPane() {
  const kinds = element("div", { className: "kinds", aria: { role: "group", label: text.background.kinds } });
  const kindSettings = element("div", { className: "kind-settings" });
  const included = makeGallery("included", text.background.included);
  const gallery = makeGallery("gallery", text.background.gallery);
  const empty = element("div", { className: "empty", hidden: true }, element("h3", {}, text.background.empty), element("p", {}, text.background.emptyBody));
  const hint = element("p", { className: "help", hidden: true }, text.background.hint);
  const picker = element("input", { type: "file", accept: "image/*,video/*", multiple: true, hidden: true, id: "picker" });
  const add = button({ id: "add", className: "primary", onclick: () => picker.click() }, "add", text.background.add);
  const uploads = element("ul", { id: "uploads" });
  picker.onchange = () => { addFiles([...picker.files], uploads); picker.value = ""; };

  const card = element("section", { className: "card", id: "backgrounds", aria: { label: text.tabs.background } },
    element("h2", {}, text.background.kinds), kinds, kindSettings,
    element("h2", {}, text.background.included), included,
    element("div", { className: "heading" }, element("h2", {}, text.background.gallery), add, picker),
    uploads, empty, gallery, hint);

  gallery.addEventListener("keydown", (event) => {
    if (event.key === "Delete" && event.target.classList.contains("tile")) event.target.closest("li").querySelector(".remove")?.click();
  });

  async function load() {
    await attempt(async () => { listed = await get("backgrounds"); });
    show(store);
  }
  onList("backgrounds", load);

  function show({ state, link }) {
    add.disabled = link !== "open";
    if (!state) return;
    const value = String(valueOf("background") ?? ""), kind = isPending("background") ? kindOf(value) : state.background.kind;
    rebuild(kinds, listed, () => [
      ...listed.kinds.map((each) => button({ className: "chip", data: { key: each.kind }, onclick: () => chooseKind(each) }, null, each.label)),
      ...(slideFolder() ? [button({ className: "chip", data: { key: "slides" }, onclick: () => change({ background: `slides:${slideFolder()}:${slideSeconds()}` }) }, null, text.background.slides)] : []),
      button({ className: "chip", data: { key: "none" }, onclick: showRoom }, null, text.room.button),
    ]);
    for (const chip of kinds.children) {
      attribute(chip, "aria-pressed", String(chip.dataset.key === kind));
      chip.disabled = link !== "open";
    }
    rebuild(kindSettings, listed.kinds.filter(({ adjust }) => adjust), (list) => [...list.map(adjustment), slidesRow()]);
    for (const row of kindSettings.children) row.hidden = row.dataset.kind !== kind;
    empty.hidden = listed.files.length > 0;
    hint.hidden = listed.files.length === 0;
    for (const [list, items] of [[included, listed.pictures], [gallery, listed.files]]) {
      rebuild(list, items, (all) => all.map(tile));
      for (const item of list.querySelectorAll(".tile")) {
        const chosen = isPending("background") ? item.dataset.value === value : item.dataset.key === state.background.id;
        attribute(item, "aria-pressed", String(chosen));
        item.disabled = link !== "open";
      }
      markStops(list);
    }
  }
  subscribe(show);
  acceptFiles(uploads);
  return { cards: [card] };
}

const kindOf = (value) => {
  const word = value.split(":")[0];
  return word === "none" || word === "slides" || word === "scene" || listed.kinds.some(({ kind }) => kind === word) ? word : "file";
};

// What a kind is adjusted to: now if it is shown, when it was shown last, or by default.
const lastValues = new Map();
function lastValue({ kind, adjust }) {
  const [word, value] = String(valueOf("background") ?? "").split(":");
  if (word === kind && value !== undefined) lastValues.set(kind, adjust.range ? Number(value) : value);
  return lastValues.get(kind) ?? adjust.default;
}

// A row for the one value that a kind can be adjusted in.
function adjustment(kind) {
  const { label, range, default: standard } = kind.adjust;
  const option = { key: "background", label, range, default: standard, kind: range ? "number" : "colour", optional: false, choices: [], help: "" };
  const row = settingRow(option, { read: () => lastValue(kind), write: (value) => change({ background: `${kind.kind}:${value}` }) });
  row.dataset.kind = kind.kind;
  return row;
}

// A slide show has the pictures of the folder that the first of them lies in.
const SECONDS = { key: "background", label: text.background.seconds, kind: "number", range: [1, 120], step: 1, unit: "s", default: 10, optional: false, help: "" };
const slidesNow = () => /^slides:(.*):([\d.]+)$/.exec(valueOf("background") ?? "");
function slideFolder() {
  const folders = listed.files.filter(({ name }) => !VIDEO.test(name)).map(({ value }) => value.slice(0, -fileName(value).length - 1));
  return folders.find((folder, at) => folders.indexOf(folder) !== at) ?? null;
}
const slideSeconds = () => Number(slidesNow()?.[2] ?? SECONDS.default);
function slidesRow() {
  const row = settingRow(SECONDS, { read: slideSeconds, write: (seconds) => change({ background: `slides:${slidesNow()?.[1] ?? slideFolder()}:${seconds}` }) });
  row.dataset.kind = "slides";
  return row;
}

// A list of tiles among which the arrow keys move.
function makeGallery(id, label) {
  const list = element("ul", { id, className: "gallery", aria: { label } });
  roving(list, () => [...list.querySelectorAll(".tile")], {
    columns: () => getComputedStyle(list).gridTemplateColumns.split(" ").length,
    chosen: () => markStops(list),
  });
  return list;
}

// One tile is a stop of the Tab key, and its delete button with it.
function markStops(gallery) {
  const all = [...gallery.querySelectorAll(".tile")];
  const stop = all.find((item) => item === document.activeElement) ?? all.find((item) => item.getAttribute("aria-pressed") === "true") ?? all[0];
  makeStop(all, stop);
  for (const item of all) {
    const removal = item.closest("li").querySelector(".remove");
    if (removal) attribute(removal, "tabindex", item === stop ? 0 : -1);
  }
}

function tile(item) {
  const picture = element("img", { alt: "", draggable: false, loading: "lazy", decoding: "async", width: 192, height: 108, src: address(`backgrounds/${encodeURIComponent(item.id)}/thumbnail`) });
  picture.onerror = () => picture.replaceWith(element("span", { className: "no-preview" }, text.background.noPreview));
  const choose = button({ className: "tile", data: { key: item.id, value: item.value }, title: item.name, onclick: () => change({ background: item.value }) }, null,
    picture, VIDEO.test(item.name) ? element("span", { className: "badge", title: text.background.video }, icon("video")) : null,
    element("span", { className: "label" }, item.name));
  return element("li", {}, choose, item.deletable ? button({ className: "remove icon", label: text.background.remove(item.name), onclick: () => remove(item) }, "delete") : null);
}

async function remove(item) {
  if (!(await ask({ title: text.background.removeAsk(item.name), body: text.background.removeBody, yes: text.background.removeYes, danger: true }))) return;
  await attempt(async () => {
    await request("DELETE", `backgrounds/${encodeURIComponent(item.id)}`);
    notice(text.background.removed(item.name));
  });
}

function chooseKind(kind) {
  change({ background: kind.adjust ? `${kind.kind}:${lastValue(kind)}` : kind.kind });
}

async function showRoom() {
  await attempt(async () => {
    const { token } = await post("room/question", { purpose: "output" });
    if (await ask({ title: text.room.ask, body: text.room.askBody, yes: text.room.yes, danger: true })) takeState(await post("room", { token, confirm: true }));
  });
}

// --- files that are added -------------------------------------------------------------------------

async function addFiles(files, list) {
  for (const file of files) await addFile(file, list);
}

async function addFile(file, list) {
  if (!MEDIA.test(file.type) && !SUFFIXES.test(file.name)) { complain(new Error(text.upload.failed(file.name, text.upload.notMedia))); return; }
  if (file.size > LARGEST) { complain(new Error(text.upload.failed(file.name, text.upload.tooLarge(file.size, LARGEST)))); return; }
  const abort = new AbortController(), id = `upload-${++serial}`;
  const words = element("label", { htmlFor: id }, text.upload.running(file.name)), bar = element("progress", { id, max: 1, value: 0 });
  const row = element("li", {}, words, bar, button({ className: "quiet icon", label: text.upload.cancel(file.name), onclick: () => abort.abort() }, "close"));
  list.append(row);
  try {
    const added = await upload("backgrounds", file, (share) => {
      if (share < 1) bar.value = share;
      else { bar.removeAttribute("value"); tell(words, text.upload.preparing(file.name)); }
    }, abort.signal);
    notice(text.upload.done(added.name));
    await change({ background: added.value });
  } catch (error) {
    if (error.name !== "AbortError") complain(new Error(text.upload.failed(file.name, error.message)));
  }
  if (row.contains(document.activeElement)) $("add").focus();
  row.remove();
}

// Files that are dropped anywhere on the page, and pictures that are pasted outside of text fields.
function acceptFiles(list) {
  let depth = 0;
  const ofFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  const cover = (shown) => { $("drop").hidden = !shown; };
  addEventListener("dragenter", (event) => { if (ofFiles(event)) { event.preventDefault(); depth += 1; cover(true); } });
  addEventListener("dragover", (event) => { if (ofFiles(event)) event.preventDefault(); });
  addEventListener("dragleave", (event) => { if (ofFiles(event)) { depth = Math.max(0, depth - 1); cover(depth > 0); } });
  addEventListener("drop", (event) => {
    if (!ofFiles(event)) return;
    event.preventDefault();
    depth = 0;
    cover(false);
    addFiles([...event.dataTransfer.files], list);
  });
  addEventListener("paste", (event) => {
    if (event.target.matches("input, textarea")) return;
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length) addFiles(files, list);
    else notice(text.upload.nothingPasted);
  });
}
