// Numbers and pictures out of the page's data: base64 of little-endian values, and images side by side in a picture.

function bytesOf(text) {
  const raw = atob(text), bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return bytes;
}

const clamp = (value, most) => Math.max(-most, Math.min(most, value));
const floatsOf = (text) => new Float32Array(bytesOf(text).buffer);
const shortsOf = (text) => new Int16Array(bytesOf(text).buffer);

function halvesOf(text) {
  const halves = new Uint16Array(bytesOf(text).buffer);
  const table = halvesOf.table || (halvesOf.table = Float32Array.from({ length: 65536 }, (_, h) => {
    const sign = h & 0x8000 ? -1 : 1, exponent = (h >> 10) & 31, fraction = h & 1023;
    if (exponent === 0) return sign * fraction * 2 ** -24;
    if (exponent === 31) return fraction ? NaN : sign * Infinity;
    return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }));
  return Float32Array.from(halves, (h) => table[h]);
}

// Weights of 16 bits, or levels of fewer bits, one right after the other, times the scale of each row.
function weightsOf(weight) {
  if (weight.half) return halvesOf(weight.half);
  const bytes = bytesOf(weight.levels), scale = floatsOf(weight.scale), { bits } = weight, half = 2 ** (bits - 1);
  const values = new Float32Array(Math.floor(bytes.length * 8 / bits / scale.length) * scale.length), row = values.length / scale.length;
  for (let i = 0, at = 0, held = 0, kept = 0; i < values.length; i++) {
    for (; kept < bits; kept += 8) held |= bytes[at++] << kept;
    const level = held & (2 ** bits - 1);
    values[i] = (level < half ? level : level - 2 * half) * scale[Math.floor(i / row)];
    [held, kept] = [held >> bits, kept - bits];
  }
  return values;
}

// The images of a run as bytes, channel by channel, as the model saw them.
async function readImages(data) {
  const picture = new Image();
  picture.src = data.sheet;
  await picture.decode();
  const [channels, height, width] = data.shape, labels = shortsOf(data.labels);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width * data.columns, height];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const size = channels * height * width, bytes = new Uint8Array(labels.length * size);
  for (let first = 0, row = 0; first < labels.length; first += data.columns, row++) {
    context.drawImage(picture, 0, -row * height);
    const rgba = context.getImageData(0, 0, canvas.width, height).data;
    for (let column = 0; column < Math.min(data.columns, labels.length - first); column++) {
      for (let c = 0, at = (first + column) * size; c < channels; c++) {
        for (let y = 0; y < height; y++) {
          for (let x = 0; x < width; x++) bytes[at++] = rgba[4 * (y * canvas.width + column * width + x) + c];
        }
      }
    }
  }
  return { ...data, labels, bytes, size, channels, height, width, of: (i) => bytes.subarray(i * size, (i + 1) * size) };
}

// Draws an image, values on [0, 1] or bytes, at its own size; the style sheet enlarges the canvas.
function drawImage(canvas, images, values, left = 0) {
  const { channels, height, width } = images, area = height * width, scale = values instanceof Uint8Array ? 1 : 255;
  const context = canvas.getContext("2d"), image = context.createImageData(width, height);
  for (let i = 0; i < area; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = Math.round(scale * values[channels === 3 ? c * area + i : i]);
    image.data[4 * i + 3] = 255;
  }
  context.putImageData(image, left, 0);
}
