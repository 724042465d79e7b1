// Every English word of the page. A translation is another module with the same exports.
// What vidbg itself says (names of settings, faults, errors) comes from the API.

const seconds = (total) => {
  const whole = Math.floor(total), pad = (number) => String(number).padStart(2, "0");
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h ? `${h}:${pad(m)}:${pad(s)}` : `${pad(m)}:${pad(s)}`;
};
const bytes = (count) => (count < 1e6 ? `${Math.ceil(count / 1e3)} kB` : count < 1e9 ? `${(count / 1e6).toFixed(1)} MB` : `${(count / 1e9).toFixed(2)} GB`);

export const text = {
  language: "en",
  skip: "Skip to the settings",
  panel: "Settings",
  cancel: "Cancel",
  close: "Dismiss",
  title: (words) => `${words} – vidbg`,

  explain: "Explain the settings",
  theme: { auto: "Colours: as the system", light: "Colours: light", dark: "Colours: dark" },

  link: {
    connecting: "Connecting…",
    starting: "Starting…",
    lost: "Connection lost",
    refused: "Not allowed",
    ended: "Ended",
    lostTitle: "vidbg does not answer",
    lostBody: "It has ended, or this computer is very busy. The page reconnects by itself as soon as vidbg is back.",
    refusedTitle: "This address is no longer valid",
    refusedBody: "Open the whole address that vidbg printed when it started; it ends in ?token=…",
    endedTitle: "vidbg has ended",
    endedBody: "Nobody sees a picture now. Start it again, and this page reconnects by itself.",
    back: "Connected again.",
  },

  tabs: {
    background: "Background",
    look: "Look",
    camera: "Camera",
    output: "Output",
    profiles: "Profiles",
    status: "Status",
  },

  stage: {
    section: "Live picture",
    picture: { output: "What viewers see", camera: "The camera's picture with the real room", mask: "The mask: white is kept, black is replaced" },
    waiting: "No picture yet",
    waitingBody: "It appears when the camera has started.",
    noCamera: "The camera does not respond",
    noCameraBody: "Viewers see only the background. The picture comes back by itself when the camera does.",
    sample: "Use the sample clip",
  },

  setup: {
    copy: (command) => `Copy ${command}`,
    copied: "Copied. Paste it into a terminal.",
    notCopied: "The browser did not allow copying. Select the command and copy it.",
  },

  view: {
    label: "Preview",
    output: "After",
    camera: "Before",
    mask: "Mask",
    ask: "Show the real room here?",
    askBody: "The unchanged camera picture appears on this page only. Viewers still see the background you chose. Mind who can see this screen, and screen sharing.",
    yes: "Show the room",
    banner: "The real room, on this page only",
    end: "Hide",
  },

  room: {
    button: "No background…",
    ask: "Put the real room on air?",
    askBody: "Every viewer will see the room behind you, unchanged, until you choose a background.",
    yes: "Show it to everybody",
    banner: "The real room is on air",
    end: "Blur it now",
  },

  away: {
    pause: "Pause",
    resume: "Resume",
    pauseTitle: "Close the camera and show viewers the away card",
    resumeTitle: "Open the camera again",
  },

  snapshot: {
    button: "Snapshot",
    done: (name) => `Snapshot saved as ${name}.`,
    copy: "Copy",
    copied: "Snapshot copied.",
    notCopied: "The browser did not allow copying; the file is in your downloads.",
  },

  recording: {
    start: "Record",
    stop: "Stop",
    running: (total, size) => (size ? `${seconds(total)} · ${bytes(size)}` : seconds(total)),
    started: (name) => `Recording to ${name}.`,
    stopped: (name, total) => `Recording saved: ${name}, ${seconds(total)}.`,
    failed: (name, words) => `The recording ${name} has ended: ${words}`,
  },

  glance: {
    fps: "Frame rate", latency: "Latency", cpu: "CPU", watched: "Viewers",
    fpsValue: (fps) => `${fps.toFixed(1)} FPS`,
    latencyValue: (ms) => `${ms.toFixed(0)} ms`,
    cpuValue: (percent) => `${percent.toFixed(0)} %`,
    watching: "Yes", nobody: "None", unknown: "Unknown",
  },

  // Headings of sections that would repeat the name of their tab; others say what vidbg calls them.
  sections: { Background: "Display", Camera: "Camera format", Output: "Output picture", Away: "Away card" },

  setting: {
    reset: (label, value) => `Reset ${label} to ${value}`,
    resetAll: "Reset all settings",
    resetAsk: "Reset all settings?",
    resetBody: "Everything goes back to how vidbg was started. Backgrounds and profiles stay.",
    resetYes: "Reset",
    number: (label, unit) => (unit ? `${label}, in ${unit}` : `${label}, as a number`),
    on: "on", off: "off", none: "nothing",
    notNumber: (label, range) => (range ? `${label}: give a number from ${range[0]} to ${range[1]}.` : `${label}: give a number.`),
    choose: "Choose…",
    chooseFor: (label) => `Choose a file: ${label}`,
    placeholder: "Default", noFile: "None",
    placeholders: { "output-size": "As the camera", "output-fps": "Camera's", "network-size": "By quality" },
    lasting: "Changes last until vidbg ends. To keep them, save a profile.",
  },

  background: {
    kinds: "Kind",
    included: "Included",
    gallery: "Your backgrounds",
    add: "Add",
    hint: "Drop pictures or videos anywhere, or paste one.",
    empty: "Nothing here yet",
    emptyBody: "Add a picture or a video: drop it anywhere on this page, paste it, or choose it with the button. It stays on this computer.",
    remove: (name) => `Delete ${name}`,
    removeAsk: (name) => `Delete ${name}?`,
    removeBody: "The file is removed from vidbg's folder. This cannot be undone.",
    removeYes: "Delete",
    removed: (name) => `${name} is deleted.`,
    slides: "Slide show", seconds: "Time for each picture",
    noPreview: "No preview",
    video: "video",
  },

  upload: {
    drop: "Drop to add as a background",
    running: (name) => `Adding ${name}`,
    preparing: (name) => `Preparing ${name}`,
    done: (name) => `${name} is added and shown.`,
    failed: (name, words) => `${name}: ${words}`,
    interrupted: "The connection broke before the file had arrived. Try again.",
    tooLarge: (size, most) => `${bytes(size)} is more than the ${bytes(most)} that are allowed. Choose a smaller file.`,
    notMedia: "This is not a picture or video. Choose a JPEG, PNG, WebP, AVIF, HEIC, GIF, MP4, MOV or WebM file.",
    cancel: (name) => `Stop adding ${name}`,
    nothingPasted: "There is no picture on the clipboard. Copy one first.",
  },

  camera: {
    list: "Cameras",
    mode: "Format",
    modeValue: (size, fps, format) => [size.replace("x", " × "), fps && `${fps} FPS`, format].filter(Boolean).join(" · "),
    empty: "No camera was found",
    emptyBody: "Plug one in; the list updates by itself.",
    other: "Another camera, file or stream",
    otherHelp: "A path, a part of a name, or the URL of a stream (rtsp://…, http://…)",
    use: "Use",
  },

  output: {
    current: "Running",
    add: "Add an output",
    none: "Nobody can see the picture",
    noneBody: "Add an output below: a virtual camera for video calls, or a web page for OBS and browsers.",
    forCalls: "For a virtual camera, this computer lacks:",
    states: { opening: "opening", on: "on", failing: "not working", ended: "ended" },
    watched: "watched", unwatched: "nobody is watching",
    start: (label) => `Start ${label}`,
    stop: (label) => `Stop ${label}`,
    startButton: "Start", stopButton: "Stop",
    open: "Open",
    unavailable: "Not available here",
    looking: "Checking what works on this computer…",
  },

  profiles: {
    title: "Profiles",
    body: "A profile keeps how the picture looks under a name: background, edge, picture, framing and quality. Camera and outputs stay as they are.",
    name: "Name",
    namePlaceholder: "Work, or evening light",
    save: "Save",
    empty: "No profiles yet",
    emptyBody: "Set everything as you like it, give it a name and save it.",
    apply: "Apply",
    applyLabel: (name) => `Apply ${name}`,
    applied: (name) => `${name} is applied.`,
    saved: (name) => `${name} is saved.`,
    rename: (name) => `Rename ${name}`,
    renameAsk: (name) => `Rename ${name}`,
    renameYes: "Rename",
    remove: (name) => `Delete ${name}`,
    removeAsk: (name) => `Delete the profile ${name}?`,
    removeBody: "Its settings are lost. What is on air stays as it is.",
    removeYes: "Delete",
    replaceAsk: (name) => `Replace ${name}?`,
    replaceBody: "A profile of this name exists. It is replaced by the current settings.",
    replaceYes: "Replace",
    current: "in use",
    needName: "Give the profile a name.",
  },

  status: {
    title: "The last ten minutes",
    fps: "Frame rate", latency: "Latency", dropped: "Dropped frames", cpu: "CPU", memory: "Memory",
    p50: "half of the frames", p95: "95 % of the frames",
    units: { fps: "FPS", latency: "ms", dropped: "a second", cpu: "% of a core", memory: "MB" },
    summary: (now, least, most, unit) => `Now ${now} ${unit}, between ${least} and ${most}.`,
    at: (ago, value, unit) => `${ago ? `${seconds(ago)} ago` : "now"}: ${value} ${unit}`,
    nothing: "Figures appear after a few seconds.",
    ago: (total) => (total < 120 ? `${Math.round(total)} s ago` : `${Math.round(total / 60)} min ago`), now: "now",
    backend: "Device",
    backendWhy: "Faster devices that cannot be used",
    log: "Log",
    logEmpty: "Nothing has been logged.",
    copy: "Copy diagnostics",
    copied: "Diagnostics copied. They hold no personal paths, names of files or addresses.",
    notCopied: "The browser did not allow copying. Select the text below and copy it.",
    version: (version) => `vidbg ${version}`,
  },

  quit: {
    button: "Quit vidbg",
    ask: "Quit vidbg?",
    body: "Viewers lose the picture, and a running recording is saved.",
    yes: "Quit",
  },

  // Why a control has no effect at the moment.
  idle: {
    background: "Has an effect only with a picture or video as the background.",
    person: "Has an effect only when a background replaces the room.",
    overlay: "Has an effect only when an overlay is chosen.",
    zoom: "Has an effect only when the picture is zoomed.",
    adapt: "Has an effect only with less quality when the computer is busy.",
    autoFrame: "Automatic framing takes care of this.",
  },

  error: {
    unreachable: "vidbg does not answer. The change was not made.",
    unknown: (status) => `vidbg answered with error ${status}.`,
  },
};
