/**
 * More than 512 memory regions in one VM. A process keeps within the limit, and `--max-mappings` shares it out between
 * several; without that, two processes go past it together.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { BlobProbe, openGpuMachine, orielGpuDevice, startOrielGpu } from '../index.ts';
import { show } from './fault.ts';

const EACH = 300;

await show({
  trigger: `two GPUs of two processes map ${EACH} blobs each`,
  ends: 'SIGABRT',
  async run(environment, dir, keep) {
    const second = join(dir, 'second');
    mkdirSync(second);
    const socketPath = join(second, 'gpu.sock');
    keep(await startOrielGpu({ socketPath }));
    const qemuArgs = orielGpuDevice(socketPath, 'gpu2');
    const { guest } = keep(await openGpuMachine({ environment, dir, boot: { qemuArgs } }));
    for (const render of [0, 1]) {
      const probe = await BlobProbe.start(guest, render);
      const blobs = Array.from({ length: EACH }, (_, n) => ({ id: 1 + n, size: 4096 }));
      await probe.make(blobs).catch(() => {});
    }
    return guest;
  },
});
