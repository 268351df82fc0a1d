// The anomaly map in the browser: the patches' scores, made fine, coloured, outlined and cut into regions.
// A map is { values: Float32Array, width, height }, row by row, in standard deviations above normal.

function decodeMap({ values, grid }) {
  const bytes = Uint8Array.from(atob(values), (character) => character.charCodeAt(0));
  return { values: new Float32Array(bytes.buffer), width: grid[0], height: grid[1] };
}

/** Make a map larger, bilinear and aligned at pixel centres, as ltad/judging/regions.py does. */
function refine(map) {
  const [width, height] = [map.width, map.height].map((size) => Math.max(CONSTANTS.side, CONSTANTS.cell * size));
  const weights = (size, side) =>
    Array.from({ length: side }, (_, i) => {
      const centre = Math.min(Math.max(((i + 0.5) * size) / side - 0.5, 0), size - 1);
      const low = Math.min(Math.floor(centre), size - 1);
      return [low, Math.min(low + 1, size - 1), centre - low];
    });
  const columns = weights(map.width, width);
  const values = new Float32Array(width * height);
  weights(map.height, height).forEach(([top, bottom, down], y) => {
    columns.forEach(([left, right, across], x) => {
      const at = (row, column) => map.values[row * map.width + column];
      const upper = at(top, left) * (1 - across) + at(top, right) * across;
      const lower = at(bottom, left) * (1 - across) + at(bottom, right) * across;
      values[y * width + x] = upper * (1 - down) + lower * down;
    });
  });
  return { values, width, height };
}

/** Draw a map with a table of 256 RGBA colours; the scale ends at `top`. */
function paint(canvas, map, top, table) {
  canvas.width = map.width;
  canvas.height = map.height;
  const context = canvas.getContext("2d");
  const picture = context.createImageData(map.width, map.height);
  map.values.forEach((value, i) => {
    const level = Math.round(Math.min(Math.max(value / top, 0), 1) * 255);
    for (let channel = 0; channel < 4; channel++) picture.data[4 * i + channel] = table[4 * level + channel];
  });
  context.putImageData(picture, 0, 0);
}

/** The line along which a map has a value, as an SVG path in the map's pixels (marching squares). */
function outline(map, value) {
  const { values, width, height } = map;
  const at = (x, y) => (x < 0 || y < 0 || x >= width || y >= height ? -Infinity : values[y * width + x]);
  const cut = (x0, y0, x1, y1) => {
    const [a, b] = [at(x0, y0), at(x1, y1)];
    const t = Number.isFinite(a) && Number.isFinite(b) ? (value - a) / (b - a) : 0.5;
    return `${(x0 + t * (x1 - x0) + 0.5).toFixed(2)} ${(y0 + t * (y1 - y0) + 0.5).toFixed(2)}`;
  };
  let path = "";
  for (let y = -1; y < height; y++) {
    for (let x = -1; x < width; x++) {
      const corners = [at(x, y), at(x + 1, y), at(x + 1, y + 1), at(x, y + 1)].map((corner) => corner > value);
      if (corners.every((corner) => corner === corners[0])) continue;
      const edges = [
        [x, y, x + 1, y],
        [x + 1, y, x + 1, y + 1],
        [x + 1, y + 1, x, y + 1],
        [x, y + 1, x, y],
      ];
      const crossed = edges.filter((_, i) => corners[i] !== corners[(i + 1) % 4]).map((edge) => cut(...edge));
      for (let i = 0; i < crossed.length; i += 2) path += `M${crossed[i]}L${crossed[i + 1]}`;
    }
  }
  return path;
}

const halfToEven = (x) => (Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x));

/** Connected places above a threshold, the highest peak first: what ltad/judging/regions.py finds. Corners connect.
 *  size: [width, height] of the photograph, in whose pixels box [x, y, width, height] and area are given. */
function findRegions(map, threshold, size) {
  const { values, width, height } = map;
  const [sx, sy] = [size[0] / width, size[1] / height];
  const seen = new Uint8Array(values.length);
  const regions = [];
  values.forEach((_, start) => {
    if (seen[start] || !(values[start] > threshold)) return;
    const region = { left: width, top: height, right: 0, bottom: 0, count: 0, peak: -Infinity };
    const open = [start];
    seen[start] = 1;
    while (open.length) {
      const i = open.pop();
      const [x, y] = [i % width, Math.floor(i / width)];
      region.count++;
      region.peak = Math.max(region.peak, values[i]);
      region.left = Math.min(region.left, x);
      region.right = Math.max(region.right, x + 1);
      region.top = Math.min(region.top, y);
      region.bottom = Math.max(region.bottom, y + 1);
      for (let v = Math.max(0, y - 1); v <= Math.min(height - 1, y + 1); v++)
        for (let u = Math.max(0, x - 1); u <= Math.min(width - 1, x + 1); u++) {
          const next = v * width + u;
          if (!seen[next] && values[next] > threshold) {
            seen[next] = 1;
            open.push(next);
          }
        }
    }
    const x = Math.min(halfToEven(region.left * sx), size[0] - 1);
    const y = Math.min(halfToEven(region.top * sy), size[1] - 1);
    regions.push({
      box: [x, y, Math.max(1, halfToEven(region.right * sx) - x), Math.max(1, halfToEven(region.bottom * sy) - y)],
      area: Math.max(1, halfToEven(region.count * sx * sy)),
      peak: region.peak,
    });
  });
  return regions.sort((a, b) => b.peak - a.peak);
}
