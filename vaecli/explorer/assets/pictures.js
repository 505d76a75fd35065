// The pictures beside the plane: what the decoder draws at z, the nearest test image, and its reconstruction.

const QUICK = 6; // milliseconds of a decoding that fits into every frame
const LATE = 3; // decodings in a row that took longer, after which it is done beside the page

const minus = (text) => text.replace("-", "\u2212");

function makePictures(part, host) {
  let [near, rebuilt, place, late] = [-1, -1, "", {}]; // `late`: of each picture, how many decodings in a row

  function begin() {
    const { images } = host;
    [near, rebuilt, place, late] = [-1, -1, "", {}];
    for (const name of ["decoded", "image", "reconstruction"]) [part(name).width, part(name).height] = [images.width, images.height];
  }

  // Decodes in this frame as long as that is quick, else beside the page.
  function decode(name, job, then) {
    if (late[name] >= LATE) {
      host.beside.ask(name, { space: host.space, images: host.images, ...job }, then);
      return;
    }
    const start = performance.now();
    then(...decodedBy(host.model, job));
    late[name] = performance.now() - start > QUICK ? (late[name] || 0) + 1 : 0;
  }

  function show(nearest) {
    const { space, images, state } = host, bytes = nearest >= 0 ? images.of(nearest) : new Uint8Array(images.size);
    if (nearest !== near) drawImage(part("image"), images, bytes);
    near = nearest;
    const here = [state.run, state.label, nearest, ...state.z].join(" "), given = space.classes.length ? "x | z, y" : "x | z";
    if (here === place) return;
    place = here;
    decode("picture", { z: state.z.slice(), label: state.label, bytes }, (means, logProb) => {
      if (space !== host.space) return;
      drawImage(part("decoded"), images, means);
      part("log").textContent = nearest < 0 ? "" : `log p(${given}) = ${minus(logProb.toFixed(1))} nats${space.discrete ? "" : " (a density)"}`;
    });
    if (near !== rebuilt) rebuild();
  }

  function rebuild() {
    const { space, images } = host;
    rebuilt = near;
    if (near < 0) {
      drawImage(part("reconstruction"), images, new Uint8Array(images.size));
      return;
    }
    decode("reconstruction", { z: host.locOf(near), label: space.classes.length ? images.labels[near] : -1 }, (means) => {
      if (space === host.space) drawImage(part("reconstruction"), images, means);
    });
  }

  return { begin, show };
}
