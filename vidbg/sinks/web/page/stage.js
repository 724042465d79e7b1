// The picture with its banner, and what is done with one click: view, pause, snapshot, recording.
import { post, request } from "./api.js";
import { $, ask, attempt, attribute, button, complain, element, fileName, makeStop, notice, roving, setIcon, tell } from "./dom.js";
import { showPicture } from "./preview.js";
import { change, store, subscribe, takeState } from "./store.js";
import { onSetup, stepList } from "./setup.js";
import { text } from "./strings.js";

const VIEWS = ["output", "camera", "mask"];
let view = "output";
let ticket = null;  // from vidbg, allows one connection to see the room
let hasPicture = false;
let reportedFailure = null;  // of the last recording
let cameraSteps = [];  // what to do about the camera
let picture = null;

export function startStage() {
  const canvas = $("picture");
  picture = showPicture(canvas, {
    wanted: () => (document.hidden || store.link !== "open" ? null : { view, ...(view === "camera" && { ticket }) }),
    drawn: () => { if (!hasPicture) { hasPicture = true; showEmpty(); } },
    ended: () => {
      // Nothing of the room stays on the screen without a banner.
      picture?.clear();
      hasPicture = false;
      if (view === "camera") setView("output");
      else showEmpty();
    },
  });
  document.addEventListener("visibilitychange", () => picture.refresh());

  $("views").append(...VIEWS.map((name) => element("button", {
    type: "button", data: { view: name }, aria: { role: "radio", checked: name === view }, onclick: () => chooseView(name),
  }, text.view[name])));
  const choices = [...$("views").children];
  makeStop(choices, choices[0]);
  roving($("views"), () => choices);

  $("away").onclick = () => attempt(() => post("away", { away: !store.state.away }).then(takeState));
  $("snapshot").onclick = () => attempt(takeSnapshot);
  $("record").onclick = () => attempt(isRecording() ? stopRecording : startRecording);
  $("room-end").onclick = () => (onAir() ? change({ background: "blur" }) : setView("output"));
  onSetup("camera", (steps) => { cameraSteps = steps; if (store.state) showEmpty(); });
  subscribe(showState);
}

// --- views ----------------------------------------------------------------------------------------

async function chooseView(name) {
  if (name === view) return;
  if (name !== "camera") { setView(name); return; }
  await attempt(async () => {
    const { token } = await post("room/question", { purpose: "preview" });
    if (!(await ask({ title: text.view.ask, body: text.view.askBody, yes: text.view.yes, danger: true }))) return;
    ticket = token;
    setView("camera");
  });
}

function setView(name) {
  view = name;
  const choices = [...$("views").children];
  for (const choice of choices) attribute(choice, "aria-checked", String(choice.dataset.view === name));
  makeStop(choices, choices[VIEWS.indexOf(name)]);
  picture.clear();
  hasPicture = false;
  picture.refresh();
  if (store.state) showState(store);
}

const onAir = () => Boolean(store.state?.room_on_air);

function showRoom() {
  const shown = onAir() ? text.room : view === "camera" ? text.view : null;
  $("stage").classList.toggle("danger", shown !== null);
  if (shown) {
    tell($("room").querySelector("span"), shown.banner);
    tell($("room-end"), shown.end);
  }
  $("room").hidden = shown === null;
}

// --- snapshot and recording -----------------------------------------------------------------------

