// A JSON API: a router over notes kept in memory.
import * as notes from './notes.js';
import { problem, Router } from './router.js';

const router = new Router()
  .on('GET', '/', () => Response.json({ notes: '/notes' }))
  .on('GET', '/notes', notes.list)
  .on('POST', '/notes', notes.create)
  .on('GET', '/notes/:id', notes.read)
  .on('PUT', '/notes/:id', notes.update)
  .on('DELETE', '/notes/:id', notes.remove);

export default {
  async fetch(request, env, ctx) {
    try {
      return await router.handle(request, { env, ctx });
    } catch (error) {
      console.error('request failed', error);
      return problem(500, 'internal error');
    }
  },
};
