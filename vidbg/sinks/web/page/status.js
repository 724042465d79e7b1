// Figures of the last ten minutes as charts with their words, the log, and diagnostics.
import { get } from "./api.js";
import { attempt, button, complain, element, notice, rebuild, svg, tell } from "./dom.js";
import { onConnection, store, subscribe } from "./store.js";
import { text } from "./strings.js";

const WINDOW_S = [60, 600], REFRESH_MS = 2000;  // the shortest and the longest time shown
const WIDTH = 600, HEIGHT = 96;
const BUCKET = 4;  // samples that become one point of a line
// Chart → its series in the answer of GET /statistics, and how far its scale reaches at least.
const CHARTS = {
  fps: { series: ["fps"], least: 30, digits: 1 },
  latency: { series: ["latency_p50_ms", "latency_p95_ms"], least: 50, digits: 0 },
  dropped: { series: ["dropped"], least: 5, digits: 0 },
  cpu: { series: ["cpu_percent"], least: 100, digits: 0 },
  memory: { series: ["rss_mb"], least: 200, digits: 0 },
};

export function statusPane(visible) {
  const nothing = element("p", { className: "help" }, text.status.nothing);
  const charts = new Map(Object.keys(CHARTS).map((name) => [name, chart(name)]));
  const backend = element("p", { className: "backend" }), why = element("ul", { className: "why" });
  const whyBox = element("details", { hidden: true }, element("summary", {}, text.status.backendWhy), why);
  const log = element("div", { className: "log", tabIndex: 0, aria: { role: "log", live: "off", label: text.status.log } });
  const version = element("span", { className: "detail" });
  const spare = element("textarea", { readOnly: true, hidden: true, rows: 8, aria: { label: text.status.copy } });
  const copy = button({ id: "diagnostics", onclick: copyDiagnostics }, "copy", text.status.copy);

  async function copyDiagnostics() {
    await attempt(async () => {
      const words = await get("diagnostics");
      try {
        await navigator.clipboard.writeText(words);
        notice(text.status.copied);
      } catch {
        spare.value = words;
        spare.hidden = false;
        spare.select();
        notice(text.status.notCopied);
      }
    });
  }

  let failed = false;
  async function load() {
    if (!visible() || document.hidden || store.link !== "open") return;
    try {
      const [statistics, { lines }] = await Promise.all([get("statistics"), get("log")]);
      const { samples } = statistics;
      nothing.hidden = samples.length > 1;
      for (const shown of charts.values()) shown.draw(samples);
      const { words, others = [] } = store.state.network ?? {};
      tell(backend, words ?? "–");
      rebuild(why, others, (all) => all.map((reason) => element("li", {}, reason)));
      whyBox.hidden = others.length === 0;
      const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
      rebuild(log, lines, (all) => (all.length ? all.map(logLine) : [element("p", { className: "help" }, text.status.logEmpty)]));
      if (atEnd) log.scrollTop = log.scrollHeight;
      tell(version, text.status.version(store.state.version));
      failed = false;
    } catch (error) {
      if (!failed) complain(error);
      failed = true;
    }
  }
  subscribe(({ link }) => { copy.disabled = link !== "open"; });
  onConnection(() => { load(); });  // nothing waits for it
  setInterval(load, REFRESH_MS);
  const cards = [
    element("section", { className: "card charts", aria: { label: text.status.title } }, element("h2", {}, text.status.title), nothing, ...[...charts.values()].map((shown) => shown.figure)),
    element("section", { className: "card", aria: { label: text.status.backend } }, element("h2", {}, text.status.backend), backend, whyBox),
    element("section", { className: "card", aria: { label: text.status.log } }, element("h2", {}, text.status.log), log, element("div", { className: "spread" }, copy, version), spare),
  ];
  return { cards, load };
}

const logLine = ({ time, level, text: words }) => element("p", { className: level.toLowerCase() }, element("time", {}, time), " ", element("span", { className: "level" }, level.toLowerCase()), " ", words);

