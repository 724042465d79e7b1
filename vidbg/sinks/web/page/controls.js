// A control for each setting, made from what GET /options says about it.
import { upload } from "./api.js";
import { attribute, button, element, fileName } from "./dom.js";
import { change, subscribe, valueOf } from "./store.js";
import { text } from "./strings.js";

const FEW = 3;  // choices that still fit next to one another
let count = 0;

// A row with a label, a control, a button that resets it, and a place for what is wrong with it.
// `idle(state)`: why it has no effect now, or null. `read`, `write`: where its value is, if it is not
// the setting of that name.
export function settingRow(option, { idle = () => null, read = () => valueOf(option.key), write = (value) => change({ [option.key]: value }) } = {}) {
  const id = `setting-${++count}-${option.key}`;
  const { control, labelled, show, wide } = (MAKERS[option.kind] ?? MAKERS.text)(option, id, read, write);
  const label = labelled
    ? element("label", { htmlFor: id, className: "name" }, option.label)
    : element("span", { id: `${id}-name`, className: "name" }, option.label);
  control.classList.add("control");
  const reset = button({ className: "quiet icon reset", onclick: () => write(option.default) }, "reset");
  const help = element("p", { className: "help", id: `${id}-help` }, option.help);
  const error = element("p", { className: "error", id: `${id}-error`, hidden: true, aria: { role: "alert" } });
  const row = element("div", { className: `setting ${option.kind}${wide ? " wide" : ""}`, data: { key: option.key } }, label, reset, control, help, error);
  for (const input of row.querySelectorAll("input, select, [role=radiogroup]")) attribute(input, "aria-describedby", `${id}-help ${id}-error`);

  row.fail = (words) => { error.textContent = words ?? ""; error.hidden = !words; };
  subscribe(({ state, link }) => {
    if (!state) return;
    const value = read(), why = idle(state);
    show(value);
    row.classList.toggle("idle", why !== null);
    help.textContent = why ?? option.help;
    attribute(label, "title", why ?? option.help);
    for (const input of row.querySelectorAll("input, select, .segments button, .pick")) input.disabled = link !== "open" || why !== null;
    const changed = !same(value, option.default);
    reset.disabled = link !== "open" || !changed;
    const name = text.setting.reset(option.label, spoken(option, option.default));
    attribute(reset, "aria-label", name);
    attribute(reset, "title", name);
  });
  return row;
}

const same = (one, other) => JSON.stringify(one ?? null) === JSON.stringify(other ?? null);

function spoken(option, value) {
  if (value === null || value === undefined || value === "") return text.setting.none;
  if (option.kind === "check") return value ? text.setting.on : text.setting.off;
  if (option.kind === "choice") return choiceLabel(option, value);
  return `${value}${option.unit ? ` ${option.unit}` : ""}`;
}
const choiceLabel = (option, value) => {
  const { label } = option.choices.find((choice) => choice.value === value) ?? { label: String(value) };
  return label === value ? sentence(label) : label;
};
const sentence = (word) => word.charAt(0).toUpperCase() + word.slice(1).replaceAll("-", " ");
// What a field shows while its setting has no value.
const unset = ({ key, kind }) => text.setting.placeholders[key] ?? (kind === "file" ? text.setting.noFile : text.setting.placeholder);
const rounded = (value) => +(+value).toFixed(3);

