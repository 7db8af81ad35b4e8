// Ordinary computation, in units of some milliseconds, for what preemption and flags cost it.
class Task {
  constructor(id, priority) { this.id = id; this.priority = priority; this.queue = []; this.ran = 0; }
  run(scheduler) { const packet = this.queue.shift(); this.ran++; if (packet) this.handle(packet, scheduler); }
  handle(packet, scheduler) { scheduler.send((this.id + packet.value) % scheduler.tasks.length, { value: packet.value + 1, kind: this.id }); }
}
class Device extends Task {
  handle(packet, scheduler) { super.handle({ value: packet.value ^ 5, kind: 1 }, scheduler); }
}
class Handler extends Task {
  handle(packet, scheduler) { scheduler.held += packet.kind; super.handle(packet, scheduler); }
}
class Scheduler {
  constructor() {
    this.held = 0;
    this.tasks = [];
    for (let i = 0; i < 12; i++) this.tasks.push(new [Task, Device, Handler][i % 3](i, i % 4));
    for (let i = 0; i < 24; i++) this.send(i % 12, { value: i, kind: 0 });
  }
  send(id, packet) { this.tasks[id].queue.push(packet); }
  round() { for (const task of this.tasks) task.run(this); }
}
const words = 'lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor'.split(' ');
const records = Array.from({ length: 400 }, (_, i) => ({ id: i, name: words[i % 12] + i, tags: [words[i % 5], words[i % 7]], at: { x: i / 3, y: i * 2 } }));
const text = Array.from({ length: 3000 }, (_, i) => `${words[i % 12]}-${i}@example${i % 9}.com, ${i}.${i % 100};`).join(' ');
const a = Float64Array.from({ length: 96 * 96 }, (_, i) => i % 17);
const b = Float64Array.from({ length: 96 * 96 }, (_, i) => i % 13);
class Vector {
  constructor(x, y, z) { this.x = x; this.y = y; this.z = z; }
  plus(other) { return new Vector(this.x + other.x, this.y + other.y, this.z + other.z); }
  times(factor) { return new Vector(this.x * factor, this.y * factor, this.z * factor); }
  dot(other) { return this.x * other.x + this.y * other.y + this.z * other.z; }
  get length() { return Math.sqrt(this.dot(this)); }
  unit() { return this.times(1 / this.length); }
}
class Sphere {
  constructor(center, radius) { this.center = center; this.radius = radius; }
  distance(origin, direction) {
    const to = origin.plus(this.center.times(-1)), half = to.dot(direction), rest = half * half - to.dot(to) + this.radius * this.radius;
    return rest < 0 ? Infinity : -half - Math.sqrt(rest);
  }
}
const spheres = Array.from({ length: 8 }, (_, i) => new Sphere(new Vector(i - 4, (i % 3) - 1, 6 + (i % 4)), 0.8));
const node = (depth) => (depth === 0 ? null : { left: node(depth - 1), right: node(depth - 1), depth });
const count = (tree) => (tree === null ? 0 : 1 + count(tree.left) + count(tree.right));

// (module (memory 1) (func (export "f") (param $n i32) (result f64) (local $j i32) (local $a f64) (local $b f64)
//   (loop $outer
//     (local.set $j (i32.const 63))
//     (loop $inner
//       (local.set $a (f64.add (local.get $a)
//         (f64.mul (f64.load (i32.mul (local.get $j) (i32.const 8)))
//                  (f64.load offset=512 (i32.mul (i32.and (i32.add (local.get $n) (local.get $j)) (i32.const 63)) (i32.const 8))))))
//       (local.set $b (f64.add (local.get $b) (f64.convert_i32_s (i32.xor (local.get $j) (i32.shl (local.get $n) (i32.const 3))))))
//       (i32.store offset=1024 (i32.shl (local.get $j) (i32.const 2)) (i32.add (i32.load offset=1024 (i32.shl (local.get $j) (i32.const 2))) (local.get $n)))
//       (br_if $inner (local.tee $j (i32.sub (local.get $j) (i32.const 1)))))
//     (br_if $outer (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
//   (f64.add (local.get $a) (local.get $b))))
const wasm = new WebAssembly.Instance(new WebAssembly.Module(new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 6, 1, 96, 1, 127, 1, 124, 3, 2, 1, 0, 5, 3, 1, 0, 1, 7, 5, 1, 1, 102, 0, 0, 10, 105, 1, 103, 2, 1, 127, 2, 124, 3,
  64, 65, 63, 33, 1, 3, 64, 32, 2, 32, 1, 65, 8, 108, 43, 3, 0, 32, 0, 32, 1, 106, 65, 63, 113, 65, 8, 108, 43, 3, 128, 4, 162, 160, 33, 2, 32, 3, 32,
  1, 32, 0, 65, 3, 116, 115, 183, 160, 33, 3, 32, 1, 65, 2, 116, 32, 1, 65, 2, 116, 40, 2, 128, 8, 32, 0, 106, 54, 2, 128, 8, 32, 1, 65, 1, 107, 34,
  1, 13, 0, 11, 32, 0, 65, 1, 107, 34, 0, 13, 0, 11, 32, 2, 32, 3, 160, 11
]))).exports.f;

