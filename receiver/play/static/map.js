// Drawing the map of classes over the picture: outlines or a tint, what is held over hatched, and a legend of what is seen.
const MAP_MODES = ["off", "outlines", "tint"], STRENGTH_STEP = 10, LINGER_MS = 1000, HELD = 1, LOST = 2;
const mapCanvas = $("map"), mapPixels = element("canvas"), lastSeen = new Map();
let listedClasses = "", mapDrawn = null;

const css = (colour, alpha = 1) => `rgb(${colour.join(" ")} / ${alpha})`;
const pictureSize = () => `${stats.width}x${stats.height}`;
const mapMode = () => (MAP_MODES.includes(settings.map) ? settings.map : "off");

function drawMap() {
  const mode = mapMode(), map = mode !== "off" && mapNow && mapNow.legend ? mapNow : null;
  mapCanvas.hidden = !map;
  mapDrawn = null;
  if (!map || !stats.width) return showClasses();
  const place = placed(mapCanvas), counts = new Uint32Array(256);
  mapDrawn = { map, counts, size: pictureSize() };
  for (const label of map.labels) counts[label]++;
  place.pen.clearRect(0, 0, mapCanvas.width, mapCanvas.height);
  if (mode === "tint") drawTint(map, place);
  else drawOutlines(map, place, counts);
  hatchBlocks(map, place);
  showClasses();
}

function drawTint(map, { pen, left, top, wide, high }) {
  const image = new ImageData(map.width, map.height), pixels = new Uint32Array(image.data.buffer);
  const alpha = Math.round(2.55 * settings.strength), table = new Uint32Array(256);
  map.legend.colours.forEach((colour, label) => { new Uint8Array(table.buffer).set([...colour, alpha], 4 * label); });
  for (let i = 0; i < pixels.length; i++) pixels[i] = table[map.labels[i]];
  mapPixels.width = map.width;
  mapPixels.height = map.height;
  mapPixels.getContext("2d").putImageData(image, 0, 0);
  pen.imageSmoothingEnabled = false;
  pen.drawImage(mapPixels, left, top, wide, high);
}

// A line between two classes has the colour of the smaller one, on a dark casing.
function drawOutlines(map, { pen, ratio, left, top, wide, high }, counts) {
  const { width, height, labels } = map, paths = new Map(), all = new Path2D();
  const x = (i) => left + wide * i / width, y = (i) => top + high * i / height;
  const line = (a, b, x0, y0, x1, y1) => {
    const owner = counts[a] < counts[b] ? a : b;
    if (!paths.has(owner)) paths.set(owner, new Path2D());
    for (const path of [paths.get(owner), all]) { path.moveTo(x0, y0); path.lineTo(x1, y1); }
  };
  const runs = (lines, length, at, step, along, draw) => {
    for (let j = 1; j < lines; j++) {
      const base = at(j);
      let from = 0, a = labels[base - step], b = labels[base];
      for (let i = 1; i <= length; i++) {
        const k = base + i * along;
        if (i < length && labels[k - step] === a && labels[k] === b) continue;
        if (a !== b) draw(a, b, j, from, i);
        from = i;
        a = labels[k - step];
        b = labels[k];
      }
    }
  };
  runs(height, width, (j) => j * width, width, 1, (a, b, j, from, to) => line(a, b, x(from), y(j), x(to), y(j)));
  runs(width, height, (j) => j, 1, width, (a, b, j, from, to) => line(a, b, x(j), y(from), x(j), y(to)));
  pen.lineCap = "round";
  pen.lineWidth = 4 * ratio;
  pen.strokeStyle = "rgb(0 0 0 / .6)";
  pen.stroke(all);
  pen.lineWidth = 2 * ratio;
  for (const [label, path] of paths) {
    pen.strokeStyle = css(map.legend.colours[label] || [255, 255, 255]);
    pen.stroke(path);
  }
}

