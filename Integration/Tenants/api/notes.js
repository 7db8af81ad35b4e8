import { problem } from './router.js';

// Notes in the isolate's memory: they last as long as it does.
const notes = new Map();
let nextId = 1;

export function list() {
  return Response.json([...notes.values()]);
}

export async function create(request, _parameters, { env }) {
  if (notes.size >= Number(env.NOTES_LIMIT ?? 100)) return problem(409, 'there are too many notes; delete one first');
  const text = await textOf(request);
  if (text instanceof Response) return text;
  const note = { id: nextId++, text, created: new Date().toISOString() };
  notes.set(note.id, note);
  return Response.json(note, { status: 201, headers: { location: `/notes/${note.id}` } });
}

export function read(_request, { id }) {
  const note = notes.get(Number(id));
  return note ? Response.json(note) : problem(404, `no note ${id}`);
}

export async function update(request, { id }) {
  const note = notes.get(Number(id));
  if (!note) return problem(404, `no note ${id}`);
  const text = await textOf(request);
  if (text instanceof Response) return text;
  note.text = text;
  return Response.json(note);
}

export function remove(_request, { id }) {
  return notes.delete(Number(id)) ? new Response(null, { status: 204 }) : problem(404, `no note ${id}`);
}

/** The text of a note in a request's body, or the answer to one that has none. */
async function textOf(request) {
  let body;
  try {
    body = await request.json();
  } catch {
    return problem(400, 'the body must be JSON');
  }
  if (typeof body?.text !== 'string' || body.text.length === 0 || body.text.length > 1000) {
    return problem(422, '"text" must be a string of 1 to 1000 characters');
  }
  return body.text;
}
