// Trained nets in a browser: the operations that weights.py makes of Keras' layers.
// A tensor is {shape, values} of one image, channels last, in float32.

const sigmoid = x => 1 / (1 + Math.exp(-x));

// M. Abramowitz, I. Stegun, 7.1.26, right to 1.5e-7.
function erf(x) {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return Math.sign(x) * (1 - series * Math.exp(-x * x));
}

const ACTIVATIONS = {
  relu: x => Math.max(x, 0),
  leaky_relu: (x, slope = 0.2) => (x < 0 ? slope * x : x),
  elu: (x, alpha = 1) => (x < 0 ? alpha * Math.expm1(x) : x),
  selu: x => 1.0507009873554805 * (x < 0 ? 1.6732632423543772 * Math.expm1(x) : x),
  gelu: x => 0.5 * x * (1 + erf(x * Math.SQRT1_2)),
  silu: x => x * sigmoid(x),
  sigmoid,
  tanh: Math.tanh,
  softplus: x => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
};

function activated(x, { activation, parameter }) {
  const f = ACTIVATIONS[activation];
  if (f) for (let i = 0; i < x.values.length; i++) x.values[i] = f(x.values[i], parameter);
  return x;
}

// A new tensor, each pixel of which begins with the bias of its channels.
function started(shape, bias) {
  const values = new Float32Array(shape.reduce((a, b) => a * b, 1));
  if (bias) for (let i = 0; i < values.length; i += bias.values.length) values.set(bias.values, i);
  return { shape, values };
}

// Move a window over an image. For each place of the window and each of its pixels inside the image, `visit` gets the
// numbers of the place, of the pixel in the window, and of the pixel in the image. Returns rows and columns of places.
function slide([rows, columns], { size, strides, same }, visit) {
  const [down, across] = [[rows, 0], [columns, 1]].map(([length, axis]) => {
    const count = same ? Math.ceil(length / strides[axis]) : Math.floor((length - size[axis]) / strides[axis]) + 1;
    const missing = same ? Math.max((count - 1) * strides[axis] + size[axis] - length, 0) : 0;
    return { count, before: missing >> 1 }; // an odd row or column is added at the end, as TensorFlow does
  });
  for (let i = 0; i < down.count; i++) for (let j = 0; j < across.count; j++)
    for (let k = 0; k < size[0]; k++) for (let l = 0; l < size[1]; l++) {
      const row = i * strides[0] + k - down.before, column = j * strides[1] + l - across.before;
      if (row >= 0 && row < rows && column >= 0 && column < columns)
        visit(i * across.count + j, k * size[1] + l, row * columns + column);
    }
  return [down.count, across.count];
}

const places = (shape, operation) => slide(shape, operation, () => {});

// out[to...] += x[from...] · kernel[at...], a matrix of ins × outs
function multiply(out, to, x, from, kernel, at, ins, outs) {
  for (let i = 0; i < ins; i++) {
    const value = x[from + i], row = at + i * outs;
    if (value) for (let o = 0; o < outs; o++) out[to + o] += value * kernel[row + o];
  }
}

function pooled(x, operation, first, add, divided) {
  const channels = x.shape[2], out = started([...places(x.shape, operation), channels]);
  const counts = new Float32Array(out.values.length / channels);
  out.values.fill(first);
  slide(x.shape, operation, (to, _, from) => {
    counts[to]++;
    for (let c = 0; c < channels; c++)
      out.values[to * channels + c] = add(out.values[to * channels + c], x.values[from * channels + c]);
  });
  if (divided) out.values.forEach((sum, i) => (out.values[i] = sum / counts[Math.floor(i / channels)]));
  return out;
}

const OPERATIONS = {
  activate: (x, operation) => activated({ ...x, values: x.values.slice() }, operation),
  reshape: (x, { shape }) => ({ shape, values: x.values }),
  affine(x, { scale, offset }) {
    const n = scale.values.length;
    return { ...x, values: x.values.map((v, i) => v * scale.values[i % n] + offset.values[i % n]) };
  },
  normalize(x, { scale, offset, epsilon }) {
    const n = scale.values.length, values = new Float32Array(x.values.length);
    for (let i = 0; i < values.length; i += n) {
      const part = x.values.subarray(i, i + n);
      const mean = part.reduce((a, b) => a + b, 0) / n;
      const variance = part.reduce((a, b) => a + (b - mean) ** 2, 0) / n;
      part.forEach((v, k) => {
        values[i + k] = ((v - mean) / Math.sqrt(variance + epsilon)) * scale.values[k] + offset.values[k];
      });
    }
    return { ...x, values };
  },
  dense(x, { kernel, bias, ...operation }) {
    const [ins, outs] = kernel.shape, out = started([...x.shape.slice(0, -1), outs], bias);
    for (let i = 0; i * ins < x.values.length; i++)
      multiply(out.values, i * outs, x.values, i * ins, kernel.values, 0, ins, outs);
    return activated(out, operation);
  },
  conv(x, { kernel, bias, ...operation }) {
    const [, , ins, outs] = kernel.shape, out = started([...places(x.shape, operation), outs], bias);
    slide(x.shape, operation, (to, tap, from) =>
      multiply(out.values, to * outs, x.values, from * ins, kernel.values, tap * ins * outs, ins, outs));
    return activated(out, operation);
  },
  depthwise(x, { kernel, bias, ...operation }) {
    const [, , ins, each] = kernel.shape, outs = ins * each, out = started([...places(x.shape, operation), outs], bias);
    slide(x.shape, operation, (to, tap, from) => {
      for (let o = 0; o < outs; o++)
        out.values[to * outs + o] += x.values[from * ins + Math.floor(o / each)] * kernel.values[tap * outs + o];
    });
    return activated(out, operation);
  },
  max: (x, operation) => pooled(x, operation, -Infinity, Math.max, false),
  mean: (x, operation) => pooled(x, operation, 0, (a, b) => a + b, true),
};

// The logits of one example, a tensor, by a model of `decoded`.
export const outputs = (model, example) =>
  model.operations.reduce((x, operation) => OPERATIONS[operation.op](x, operation), example).values;

// Probabilities of an image, Float32Array of 784 values from 0 to 1, row by row, by a model of `decoded`.
export function probabilities(model, image) {
  const logits = outputs(model, { shape: [28, 28, 1], values: image });
  if (model.output === "sigmoid") return logits.map(sigmoid);
  const largest = logits.reduce((a, b) => Math.max(a, b)), powers = logits.map(v => Math.exp(v - largest));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map(v => v / sum);
}

export const bytes = text => Uint8Array.from(atob(text), letter => letter.charCodeAt(0));

// A model of weights.py with its arrays as tensors.
export function decoded(model) {
  const content = new DataView(bytes(model.weights).buffer);
  const array = ({ shape, values, start, step }) => {
    if (values) return { shape, values: Float32Array.from(values) };
    const out = started(shape);
    for (let i = 0; i < out.values.length; i++) out.values[i] = step * content.getInt16(start + 2 * i, true);
    return out;
  };
  const argument = ([key, value]) => [key, value?.shape ? array(value) : value];
  const operations = model.operations.map(each => Object.fromEntries(Object.entries(each).map(argument)));
  return { operations, output: model.output };
}
