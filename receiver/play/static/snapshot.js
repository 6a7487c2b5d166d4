// Saving what is seen: the picture, what is laid over it, and its legends below.
const STRIP = { row: 20, pad: 8, font: "12px system-ui, sans-serif" };

function snapshot() {
  const mjpeg = body.dataset.transport === "mjpeg", source = mjpeg ? pictures : video;
  const [width, height] = mjpeg ? [pictures.naturalWidth, pictures.naturalHeight] : [video.videoWidth, video.videoHeight];
  if (!width) return toast("There is no picture yet");
  const canvas = element("canvas"), pen = canvas.getContext("2d");
  const layers = body.dataset.state === "live" ? [mapCanvas, overlay].filter((layer) => !layer.hidden && layer.width) : [];
  const rows = layers.length ? stripRows(pen, width) : [];
  canvas.width = width;
  canvas.height = height + (rows.length ? rows.length * STRIP.row + STRIP.pad : 0);
  pen.drawImage(source, 0, 0, width, height);
  for (const layer of layers) {
    const { left, top, wide, high } = within(layer);
    pen.drawImage(layer, left, top, wide, high, 0, 0, width, height);
  }
  drawStrip(pen, rows, width, height, canvas.height);
  const time = new Date().toISOString().replace(/[-:]/g, "");
  const from = $("source").textContent.replace(/[^\p{L}\p{N}_-]+/gu, "_");
  canvas.toBlob((blob) => {
    const link = element("a", { href: URL.createObjectURL(blob), download: `semcast-${from ? from + "-" : ""}${time}.png` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    toast(`Saved ${link.download}`);
  }, "image/png");
}

// The legends' entries in as few rows as they fit into.
function stripRows(pen, width) {
  const rows = [];
  let left = Infinity;
  pen.font = STRIP.font;
  for (const item of document.querySelectorAll("#legend:not([hidden]) li, #map-legend:not([hidden]) li")) {
    const need = 24 + pen.measureText(item.textContent).width + STRIP.pad;
    if (left + need > width) { rows.push([]); left = STRIP.pad; }
    rows[rows.length - 1].push([left, item.textContent, getComputedStyle(item.firstChild).backgroundColor, item.firstChild.className]);
    left += need;
  }
  return rows;
}

function drawStrip(pen, rows, width, top, bottom) {
  pen.fillStyle = "#0e1115";
  pen.fillRect(0, top, width, bottom - top);
  pen.font = STRIP.font;
  pen.textBaseline = "middle";
  rows.forEach((row, number) => {
    const y = top + STRIP.pad / 2 + number * STRIP.row;
    for (const [x, text, colour, look] of row) {
      const box = new Path2D();
      box.rect(x, y + 4, 12, 12);
      pen.fillStyle = colour;
      pen.fill(box);
      if (/held|lost|imagined/.test(look)) hatch(pen, box, width, bottom, 0.5, "#fff");
      if (/lost/.test(look)) hatch(pen, box, width, bottom, 0.5, "#fff", -1);
      pen.strokeStyle = "#7b8694";
      pen.lineWidth = 1;
      pen.stroke(box);
      pen.fillStyle = "#f2f5f8";
      pen.fillText(text, x + 18, y + STRIP.row / 2);
    }
  });
}
