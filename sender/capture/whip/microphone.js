// The microphone: sent beside the camera where the sender wants sound. Without it the pictures go on all the same.
const METER_MS = 100;
const MIC = {
  off: ["Microphone off", "No sound is sent."],
  on: ["Microphone on", "Sound is sent with the pictures."],
  idle: ["Microphone on", "Sound will be sent with the pictures."],
  asking: ["Microphone", "The browser asks whether it may use the microphone."],
  denied: ["Microphone not allowed", "The pictures go on without sound. Allow it in the browser's settings for this page, then switch it on again."],
  none: ["No microphone", "The pictures go on without sound: none was found, or another program uses it."],
};
let mic = null, micWanted = recall("microphone") !== "off", voice = null, meter = null, offered = null, micTries = 0;

function recall(name) { try { return localStorage.getItem(name); } catch { return null; } }
function remember(name, value) { try { localStorage.setItem(name, value); } catch { /* storage is turned off */ } }

function showMic(state) {
  const [label, hint] = MIC[state];
  body.dataset.mic = state;
  $("mic").hidden = !offered;
  $("mic").setAttribute("aria-checked", micWanted);
  $("mic-label").textContent = label;
  $("explain").textContent = offered ? `The preview shows what is cut out for the link. ${hint}` : "The preview shows what is cut out for the link. This sender takes no sound.";
}

// What the sender wants; called with each of its answers.
function micOffered(sound) {
  if (offered === sound) return;
  offered = sound;
  showMic(micWanted ? "idle" : "off");
}

// Of a new connection: a place for sound, which may stay empty.
function micTransceiver(own, stream) {
  voice = offered ? own.addTransceiver("audio", { direction: "sendonly", streams: [stream] }).sender : null;
  sendMic();
}

function sendMic() {
  const track = mic ? mic.getAudioTracks()[0] : null;
  if (voice && voice.transport?.state !== "closed") voice.replaceTrack(track).catch(() => {});
}

async function openMic() {
  if (!offered || !micWanted || mic) return;
  const mine = ++micTries;
  showMic("asking");
  try {
    const found = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
    if (mine !== micTries || !wanted || !micWanted) { for (const track of found.getTracks()) track.stop(); return; }
    mic = found;
    mic.getAudioTracks()[0].onended = () => { closeMic(); showMic("none"); };
    sendMic();
    measure();
    showMic("on");
  } catch (error) {
    if (mine !== micTries) return;
    micWanted = false; // for now: what was chosen is remembered as it is
    showMic(error && error.name === "NotAllowedError" ? "denied" : "none");
  }
}

function closeMic() {
  micTries++;
  clearInterval(meter?.timer);
  meter?.context.close().catch(() => {});
  $("level").style.transform = "scaleX(0)";
  if (mic) for (const track of mic.getTracks()) { track.onended = null; track.stop(); }
  mic = meter = null;
  sendMic();
}

// The level of the last tenth of a second: -60 dB is nothing, 0 dB all of the bar.
function measure() {
  const context = new AudioContext(), analyser = context.createAnalyser(), samples = new Float32Array(2048);
  analyser.fftSize = samples.length;
  context.createMediaStreamSource(mic).connect(analyser);
  meter = { context, timer: setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    const power = samples.reduce((sum, x) => sum + x * x, 0) / samples.length;
    const share = Math.min(1, Math.max(0, 1 + 10 * Math.log10(power + 1e-9) / 60));
    $("level").style.transform = `scaleX(${share.toFixed(2)})`;
  }, METER_MS) };
}

function toggleMic() {
  if (!offered) return;
  micWanted = !micWanted;
  remember("microphone", micWanted ? "on" : "off");
  if (!micWanted) { closeMic(); showMic("off"); } else if (wanted) openMic(); else showMic("idle");
}
$("mic").onclick = toggleMic;
