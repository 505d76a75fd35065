// Where latents lie on the screen: a plane through the latent space, which three dimensions or more can turn.

const dot = (row, z, at = 0) => row.reduce((sum, part, d) => sum + part * z[at + d], 0);

function makeView(space) {
  const { latents, axes } = space, count = space.loc.length / latents;
  const limit = 1.08 * space.reach;
  let turn = [0, 0];
  let rows = axes;

  // The rows are the screen's right and up, and the way out of it where there are three axes.
  function turnTo(a, b) {
    if (axes.length < 3) return;
    turn = [a, clamp(b, 1.5)];
    const [ca, sa, cb, sb] = [Math.cos(turn[0]), Math.sin(turn[0]), Math.cos(turn[1]), Math.sin(turn[1])];
    const mixed = (...shares) => axes[0].map((_, d) => shares.reduce((sum, share, k) => sum + share * axes[k][d], 0));
    rows = [mixed(ca, 0, -sa), mixed(-sa * sb, cb, -ca * sb), mixed(sa * cb, sb, ca * cb)];
  }

  // One latent is a line: points are spread above and below it, each always at the same height.
  const height = (i) => latents === 1 ? limit * 0.7 * ((i * 0.618034) % 1 * 2 - 1) : dot(rows[1], space.loc, i * latents);

  return {
    limit,
    get turn() { return turn; },
    turnTo,
    depths: axes.length > 2,
    // On the plane: right and up, in units of z.
    plane: (z) => [dot(rows[0], z), latents === 1 ? 0 : dot(rows[1], z)],
    point: (i) => [dot(rows[0], space.loc, i * latents), height(i)],
    // Moves z within the plane so that it lies at this place, which stays inside the canvas.
    moveTo(z, right, up) {
      const [x, y] = this.plane(z), across = clamp(right, limit) - x, upward = clamp(up, limit) - y;
      for (let d = 0; d < latents; d++) z[d] += rows[0][d] * across + (latents === 1 ? 0 : rows[1][d] * upward);
    },
    depth: (z) => rows.length < 3 ? 0 : dot(rows[2], z),
    // Moves z along the axis out of the screen; whether it moved.
    deepen(z, by) {
      if (rows.length < 3) return false;
      const step = clamp(dot(rows[2], z) + by, limit) - dot(rows[2], z);
      for (let d = 0; d < latents; d++) z[d] += rows[2][d] * step;
      return Math.abs(step) > 1e-6;
    },
    // Moves z inside the canvas and its depth, where it is outside.
    keepInside(z) {
      if (Math.abs(this.depth(z)) > limit) this.deepen(z, 0);
      const [x, y] = this.plane(z);
      if (Math.max(Math.abs(x), Math.abs(y)) > limit) this.moveTo(z, x, y);
    },
    // The image whose posterior's mean is nearest to z, in all latents; and how far it is.
    nearest(z, shown) {
      let best = -1, least = Infinity;
      for (let i = 0, at = 0; i < count; i++, at += latents) {
        if (!shown(i)) continue;
        let sum = 0;
        for (let d = 0; d < latents && sum < least; d++) sum += (space.loc[at + d] - z[d]) ** 2;
        if (sum < least) [best, least] = [i, sum];
      }
      return [best, Math.sqrt(least)];
    },
    // Half axes and angle of the ellipse that two standard deviations make on the plane: those of an image's posterior, or others.
    ellipse(i, logScale = space.logScale) {
      let [xx, xy, yy] = [0, 0, 0];
      for (let d = 0; d < latents; d++) {
        const variance = Math.exp(2 * logScale[i * latents + d]), up = latents === 1 ? 0 : rows[1][d];
        xx += rows[0][d] ** 2 * variance;
        xy += rows[0][d] * up * variance;
        yy += up ** 2 * variance;
      }
      const middle = (xx + yy) / 2, half = Math.hypot((xx - yy) / 2, xy);
      return [2 * Math.sqrt(middle + half), 2 * Math.sqrt(Math.max(0, middle - half)), Math.atan2(2 * xy, xx - yy) / 2];
    },
  };
}
