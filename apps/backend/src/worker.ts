/** A device's thread: its own system calls, loop and device. Nothing is shared with the main thread but a stop eventfd. */
import { parentPort, workerData } from 'node:worker_threads';
import { BlockingLoop, check, EPOLLIN, type Logger, openOffload, openSys } from '@oriel/sys';
import { profileFor } from '@oriel/vhost-user';
import { serve } from '@oriel/virtio-device';
import type { DeviceModule } from './device-module.ts';
import { openLog } from './logging.ts';
import { traceTo } from './tracing.ts';
import type { WorkerMessage, WorkerPlan } from './worker-plan.ts';

function tell(message: WorkerMessage): void {
  parentPort?.postMessage(message);
}

async function run(plan: WorkerPlan, log: Logger): Promise<void> {
  const { createDevice } = (await import(plan.module)) as DeviceModule;
  const sys = openSys();
  const profile = profileFor(plan.frontend, sys.mem.pageSize);
  using loop = new BlockingLoop(sys, { spinNs: plan.spinNs });
  // Never closed: the main thread may write to them until the process ends, when a number must not be another file's.
  const stopFd = check(sys.loop.eventfd(0), 'eventfd');
  const countersFd = check(sys.loop.eventfd(0), 'eventfd');
  using _stopWatch = loop.watch(stopFd, EPOLLIN, () => loop.stop());
  using offload = openOffload(sys, loop);
  using instance = createDevice({ sys, loop, offload, log, profile }, plan.options);
  using server = serve(instance.device, {
    sys,
    loop,
    profile,
    log,
    offload,
    ...(plan.socketPath === undefined ? {} : { socketPath: plan.socketPath, socketGroup: plan.socketGroup }),
    ...(plan.fd === undefined ? {} : { fd: plan.fd }),
    ...(plan.maxMappings === undefined ? {} : { maxMappings: plan.maxMappings }),
    onEvent: (event, detail) => log.info(`${event}: ${detail}`),
  });
  using _countersWatch = loop.watch(countersFd, EPOLLIN, () => {
    sys.loop.eventfdDrain(countersFd);
    tell({ kind: 'counters', counters: server.stats });
  });
  tell({ kind: 'ready', stopFd, countersFd });
  loop.run();
}

/** An error and what caused it, in one line. */
function explain(error: unknown): string {
  const parts: string[] = [];
  for (let at: unknown = error; at !== undefined && at !== null; at = (at as Error).cause) {
    parts.push(at instanceof Error ? at.message : String(at));
  }
  return parts.join(': ');
}

const plan = workerData as WorkerPlan;
const log = openLog(plan.log);
try {
  using _trace = traceTo(log, plan.log.level);
  await run(plan, log);
  tell({ kind: 'ended' });
} catch (error) {
  log.debug(error instanceof Error ? (error.stack ?? error.message) : String(error));
  tell({ kind: 'failed', message: explain(error) });
}