// A figure with one or two lines over the window, its words, and the value under the pointer.
function chart(name) {
  const { series, least, digits } = CHARTS[name], unit = text.status.units[name];
  const lines = series.map((_, index) => svg("path", { class: `line line-${index}`, "vector-effect": "non-scaling-stroke" }));
  const area = svg("path", { class: "area" });
  const cursor = svg("line", { class: "cursor", y1: 0, y2: HEIGHT, "vector-effect": "non-scaling-stroke", visibility: "hidden" });
  const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" }, area, ...lines, cursor);
  const begin = element("span"), now = element("span", { className: "now" }, "–"), scale = element("span", { className: "scale" }), words = element("span", { className: "words" });
  const legend = series.length > 1 ? element("span", { className: "legend" }, element("span", { className: "key key-0" }, text.status.p50), element("span", { className: "key key-1" }, text.status.p95)) : null;
  const figure = element("figure", {}, element("figcaption", {}, element("span", { className: "title" }, text.status[name]), now, words, legend), element("div", { className: "plot" }, drawing, scale), element("div", { className: "axis", aria: { hidden: "true" } }, begin, element("span", {}, text.status.now)));
  let points = [];

  // The mean of each bucket; of dropped frames the most, which a mean would hide.
  function reduced(values) {
    const reduced = [];
    for (let at = values.length; at > 0; at -= BUCKET) {
      const known = values.slice(Math.max(0, at - BUCKET), at).filter((value) => value !== null);
      const sum = known.reduce((total, value) => total + value, 0);
      reduced.unshift(!known.length ? null : name === "dropped" ? Math.max(...known) : sum / known.length);
    }
    return reduced;
  }

  function draw(all) {
    const samples = all.filter((_, at) => (all.length - 1 - at) % BUCKET === 0);
    const times = samples.map(({ at_s: at }) => at), last = times.at(-1) ?? 0;
    const shown = Math.min(WINDOW_S[1], Math.max(WINDOW_S[0], last - (times[0] ?? last))), x = (time) => WIDTH * (1 - (last - time) / shown);
    tell(begin, text.status.ago(shown));
    const values = series.map((key) => reduced(all.map((sample) => sample[key] ?? null)));
    const most = Math.max(least, ...values.flat().filter((value) => value !== null)) * 1.1;
    const y = (value) => HEIGHT * (1 - value / most);
    values.forEach((all, index) => {
      let pen = false, path = "";
      all.forEach((value, at) => {
        if (value === null) { pen = false; return; }
        path += `${pen ? "L" : "M"}${x(times[at]).toFixed(1)} ${y(value).toFixed(1)}`;
        pen = true;
      });
      lines[index].setAttribute("d", path);
      if (index === 0) area.setAttribute("d", path && !all.includes(null) ? `${path}L${WIDTH} ${HEIGHT}L${x(times[0]).toFixed(1)} ${HEIGHT}Z` : "");
    });
    points = times.map((time, at) => ({ x: x(time), ago: last - time, values: values.map((all) => all[at]) }));
    const known = values[0].filter((value) => value !== null), round = (value) => value.toFixed(digits);
    const current = values.map((all) => all.at(-1)).filter((value) => value !== null && value !== undefined);
    tell(now, current.length ? `${current.map(round).join(" / ")} ${unit}` : "–");
    tell(scale, `${round(most)}`);
    tell(words, known.length ? text.status.summary(round(known.at(-1)), round(Math.min(...known)), round(Math.max(...known)), unit) : "");
  }

  drawing.addEventListener("pointermove", (event) => {
    const box = drawing.getBoundingClientRect(), at = ((event.clientX - box.left) / box.width) * WIDTH;
    const nearest = points.reduce((best, point) => (best && Math.abs(best.x - at) <= Math.abs(point.x - at) ? best : point), null);
    if (!nearest || nearest.values[0] === null) return;
    for (const end of ["x1", "x2"]) cursor.setAttribute(end, nearest.x);
    cursor.setAttribute("visibility", "visible");
    tell(now, text.status.at(nearest.ago, nearest.values.map((value) => value?.toFixed(digits) ?? "–").join(" / "), unit));
  });
  drawing.addEventListener("pointerleave", () => cursor.setAttribute("visibility", "hidden"));
  return { figure, draw };
}
