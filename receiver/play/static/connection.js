// Pictures over WebRTC (WHEP), or as JPEGs where that fails; figures as server-sent events; both come back by themselves.
const CONNECT_MS = 3000, GATHER_MS = 400, AGAIN_MS = 30000, BLANK_EVENTS = 20;
const SILENT_MS = 5000, SHORTEST_MS = 500, LONGEST_MS = 8000;
let peer = null, session = null, timer = 0, attempt = 0, blank = 0;

function setTransport(kind, why = "") {
  body.dataset.transport = kind;
  video.hidden = kind === "mjpeg";
  pictures.hidden = kind !== "mjpeg";
  if (kind !== "mjpeg") pictures.removeAttribute("src");
  $("via").textContent = { connecting: "Connecting", webrtc: "WebRTC", mjpeg: "Plain pictures: " + why }[kind];
  $("pip").disabled = kind === "mjpeg";
}

function hangUp() {
  clearTimeout(timer);
  const old = peer, place = session;
  peer = session = null;
  if (old) old.close();
  if (place) fetch(place, { method: "DELETE", keepalive: true }).catch(() => {});
}

async function connect() {
  hangUp();
  const mine = ++attempt;
  if (!window.RTCPeerConnection) return fallBack("this browser has no WebRTC");
  if (body.dataset.transport !== "mjpeg") setTransport("connecting"); // JPEGs go on until there is video
  timer = setTimeout(() => { if (mine === attempt) fallBack("WebRTC could not connect"); }, CONNECT_MS);
  try {
    const own = peer = new RTCPeerConnection({ iceServers: [] }), stream = new MediaStream();
    for (const kind of ["video", "audio"]) {
      const receiver = own.addTransceiver(kind, { direction: "recvonly" }).receiver;
      if ("jitterBufferTarget" in receiver && kind === "video") receiver.jitterBufferTarget = 0;
    }
    own.ontrack = ({ track }) => {
      stream.addTrack(track);
      if (track.kind === "audio") soundTrack(true);
      else { video.srcObject = stream; play(); }
    };
    own.onconnectionstatechange = () => {
      if (own !== peer) return;
      if (own.connectionState === "connected") { clearTimeout(timer); blank = 0; setTransport("webrtc"); }
      if (own.connectionState === "failed") fallBack("the WebRTC connection broke");
    };
    soundTrack(false);
    await own.setLocalDescription();
    await gathered(own);
    const answer = await fetch("/whep", { method: "POST", headers: { "Content-Type": "application/sdp" }, body: own.localDescription.sdp });
    if (answer.status === 503 && mine === attempt) return fallBack("as many browsers watch as may");
    if (answer.status !== 201) throw new Error(await answer.text());
    const place = answer.headers.get("Location");
    if (own !== peer) { fetch(place, { method: "DELETE", keepalive: true }).catch(() => {}); return; }
    session = place;
    await own.setRemoteDescription({ type: "answer", sdp: await answer.text() });
  } catch {
    if (mine === attempt) fallBack("WebRTC could not connect");
  }
}

function gathered(own) {
  return new Promise((resolve) => {
    const done = () => { if (own.iceGatheringState === "complete") resolve(); };
    own.onicegatheringstatechange = done;
    setTimeout(resolve, GATHER_MS);
    done();
  });
}

function play() {
  applySound();
  video.play().catch(() => { video.muted = true; showSound(); video.play().catch(() => {}); });
}

function fallBack(why) {
  const mine = ++attempt;
  hangUp();
  if (body.dataset.transport !== "mjpeg" || !pictures.src) pictures.src = "/stream.mjpeg?" + attempt;
  setTransport("mjpeg", why);
  soundTrack(false);
  if (window.RTCPeerConnection) timer = setTimeout(() => { if (mine === attempt && reached) connect(); }, AGAIN_MS);
}

// A connection that brings no picture although there is one.
function watch() {
  const empty = body.dataset.transport === "webrtc" && stats.state === "live" && !video.videoWidth;
  blank = empty ? blank + 1 : 0;
  if (blank > BLANK_EVENTS) fallBack("no video came over WebRTC");
}

function timeFirst() {
  const note = () => { if (!body.dataset.first) body.dataset.first = Math.round(performance.now()); };
  if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(note);
  else video.addEventListener("loadeddata", note, { once: true });
  pictures.addEventListener("load", note, { once: true });
}

let before = null;
async function measureBrowser() {
  let found = null;
  if (peer && body.dataset.transport === "webrtc") {
    for (const report of (await peer.getStats()).values()) {
      if (report.type === "inbound-rtp" && report.kind === "video") found = report;
    }
  }
  const count = found && before ? found.jitterBufferEmittedCount - before.jitterBufferEmittedCount : 0;
  if (count > 0) browserDelay = 1000 * (found.jitterBufferDelay - before.jitterBufferDelay) / count;
  else if (!found) browserDelay = NaN;
  before = found;
  setTimeout(() => measureBrowser().catch(() => {}), 2000);
}

let reached = true, events = null, silent = 0, wait = SHORTEST_MS, version = null;

function listen() {
  const own = events = new EventSource("/events");
  const broken = () => { if (own === events) lose(); };
  silent = setTimeout(broken, SILENT_MS);
  own.onmessage = (event) => {
    clearTimeout(silent);
    silent = setTimeout(broken, SILENT_MS);
    stats = JSON.parse(event.data);
    if (version !== null && stats.page !== version) return location.reload(); // the receiver was upgraded
    version = stats.page;
    wait = SHORTEST_MS;
    if (!reached) { reached = true; connect(); }
    show();
  };
  own.onerror = broken;
}

// The receiver is gone: try again, at first soon, then every few seconds.
function lose() {
  clearTimeout(silent);
  events.close();
  events = null;
  reached = false;
  followMap();
  setState("offline");
  noFigures();
  $("senders").hidden = true;
  retry();
}

function retry() {
  const pause = wait * (0.8 + 0.4 * Math.random());
  wait = Math.min(2 * wait, LONGEST_MS);
  setTimeout(async () => {
    let status = 0;
    try { status = (await fetch("/stats.json", { cache: "no-store", signal: AbortSignal.timeout(SILENT_MS) })).status; } catch { /* not there */ }
    if (status === 200) return listen();
    if (status === 401) return location.reload(); // another token than before: the receiver asks for it
    retry();
  }, pause);
}
