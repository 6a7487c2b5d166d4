// What is told when there is no live picture, and the start.
const TEXTS = {
  waiting: ["Waiting for signal", "The picture appears by itself when a sender is heard.",
    ["Is a sender running, with this host and the receiver's UDP port after --to?", "Have both hosts the same key file?", "Does a firewall let UDP through to this host?"]],
  forged: ["Waiting for signal", "Packets arrive, but none of them can be opened:",
    ["the key file of the sender is not the one of this receiver."]],
  live: ["Live", "", []],
  lost: ["Signal lost", "", ["Is the sender running?", "Has its host a link?"]],
  offline: ["Receiver not reachable", "This page connects again by itself.",
    ["Is the receiver running?", "Is this device still on its network?"]],
};
const PATIENCE_S = 10; // of a lost signal, before the page says what to look at
let since = null, told = "";

function setState(state) {
  if (body.dataset.state !== state || since === null) {
    since = new Date();
    body.dataset.state = state;
  }
  const about = state === "waiting" && stats && stats.packets_forged > 0 ? "forged" : state;
  const [headline, hint, checks] = TEXTS[about];
  let time = "", hints = hint, list = checks;
  if (state === "lost") {
    time = " " + clock(stats.silence_s);
    hints = `Nothing since ${timeOfDay(new Date(Date.now() - 1000 * stats.silence_s))}. The last picture stays until packets arrive again.`;
    if (stats.silence_s < PATIENCE_S) list = [];
  }
  if (state === "offline") hints = `Since ${timeOfDay(since)}. ${hint}`;
  $("state").textContent = state === "waiting" ? "Waiting" : headline + time;
  $("headline").textContent = headline + time;
  if (told !== hints + list.length) {
    told = hints + list.length;
    $("hint").textContent = hints;
    $("checks").replaceChildren(...list.map((text) => element("li", {}, text)));
  }
}

function show() {
  setState(stats.state);
  showFigures();
  showSenders();
  soundThere();
  const caption = typeof stats.text === "string" ? stats.text.trim() : "";
  if ($("caption").textContent !== caption) $("caption").textContent = caption;
  $("caption").hidden = !caption;
  tint();
  showMap();
  showMapFigures();
  watch();
}

setState("waiting");
showTheme();
showToggle();
showOverlay();
showSound();
$("pip").hidden = !document.pictureInPictureEnabled;
addEventListener("resize", () => { tint(); drawMap(); });
addEventListener("pagehide", hangUp);
addEventListener("pageshow", (event) => { if (event.persisted) connect(); });
timeFirst();
listen();
connect();
setTimeout(everySecond, SECOND_MS);
measureBrowser().catch(() => {});