async function takeSnapshot() {
  const { blob } = await request("POST", "snapshot");
  const stamp = new Date(Date.now() - new Date().getTimezoneOffset() * 60e3).toISOString().slice(0, 19).replace("T", " ").replaceAll(":", ".");
  const name = `vidbg ${stamp}.png`;
  const link = element("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60e3);
  const copy = async () => {
    try {
      await navigator.clipboard.write([new ClipboardItem({ "image/png": blob })]);
      notice(text.snapshot.copied);
    } catch {
      notice(text.snapshot.notCopied);
    }
  };
  notice(text.snapshot.done(name), { action: { label: text.snapshot.copy, run: copy } });
}

const isRecording = () => store.state?.recording?.problem === null;

async function startRecording() {
  takeState(await post("recording"));
  notice(text.recording.started(fileName(store.state.recording.path)));
}
async function stopRecording() {
  const { path, seconds } = store.state.recording;
  takeState(await request("DELETE", "recording"));
  notice(text.recording.stopped(fileName(path), seconds));
}

// --- what the state says --------------------------------------------------------------------------

function showState({ state, link }) {
  picture.refresh();
  const open = link === "open" && state !== null;
  for (const control of [$("away"), $("snapshot"), $("record"), ...$("views").children]) control.disabled = !open;
  const status = open ? state.status : null;
  const words = status?.words ?? (open ? text.link.starting : text.link[link]);
  $("lamp").dataset.state = status?.state ?? "off";
  tell($("words"), words);
  const title = text.title(words);
  if (document.title !== title) document.title = title;
  attribute($("picture"), "aria-label", text.stage.picture[view]);
  showRecording(open ? state.recording : null);
  showAway(open && state.away);
  showGlance(status);
  showRoom();
  showEmpty();
}

function showRecording(recording) {
  const failure = recording?.problem ?? null;
  if (failure && failure !== reportedFailure) complain(new Error(text.recording.failed(fileName(recording.path), failure)));
  reportedFailure = failure;
  const running = Boolean(recording) && failure === null;
  attribute($("record"), "aria-pressed", String(running));
  tell($("record").querySelector("span"), running ? text.recording.stop : text.recording.start);
  setIcon($("record"), running ? "stop" : "record");
  $("recording").hidden = !running;
  if (running) tell($("recording-time"), text.recording.running(recording.seconds, recording.bytes));
}

function showAway(away) {
  attribute($("away"), "aria-pressed", String(away));
  tell($("away").querySelector("span"), away ? text.away.resume : text.away.pause);
  $("away").title = away ? text.away.resumeTitle : text.away.pauseTitle;
  setIcon($("away"), away ? "play" : "away");
}

// The figures below the picture; "–" for what is not known.
function showGlance(status) {
  const live = status?.state === "live";
  tell($("glance-fps"), live ? text.glance.fpsValue(status.fps) : "–");
  tell($("glance-latency"), live && status.latency_ms ? text.glance.latencyValue(status.latency_ms) : "–");
  tell($("glance-cpu"), status ? text.glance.cpuValue(status.cpu_percent) : "–");
  const { watched } = status ?? {};
  tell($("glance-watched"), !status ? "–" : watched === null ? text.glance.unknown : watched ? text.glance.watching : text.glance.nobody);
  tell($("reason"), (status && (status.reason || (live && status.reduced))) || "");
}

// Shown while there is no picture: why, and what to do.
function showEmpty() {
  const { state, link } = store;
  const lacking = link === "open" && state.status && ["starting", "degraded"].includes(state.status.state) && cameraSteps.length > 0;
  const reason = {
    lost: [text.link.lostTitle, text.link.lostBody],
    refused: [text.link.refusedTitle, text.link.refusedBody],
    ended: [text.link.endedTitle, text.link.endedBody],
    connecting: ["", ""],
  }[link] ?? (lacking ? [text.stage.noCamera, text.stage.noCameraBody] : [text.stage.waiting, text.stage.waitingBody]);
  $("empty").hidden = hasPicture && link === "open" && !lacking;
  tell($("empty-title"), reason[0]);
  const body = $("empty-body"), fingerprint = JSON.stringify([reason, lacking && cameraSteps]);
  if (body.dataset.shown === fingerprint) return;
  body.dataset.shown = fingerprint;
  body.replaceChildren(element("p", {}, reason[1]));
  if (lacking) body.append(stepList(cameraSteps), button({ className: "primary", onclick: () => change({ camera: "sample" }) }, "video", text.stage.sample));
}
