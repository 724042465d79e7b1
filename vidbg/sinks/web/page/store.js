// What vidbg says its state is, kept up to date by its events, and changes on their way to it.
import { ApiError, get, request, socket } from "./api.js";

const GOING_AWAY = 1001;  // the code of a WebSocket that vidbg closes because it ends
const FIRST_RETRY_MS = 500, LAST_RETRY_MS = 3000;

export const store = {
  state: null,  // as GET /state gives it
  options: [],  // as GET /options gives them
  link: "connecting",  // or "open", "lost", "refused", "ended"
};

const listeners = new Set();
// Called with the store now and after each change of it.
export function subscribe(listener) {
  listeners.add(listener);
  listener(store);
}
function publish() { for (const listener of listeners) listener(store); }

const lists = [], greeters = [];
// Called after each connection, and when vidbg says that a list, such as "backgrounds", has changed.
export function onList(name, listener) { lists.push({ name, listener, revision: null }); }
// Called after each connection: another vidbg may answer now.
export function onConnection(listener) { greeters.push(listener); }

// --- the connection -------------------------------------------------------------------------------

let retryMs = FIRST_RETRY_MS, version = null;
export function markEnded() { store.link = "ended"; publish(); }

export function connect() {
  const events = socket("events");
  let opened = false;
  events.onmessage = async ({ data }) => {
    const event = JSON.parse(data);
    if (event.type !== "state" || !event.state.running) return;  // it has not begun yet
    if (opened) { takeState(event.state); return; }
    opened = true;
    retryMs = FIRST_RETRY_MS;
    await greet(event.state);
  };
  events.onclose = async ({ code }) => {
    if (code === GOING_AWAY) markEnded();
    const refused = store.link !== "ended" && (await isRefused());
    if (store.link !== "ended") {
      store.link = refused ? "refused" : "lost";
      publish();
    }
    setTimeout(connect, retryMs);
    retryMs = Math.min(LAST_RETRY_MS, retryMs * 1.5);
  };
}

async function isRefused() {
  try {
    await get("state");
  } catch (error) {
    return error instanceof ApiError && (error.status === 401 || error.status === 403);
  }
  return false;
}

// After each connection: another vidbg may answer now, with other options and another page.
async function greet(state) {
  if (version !== null && state.version !== version) { location.reload(); return; }
  version = state.version;
  store.options = await get("options");
  store.state = state;
  publish();
  for (const list of lists) list.revision = state.lists[list.name] ?? null;
  // All at once, so that nothing on the page moves while it arrives.
  const loads = [...greeters, ...lists.filter(({ name }) => name in state.lists).map(({ listener }) => listener)];
  for (const { reason } of await Promise.allSettled(loads.map((load) => load()))) if (reason) reportError(reason);
  store.link = "open";
  publish();
}

// An answer to a change can overtake an event that was made before it.
export function takeState(state) {
  if (store.state && state.revision < store.state.revision) return;
  store.state = state;
  publish();
  for (const list of lists) {
    const revision = state.lists[list.name] ?? null;
    if (revision !== list.revision) { list.revision = revision; list.listener(); }
  }
}

// --- changes --------------------------------------------------------------------------------------

const pending = new Map();  // key → the newest value, until vidbg has answered
let sending = false;

// The value that a control shows: what was chosen last, even while it is on its way.
export function valueOf(key) {
  return pending.has(key) ? pending.get(key) : store.state?.settings[key];
}
export const isPending = (key) => pending.has(key);

const failures = new Set();
export function onFailure(listener) { failures.add(listener); }

// One request at a time; of what comes meanwhile, the newest value of each key goes in the next.
export async function change(values) {
  for (const [key, value] of Object.entries(values)) pending.set(key, value);
  publish();
  if (sending) return;
  sending = true;
  while (pending.size) {
    const sent = Object.fromEntries(pending);
    let failure = null;
    try {
      const state = await request("PATCH", "settings", sent);
      forget(sent);
      takeState(state);
    } catch (error) {
      failure = error;
    }
    forget(sent);
    publish();
    for (const listener of failures) listener(failure, sent);
  }
  sending = false;
}

function forget(sent) {
  for (const [key, value] of Object.entries(sent)) if (pending.get(key) === value) pending.delete(key);
}
