// The trust overlay: one colour for each 16x16 block, over the picture and nothing else.
const COLOURS = ["rgb(20 163 139 / .24)", "rgb(240 168 48 / .42)", "rgb(224 71 158 / .46)"];

// A canvas in the resolution of the display, and where in it the picture is.
function placed(canvas) {
  const ratio = devicePixelRatio || 1, box = canvas.getBoundingClientRect();
  const width = Math.round(box.width * ratio), height = Math.round(box.height * ratio);
  if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
  return { pen: canvas.getContext("2d"), ratio, ...within(canvas) };
}

function within({ width, height }) {
  const scale = Math.min(width / stats.width, height / stats.height), wide = stats.width * scale, high = stats.height * scale;
  return { left: (width - wide) / 2, top: (height - high) / 2, wide, high };
}

function tint() {
  if (!settings.trust || !stats || !stats.trust) return;
  const { rows, columns, cells } = stats.trust;
  const { pen, ratio, left, top, wide, high } = placed(overlay), { width, height } = overlay;
  const x = (i) => Math.round(left + wide * i / columns), y = (i) => Math.round(top + high * i / rows);
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
    if (value === 2) hatch(pen, path, width, height, ratio, "rgb(255 210 235 / .4)");
  }
}

// `way`: 1 rising, -1 falling lines.
function hatch(pen, path, width, height, ratio, colour, way = 1) {
  pen.save();
  pen.clip(path);
  pen.strokeStyle = colour;
  pen.lineWidth = ratio;
  pen.beginPath();
  const [from, to] = way > 0 ? [height, 0] : [0, height];
  for (let x = -height; x < width; x += 9 * ratio) { pen.moveTo(x, from); pen.lineTo(x + height, to); }
  pen.stroke();
  pen.restore();
}

function showOverlay() {
  $("trust").setAttribute("aria-pressed", settings.trust);
  overlay.hidden = $("legend").hidden = !settings.trust;
  tint();
}
