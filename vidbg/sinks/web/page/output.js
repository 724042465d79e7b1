// Outputs: which run, which could, and what is missing for the others.
import { get } from "./api.js";
import { attempt, button, element, rebuild, tell, withCode } from "./dom.js";
import { change, onConnection, store, subscribe, valueOf } from "./store.js";
import { onSetup, stepList } from "./setup.js";
import { text } from "./strings.js";

let choices = null;  // until vidbg has looked what works here

// The outputs that the settings name.
const chosen = () => valueOf("output").filter((output) => output !== "none");
const choose = (outputs) => change({ output: outputs.length ? outputs : ["none"] });

export function outputPane(visible) {
  const running = element("ul", { className: "outputs" });
  const missing = element("div", {});
  const none = element("div", { className: "empty", hidden: true }, element("h3", {}, text.output.none), element("p", {}, text.output.noneBody), missing);
  const offered = element("ul", { className: "outputs" });

  async function load() {
    if (!visible()) return;
    await attempt(async () => { choices = await get("outputs"); });
    show(store);
  }
  onConnection(() => { load(); });  // nothing waits for it

  function show({ state, link }) {
    if (!state) return;
    const outputs = state.outputs.filter(({ value }) => value !== "none");
    rebuild(running, outputs.map(({ value, name }) => [value, name]), () => outputs.map(runningRow));
    for (const [index, output] of outputs.entries()) update(running.children[index], output);
    none.hidden = outputs.length > 0;
    rebuild(offered, choices, (all) => all?.map(choiceRow) ?? [element("li", { className: "help" }, text.output.looking)]);
    for (const control of [...running.querySelectorAll("button"), ...offered.querySelectorAll("button, input")]) control.disabled = link !== "open";
  }
  subscribe(show);
  onSetup("virtual camera", (steps) => missing.replaceChildren(...(steps.length ? [element("p", {}, text.output.forCalls), stepList(steps)] : [])));
  const cards = [
    element("section", { className: "card", aria: { label: text.output.current } }, element("h2", {}, text.output.current), none, running),
    element("section", { className: "card", aria: { label: text.output.add } }, element("h2", {}, text.output.add), offered),
  ];
  return { cards, load };
}

function runningRow(output) {
  const stop = button({ data: { key: `stop ${output.value}` }, onclick: () => choose(chosen().filter((value) => value !== output.value)) }, "stop", text.output.stopButton);
  stop.setAttribute("aria-label", text.output.stop(output.name));
  return element("li", { className: "output" }, element("span", { className: "lamp" }), element("div", {}, element("p", { className: "title" }, output.name), element("p", { className: "detail" }), element("p", { className: "problem", hidden: true })), stop);
}

function update(row, output) {
  row.querySelector(".lamp").dataset.state = output.state;
  const watched = output.watched === null || output.watched === undefined ? "" : output.watched ? text.output.watched : text.output.unwatched;
  const detail = row.querySelector(".detail");
  const shown = [text.output.states[output.state] ?? output.state, watched].filter(Boolean).join(" · ");
  if (output.url && detail.dataset.url !== output.url) {
    detail.dataset.url = output.url;
    detail.replaceChildren(element("a", { href: output.url, target: "_blank", rel: "noopener" }, text.output.open), " ", element("span"));
  }
  tell(detail.querySelector("span") ?? detail, shown);
  const problem = row.querySelector(".problem");
  problem.hidden = !output.problem;
  tell(problem, output.problem ?? "");
}

function choiceRow(choice) {
  const id = `output-${choice.value}`;
  // What stands behind a word has an example that works; what stands behind "://" is somebody's own.
  const { label, example } = choice.argument ?? {}, own = choice.value.endsWith("://");
  const argument = choice.argument ? element("input", { type: "text", id, placeholder: example, value: own ? "" : example, required: own, spellcheck: false, autocomplete: "off" }) : null;
  const start = element("button", { type: "submit", data: { key: `start ${choice.value}` }, aria: { label: text.output.start(choice.label) } }, text.output.startButton);
  const form = element("form", {}, argument ? element("label", { htmlFor: id }, label) : null, argument, start);
  form.onsubmit = (event) => {
    event.preventDefault();
    const value = argument ? `${choice.value}${argument.value.trim() || example}` : choice.value;
    choose([...chosen().filter((other) => other !== value), value]);
  };
  const problem = choice.problem
    ? element("details", {}, element("summary", {}, text.output.unavailable), element("p", {}, ...withCode(choice.problem)))
    : null;
  return element("li", { className: argument ? "output with-argument" : "output" }, element("div", {}, element("p", { className: "title" }, choice.label), element("p", { className: "detail" }, choice.purpose ?? ""), problem), choice.problem ? null : form);
}
