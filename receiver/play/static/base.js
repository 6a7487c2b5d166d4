// What all parts share: elements, settings that outlive the page, short texts.
const $ = (id) => document.getElementById(id);
const video = $("video"), pictures = $("pictures"), overlay = $("overlay"), body = document.body;
const SETTINGS = "semcast";

let stats = null; // what the receiver told last
const settings = { theme: "auto", trust: false, map: "off", strength: 50, figures: true, volume: 100, muted: true };
try {
  const kept = JSON.parse(localStorage.getItem(SETTINGS));
  for (const name in settings) if (kept && typeof kept[name] === typeof settings[name]) settings[name] = kept[name];
} catch { /* a browser may refuse storage */ }

function keep(name, value) {
  settings[name] = value;
  try { localStorage.setItem(SETTINGS, JSON.stringify(settings)); } catch { /* then until the page is closed */ }
}

function clock(seconds) {
  const total = Math.max(0, Math.floor(seconds)), two = (n) => String(n).padStart(2, "0");
  const hours = Math.floor(total / 3600), minutes = Math.floor(total / 60) % 60;
  return hours ? `${hours}:${two(minutes)}:${two(total % 60)}` : `${minutes}:${two(total % 60)}`;
}

const timeOfDay = (date) => date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });

let toastTimer = 0;
function toast(text) {
  $("toast").textContent = text;
  $("toast").hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { $("toast").hidden = true; }, 4000);
}

function glyph(button, name) {
  button.querySelector("use").setAttribute("href", "#i-" + name);
}

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}
