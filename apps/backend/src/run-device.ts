/** The main thread of a device: starts its worker, passes stop requests on, reports its end. */
import { writeSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import type { Logger } from '@oriel/sys';
import { StopSignals } from './signals.ts';
import { SocketFile } from './socket-file.ts';
import type { WorkerMessage, WorkerPlan } from './worker-plan.ts';

/** What one write to an eventfd adds (eventfd(2): eight bytes in host order). */
const ONE = new BigUint64Array([1n]);
const FAILURE = 1;

/** A file of this program by its name without extension, beside this one: source or built. */
export function moduleUrl(name: string): URL {
  return new URL(`./${name}.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`, import.meta.url);
}

/**
 * Ends the process although a thread may sit in a system call: then `process.exit` would wait for that thread for ever,
 * while the kernel waits for nobody.
 */
function killProcess(): void {
  process.kill(process.pid, 'SIGKILL');
}

/**
 * Runs a device until it ends or a signal asks for it; SIGUSR2 logs its counters.
 * @returns the exit status: 0 when it stopped as asked or its only front-end left, else 1
 */
export async function runDevice(plan: WorkerPlan, log: Logger): Promise<number> {
  // Modes that a guest asks for are its own business; files of ours are created with a mode of their own.
  process.umask(0);
  const worker = new Worker(moduleUrl('worker'), { name: plan.log.name, workerData: plan });
  let stopFd = -1;
  let asked = false;
  let status = FAILURE;
  let countersFd = -1;
  let socketFile: SocketFile | undefined;
  const stop = (): void => {
    if (asked && stopFd >= 0) {
      writeSync(stopFd, ONE);
    }
  };
  using signals = new StopSignals({
    ask(reason) {
      log.info(`stopping: ${reason}`);
      asked = true;
      stop();
    },
    force(reason) {
      log.error(`killed: ${reason}`);
      try {
        socketFile?.remove();
      } finally {
        killProcess();
      }
    },
  });
  const onFault = (error: unknown): void => {
    log.error(`bug: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    signals.ask('an error in the main thread');
  };
  const askCounters = (): void => {
    if (countersFd >= 0) {
      writeSync(countersFd, ONE);
    }
  };
  process.on('uncaughtException', onFault);
  process.on('SIGUSR2', askCounters);
  await new Promise<void>((resolve) => {
    worker.on('message', (message: WorkerMessage) => {
      switch (message.kind) {
        case 'ready':
          ({ stopFd, countersFd } = message);
          socketFile = plan.socketPath === undefined ? undefined : new SocketFile(plan.socketPath);
          stop();
          break;
        case 'counters':
          log.info('counters', message.counters);
          break;
        case 'ended':
          status = 0;
          break;
        case 'failed':
          log.error(message.message);
          break;
      }
    });
    worker.on('error', (error) => log.error(`bug: ${error instanceof Error ? error.stack : String(error)}`));
    worker.on('exit', () => resolve());
  });
  process.off('SIGUSR2', askCounters);
  process.off('uncaughtException', onFault);
  return status;
}
