// Settings that have no effect on the picture for what is chosen at the moment.
import { text } from "./strings.js";

const NOT_FILES = new Set(["blur", "bokeh", "colour", "scene", "none"]);
const nothing = (value) => value === null || value === undefined || value === "";

const RULES = {
  fit: ({ background }) => (NOT_FILES.has(background?.kind) ? text.idle.background : null),
  offset: needsPerson, feather: needsPerson, "light-wrap": needsPerson, people: needsPerson, refine: needsPerson, smoothing: needsPerson,
  "overlay-position": needsOverlay, "overlay-size": needsOverlay, "overlay-margin": needsOverlay,
  "pan-x": pans, "pan-y": pans,
  "cpu-limit": ({ settings }) => (settings.adapt ? null : text.idle.adapt),
  zoom: ({ settings }) => (settings["auto-frame"] ? text.idle.autoFrame : null),
};

function needsPerson({ background }) { return background?.kind === "none" ? text.idle.person : null; }
function needsOverlay({ settings }) { return nothing(settings.overlay) ? text.idle.overlay : null; }
function pans({ settings }) {
  if (settings["auto-frame"]) return text.idle.autoFrame;
  return Number(settings.zoom ?? 1) <= 1 ? text.idle.zoom : null;
}

// Why an option has no effect now; null if it has.
export function idle({ key }, state) { return RULES[key]?.(state) ?? null; }