// Blocks of which nothing came: sparse lines where the map is held over, crossed ones where it has been for long.
function hatchBlocks(map, { pen, ratio, left, top, wide, high }) {
  const x = (i) => left + wide * Math.min(1, i * map.block / map.width), y = (i) => top + high * Math.min(1, i * map.block / map.height);
  const held = new Path2D(), lost = new Path2D();
  map.trust.forEach((value, i) => {
    const c = i % map.columns, r = (i - c) / map.columns;
    if (value) held.rect(x(c), y(r), x(c + 1) - x(c), y(r + 1) - y(r));
    if (value >= LOST) lost.rect(x(c), y(r), x(c + 1) - x(c), y(r + 1) - y(r));
  });
  hatch(pen, held, mapCanvas.width, mapCanvas.height, ratio, "rgb(255 255 255 / .5)");
  hatch(pen, lost, mapCanvas.width, mapCanvas.height, ratio, "rgb(255 255 255 / .5)", -1);
}

// What is seen now or was a moment ago, so that the list does not flicker.
function showClasses() {
  const { map, counts } = mapDrawn || {};
  const list = $("map-legend"), now = performance.now(), rows = [];
  list.hidden = !map;
  if (!map) { lastSeen.clear(); listedClasses = ""; return list.replaceChildren(); }
  const note = (key, there) => {
    if (there) lastSeen.set(key, now);
    return lastSeen.has(key) && now - lastSeen.get(key) < LINGER_MS;
  };
  map.legend.classes.forEach((name, label) => { if (note(label, counts[label])) rows.push([name, css(map.legend.colours[label])]); });
  if (note("void", counts.slice(map.legend.classes.length).some(Boolean))) rows.push(["not known", ""]);
  if (note("held", map.trust.includes(HELD))) rows.push(["held over", "held"]);
  if (note("lost", map.trust.includes(LOST))) rows.push(["lost", "lost"]);
  if (JSON.stringify(rows) === listedClasses) return;
  listedClasses = JSON.stringify(rows);
  list.replaceChildren(...rows.map(([name, look]) => {
    const swatch = element("span", { class: "swatch " + (/^rgb/.test(look) ? "" : look || "none") });
    if (/^rgb/.test(look)) swatch.style.background = look;
    return element("li", {}, swatch, name);
  }));
}

// With every event: what depends on what the receiver told.
function showMap() {
  const mode = mapMode(), there = Boolean(stats && stats.map);
  $("classes").hidden = !there;
  $("strength").hidden = !there || mode !== "tint";
  $("strength").value = settings.strength;
  $("classes").setAttribute("aria-pressed", mode !== "off");
  $("classes").setAttribute("aria-label", `Map of classes: ${mode}`);
  followMap();
  if (mapDrawn && mapDrawn.size !== pictureSize()) drawMap();
  else showClasses();
}

function nextMap() {
  if (!stats || !stats.map) return toast("No map of classes is sent");
  if (!("DecompressionStream" in window)) return toast("This browser is too old to show the map");
  keep("map", MAP_MODES[(MAP_MODES.indexOf(mapMode()) + 1) % MAP_MODES.length]);
  toast(`Map of classes: ${settings.map}`);
  showMap();
  drawMap();
}

function setStrength(value) {
  keep("strength", Math.max(10, Math.min(100, value)));
  showMap();
  drawMap();
}

function stepStrength(steps) {
  if (mapMode() === "tint") setStrength(settings.strength + steps * STRENGTH_STEP);
}

function showMapFigures() {
  const there = Boolean(stats.map), percent = (share) => `${(100 * share).toFixed(0)} %`;
  $("map-tile").hidden = !there;
  $("figures").classList.toggle("five", there);
  if (!there) return;
  const rate = stats.contours_kbps, held = stats.map_held || 0, lost = stats.map_lost || 0;
  $("map-rate").replaceChildren(...(typeof rate === "number" ? [rate.toFixed(rate < 10 ? 1 : 0), element("small", {}, "kbit/s contours")] : ["\u2013"]));
  [1 - held - lost, held, lost].forEach((share, i) => { $("map-shares").children[i].style.width = 100 * share + "%"; });
  $("map-shares").setAttribute("aria-label", `${percent(1 - held - lost)} of the map received, ${percent(held)} held over, ${percent(lost)} lost`);
  const age = typeof stats.map_age_ms === "number" ? `${stats.map_age_ms.toFixed(0)} ms old` : "";
  $("map-detail").textContent = [age, `${percent(held + lost)} held over`].filter(Boolean).join(" \u00b7 ");
  $("map-detail").title = `${percent(held)} held over, ${percent(lost)} lost`;
  $("map-name").textContent = stats.map;
}
