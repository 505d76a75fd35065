// The likelihoods, by the names of their classes: the mean of each pixel, and log p(x) of an image in nats.
// A pixel's parameters are the raw outputs a (the first half) and b (the second half, where there is one); x is a byte.

const softplus = (l) => Math.max(l, 0) + Math.log1p(Math.exp(-Math.abs(l)));
const sigmoid = (l) => 1 / (1 + Math.exp(-l));

const LANCZOS = [76.18009172947146, -86.50532032941677, 24.01409824083091, -1.231739572450155, 0.1208650973866179e-2, -0.5395239384953e-5];

function logGamma(x) {
  let sum = 1.000000000190015;
  LANCZOS.forEach((part, i) => { sum += part / (x + 1 + i); });
  return (x + 0.5) * Math.log(x + 5.5) - x - 5.5 + Math.log(2.5066282746310005 * sum / x);
}

const concentration = (raw) => 2 / Math.LN2 * softplus(Math.min(173, Math.max(-12, raw)));

function betaLogProb(rawA, rawB, byte) {
  const a = concentration(rawA), b = concentration(rawB), x = (byte + 0.5) / 256;
  return (a - 1) * Math.log(x) + (b - 1) * Math.log1p(-x) - logGamma(a) - logGamma(b) + logGamma(a + b);
}

function continuousMean(l) {
  const size = Math.abs(l);
  if (size < 0.3) return 0.5 + Math.sign(l) * (size / 12 - size ** 3 / 720 + size ** 5 / 30240);
  return 0.5 + Math.sign(l) * (-1 / Math.expm1(-size) - 1 / size - 0.5);
}

function continuousLogPartition(l) {
  const size = Math.abs(l);
  if (size < 0.3) return l / 2 + size ** 2 / 24 - size ** 4 / 2880 + size ** 6 / 181440;
  return Math.max(l, 0) + Math.log(-Math.expm1(-size)) - Math.log(size);
}

const inverseScale = (raw) => (sigmoid(-7 - raw) + 1e-6) * Math.exp(7);

// Of a logistic variable rounded to 256 levels, without the rounding: within half a level.
function logisticMean(m, raw) {
  const inverse = inverseScale(raw);
  return (softplus((m + 1) * inverse) - softplus((m - 1) * inverse)) / (2 * inverse);
}

function logisticLogProb(m, raw, byte) {
  const inverse = inverseScale(raw), h = inverse / 255, c = 2 * byte / 255 - 1;
  const above = (c - m) * inverse + h, below = (c - m) * inverse - h;
  if (byte === 0) return -softplus(-above);
  if (byte === 255) return -softplus(below);
  return -softplus(-above) - softplus(below) + Math.log(-Math.expm1(-2 * h));
}

const LIKELIHOODS = {
  Bernoulli: { mean: sigmoid, logProb: (l, _, byte) => byte / 255 * l - softplus(l), value: (byte) => byte / 255 },
  Beta: { mean: (a, b) => concentration(a) / (concentration(a) + concentration(b)), logProb: betaLogProb, value: (byte) => (byte + 0.5) / 256 },
  ContinuousBernoulli: { mean: continuousMean, logProb: (l, _, byte) => byte / 255 * l - continuousLogPartition(l), value: (byte) => byte / 255 },
  DiscretizedLogistic: { mean: logisticMean, logProb: logisticLogProb, value: (byte) => byte / 255 },
};

// p(x | z, y): the mean of each pixel, and the log probability of an image's bytes. And q(z | x, y) where the page has the encoder.
function makeModel(space, images) {
  const labels = space.classes.length, network = makeNetwork(space.decoder, labels);
  const { mean, logProb, value } = LIKELIHOODS[space.likelihood], { size } = images;
  const encoder = space.encoder && makeNetwork(space.encoder, labels);
  const meansOf = (output) => Float32Array.from({ length: size }, (_, i) => mean(output[i], output[size + i]));
  return {
    output: network,
    outputs: space.decoder.at(-1).size,
    meansOf,
    mean: (z, label) => meansOf(network(z, label)),
    // Writes log p(x_i | z, y) of each pixel, of an output that `output` gave.
    logProbs(output, bytes, to) {
      for (let i = 0; i < size; i++) to[i] = logProb(output[i], output[size + i], bytes[i]);
    },
    meanAndLogProb(z, label, bytes) {
      const output = network(z, label);
      let sum = 0;
      for (let i = 0; i < size; i++) sum += logProb(output[i], output[size + i], bytes[i]);
      return [meansOf(output), sum];
    },
    encode: encoder && ((bytes, label) => {
      const output = encoder(Float32Array.from(bytes, value), label);
      return { loc: output.slice(0, space.latents), logScale: output.slice(space.latents).map((v) => clamp(v, 20)) };
    }),
  };
}
