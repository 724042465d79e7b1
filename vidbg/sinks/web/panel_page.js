const $ = (id) => document.getElementById(id);
const query = location.search;  // holds the token
let shown = null, holding = null;
let kinds = null;  // of backgrounds: buttons and settings, made from the first state
let controls = [];  // as vidbg describes them: sliders and checkboxes for everything but the background

// Whoever listens to the page hears only what has changed.
function tell(id, text) { if ($(id).textContent !== text) $(id).textContent = text; }
function press(button, on) { button.setAttribute("aria-pressed", on); }
function set(input, value) {
  const typing = input.type === "number" && input === document.activeElement;
  if (holding !== input && !typing && input.value !== String(value)) input.value = value;
}
function setNumber(name, value) {
  set($(name), value);
  set($(`${name}-number`), +(+value).toFixed(2));
}

function fill(list) {
  const names = JSON.stringify(list);
  if ($("files").dataset.names === names) return;
  $("files").dataset.names = names;
  $("nofiles").hidden = list.length > 0;
  $("files").replaceChildren(...list.map((name, number) => {
    const button = document.createElement("button"), image = new Image(), text = document.createElement("span");
    button.type = "button"; button.className = "file"; button.title = name;
    image.alt = ""; image.loading = "lazy"; image.src = `thumbnail/${number}${query}`;
    image.onerror = () => {
      const none = document.createElement("span");
      none.className = "none"; none.textContent = "no preview";
      image.replaceWith(none);
    };
    text.textContent = name;
    button.append(image, text);
    button.onclick = () => send({ background: { kind: "file", number } });
    return button;
  }));
}

function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function sliderRow({ name, label, range: [min, max], step, unit }) {
  const slider = element("input", { type: "range", id: name, min, max, step });
  const number = element("input", { type: "number", id: `${name}-number`, min, max, step: "any" });
  number.setAttribute("aria-label", unit ? `${label}, in ${unit}` : `${label}, as a number`);
  return element("div", { className: "row" }, element("label", { htmlFor: name }, label), slider, number, element("span", {}, unit));
}

function checkRow({ name, label, on, off }) {
  const box = element("input", { type: "checkbox", id: name });
  box.onchange = () => send({ [name]: box.checked ? on : off });
  return element("label", { className: "check" }, box, ` ${label}`);
}

function build(described) {
  if (controls.length) return;
  controls = described;
  const sections = new Map();
  for (const control of controls) {
    if (!sections.has(control.section)) sections.set(control.section, element("fieldset", { className: "card" }, element("legend", {}, control.section)));
    sections.get(control.section).append(control.kind === "number" ? sliderRow(control) : checkRow(control));
  }
  $("sections").append(...sections.values());
  $("reset").textContent = `Reset ${[...sections.keys()].join(" and ").toLowerCase()}`;
  for (const control of controls) if (control.kind === "number") bindNumber(control.name, $(control.name), $(`${control.name}-number`));
  $("sections").querySelectorAll("input[type=range]").forEach(hold);
}

// A button for each kind of background, and a row for what it can set.
function makeKinds(list) {
  if (kinds) return;
  kinds = list;
  for (const { kind, label, setting } of kinds) {
    const button = element("button", { type: "button", id: kind, textContent: label });
    press(button, false);
    button.onclick = () => send({ background: { kind, ...(setting && { [setting.name]: settingValue(setting) }) } });
    $("kinds").append(button);
    if (!setting) continue;
    const name = element("label", { htmlFor: `${setting.name}-value`, textContent: setting.label });
    const row = element("div", { className: "row", id: `${setting.name}-row`, hidden: true }, name);
    $("kind-settings").append(row);
    if (setting.limits) {
      const [min, max] = setting.limits;
      const slider = element("input", { type: "range", id: `${setting.name}-value`, step: 1, min, max, value: setting.default });
      const number = element("input", { type: "number", id: `${setting.name}-number`, step: 1, min, max, ariaLabel: `${setting.label}, as a number` });
      row.append(slider, number, document.createElement("span"));
      bindNumber(setting.name, slider, number);
      hold(slider);
    } else {
      const colour = element("input", { type: "color", id: `${setting.name}-value`, value: setting.default });
      row.classList.add("swatch");
      row.append(colour);
      colour.oninput = () => send({ [setting.name]: colour.value });
      hold(colour);
    }
  }
}
function settingValue(setting) {
  const { value } = $(`${setting.name}-value`);
  return setting.limits ? +value : value;
}

