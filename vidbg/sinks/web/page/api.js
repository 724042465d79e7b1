// Requests to the API of the vidbg that served this page.
import { text } from "./strings.js";

// The token leaves the address bar, for those who share their screen; a reload finds it in the tab.
const KEY = "vidbg-token";
const given = new URLSearchParams(location.search).get("token");
if (given !== null) {
  sessionStorage.setItem(KEY, given);
  history.replaceState(null, "", location.pathname + location.hash);
}
const token = sessionStorage.getItem(KEY);

const ROOT = new URL("api/v1/", location.href);

export class ApiError extends Error {
  constructor(status, message, field = null) {
    super(message);
    Object.assign(this, { status, field });
  }
}

// The address of something that the browser fetches by itself: an image or a WebSocket.
export function address(path, parameters = {}) {
  const url = new URL(path, ROOT);
  for (const [name, value] of Object.entries({ ...parameters, ...(token !== null && { token }) })) url.searchParams.set(name, value);
  return url.href;
}
export function socket(path, parameters) {
  return new WebSocket(address(path, parameters).replace(/^http/, "ws"));
}

const headers = () => (token === null ? {} : { Authorization: `Bearer ${token}` });

// Raises ApiError; status 0 if nothing answers.
export async function request(method, path, body) {
  let answer;
  try {
    answer = await fetch(new URL(path, ROOT), {
      method,
      headers: { ...headers(), ...(body !== undefined && { "Content-Type": "application/json" }) },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new ApiError(0, text.error.unreachable);
  }
  if (!answer.ok) throw problem(answer.status, await answer.text());
  const kind = answer.headers.get("Content-Type") ?? "";
  if (kind.startsWith("application/json")) return answer.json();
  return kind.startsWith("text/") ? answer.text() : answer.status === 204 ? null : { blob: await answer.blob(), headers: answer.headers };
}
export const get = (path) => request("GET", path);
export const post = (path, body = {}) => request("POST", path, body);

function problem(status, answered) {
  try {
    const { error } = JSON.parse(answered);
    return new ApiError(status, error.message, error.field ?? null);
  } catch {
    return new ApiError(status, answered && answered.length < 500 && !answered.startsWith("<") ? answered : text.error.unknown(status));
  }
}

// Sends a file as multipart; `progress` gets the share that has been sent. Resolves to the answer.
export function upload(path, file, progress, signal) {
  return new Promise((resolve, reject) => {
    const call = new XMLHttpRequest(), form = new FormData();
    form.append("file", file, file.name);
    call.open("POST", new URL(path, ROOT));
    for (const [name, value] of Object.entries(headers())) call.setRequestHeader(name, value);
    call.upload.onprogress = ({ loaded, total }) => progress(total ? loaded / total : 0);
    call.upload.onload = () => progress(1);
    call.onload = () => (call.status < 300 ? resolve(JSON.parse(call.responseText)) : reject(problem(call.status, call.responseText)));
    call.onerror = () => reject(new ApiError(0, text.upload.interrupted));
    call.onabort = () => reject(new DOMException("", "AbortError"));
    signal.addEventListener("abort", () => call.abort());
    call.send(form);
  });
}
