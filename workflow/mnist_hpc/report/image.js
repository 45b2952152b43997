// Drawings as images of the data set. Ink is {rows, columns, values}, values from 0 (none) to 1, row by row.

const SIDE = 28; // pixels of an image's side
const BOX = 20; // and of the box that a digit fills
const MIDDLE = 14; // the pixel, counted from 0, on which MNIST has the centre of mass
const LEVELS = 16; // grey levels of scikit-learn's digits

// The smallest box with all ink, or null without any.
function boxOf({ rows, columns, values }) {
  let top = rows, bottom = -1, left = columns, right = -1;
  for (let row = 0; row < rows; row++) for (let column = 0; column < columns; column++) {
    if (!values[row * columns + column]) continue;
    top = Math.min(top, row);
    bottom = row;
    left = Math.min(left, column);
    right = Math.max(right, column);
  }
  return bottom < 0 ? null : { top, left, height: bottom - top + 1, width: right - left + 1 };
}

// Which pixels, of `limit` in all, lie in each of `count` equal parts from `begin` on: [pixel, its share of the part].
function shares(begin, length, count, limit) {
  return Array.from({ length: count }, (_, part) => {
    const from = begin + (part * length) / count, to = begin + ((part + 1) * length) / count, found = [];
    for (let pixel = Math.max(Math.floor(from), 0); pixel < Math.min(to, limit); pixel++)
      found.push([pixel, ((Math.min(to, pixel + 1) - Math.max(from, pixel)) * count) / length]);
    return found;
  });
}

// A box of ink as an image of other size, each pixel the mean of its area.
function averaged(ink, { top, left, height, width }, rows, columns) {
  const down = shares(top, height, rows, ink.rows), across = shares(left, width, columns, ink.columns);
  const values = new Float32Array(rows * columns);
  down.forEach((lines, row) => across.forEach((pixels, column) => {
    let sum = 0;
    for (const [y, high] of lines) for (const [x, wide] of pixels) sum += ink.values[y * ink.columns + x] * high * wide;
    values[row * columns + column] = sum;
  }));
  return { rows, columns, values };
}

// Copy an image into an empty one of 28×28 pixels, in the 255 grey levels of the files.
function placed({ rows, columns, values }, top, left) {
  const image = new Float32Array(SIDE * SIDE);
  for (let row = 0; row < rows; row++) for (let column = 0; column < columns; column++)
    image[(top + row) * SIDE + left + column] = Math.round(255 * values[row * columns + column]) / 255;
  return image;
}

// Ink as MNIST has it: scaled to a box of 20×20 pixels, its centre of mass in the middle. null without ink.
export function centred(ink) {
  const box = boxOf(ink);
  if (!box) return null;
  const scale = BOX / Math.max(box.height, box.width);
  const [rows, columns] = [box.height, box.width].map(length => Math.max(1, Math.round(length * scale)));
  const small = averaged(ink, box, rows, columns);
  let mass = 0, down = 0, across = 0;
  small.values.forEach((value, i) => {
    mass += value;
    down += value * Math.floor(i / columns);
    across += value * (i % columns);
  });
  const begin = (centre, length) => Math.min(Math.max(Math.round(MIDDLE - centre), 0), SIDE - length);
  return placed(small, begin(down / mass, rows), begin(across / mass, columns));
}

// Ink as the digits of scikit-learn become images (data/sources/digits.py): means over 8×8 squares in 16 grey levels,
// interpolated bilinearly to a box of 20×20 pixels. null without ink.
export function coarse(ink, side = 8) {
  const box = boxOf(ink);
  if (!box) return null;
  const length = Math.max(box.height, box.width), top = box.top - (length - box.height) / 2;
  const square = { top, left: box.left - (length - box.width) / 2, height: length, width: length };
  const grid = averaged(ink, square, side, side).values.map(value => Math.round(LEVELS * value) / LEVELS);
  const parts = Array.from({ length: BOX }, (_, i) => {
    const position = Math.min(Math.max(((i + 0.5) * side) / BOX - 0.5, 0), side - 1), first = Math.floor(position);
    return [first, Math.min(first + 1, side - 1), position - first];
  });
  const values = parts.flatMap(([y, below, low]) => parts.map(([x, beside, far]) => {
    const line = row => grid[row * side + x] * (1 - far) + grid[row * side + beside] * far;
    return line(y) * (1 - low) + line(below) * low;
  }));
  return placed({ rows: BOX, columns: BOX, values }, (SIDE - BOX) / 2, (SIDE - BOX) / 2);
}
