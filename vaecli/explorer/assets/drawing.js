// A drawing made to look like a data set's images: scaled, centred and binarised as vaecli prepares a person's own pictures.

// Averages n values, `step` apart, down to m; rounded, as between the two passes of Pillow's box filter.
function shrink(from, start, step, n, m, to, at, stride) {
  const scale = n / m;
  for (let k = 0; k < m; k++) {
    const centre = (k + 0.5) * scale, first = Math.max(0, Math.floor(centre - scale / 2 + 0.5)), end = Math.min(n, Math.floor(centre + scale / 2 + 0.5));
    let [sum, count] = [0, 0];
    for (let i = first; i < end; i++) {
      const off = (i - centre + 0.5) * (1 / scale);
      if (off > -0.5 && off <= 0.5) [sum, count] = [sum + from[start + i * step], count + 1];
    }
    to[at + k * stride] = count ? Math.floor(sum / count + 0.5) : from[start + Math.floor(centre) * step]; // a dot is enlarged
  }
}

// A grey picture scaled down, first across and then down.
function scaled(grey, [height, width], [rows, columns]) {
  const across = new Uint8Array(height * columns), small = new Uint8Array(rows * columns);
  for (let y = 0; y < height; y++) shrink(grey, y * width, 1, width, columns, across, y * columns, 1);
  for (let x = 0; x < columns; x++) shrink(across, x, columns, height, rows, small, x, columns);
  return small;
}

// As Python rounds: halves to the even neighbour.
const rounded = (v) => Math.round(v) - (Math.abs(v % 1) === 0.5 && Math.round(v) % 2 ? 1 : 0);

// Where a strip begins so that its centre of mass is the middle of a page.
function corner(mass, side) {
  const total = mass.reduce((sum, value) => sum + value, 0), centre = mass.reduce((sum, value, i) => sum + value * (i + 0.5), 0) / total;
  return Math.min(Math.max(rounded(side / 2 - centre), 0), side - mass.length);
}

// The first and last row and column with ink, of a pad of `side` x `side`.
function inkBox(grey, side) {
  let [top, bottom, left, right] = [side, -1, side, -1];
  for (let y = 0, i = 0; y < side; y++) {
    for (let x = 0; x < side; x++, i++) {
      if (grey[i] <= 25.5) continue;
      [top, bottom] = [Math.min(top, y), y];
      [left, right] = [Math.min(left, x), Math.max(right, x)];
    }
  }
  return bottom < 0 ? null : [top, bottom, left, right];
}

// The bytes of an image of `page` x `page` pixels from a pad of `side` x `side`, white on black; null for a blank pad.
function prepared(grey, side, page, { box, byMass, light }) {
  const ink = inkBox(grey, side);
  if (!ink) return null;
  if (!box) return scaled(light ? grey.map((v) => 255 - v) : grey, [side, side], [page, page]);
  const [top, bottom, left, right] = ink, height = bottom - top + 1, width = right - left + 1, digit = new Uint8Array(height * width);
  for (let y = 0; y < height; y++) digit.set(grey.subarray((top + y) * side + left, (top + y) * side + right + 1), y * width);
  const scale = box / Math.max(height, width), rows = Math.max(1, rounded(height * scale)), columns = Math.max(1, rounded(width * scale));
  const small = scaled(digit, [height, width], [rows, columns]), most = Math.max(...small), bytes = new Uint8Array(page * page);
  const [down, across] = [new Array(rows).fill(byMass ? 0 : 1), new Array(columns).fill(byMass ? 0 : 1)];
  if (byMass) small.forEach((value, i) => { down[Math.floor(i / columns)] += value; across[i % columns] += value; });
  const [y0, x0] = [corner(down, page), corner(across, page)];
  small.forEach((value, i) => { bytes[(y0 + Math.floor(i / columns)) * page + x0 + i % columns] = rounded(value * 255 / most); });
  return bytes;
}

// Black or white as the run makes pixels; pixels that are drawn at random are drawn alike each time, so that nothing flickers.
function binarized(bytes, how) {
  if (how === "threshold") return bytes.map((byte) => byte > 127 ? 255 : 0);
  if (how === "none") return bytes;
  return bytes.map((byte, i) => (Math.imul(i + 1, 2654435761) >>> 8) % 255 < byte ? 255 : 0);
}
