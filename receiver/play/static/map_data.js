// The map of classes as it comes: fetched only while it is wanted, and kept until the picture that it belongs to is shown.
const MOST_WAITING = 32, MAP_AGAIN_MS = 2000, MAP_HEAD = 14, TIMED = 1;
let mapSocket = null, mapViewer = "", mapNext = 0, mapLegend = null, mapWork = Promise.resolve();
let mapNow = null; // the map on show
let mapWaiting = []; // maps of later pictures

function mapWanted() {
  return settings.map !== "off" && reached && Boolean(stats && stats.map) && "DecompressionStream" in window;
}

// Opens or ends the connection as it is wanted; called with every event.
function followMap() {
  const viewer = body.dataset.transport === "webrtc" && session ? session.split("/").pop() : "";
  const wanted = mapWanted();
  if (mapSocket && (!wanted || viewer !== mapViewer)) leaveMap();
  if (!wanted && mapNow) setMap(null);
  if (!mapSocket && wanted && performance.now() >= mapNext) openMap(viewer);
}

function openMap(viewer) {
  mapViewer = viewer;
  mapNext = performance.now() + MAP_AGAIN_MS;
  const address = new URL("/maps", location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  if (viewer) address.searchParams.set("viewer", viewer);
  const own = mapSocket = new WebSocket(address);
  let legend = null;
  own.binaryType = "arraybuffer";
  own.onmessage = ({ data }) => {
    if (typeof data === "string") { legend = JSON.parse(data); return; }
    const its = legend;
    mapWork = mapWork.then(() => own === mapSocket && unpackMap(data, its)).then((map) => { if (map && own === mapSocket) awaitMap(map); })
      .catch(() => own.close());
  };
  own.onclose = () => { if (own === mapSocket) leaveMap(); };
}

function leaveMap() {
  const old = mapSocket;
  mapSocket = null;
  mapWaiting = [];
  if (old) old.close();
}

async function unpackMap(data, legend) {
  const head = new DataView(data), [width, height, block] = [head.getUint16(5), head.getUint16(7), head.getUint8(9)];
  const map = { at: head.getUint8(0) & TIMED ? head.getUint32(1) : null, width, height, block, columns: head.getUint16(10), rows: head.getUint16(12), legend };
  if (!width) return map;
  const stream = new Blob([new Uint8Array(data, MAP_HEAD)]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer()), size = width * height;
  map.labels = bytes.subarray(0, size);
  map.trust = bytes.subarray(size);
  for (let i = width; i < size; i++) map.labels[i] ^= map.labels[i - width];
  return map;
}

function awaitMap(map) {
  if (map.at === null || !video.requestVideoFrameCallback || body.dataset.transport !== "webrtc") return setMap(map);
  if (!mapNow) setMap(map); // better a little early than nothing
  mapWaiting.push(map);
  if (mapWaiting.length > MOST_WAITING) setMap(mapWaiting.shift());
  if (mapWaiting.length === 1) video.requestVideoFrameCallback(showWaiting);
}

// A picture goes on show: so does the newest map that is not of a later one.
function showWaiting(_, { rtpTimestamp }) {
  let due = null;
  while (mapWaiting.length && (rtpTimestamp === undefined || ((rtpTimestamp - mapWaiting[0].at) | 0) >= 0)) due = mapWaiting.shift();
  if (due) setMap(due);
  if (mapWaiting.length) video.requestVideoFrameCallback(showWaiting);
}

function setMap(map) {
  mapNow = map && map.width ? map : null;
  drawMap();
}
