// What the tools lay over the plane: p(z | what is left) with its draws, and the posterior of a person's own drawing.

const GLOW = [232, 89, 12];

// Under the points. Opacity goes with the square root of the density, so that smaller hills show too.
function makeGlow() {
  const picture = document.createElement("canvas");
  let of = null;

  return (context, { n, reach, shares }, painter) => {
    if (of !== shares) {
      of = shares;
      [picture.width, picture.height] = [n, n];
      const drawing = picture.getContext("2d"), image = drawing.createImageData(n, n), most = shares.reduce((a, b) => Math.max(a, b), 0);
      for (let i = 0; i < n * n; i++) image.data.set([...GLOW, Math.round(235 * Math.sqrt(shares[i] / most))], 4 * i);
      drawing.putImageData(image, 0, 0);
    }
    const [left, top] = painter.screen([-reach, reach]), [right, bottom] = painter.screen([reach, -reach]);
    context.imageSmoothingEnabled = true;
    context.drawImage(picture, left, top, right - left, bottom - top);
  };
}

// A word at a place of the plane, readable on anything.
function paintWord(context, word, [x, y], ink, paper, font = "bold 13px system-ui, sans-serif") {
  [context.font, context.textAlign, context.strokeStyle, context.lineWidth, context.fillStyle] = [font, "center", paper, 4, ink];
  context.strokeText(word, x, y + 5);
  context.fillText(word, x, y + 5);
}
