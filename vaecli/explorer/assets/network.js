// Networks: lists of operations, each of which writes what it makes of one or more arrays.

// Four outputs at a time, which takes a third of the time of one by one.
function dense({ weight, bias, inputs }, out, input) {
  const outputs = out.length;
  let o = 0;
  for (; o + 4 <= outputs; o += 4) {
    let [a, b, c, d] = [bias[o], bias[o + 1], bias[o + 2], bias[o + 3]];
    for (let i = 0, w = o * inputs; i < inputs; i++, w++) {
      const value = input[i];
      a += weight[w] * value;
      b += weight[w + inputs] * value;
      c += weight[w + 2 * inputs] * value;
      d += weight[w + 3 * inputs] * value;
    }
    [out[o], out[o + 1], out[o + 2], out[o + 3]] = [a, b, c, d];
  }
  for (; o < outputs; o++) {
    let sum = bias[o];
    for (let i = 0, w = o * inputs; i < inputs; i++, w++) sum += weight[w] * input[i];
    out[o] = sum;
  }
}

// Each output pixel is a sum over a window of the image with a border of zeros. Four pixels and two channels at a time: a third of the time of one by one.
function convolution({ weight, bias, padding, padded, steps, corners, input: [inputs, height, width], output: [outputs] }, out, input) {
  const across = width + 2 * padding, down = height + 2 * padding, area = corners.length, n = steps.length;
  for (let i = 0; i < inputs; i++) {
    for (let y = 0; y < height; y++) {
      const from = (i * height + y) * width;
      padded.set(input.subarray(from, from + width), (i * down + y + padding) * across + padding);
    }
  }
  for (let o = 0; o < outputs; o += 2) {
    const other = Math.min(o + 1, outputs - 1);
    for (let p = 0; p < area; p += 4) {
      const q = Math.min(p + 1, area - 1), r = Math.min(p + 2, area - 1), s = Math.min(p + 3, area - 1);
      const atP = corners[p], atQ = corners[q], atR = corners[r], atS = corners[s];
      let a = bias[o], b = a, c = a, d = a, e = bias[other], f = e, g = e, h = e;
      for (let i = 0, w = o * n, v = other * n; i < n; i++, w++, v++) {
        const step = steps[i], one = weight[w], two = weight[v];
        const vp = padded[atP + step], vq = padded[atQ + step], vr = padded[atR + step], vs = padded[atS + step];
        a += one * vp;
        b += one * vq;
        c += one * vr;
        d += one * vs;
        e += two * vp;
        f += two * vq;
        g += two * vr;
        h += two * vs;
      }
      const to = o * area, too = other * area;
      out[to + p] = a;
      out[to + q] = b;
      out[to + r] = c;
      out[to + s] = d;
      out[too + p] = e;
      out[too + q] = f;
      out[too + r] = g;
      out[too + s] = h;
    }
  }
}

// Where in the image with its border each output pixel's window begins, and how far from there the value of each weight is.
function windows({ kernel, stride, padding, input: [inputs, height, width], output: [, rows, columns] }) {
  const across = width + 2 * padding, area = (height + 2 * padding) * across;
  return {
    padded: new Float32Array(inputs * area),
    steps: Int32Array.from({ length: inputs * kernel * kernel }, (_, i) => Math.floor(i / kernel / kernel) * area + Math.floor(i / kernel) % kernel * across + i % kernel),
    corners: Int32Array.from({ length: rows * columns }, (_, p) => (Math.floor(p / columns) * across + p % columns) * stride),
  };
}

// Each input pixel adds a stamp of kernel x kernel to each output channel.
function transposed({ weight, bias, kernel, stride, padding, input: [inputs, height, width], output: [outputs, outHeight, outWidth] }, out, input) {
  const area = outHeight * outWidth;
  for (let o = 0; o < outputs; o++) out.fill(bias[o], o * area, (o + 1) * area);
  for (let i = 0; i < inputs; i++) {
    const channel = input.subarray(i * height * width, (i + 1) * height * width);
    if (!channel.some((value) => value !== 0)) continue;
    for (let o = 0; o < outputs; o++) {
      for (let ky = 0; ky < kernel; ky++) {
        for (let kx = 0; kx < kernel; kx++) {
          const w = weight[((i * outputs + o) * kernel + ky) * kernel + kx];
          const first = Math.max(0, Math.ceil((padding - kx) / stride));
          const last = Math.min(width - 1, Math.floor((outWidth - 1 + padding - kx) / stride));
          for (let y = 0; y < height; y++) {
            const row = y * stride - padding + ky;
            if (row < 0 || row >= outHeight) continue;
            let to = o * area + row * outWidth + first * stride - padding + kx;
            for (let x = first, from = y * width + first; x <= last; x++, from++, to += stride) out[to] += w * channel[from];
          }
        }
      }
    }
  }
}

// Groups of channels, each less its mean and over its standard deviation; then each channel has a scale and a bias.
function norm({ groups, eps, scale, bias }, out, input) {
  const size = input.length / groups, area = input.length / scale.length;
  for (let first = 0; first < input.length; first += size) {
    let [sum, squares] = [0, 0];
    for (let i = first; i < first + size; i++) sum += input[i];
    const mean = sum / size;
    for (let i = first; i < first + size; i++) squares += (input[i] - mean) ** 2;
    const deviation = Math.sqrt(squares / size + eps);
    for (let i = first; i < first + size; i++) {
      const channel = Math.floor(i / area);
      out[i] = (input[i] - mean) / deviation * scale[channel] + bias[channel];
    }
  }
}

// Each pixel is one of the image's: those of some rows and columns, as often as they are named.
function resize({ side: [height, width], rows, columns }, out, input) {
  for (let from = 0, to = 0; from < input.length; from += height * width) {
    for (const row of rows) for (const column of columns) out[to++] = input[from + row * width + column];
  }
}

function join(_, out, ...inputs) {
  let to = 0;
  for (const input of inputs) {
    out.set(input, to);
    to += input.length;
  }
}

const OPERATIONS = {
  dense, convolution, transposed, norm, resize, join,
  add: (_, out, a, b) => { for (let i = 0; i < out.length; i++) out[i] = a[i] + b[i]; },
  relu: (_, out, h) => { for (let i = 0; i < out.length; i++) out[i] = Math.max(0, h[i]); },
  sigmoid: (_, out, h) => { for (let i = 0; i < out.length; i++) out[i] = 1 / (1 + Math.exp(-h[i])); },
  silu: (_, out, h) => { for (let i = 0; i < out.length; i++) out[i] = h[i] / (1 + Math.exp(-h[i])); },
  tanh: (_, out, h) => { for (let i = 0; i < out.length; i++) out[i] = Math.tanh(h[i]); },
};

// A function from values and a label (-1: unknown), one of so many, to the raw output, which the next call overwrites.
function makeNetwork(operations, labels) {
  const made = operations.map((operation) => ({
    ...operation,
    ...(operation.kind === "convolution" ? windows(operation) : {}),
    weight: operation.weight && weightsOf(operation.weight),
    scale: operation.scale && halvesOf(operation.scale),
    bias: operation.bias && halvesOf(operation.bias),
    out: new Float32Array(operation.size),
  }));
  const y = new Float32Array(labels);
  return (values, label) => {
    const inputs = [Float32Array.from(values), y];
    y.fill(0);
    if (label >= 0) y[label] = 1;
    for (const operation of made) {
      OPERATIONS[operation.kind](operation, operation.out, ...operation.of.map((value) => inputs[value] || made[value - 2].out));
    }
    return made.at(-1).out;
  };
}
