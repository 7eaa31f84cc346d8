/** The gpu back-end process of the tests: a virtio-gpu device with a display in memory. Ends when its standard input does. */
import { writeSync } from 'node:fs';
import { GpuDevice, MemoryContextType } from '@oriel/gpu-blob';
import { BlockingLoop, EPOLLIN, openOffload, openSys } from '@oriel/sys';
import { profileFor } from '@oriel/vhost-user';
import { serve } from '@oriel/virtio-device';
import { fileLog } from './file-log.ts';
import type { GpuAsk, GpuBackendOptions, GpuBackendStats } from './gpu-backend-options.ts';
import { MemorySink } from './memory-sink.ts';
import { SteeredContexts } from './steered-contexts.ts';

const STDIN = 0;
const STDOUT = 1;
const PIECE = 4096;
const { socketPath, logPath, frontend, ...settings } = JSON.parse(process.argv[2]!) as GpuBackendOptions;

process.umask(0);
const log = fileLog(logPath);
const sys = openSys();
using loop = new BlockingLoop(sys);
using offload = openOffload(sys, loop);
using sink = new MemorySink();
const memory = new MemoryContextType({ sys });
using device = new GpuDevice({ ...settings, sys, sink, log, contextTypes: [memory, new SteeredContexts()] });
using server = serve(device, { sys, loop, log, offload, socketPath, profile: profileFor(frontend, sys.mem.pageSize) });

function answer(ask: GpuAsk): unknown {
  switch (ask.ask) {
    case 'outputs':
      device.setOutputs(ask.outputs);
      return {};
    case 'picture':
      return sink.picture(ask.scanout);
    case 'object':
      return { fd: memory.find(ask.blobId, 0)?.fd ?? -1 };
    case 'stats':
      return { server: server.stats, device: device.stats, objects: memory.objects().length } satisfies GpuBackendStats;
  }
}

let text = '';
const piece = new Uint8Array(PIECE);
using _watch = loop.watch(STDIN, EPOLLIN, () => {
  const got = sys.fd.read(STDIN, piece, PIECE);
  if (got === 0) {
    loop.stop();
    return;
  }
  text += Buffer.from(piece.subarray(0, got)).toString();
  for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
    const ask = JSON.parse(text.slice(0, end)) as GpuAsk;
    text = text.slice(end + 1);
    writeSync(STDOUT, `${JSON.stringify(answer(ask))}\n`);
  }
});
writeSync(STDOUT, 'ready\n');
loop.run();
