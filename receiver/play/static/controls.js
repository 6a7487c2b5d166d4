// Buttons and keys.
function toggleTrust() {
  keep("trust", !settings.trust);
  showOverlay();
}

function toggleFigures() {
  keep("figures", !settings.figures);
  showToggle();
}

function toggleFull() {
  const player = $("player");
  if (document.fullscreenElement) document.exitFullscreen();
  else if (player.requestFullscreen) player.requestFullscreen().catch(() => toast("The browser refused full screen"));
  else if (video.webkitEnterFullscreen) video.webkitEnterFullscreen();
}

function togglePip() {
  if (document.pictureInPictureElement) document.exitPictureInPicture().catch(() => {});
  else if (body.dataset.transport === "mjpeg") toast("Picture in picture needs WebRTC");
  else if (!video.videoWidth) toast("There is no picture yet");
  else if (video.requestPictureInPicture) video.requestPictureInPicture().catch(() => toast("The browser refused picture in picture"));
  else toast("This browser offers picture in picture in its own menu");
}

// There is always a track for sound, so that it may come later; the controls are there while a sender sends some.
let sound = false, audible = false;
function soundTrack(there) {
  audible = there;
  soundThere();
}

function soundThere() {
  const there = audible && Boolean(stats && (stats.sound || stats.audio));
  if (there === sound && body.dataset.sound) return;
  sound = there;
  body.dataset.sound = there ? "there" : "none";
  $("mute").hidden = $("volume").hidden = !there;
  if (there) applySound();
}

function applySound() {
  video.muted = settings.muted;
  video.volume = settings.volume / 100;
  showSound();
}

function showSound() {
  $("mute").setAttribute("aria-label", video.muted ? "Unmute" : "Mute");
  $("mute").setAttribute("aria-pressed", !video.muted);
  glyph($("mute"), video.muted ? "muted" : "sound");
  $("volume").value = video.muted ? 0 : settings.volume;
}

function toggleMute() {
  if (!sound) return toast(stats && stats.sound ? "Sound needs WebRTC" : "No sound is sent");
  keep("muted", !video.muted);
  if (!settings.muted && !settings.volume) keep("volume", 100);
  applySound();
}

function setVolume() {
  const volume = +$("volume").value;
  keep("muted", volume === 0);
  if (volume) keep("volume", volume);
  applySound();
}

const THEMES = { auto: "as the system", light: "light", dark: "dark" };
function showTheme() {
  if (settings.theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = settings.theme;
  const text = `Colours: ${THEMES[settings.theme]} (d)`;
  glyph($("theme"), settings.theme);
  $("theme").title = text;
  $("theme").setAttribute("aria-label", text);
}

function nextTheme() {
  const names = Object.keys(THEMES);
  keep("theme", names[(names.indexOf(settings.theme) + 1) % names.length] || "auto");
  showTheme();
}

function toggleHelp() {
  if ($("help").open) $("help").close();
  else $("help").showModal();
}

const more = () => stepStrength(1), less = () => stepStrength(-1);
const KEYS = {
  f: toggleFull, p: togglePip, s: snapshot, t: toggleTrust, c: nextMap, "+": more, "=": more, "-": less, m: toggleMute,
  i: toggleFigures, d: nextTheme, "?": toggleHelp,
};
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const action = KEYS[event.key.toLowerCase()];
  if (action && (!$("help").open || action === toggleHelp)) { event.preventDefault(); action(); }
});

let idle = 0;
function busy() {
  $("player").classList.remove("idle");
  clearTimeout(idle);
  idle = setTimeout(() => $("player").classList.add("idle"), 2500);
}

$("trust").onclick = toggleTrust;
$("classes").onclick = nextMap;
$("strength").oninput = () => setStrength(+$("strength").value);
$("toggle").onclick = toggleFigures;
$("full").onclick = toggleFull;
$("pip").onclick = togglePip;
$("snapshot").onclick = snapshot;
$("mute").onclick = toggleMute;
$("volume").oninput = setVolume;
$("theme").onclick = nextTheme;
$("helper").onclick = toggleHelp;
$("close").onclick = toggleHelp;
$("stage").ondblclick = toggleFull;
for (const name of ["pointermove", "pointerdown", "keydown"]) addEventListener(name, busy);
