// Outputs: which run, which could, and what is missing for the others.
import { get } from "./api.js";
import { button, complain, element, rebuild, tell, withCode } from "./dom.js";
import { change, onList, store, subscribe, valueOf } from "./store.js";
import { text } from "./strings.js";

let choices = [];

// The outputs that the settings name, as a list; null is the first free virtual camera.
function chosen() {
  const value = valueOf("output");
  return (Array.isArray(value) ? value : [value]).filter((output) => output !== "none");
}
function choose(outputs) {
  change({ output: outputs.length > 1 ? outputs : outputs.length ? outputs[0] : "none" });
}

export function outputPane() {
  const running = element("ul", { className: "outputs" });
  const none = element("div", { className: "empty", hidden: true }, element("h3", {}, text.output.none), element("p", {}, text.output.noneBody));
  const offered = element("ul", { className: "outputs" });

  async function load() {
    try {
      choices = await get("outputs");
    } catch (error) {
      if (error.status !== 404) complain(error);
    }
    show(store);
  }
  onList("outputs", load);

  function show({ state, link }) {
    if (!state?.outputs) return;
    rebuild(running, state.outputs.map(({ value, name }) => [value, name]), () => state.outputs.map(runningRow));
    for (const [index, output] of state.outputs.entries()) update(running.children[index], output);
    none.hidden = state.outputs.length > 0;
    rebuild(offered, choices, (all) => all.map(choiceRow));
    for (const control of [...running.querySelectorAll("button"), ...offered.querySelectorAll("button, input")]) control.disabled = link !== "open";
  }
  subscribe(show);
  return [
    element("section", { className: "card", aria: { label: text.output.current } }, element("h2", {}, text.output.current), none, running),
    element("section", { className: "card", aria: { label: text.output.add } }, element("h2", {}, text.output.add), offered),
  ];
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
  const shown = [output.detail, watched].filter(Boolean).join(" · ");
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
  const argument = choice.argument ? element("input", { type: "text", id, placeholder: choice.argument.example, spellcheck: false, autocomplete: "off" }) : null;
  const start = element("button", { type: "submit", data: { key: `start ${choice.value}` }, aria: { label: text.output.start(choice.label) } }, text.output.startButton);
  const form = element("form", {}, argument ? element("label", { htmlFor: id }, choice.argument.label) : null, argument, start);
  form.onsubmit = (event) => {
    event.preventDefault();
    const value = choice.argument ? `${choice.value}${argument.value.trim() || choice.argument.example}` : choice.value;
    choose([...chosen().filter((other) => other !== value), value]);
  };
  const problem = choice.problem
    ? element("details", {}, element("summary", {}, text.output.unavailable), element("p", {}, ...withCode(choice.problem)))
    : null;
  return element("li", { className: "output" }, element("div", {}, element("p", { className: "title" }, choice.label), element("p", { className: "detail" }, choice.purpose ?? ""), problem), choice.problem ? null : form);
}