// Each takes option, id, read() and write(value), and returns: control, whether the row's <label> belongs to an input with `id`, show(value), and
// whether the control needs a line of its own.
const MAKERS = {
  check(_option, id, _read, write) {
    const input = element("input", { type: "checkbox", id, className: "switch", aria: { role: "switch" } });
    input.onchange = () => write(input.checked);
    return { control: input, labelled: true, show: (value) => { input.checked = Boolean(value); } };
  },

  number(option, id, read, write) {
    const range = option.range ?? null, finite = range && !option.optional && range.every((end) => end !== null);
    const number = element("input", { type: "number", id: finite ? `${id}-number` : id, step: "any", inputMode: "decimal", placeholder: unset(option) });
    if (range) for (const [name, end] of [["min", range[0]], ["max", range[1]]]) if (end !== null) number[name] = end;
    const unit = element("span", { className: "unit" }, option.unit ?? "");
    const field = element("span", { className: "field" }, number, unit);
    number.onchange = () => {
      const row = number.closest(".setting"), value = number.value === "" ? option.default : number.valueAsNumber;
      const out = Number.isNaN(value) || (range && value !== null && ((range[0] !== null && value < range[0]) || (range[1] !== null && value > range[1])));
      row.fail(out ? text.setting.notNumber(option.label, range) : "");
      if (!out) write(value);
    };
    if (!finite) {
      const show = (value) => { if (document.activeElement !== number) number.value = value ?? ""; };
      number.onblur = () => show(read());
      return { control: field, labelled: true, show };
    }
    const [min, max] = range;
    const slider = element("input", { type: "range", id, min, max, step: option.step ?? 1 });
    number.setAttribute("aria-label", text.setting.number(option.label, option.unit));
    let held = false;
    number.onblur = () => show(read());
    slider.oninput = () => { held = true; fill(+slider.value); number.value = rounded(slider.value); write(+slider.value); };
    slider.onchange = () => { held = false; };
    const fill = (value) => {
      // Filled from zero where the range goes below it.
      const [from, to] = [Math.max(min, Math.min(0, max)), value].map((end) => (end - min) / (max - min)).sort((one, other) => one - other);
      slider.style.setProperty("--from", from === 0 ? -0.1 : from);
      slider.style.setProperty("--to", to);
      attribute(slider, "aria-valuetext", option.unit ? `${rounded(value)} ${option.unit}` : null);
    };
    function show(value) {
      const known = value ?? min;
      if (!held) { slider.value = known; fill(known); }
      if (document.activeElement !== number && !held) number.value = value === null ? "" : rounded(value);
    }
    return { control: element("div", { className: "slide" }, slider, field), labelled: true, show, wide: true };
  },

  choice(option, id, _read, write) {
    const values = option.choices.map((choice) => choice.value);
    if (values.length > FEW || values.some((value) => choiceLabel(option, value).length > 12)) {
      const select = element("select", { id }, ...values.map((value) => element("option", { value }, choiceLabel(option, value))));
      select.onchange = () => write(select.value);
      return { control: select, labelled: true, show: (value) => { select.value = value; } };
    }
    const group = element("div", { className: "segments", aria: { role: "radiogroup", labelledby: `${id}-name` } });
    group.append(...values.map((value) => {
      const radio = element("input", { type: "radio", name: id, value });
      radio.onchange = () => write(value);
      return element("label", {}, radio, element("span", {}, choiceLabel(option, value)));
    }));
    const show = (value) => { for (const radio of group.querySelectorAll("input")) radio.checked = radio.value === value; };
    return { control: group, labelled: false, show };
  },

  text(option, id, _read, write) {
    const input = element("input", { type: "text", id, spellcheck: false, autocomplete: "off", placeholder: unset(option) });
    input.onchange = () => write(input.value === "" ? option.default : input.value);
    const show = (value) => { if (document.activeElement !== input) input.value = value ?? ""; };
    return { control: input, labelled: true, show, wide: true };
  },

  // The name of the file is shown, and its whole path while it is edited.
  file(option, id, read, write) {
    const { control: input } = MAKERS.text(option, id, read, write);
    const picker = element("input", { type: "file", accept: "image/*", hidden: true });
    const choose = button({ className: "pick", onclick: () => picker.click(), ariaLabel: text.setting.chooseFor(option.label) }, null, text.setting.choose);
    const show = (value) => { if (document.activeElement !== input) input.value = fileName(value ?? ""); };
    input.onfocus = () => { input.value = read() ?? ""; };
    input.onblur = () => show(read());
    picker.onchange = async () => {
      const row = input.closest(".setting");
      try {
        row.fail("");
        choose.disabled = true;
        write((await upload("pictures", picker.files[0], () => {}, new AbortController().signal)).value);
      } catch (error) {
        row.fail(error.message);
      }
      choose.disabled = false;
      picker.value = "";
    };
    return { control: element("div", { className: "file-row" }, input, choose, picker), labelled: true, show, wide: true };
  },

  colour(_option, id, _read, write) {
    const input = element("input", { type: "color", id });
    input.oninput = () => write(input.value);
    return { control: input, labelled: true, show: (value) => { if (value) input.value = value; } };
  },
};

// A card for each section among `options`, in their order.
export function sectionCards(options, idle) {
  const sections = new Map();
  for (const option of options) sections.set(option.section, [...(sections.get(option.section) ?? []), option]);
  return [...sections].map(([section, members]) =>
    element("section", { className: "card", aria: { label: text.sections[section] ?? section } }, element("h2", {}, text.sections[section] ?? section), ...members.map((option) => settingRow(option, { idle: (state) => idle(option, state) }))));
}
