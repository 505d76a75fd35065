// A decoder, from its weights: dense layers and transposed convolutions.

function dense(layer, input, out) {
  const { weight, bias, inputs, outputs } = layer;
  for (let o = 0, w = 0; o < outputs; o++) {
    let sum = bias[o];
    for (let i = 0; i < inputs; i++, w++) sum += weight[w] * input[i];
    out[o] = sum;
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

// A function from a latent and a label (-1: unknown) to the raw output, which the next call overwrites.
function makeNetwork(layers, labels, side) {
  const made = layers.map((layer) => ({ ...layer, weight: weightsOf(layer.weight), bias: halvesOf(layer.bias) }));
  const doublings = made.filter((layer) => layer.kind === "transposed");
  let [height, width] = side;
  for (const layer of [...doublings].reverse()) {
    const small = (n) => (n + 2 * layer.padding - layer.kernel) / layer.stride + 1;
    Object.assign(layer, { outHeight: height, outWidth: width, height: small(height), width: small(width) });
    [height, width] = [layer.height, layer.width];
  }
  for (const layer of made) layer.out = new Float32Array(layer.outputs * (layer.kind === "dense" ? 1 : layer.outHeight * layer.outWidth));
  const input = new Float32Array(made[0].inputs), latents = input.length - labels;
  return (z, label) => {
    input.set(z);
    input.fill(0, latents);
    if (labels && label >= 0) input[latents + label] = 1;
    let h = input;
    made.forEach((layer, index) => {
      (layer.kind === "dense" ? dense : transposed)(layer, h, layer.out);
      if (index < made.length - 1) ACTIVATIONS[layer.activation](layer.out);
      h = layer.out;
    });
    return h;
  };
}
