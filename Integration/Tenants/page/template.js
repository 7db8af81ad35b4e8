// A small template engine. A template is compiled once into a list of closures (no code is made from strings):
//
//   {{name}}  {{a.b}}            the value, escaped for HTML
//   {{{name}}}                   the value as it is
//   {{#each list}} … {{/each}}   once for each item, which is the scope inside; {{@index}} counts from 0
//   {{#if name}} … {{else}} … {{/if}}
//   {{> part}}                   another template, in the same scope

const tag = /\{\{(\{[^}]+\}|[^}]+)\}\}/g;
const entities = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

export function escapeHTML(text) {
  return String(text).replace(/[&<>"']/g, (character) => entities[character]);
}

/** A set of templates that may name each other. */
export class Templates {
  #parts = new Map();

  /** `sources`: template texts by name. Throws when one is malformed. */
  constructor(sources) {
    for (const [name, source] of Object.entries(sources)) this.#parts.set(name, this.#compile(name, source));
  }

  /** The text of template `name` for `scope`. */
  render(name, scope) {
    const out = [];
    this.#run(name, { value: scope, index: 0, outer: null }, out);
    return out.join('');
  }

  #run(name, frame, out) {
    const part = this.#parts.get(name);
    if (!part) throw new Error(`there is no template "${name}"`);
    for (const step of part) step(frame, out);
  }

  #compile(name, source) {
    const root = { steps: [], kind: 'root' };
    const open = [root];
    let end = 0;
    const literal = (until) => {
      if (until > end) {
        const text = source.slice(end, until);
        open[open.length - 1].steps.push((_frame, out) => out.push(text));
      }
    };
    for (const match of source.matchAll(tag)) {
      literal(match.index);
      end = match.index + match[0].length;
      this.#tag(name, match[1].trim(), open);
    }
    literal(source.length);
    if (open.length > 1) throw new Error(`template "${name}": {{#${open[open.length - 1].kind}}} is not closed`);
    return root.steps;
  }

  #tag(name, text, open) {
    const block = open[open.length - 1];
    const [word, argument] = text.split(/\s+/);
    if (word === '#each' || word === '#if') {
      open.push({ kind: word.slice(1), path: pathOf(argument), steps: [], parent: block.steps });
    } else if (word === 'else') {
      if (block.kind !== 'if') throw new Error(`template "${name}": {{else}} outside {{#if}}`);
      block.then = block.steps;
      block.steps = [];
    } else if (word === '/each' || word === '/if') {
      if (block.kind !== word.slice(1)) throw new Error(`template "${name}": {{${word}}} closes {{#${block.kind}}}`);
      open.pop();
      block.parent.push(word === '/each' ? each(block) : choose(block));
    } else if (word === '>') {
      block.steps.push((frame, out) => this.#run(argument, frame, out));
    } else if (word.startsWith('{')) {
      const path = pathOf(text.slice(1, -1).trim());
      block.steps.push((frame, out) => out.push(String(path(frame) ?? '')));
    } else {
      const path = pathOf(text);
      block.steps.push((frame, out) => out.push(escapeHTML(path(frame) ?? '')));
    }
  }
}

function each({ path, steps }) {
  return (frame, out) => {
    let index = 0;
    for (const value of path(frame) ?? []) {
      const inner = { value, index: index++, outer: frame };
      for (const step of steps) step(inner, out);
    }
  };
}

function choose({ path, then, steps }) {
  const [yes, no] = then ? [then, steps] : [steps, []];
  return (frame, out) => {
    const value = path(frame);
    for (const step of (Array.isArray(value) ? value.length > 0 : value) ? yes : no) step(frame, out);
  };
}

/** Reads a dotted path: in the innermost scope that has its first name. */
function pathOf(text) {
  if (text === '@index') return (frame) => frame.index;
  if (text === '.') return (frame) => frame.value;
  const [first, ...rest] = text.split('.');
  return (frame) => {
    let scope = frame;
    while (scope && !(scope.value !== null && typeof scope.value === 'object' && Object.hasOwn(scope.value, first))) scope = scope.outer;
    let value = scope?.value[first];
    for (const name of rest) value = value?.[name];
    return value;
  };
}
