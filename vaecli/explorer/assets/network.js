// Networks, from their weights: dense layers, convolutions and transposed convolutions.

// Four outputs at a time, which takes a third of the time of one by one.
function dense(layer, input, out) {
  const { weight, bias, inputs, outputs } = layer;
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

// Each output pixel is a sum over kernel x kernel pixels of each input channel; those outside the image are 0.
function convolution(layer, input, out) {
  const { weight, bias, inputs, outputs, kernel, stride, padding, height, width, outHeight, outWidth } = layer;
  const area = outHeight * outWidth;
  for (let o = 0; o < outputs; o++) {
    out.fill(bias[o], o * area, (o + 1) * area);
    for (let i = 0; i < inputs; i++) {
      for (let ky = 0; ky < kernel; ky++) {
        for (let kx = 0; kx < kernel; kx++) {
          const w = weight[((o * inputs + i) * kernel + ky) * kernel + kx];
          const first = Math.max(0, Math.ceil((padding - kx) / stride));
          const last = Math.min(outWidth - 1, Math.floor((width - 1 + padding - kx) / stride));
          for (let y = 0; y < outHeight; y++) {
            const row = y * stride - padding + ky;
            if (row < 0 || row >= height) continue;
            let from = (i * height + row) * width + first * stride - padding + kx;
            for (let x = first, to = o * area + y * outWidth + first; x <= last; x++, to++, from += stride) out[to] += w * input[from];
          }
        }
      }
    }
  }
}

// Each input pixel adds a stamp of kernel x kernel to each output channel.
function transposed(layer, input, out) {
  const { weight, bias, inputs, outputs, kernel, stride, padding, height, width, outHeight, outWidth } = layer;
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

const ACTIVATIONS = {
  relu: (h) => { for (let i = 0; i < h.length; i++) if (h[i] < 0) h[i] = 0; },
  tanh: (h) => { for (let i = 0; i < h.length; i++) h[i] = Math.tanh(h[i]); },
};

const LAYERS = { dense, convolution, transposed };

// Convolutions begin with the image, transposed ones end with it.
function sizes(layers, [height, width]) {
  for (const layer of layers.filter((one) => one.kind === "convolution")) {
    const small = (n) => Math.floor((n + 2 * layer.padding - layer.kernel) / layer.stride) + 1;
    Object.assign(layer, { height, width, outHeight: small(height), outWidth: small(width) });
    [height, width] = [layer.outHeight, layer.outWidth];
  }
  for (const layer of layers.filter((one) => one.kind === "transposed").reverse()) {
    const small = (n) => (n + 2 * layer.padding - layer.kernel) / layer.stride + 1;
    Object.assign(layer, { outHeight: height, outWidth: width, height: small(height), width: small(width) });
    [height, width] = [layer.height, layer.width];
  }
}

// A function from values and a label (-1: unknown) to the raw output, which the next call overwrites.
function makeNetwork(layers, side) {
  const made = layers.map((layer) => ({ ...layer, weight: weightsOf(layer.weight), bias: halvesOf(layer.bias) }));
  sizes(made, side);
  for (const layer of made) {
    layer.out = new Float32Array(layer.outputs * (layer.kind === "dense" ? 1 : layer.outHeight * layer.outWidth));
    if (layer.labels) layer.in = new Float32Array(layer.inputs);
  }
  return (values, label) => {
    let h = values;
    made.forEach((layer, index) => {
      if (layer.labels) {
        layer.in.set(h);
        layer.in.fill(0, layer.inputs - layer.labels);
        if (label >= 0) layer.in[layer.inputs - layer.labels + label] = 1;
        h = layer.in;
      }
      LAYERS[layer.kind](layer, h, layer.out);
      if (index < made.length - 1) ACTIVATIONS[layer.activation](layer.out);
      h = layer.out;
    });
    return h;
  };
}