export const cases = {
  objects: () => { const scheduler = new Scheduler(); for (let i = 0; i < 6000; i++) scheduler.round(); return scheduler.held; },
  json: () => { let n = 0; for (let i = 0; i < 12; i++) n += JSON.parse(JSON.stringify(records)).reduce((sum, { id }) => sum + id, 0); return n; },
  regexp: () => { let n = 0; for (let i = 0; i < 4; i++) for (const match of text.matchAll(/(\w+)-(\d+)@([a-z]+)(\d)\.com/g)) n += match[2].length; return n; },
  'regexp once': () => { let n = 0; for (let i = 0; i < 200; i++) n += new RegExp('^/r' + Math.random() + '/([^/]+)/([^/]+)$').test('/r5/x/y'); return n; },
  typed: () => {
    const c = new Float64Array(96 * 96);
    for (let repeat = 0; repeat < 5; repeat++)
      for (let i = 0; i < 96; i++)
        for (let j = 0; j < 96; j++) {
          let sum = 0;
          for (let k = 0; k < 96; k++) sum += a[i * 96 + k] * b[k * 96 + j];
          c[i * 96 + j] += sum;
        }
    return c[100];
  },
  strings: () => {
    let n = 0;
    for (let i = 0; i < 300; i++) {
      let html = '';
      for (let j = 0; j < 100; j++) html += `<li class="${words[j % 12]}">${j}: ${words[(i + j) % 12].toUpperCase()}</li>`;
      n += html.split('<li').map((part) => part.trim()).join('').length;
    }
    return n;
  },
  maps: () => {
    let n = 0;
    for (let i = 0; i < 3; i++) {
      const seen = new Map();
      for (let j = 0; j < 15000; j++) { const key = words[j % 12] + (j % 3000); seen.set(key, (seen.get(key) || 0) + 1); }
      const large = new Set();
      for (const [key, value] of seen) if (value > 2) large.add(key);
      n += large.size;
    }
    return n;
  },
  methods: () => {
    let hits = 0;
    const eye = new Vector(0, 0, -2);
    for (let y = 0; y < 96; y++)
      for (let x = 0; x < 96; x++) {
        const direction = new Vector(x / 48 - 1, y / 48 - 1, 2).unit();
        let near = Infinity;
        for (const sphere of spheres) near = Math.min(near, sphere.distance(eye, direction));
        if (near < Infinity) hits += eye.plus(direction.times(near)).length;
      }
    return hits;
  },
  functional: () => {
    let n = 0;
    for (let i = 0; i < 20; i++)
      n += records.map(({ id, at }) => ({ id, sum: at.x + at.y })).filter(({ sum }) => sum > i).sort((p, q) => q.sum - p.sum).reduce((x, { id }) => x + id, 0);
    return n;
  },
  trees: () => { let n = 0; for (let i = 0; i < 40; i++) n += count(node(11)); return n; },
  promises: async () => { let n = 0; const step = async (x) => x + 1; for (let i = 0; i < 20000; i++) n += await step(i); return n; },
  'wasm, one long call': () => wasm(30000),
  'wasm, short calls': () => { let n = 0; for (let i = 0; i < 3000; i++) n += wasm(10); return n; },
  names: () => Object.keys(cases).filter((name) => name !== 'names').join(';'),
};
