// The tiles: loss, latency, rate and trust, each with its last 60 seconds.
const POINTS = 60, SECOND_MS = 1000;
const UNITS = { loss: ["%", 100], latency: ["ms", 500], rate: ["kbit/s", 60] }; // and the least full scale
const trails = { loss: [], latency: [], rate: [] };
let second = { loss: [], latency: [], rate: [] }, secondEnds = performance.now() + SECOND_MS;
let browserDelay = NaN; // ms that this browser adds

function number(id, value, unit) {
  const known = Number.isFinite(value);
  $(id).replaceChildren(known ? value.toFixed(0) : "\u2013");
  if (known) $(id).append(element("small", {}, unit));
}

function readable(latency) {
  return typeof latency === "number" && latency > -1000 && latency < 60000 ? Math.max(0, latency) : NaN;
}

function showFigures() {
  const live = stats.state === "live";
  const now = {
    loss: live ? stats.loss * 100 : NaN,
    latency: live ? readable(stats.latency_ms) : NaN,
    rate: live ? stats.rate_kbps : NaN,
  };
  for (const id in now) {
    number(id, now[id], UNITS[id][0]);
    if (Number.isFinite(now[id])) second[id].push(now[id]);
  }
  const strange = live && stats.latency_ms !== null && !Number.isFinite(now.latency);
  $("latency").title = strange ? "The clocks of the two hosts are not in step" : "";
  showTrust();
  showDecoder();
}

function showDecoder() {
  const line = stats.decoder || "", end = line.search(/[,:]/), there = stats.state === "live" && line !== "";
  $("decoder-tile").hidden = !there;
  $("figures").classList.toggle("six", there);
  $("decoder").textContent = end < 0 ? line : line.slice(0, end);
  $("decoder-detail").textContent = end < 0 ? "" : line.slice(end + 1).trim();
  $("decoder-detail").title = stats.decoder_slow ? "Not every picture is generated; the others keep its detail where nothing moves" : line;
  $("decoder-tile").classList.toggle("slow", Boolean(stats.decoder_slow));
}

function noFigures() {
  for (const id of ["loss", "latency", "rate", "imagined"]) number(id, NaN);
  for (const bar of $("shares").children) bar.style.width = 0;
  $("picture-detail").textContent = "";
  $("decoder").textContent = "\u2013";
  $("decoder-detail").textContent = "";
}

function everySecond() {
  const late = performance.now() - secondEnds;
  secondEnds = performance.now() + SECOND_MS - Math.max(0, Math.min(late, SECOND_MS / 2));
  for (const id in trails) {
    const values = second[id], points = trails[id];
    points.push(values.length ? values.reduce((a, b) => a + b) / values.length : null);
    if (points.length > POINTS) points.shift();
    draw(id, points);
  }
  second = { loss: [], latency: [], rate: [] };
  setTimeout(everySecond, Math.max(100, secondEnds - performance.now()));
}

function draw(id, points) {
  const known = points.filter((v) => v !== null), [unit, scale] = UNITS[id];
  const limit = Math.max(scale, ...known), [under, over] = $(id).parentElement.querySelectorAll("path");
  let line = "", area = "", begun = null, last = 0;
  points.forEach((v, i) => {
    const x = (100 * (i + POINTS - points.length) / (POINTS - 1)).toFixed(1);
    if (v !== null) {
      const y = (29 - 27 * v / limit).toFixed(1);
      line += `${begun === null ? "M" : "L"}${x},${y}`;
      area += `${begun === null ? `M${x},30` : ""}L${x},${y}`;
      begun ??= x;
      last = x;
    }
    if (begun !== null && (v === null || i === points.length - 1)) { area += `L${last},30Z`; begun = null; }
  });
  over.setAttribute("d", line);
  under.setAttribute("d", area);
  const parts = known.length ? [`max ${Math.max(...known).toFixed(0)}${id === "latency" ? "" : " " + unit}`] : [];
  if (id === "latency" && Number.isFinite(browserDelay)) parts.push(`+${browserDelay.toFixed(0)} here`);
  $(id + "-detail").textContent = parts.join(" \u00b7 ");
}

function showTrust() {
  if (!stats.trust) return;
  const cells = stats.trust.cells, counts = [0, 0, 0];
  for (const cell of cells) counts[cell]++;
  const shares = counts.map((n) => 100 * n / cells.length), bars = $("shares");
  number("imagined", shares[2], "% imagined");
  shares.forEach((share, i) => { bars.children[i].style.width = share + "%"; });
  const [received, recovered, imagined] = shares.map((share) => share.toFixed(0));
  bars.setAttribute("aria-label", `${received} % received, ${recovered} % recovered, ${imagined} % imagined`);
  $("picture-detail").textContent = `${stats.width}\u00d7${stats.height} \u00b7 ${stats.fps_shown.toFixed(1)} fps`;
}

function showToggle() {
  $("figures").hidden = !settings.figures;
  $("toggle").setAttribute("aria-pressed", settings.figures);
}
