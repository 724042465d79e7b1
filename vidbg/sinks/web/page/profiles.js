// Profiles: the settings under a name.
import { get, post, request } from "./api.js";
import { ask, attempt, button, element, notice, rebuild } from "./dom.js";
import { onList, store, subscribe } from "./store.js";
import { text } from "./strings.js";

let profiles = [];
const path = (name, action = "") => `profiles/${encodeURIComponent(name)}${action}`;

export function profilePane() {
  const list = element("ul", { className: "profiles" });
  const empty = element("div", { className: "empty" }, element("h3", {}, text.profiles.empty), element("p", {}, text.profiles.emptyBody));
  const name = element("input", { type: "text", id: "profile-name", placeholder: text.profiles.namePlaceholder, maxLength: 60, autocomplete: "off", required: true });
  const save = element("button", { type: "submit", className: "primary" }, text.profiles.save);
  const form = element("form", { className: "own" }, element("label", { htmlFor: name.id }, text.profiles.name), name, save);
  name.oninvalid = () => name.setCustomValidity(name.value ? "" : text.profiles.needName);
  name.oninput = () => name.setCustomValidity("");

  async function load() {
    await attempt(async () => { profiles = await get("profiles"); });
    show(store);
  }
  async function act(action, words) {
    await attempt(async () => {
      await action();
      notice(words);
      await load();
    });
  }
  onList("profiles", load);

  form.onsubmit = async (event) => {
    event.preventDefault();
    const wanted = name.value.trim();
    if (!wanted) return;
    const exists = profiles.some((profile) => profile.name === wanted);
    if (exists && !(await ask({ title: text.profiles.replaceAsk(wanted), body: text.profiles.replaceBody, yes: text.profiles.replaceYes }))) return;
    await act(() => request("PUT", path(wanted), {}), text.profiles.saved(wanted));
    name.value = "";
  };

  async function rename(profile) {
    const input = element("input", { type: "text", name: "name", value: profile.name, maxLength: 60, required: true, autocomplete: "off" });
    const answer = await ask({ title: text.profiles.renameAsk(profile.name), yes: text.profiles.renameYes, fields: [element("label", {}, text.profiles.name, input)] });
    const wanted = answer?.get("name").trim();
    if (wanted && wanted !== profile.name) await act(() => post(path(profile.name, "/rename"), { name: wanted }), text.profiles.saved(wanted));
  }
  async function remove(profile) {
    if (await ask({ title: text.profiles.removeAsk(profile.name), body: text.profiles.removeBody, yes: text.profiles.removeYes, danger: true })) {
      await act(() => request("DELETE", path(profile.name)), text.background.removed(profile.name));
    }
  }
  const row = (profile) => element("li", { className: "profile" },
    element("span", { className: "title" }, profile.name),
    element("span", { className: "tag", hidden: true }, text.profiles.current),
    button({ data: { key: `apply ${profile.name}` }, onclick: () => act(() => post(path(profile.name, "/apply")), text.profiles.applied(profile.name)), ariaLabel: text.profiles.applyLabel(profile.name) }, null, text.profiles.apply),
    button({ className: "quiet icon", label: text.profiles.rename(profile.name), data: { key: `rename ${profile.name}` }, onclick: () => rename(profile) }, "rename"),
    button({ className: "quiet icon", label: text.profiles.remove(profile.name), data: { key: `delete ${profile.name}` }, onclick: () => remove(profile) }, "delete"));

  function show({ state, link }) {
    rebuild(list, profiles, (all) => all.map(row));
    for (const [index, { name: own }] of profiles.entries()) list.children[index].querySelector(".tag").hidden = own !== state?.profile;
    empty.hidden = profiles.length > 0;
    for (const control of [name, save, ...list.querySelectorAll("button")]) control.disabled = link !== "open";
  }
  subscribe(show);
  const card = element("section", { className: "card", aria: { label: text.profiles.title } }, element("h2", {}, text.profiles.title), element("p", { className: "help" }, text.profiles.body), empty, list, form);
  return { cards: [card] };
}
