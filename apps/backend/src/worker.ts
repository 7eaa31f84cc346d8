/** A device's thread: its own system calls, loop and device. All it shares with the main thread is a port and an eventfd. */
import { realpathSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { BlockingLoop, type Logger, openOffload, openSys } from '@oriel/sys';
import { FeatureSet, profileFor, VIRTIO_F_RING_PACKED, withoutMemorySlots } from '@oriel/vhost-user';
import { openNotifyStore, serve } from '@oriel/virtio-device';
import type { DeviceModule } from './device-module.ts';
import { explain } from './explain.ts';
import { openLog } from './logging.ts';
import { MainThread } from './main-thread.ts';
import { DeviceCell } from './sandbox/device-cell.ts';
import { RemoteGuard } from './sandbox/guard/remote-guard.ts';
import { hasRemoteMount } from './sandbox/remote-mounts.ts';
import { traceTo } from './tracing.ts';
import type { WorkerData } from './worker-plan.ts';

/** Threads for mounts that may not answer; they start with the first call there. */
const REMOTE_HELPERS = 32;
/** In a sandbox all start at once, since none could later. */
const REMOTE_HELPERS_SHUT_IN = 12;

function remoteHelpers(shutIn: string | undefined): number {
  return shutIn === undefined ? REMOTE_HELPERS : hasRemoteMount(realpathSync(shutIn)) ? REMOTE_HELPERS_SHUT_IN : 1;
}

async function run({ plan, wakeFd, launcher, cell }: WorkerData, main: MainThread, log: Logger): Promise<void> {
  const { createDevice } = (await import(plan.module)) as DeviceModule;
  const sys = openSys();
  const full = profileFor(plan.frontend, sys.mem.pageSize);
  const profile = plan.memorySlots ? full : withoutMemorySlots(full);
  const maxMappings = plan.maxMappings ?? profile.limits.maxMappings;
  using loop = new BlockingLoop(sys, { spinNs: plan.spinNs });
  using offload = openOffload(sys, loop);
  using remoteOffload = openOffload(sys, loop, { helpers: remoteHelpers(cell?.plan.sharedDir), endless: true });
  const survives = launcher !== null;
  let lost: Error | null = null;
  const lose = (error: Error): void => {
    lost ??= error;
    loop.stop();
  };
  using guardHost = cell === null || cell.guard === null ? null : new RemoteGuard(sys, loop, cell.guard, lose);
  const confinement = cell === null ? null : { share: cell.share, guardHost };
  const { showFrame } = main;
  const context = { sys, loop, offload, remoteOffload, log, profile, maxMappings, survives, confinement, showFrame };
  using store = launcher === null ? null : openNotifyStore(launcher, { sys, log });
  using instance = createDevice(context, plan.options);
  using server = serve(instance.device, {
    sys,
    loop,
    profile,
    log,
    offload,
    maxMappings,
    ...(plan.packedRings ? { ringFeatures: FeatureSet.of(VIRTIO_F_RING_PACKED) } : {}),
    ...(plan.socketPath === undefined ? {} : { socketPath: plan.socketPath, socketGroup: plan.socketGroup }),
    ...(plan.fd === undefined ? {} : { fd: plan.fd }),
    ...(store === null ? {} : { survive: { store, name: plan.log.name } }),
    onEvent: (event, detail) => log.info(`${event}: ${detail}`),
  });
  using _messages = main.listen(sys, loop, wakeFd, {
    stop: () => loop.stop(),
    handOver: () => server.handOver(),
    stats: () => ({ ...server.stats, ...instance.stats?.() }),
    control: instance.control,
  });
  const confined = cell === null ? null : new DeviceCell(sys, [offload, remoteOffload], cell);
  main.tell({ kind: 'ready' });
  confined?.enter();
  loop.run();
  if (lost !== null) throw lost;
}

const data = workerData as WorkerData;
const log = openLog(data.plan.log);
const main = new MainThread(parentPort!, log);
try {
  using _trace = traceTo(log, data.plan.log.level);
  await run(data, main, log);
  main.tell({ kind: 'ended' });
} catch (error) {
  log.debug(error instanceof Error ? (error.stack ?? error.message) : String(error));
  main.tell({ kind: 'failed', message: explain(error) });
}
