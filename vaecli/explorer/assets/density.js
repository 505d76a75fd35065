// p(z | pixels seen) of two latents: log p(z) + log p(x_seen | z, y) on a grid, whose heavy cells are divided until they are small.

const SIDE = 96; // cells per side of the grid, fewer where a cell's output is large or takes long
const FEWEST = 40;
const LONG = 4000; // milliseconds that all cells may take
const MOST_VALUES = 2 ** 24; // that the outputs in a grid's cells, or its pixels' log probabilities, take: 64 MB
const HEAVY = 0.02; // the share of the posterior from which on a cell is divided
const DEPTH = 4; // times that a cell is divided, each time by three a side
const ROUNDS = 10;

// The work is done by `step`, as far as there is time; a new mask starts over with what is known of the cells.
function makeDensity() {
  const decoded = new Map(); // by run and label: what the decoder gives in each cell
  let [task, work, found] = [null, null, null];

  // Reaches beyond the canvas and the prior, so that what is left out does not count.
  function begin(host, bytes, near, seen) {
    const { model, view, state, images } = host, key = `${state.run} ${state.label}`;
    const reach = Math.max(5, 1.15 * view.limit);
    if (!decoded.has(key)) {
      const side = sideOf(model, images, state.label);
      decoded.clear();
      decoded.set(key, { n: side, done: 0, values: new Float32Array(side * side * model.outputs) });
    }
    const { n } = decoded.get(key);
    task = { model, label: state.label, bytes, near, n, reach, edge: 2 * reach / n, size: images.size, cells: decoded.get(key), terms: new Float32Array(n * n * images.size) };
    mask(seen);
  }

  // By the time that a cell takes, after a few that warm up; and by the memory.
  function sideOf(model, images, label) {
    const place = new Float32Array(2), time = () => { const from = performance.now(); model.output(place, label); return performance.now() - from; };
    for (let i = 0; i < 4; i++) time();
    const cell = Math.max(0.01, Math.min(time(), time(), time()));
    return Math.floor(Math.min(Math.max(FEWEST, Math.min(SIDE, Math.sqrt(LONG / cell))), Math.sqrt(MOST_VALUES / Math.max(model.outputs, images.size))));
  }

  // seen: 1 for each value that is seen, else 0.
  function mask(seen) {
    task.seen = seen;
    found = null;
    work = run(task);
  }

  const middle = ({ n, reach, edge }, cell) => [(cell % n + 0.5) * edge - reach, reach - (Math.floor(cell / n) + 0.5) * edge];
  const prior = ([x, y]) => -(x * x + y * y) / 2 - Math.log(2 * Math.PI);
  const weight = (leaf) => leaf.log + 2 * Math.log(leaf.edge);

  function total(leaves) {
    const most = leaves.reduce((least, leaf) => Math.max(least, weight(leaf)), -Infinity);
    return most + Math.log(leaves.reduce((sum, leaf) => sum + Math.exp(weight(leaf) - most), 0));
  }

  function* run({ model, label, bytes, near, n, edge, size, cells, terms, seen, reach }) {
    const { outputs } = model, place = new Float32Array(2), own = task;
    for (; cells.done < n * n; cells.done++) {
      place.set(middle(task, cells.done));
      cells.values.set(model.output(place, label), cells.done * outputs);
      yield cells.done / (n * n) * 0.8;
    }
    for (own.known = own.known || 0; own.known < n * n; own.known++) {
      model.logProbs(cells.values.subarray(own.known * outputs, (own.known + 1) * outputs), bytes, terms.subarray(own.known * size, (own.known + 1) * size));
      yield 0.8 + own.known / (n * n) * 0.15;
    }
    let leaves = [];
    for (let cell = 0; cell < n * n; cell++) {
      let log = prior(middle(task, cell));
      for (let i = 0, at = cell * size; i < size; i++) log += seen[i] * terms[at + i];
      leaves.push({ cell, at: middle(task, cell), edge, log });
      yield 0.95;
    }
    const scratch = new Float32Array(size);
    for (let round = 0; round < ROUNDS; round++) {
      const { shares } = summary(leaves, n), heavy = leaves.filter((leaf) => leaf.share > HEAVY && leaf.edge > edge / 3 ** DEPTH + 1e-9);
      const whole = new Map(leaves.filter((leaf) => leaf.edge === edge).map((leaf) => [leaf.cell, leaf]));
      const chosen = new Set(heavy.concat(around(shares, n, round ? -1 : cellOf(near, n, reach, edge)).flatMap((cell) => whole.get(cell) || [])));
      if (!chosen.size) break;
      leaves = leaves.filter((leaf) => !chosen.has(leaf));
      for (const { cell, at, edge: whole } of chosen) {
        for (let part = 0; part < 9; part++) {
          const third = whole / 3;
          place.set([at[0] + (part % 3 - 1) * third, at[1] + (Math.floor(part / 3) - 1) * third]);
          model.logProbs(model.output(place, label), bytes, scratch);
          leaves.push({ cell, at: Array.from(place), edge: third, log: scratch.reduce((sum, term, i) => sum + seen[i] * term, prior(place)) });
          yield 0.97;
        }
      }
    }
    found = { ...summary(leaves, n, edge), n, reach };
  }

  const cellOf = ([x, y], n, reach, edge) => Math.floor((reach - y) / edge) * n + Math.floor((x + reach) / edge);

  // Heavy cells with the eight around each, across which a ridge may go on, and those of `near`, where the encoder expects the posterior.
  function around(shares, n, near) {
    const cells = near >= 0 && near < n * n ? [near] : [];
    shares.forEach((share, cell) => { if (share > HEAVY) cells.push(cell); });
    return cells.flatMap((cell) => [-n - 1, -n, -n + 1, -1, 0, 1, n - 1, n, n + 1].map((by) => cell + by));
  }

  // log p(x_seen), the share of each cell of the grid, the mode, and the leaves with their shares, the largest first.
  function summary(leaves, n) {
    const logSeen = total(leaves), shares = new Float32Array(n * n);
    for (const leaf of leaves) {
      leaf.share = Math.exp(weight(leaf) - logSeen);
      shares[leaf.cell] += leaf.share;
    }
    const mode = leaves.reduce((best, leaf) => leaf.log > best.log ? leaf : best);
    return { logSeen, shares, mode: mode.at, leaves: leaves.filter((leaf) => leaf.share > 1e-9).sort((a, b) => b.share - a.share) };
  }

  return {
    begin,
    mask,
    end() { [task, work, found] = [null, null, null]; },
    get found() { return found; },
    // Works until a time; the share that is done.
    step(until) {
      let share = 1;
      while (work) {
        const { done, value } = work.next();
        if (done) work = null;
        else share = value;
        if (performance.now() >= until) break;
      }
      return work ? share : 1;
    },
  };
}

// A latent drawn from the posterior.
function drawn(leaves, random) {
  let rest = random() * leaves.reduce((sum, leaf) => sum + leaf.share, 0);
  const { at, edge } = leaves.find((leaf) => (rest -= leaf.share) <= 0) || leaves[0];
  return Float32Array.from(at, (v) => v + (random() - 0.5) * edge);
}
