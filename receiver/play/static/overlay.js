// The trust overlay: one colour for each 16x16 block, over the picture and nothing else.
const COLOURS = ["rgb(20 163 139 / .24)", "rgb(240 168 48 / .42)", "rgb(224 71 158 / .46)"];

function tint() {
  if (!settings.trust || !stats || !stats.trust) return;
  const { rows, columns, cells } = stats.trust;
  const ratio = devicePixelRatio || 1, box = overlay.getBoundingClientRect();
  const width = Math.round(box.width * ratio), height = Math.round(box.height * ratio);
  if (overlay.width !== width || overlay.height !== height) { overlay.width = width; overlay.height = height; }
  const scale = Math.min(width / stats.width, height / stats.height);
  const left = (width - stats.width * scale) / 2, top = (height - stats.height * scale) / 2;
  const x = (i) => Math.round(left + stats.width * scale * i / columns), y = (i) => Math.round(top + stats.height * scale * i / rows);
  const pen = overlay.getContext("2d");
  pen.clearRect(0, 0, width, height);
  for (let value = 0; value < 3; value++) {
    const path = new Path2D();
    for (let i = 0; i < cells.length; i++) {
      if (+cells[i] !== value) continue;
      const c = i % columns, r = (i - c) / columns;
      path.rect(x(c), y(r), x(c + 1) - x(c), y(r + 1) - y(r));
    }
    pen.fillStyle = COLOURS[value];
    pen.fill(path);
    if (value === 2) hatch(pen, path, width, height, ratio);
  }
}

function hatch(pen, path, width, height, ratio) {
  pen.save();
  pen.clip(path);
  pen.strokeStyle = "rgb(255 210 235 / .4)";
  pen.lineWidth = ratio;
  pen.beginPath();
  for (let x = -height; x < width; x += 9 * ratio) { pen.moveTo(x, height); pen.lineTo(x + height, 0); }
  pen.stroke();
  pen.restore();
}

function showOverlay() {
  $("trust").setAttribute("aria-pressed", settings.trust);
  overlay.hidden = $("legend").hidden = !settings.trust;
  tint();
}
