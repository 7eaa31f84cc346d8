/** Runs a piece of code in a worker that has the package at hand, and gives what it posts. */
import { Worker } from 'node:worker_threads';

const index = new URL('../src/index.ts', import.meta.url).href;

/** Starts the worker; `code` is a module that may use `parentPort`, `workerData` and every export of the package. */
export function startWorker(code: string, workerData?: unknown): Worker {
  const names = 'openSys, BlockingLoop, NodeLoop, openOffload, SYS, Mapping, Fd, EPOLLIN';
  const source = `import { parentPort, workerData } from 'node:worker_threads';
    import { ${names} } from '${index}';
    ${code}`;
  return new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`), { workerData });
}

/** The first message of a worker, once it has ended. */
export function runInWorker<T>(code: string, workerData?: unknown): Promise<T> {
  return new Promise((resolve, reject) => {
    const worker = startWorker(code, workerData);
    let message: T | undefined;
    worker.once('message', (value: T) => {
      message = value;
    });
    worker.once('error', reject);
    worker.once('exit', () =>
      message === undefined ? reject(new Error('the worker said nothing')) : resolve(message),
    );
  });
}
