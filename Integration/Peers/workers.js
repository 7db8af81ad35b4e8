// A router with one worker thread a tenant, made on the first request and kept.
import { existsSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
import { call, listen, readArguments } from './front.js';

if (isMainThread) {
  const { port, tenants } = readArguments();
  const running = new Map();
  let next = 0;

  function start(tenant) {
    const path = `${tenants}/${tenant}/worker.js`;
    if (!existsSync(path)) throw Object.assign(new Error('no such tenant'), { code: 'unknown' });
    const worker = new Worker(fileURLToPath(import.meta.url), { workerData: { path } });
    const waiting = new Map();
    worker.on('message', ({ id, answer, error }) => {
      const { resolve, reject } = waiting.get(id);
      waiting.delete(id);
      if (error) reject(new Error(error)); else resolve(answer);
    });
    const end = () => {
      running.delete(tenant);
      for (const { reject } of waiting.values()) reject(new Error('the worker ended'));
    };
    worker.on('error', end);
    worker.on('exit', end);
    return { worker, waiting };
  }

  listen(Number(port), (tenant, request) => {
    let entry = running.get(tenant);
    if (!entry) running.set(tenant, entry = start(tenant));
    return new Promise((resolve, reject) => {
      const id = next++;
      entry.waiting.set(id, { resolve, reject });
      entry.worker.postMessage({ id, request });
    });
  });
  process.on('SIGTERM', () => process.exit(0));
} else {
  const module = import(pathToFileURL(workerData.path));
  parentPort.on('message', async ({ id, request }) => {
    try {
      const answer = await call(await module, request);
      parentPort.postMessage({ id, answer }, [answer.body]);
    } catch (error) {
      parentPort.postMessage({ id, error: String(error) });
    }
  });
}
