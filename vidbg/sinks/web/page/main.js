// The page as a whole: tabs, settings by section, theme, quitting.
import { post, request } from "./api.js";
import { $, ask, attempt, attribute, button, complain, dismissErrors, element, fillStrings, icon, makeStop, notice, rebuild, roving, setIcon } from "./dom.js";
import { backgroundPane } from "./backgrounds.js";
import { cameraPane } from "./camera.js";
import { sectionCards } from "./controls.js";
import { idle } from "./idle.js";
import { outputPane } from "./output.js";
import { profilePane } from "./profiles.js";
import { statusPane } from "./status.js";
import { startStage } from "./stage.js";
import { connect, markEnded, onConnection, onFailure, store, subscribe, takeState } from "./store.js";
import { text } from "./strings.js";

const TABS = ["background", "look", "camera", "output", "profiles", "status"];
// The tab of each section of the options; any other section is under "look".
const TAB_OF = { Background: "background", Camera: "camera", Away: "camera", Output: "output" };
// Options that a tab shows in its own way.
const SHOWN_ELSEWHERE = new Set(["background", "camera", "output"]);

const tabs = new Map(), panes = new Map(), rooms = new Map();
const own = {};  // what a tab has beside the settings: cards, and load() for when it is opened
let current = null;
const visible = (name) => () => current === name;

function makeTabs() {
  for (const name of TABS) {
    const tab = element("button", { type: "button", id: `tab-${name}`, aria: { role: "tab", controls: `pane-${name}` }, onclick: () => open(name, true) }, icon(name), element("span", {}, text.tabs[name]));
    const room = element("div", { className: "sections" });
    const pane = element("div", { id: `pane-${name}`, className: "pane", tabIndex: -1, aria: { role: "tabpanel", labelledby: tab.id } });
    tabs.set(name, tab); panes.set(name, pane); rooms.set(name, room);
    $("tabs").append(tab);
    $("panes").append(pane);
  }
  roving($("tabs"), () => [...tabs.values()], { chosen: (tab) => tab.click() });
  Object.assign(own, {
    background: backgroundPane(),
    camera: cameraPane(visible("camera")),
    output: outputPane(visible("output")),
    profiles: profilePane(),
    status: statusPane(visible("status")),
  });
  for (const name of TABS) panes.get(name).append(...(own[name]?.cards ?? []), rooms.get(name));
  panes.get("profiles").append(resetCard());
}

// Opens a tab; one that is opened by hand begins at its top, below the picture.
function open(name, byHand = false) {
  current = name;
  for (const [other, tab] of tabs) {
    attribute(tab, "aria-selected", String(other === name));
    panes.get(other).hidden = other !== name;
  }
  makeStop([...tabs.values()], tabs.get(name));
  history.replaceState(null, "", `#${name}`);
  if (byHand && $("panel").getBoundingClientRect().top < parseFloat(getComputedStyle($("panel")).scrollMarginTop)) $("panel").scrollIntoView();
  if (store.link === "open") own[name]?.load?.();
}

// Controls are made anew only when another vidbg, with other options, answers.
function makeSettings() {
  const shown = store.options.filter(({ live, section, key }) => live && section !== null && !SHOWN_ELSEWHERE.has(key));
  for (const name of TABS) {
    const mine = shown.filter((option) => (TAB_OF[option.section] ?? "look") === name);
    rebuild(rooms.get(name), mine, () => sectionCards(mine, idle));
  }
}

function resetCard() {
  const reset = button({ onclick: async () => {
    if (!(await ask({ title: text.setting.resetAsk, body: text.setting.resetBody, yes: text.setting.resetYes }))) return;
    await attempt(async () => takeState(await post("settings/reset")));
  } }, "reset", text.setting.resetAll);
  subscribe(({ link }) => { reset.disabled = link !== "open"; });
  return element("section", { className: "card" }, element("p", { className: "help" }, text.setting.lasting), reset);
}

function showFailure(error, sent) {
  const rows = [...document.querySelectorAll(".setting")].filter((row) => row.dataset.key in sent);
  for (const row of rows) row.fail?.(error && (error.field === row.dataset.key || rows.length === 1) ? error.message : "");
  if (!error) dismissErrors();
  else if (!rows.some((row) => !row.querySelector(".error").hidden && row.offsetParent !== null)) complain(error);
}

// --- theme and end --------------------------------------------------------------------------------

const THEMES = ["auto", "light", "dark"];
function showTheme(name) {
  keep("theme", name === "auto" ? "" : name);
  attribute($("theme"), "aria-label", text.theme[name]);
  $("theme").title = text.theme[name];
  setIcon($("theme"), name);
}

// A choice for this page only, kept by the browser and set as an attribute of the document.
function keep(choice, value) {
  if (value) { document.documentElement.dataset[choice] = value; localStorage.setItem(`vidbg-${choice}`, value); }
  else { delete document.documentElement.dataset[choice]; localStorage.removeItem(`vidbg-${choice}`); }
}

function startHeader() {
  const explained = () => document.documentElement.dataset.explain === "on";
  const showExplained = () => attribute($("explain"), "aria-pressed", String(explained()));
  showExplained();
  $("explain").onclick = () => { keep("explain", explained() ? "" : "on"); showExplained(); };

  const theme = () => document.documentElement.dataset.theme ?? "auto";
  showTheme(theme());
  $("theme").onclick = () => showTheme(THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length]);
  $("quit").onclick = async () => {
    if (!(await ask({ title: text.quit.ask, body: text.quit.body, yes: text.quit.yes, danger: true }))) return;
    await attempt(async () => {
      await request("POST", "quit");
      markEnded();
    });
  };
  subscribe(({ link }) => { $("quit").disabled = link !== "open"; });
}

let lost = false;
fillStrings();
startHeader();
startStage();
makeTabs();
open(TABS.includes(location.hash.slice(1)) ? location.hash.slice(1) : TABS[0]);
onFailure(showFailure);
onConnection(makeSettings);
subscribe(({ link }) => {
  document.body.dataset.link = link;
  if (lost && link === "open") notice(text.link.back);
  lost = link === "lost" || link === "ended";
});
connect();