// Their rows change what is on air and nothing else, so only that kind's row is there.
function showKind(background) {
  for (const { kind, setting } of kinds) {
    press($(kind), background.kind === kind);
    if (!setting) continue;
    $(`${setting.name}-row`).hidden = background.kind !== kind;
    if (background.kind !== kind) continue;
    set($(`${setting.name}-value`), background[setting.name]);
    if (setting.limits) set($(`${setting.name}-number`), +(+background[setting.name]).toFixed(2));
  }
}

function figures(status) {
  if (!status) return "";
  const parts = [];
  if (status.state === "live") {
    parts.push(`${status.fps.toFixed(1)} FPS`);
    if (status.latency_ms) parts.push(`latency ${status.latency_ms.toFixed(0)} ms`);
  }
  parts.push(`${status.cpu_percent.toFixed(0)} % of a core`);
  if (status.watched !== null) parts.push(status.watched ? "somebody watches" : "nobody else watches");
  return parts.join(" · ");
}

function show(state) {
  const { status, look, at_start, backgrounds } = state;
  fill(backgrounds);
  makeKinds(state.kinds);
  build(state.controls);
  const name = status ? status.state : "starting";
  tell("state", status ? status.words : name);
  $("state").className = name;
  tell("reason", (status && (status.reason || status.eased)) || "");
  tell("figures", figures(status));
  $("controls").disabled = !look;
  if (!look) return;
  const background = look.background;
  [...$("files").children].forEach((button, number) => press(button, background.kind === "file" && background.number === number));
  showKind(background);
  if ($("room").hidden !== (background.kind !== "room")) $("room").hidden = background.kind !== "room";
  $("stage").classList.toggle("room", background.kind === "room");
  for (const { name, kind, on } of controls) {
    if (kind === "number") setNumber(name, look[name]);
    else $(name).checked = look[name] === on;
  }
  $("reset").disabled = controls.every(({ name }) => look[name] === at_start[name]);
}

function complain(text) { tell("error", text); $("error").hidden = !text; }

let waiting = null, sending = false;
async function send(change) {  // one at a time; of what comes meanwhile the newest of each kind
  waiting = { ...waiting, ...change };
  if (sending) return;
  sending = true;
  while (waiting) {
    const body = JSON.stringify(waiting);
    waiting = null;
    try {
      const answer = await fetch(`look${query}`, { method: "POST", headers: { "Content-Type": "application/json" }, body });
      complain(answer.ok ? "" : await answer.text());
      if (answer.ok) shown = await answer.json();
      if (shown) show(shown);
    } catch { /* the next poll tells */ }
  }
  sending = false;
}

function bindNumber(name, slider, number) {
  const take = (value) => send({ [name]: value });
  slider.oninput = () => { number.value = +(+slider.value).toFixed(2); take(+slider.value); };
  number.onchange = () => {
    if (number.value === "" || Number.isNaN(number.valueAsNumber)) complain("Give a number.");
    else take(number.valueAsNumber);
  };
  number.onblur = () => { if (shown) show(shown); };
}
$("reset").onclick = () => {
  const { background, ...rest } = shown.at_start;
  send(rest);
};
function hold(input) {
  input.addEventListener("input", () => { holding = input; });
  for (const end of ["change", "blur"]) input.addEventListener(end, () => { holding = null; });
}

async function poll() {
  let trouble = "vidbg has ended, or does not answer";
  if (!sending) try {
    const answer = await fetch(`state${query}`);
    if (answer.status === 401) trouble = "This address is no longer valid: open the one that vidbg printed";
    shown = await answer.json();
    show(shown);
  } catch {
    tell("state", trouble);
    $("state").className = "";
    tell("reason", "");
    tell("figures", "");
    $("controls").disabled = true;
  }
  setTimeout(poll, 1000);
}
poll();

const canvas = $("picture");
const heed = showPicture(canvas, {
  wanted: () => $("watch").checked && !document.hidden,
  drawn: () => {
    $("empty").hidden = true;
    $("stage").style.aspectRatio = `${canvas.width} / ${canvas.height}`;
  },
  ended: () => { $("empty").hidden = false; },
});
$("watch").onchange = () => {
  $("empty").textContent = $("watch").checked ? "No picture yet" : "Not shown here";
  heed();
};
document.addEventListener("visibilitychange", heed);
