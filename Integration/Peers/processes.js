// A router with one process a tenant, started on the first request and kept; both talk HTTP over a kept connection on a Unix socket.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { call, listen, readArguments } from './front.js';

const child = process.env.PEER_SOCKET;
if (child) {
  const module = await import(pathToFileURL(process.env.PEER_MODULE));
  http.createServer(async (request, response) => {
    const pieces = [];
    for await (const piece of request) pieces.push(piece);
    try {
      const { status, headers, body } = await call(module, {
        method: request.method, url: `http://${request.headers.host}${request.url}`,
        headers: Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
        body: pieces.length ? Buffer.concat(pieces) : undefined,
      });
      response.writeHead(status, Object.fromEntries(headers)).end(Buffer.from(body));
    } catch (error) {
      response.writeHead(500).end(String(error));
    }
  }).listen(child, () => console.log('ready'));
  process.on('disconnect', () => process.exit(0));
} else {
  const { port, tenants } = readArguments();
  const folder = mkdtempSync(`${tmpdir()}/peers-`);
  const running = new Map();

  function start(tenant) {
    const path = `${tenants}/${tenant}/worker.js`;
    if (!existsSync(path)) throw Object.assign(new Error('no such tenant'), { code: 'unknown' });
    const socket = `${folder}/${tenant}`;
    const flags = globalThis.Deno ? ['run', '--allow-all', '--no-config'] : [];
    const process_ = spawn(process.execPath, [...flags, fileURLToPath(import.meta.url)], {
      env: { ...process.env, PEER_SOCKET: socket, PEER_MODULE: path }, stdio: ['ignore', 'pipe', 'ignore'],
    });
    const ready = new Promise((resolve, reject) => {
      process_.stdout.once('data', resolve);
      process_.once('exit', () => { running.delete(tenant); reject(new Error('the process ended')); });
    });
    return { process: process_, ready, agent: new http.Agent({ keepAlive: true, maxSockets: 64 }), socket };
  }

  listen(Number(port), async (tenant, { method, url, headers, body }) => {
    let entry = running.get(tenant);
    if (!entry) running.set(tenant, entry = start(tenant));
    await entry.ready;
    const { host, pathname, search } = new URL(url);
    return new Promise((resolve, reject) => {
      const request = http.request({
        socketPath: entry.socket, agent: entry.agent, method, path: pathname + search, headers: { ...Object.fromEntries(headers), host },
      }, (response) => {
        const pieces = [];
        response.on('data', (piece) => pieces.push(piece));
        response.on('end', () => resolve({
          status: response.statusCode, headers: Object.entries(response.headers).filter(([name]) => !/^(connection|keep-alive|transfer-encoding|date)$/.test(name)),
          body: Buffer.concat(pieces),
        }));
      });
      request.on('error', reject);
      request.end(body ? Buffer.from(body) : undefined);
    });
  });
  const end = () => {
    for (const entry of running.values()) entry.process.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
    process.exit(0);
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
}
