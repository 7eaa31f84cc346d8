/** The back-end process of the tests: a virtio-fs device over a real directory. Ends when its standard input does. */
import { writeSync } from 'node:fs';
import { FsDevice } from '@oriel/fs-dax';
import { PassthroughFilesystem } from '@oriel/fs-passthrough';
import { BlockingLoop, EPOLLIN, openOffload, openSys } from '@oriel/sys';
import { profileFor } from '@oriel/vhost-user';
import { serve } from '@oriel/virtio-device';
import { ASK_STATS, type BackendOptions, type BackendStats } from './backend-options.ts';
import { fileLog } from './file-log.ts';

const STDIN = 0;
const STDOUT = 1;
const options = JSON.parse(process.argv[2]!) as BackendOptions;
const { socketPath, sharedDir, windowSize, tail, minSize, guard = 'off', stateDir, frontend, dieAt } = options;

const log = fileLog(options.logPath);

process.umask(0);
const sys = openSys();
using loop = new BlockingLoop(sys);
using offload = openOffload(sys, loop);
using fs = new PassthroughFilesystem({ sys, sharedDir, offload, log, cache: 'auto', daxKeepCache: windowSize > 0 });
using device = new FsDevice({
  sys,
  fs,
  tag: 'share',
  windowSize,
  sharedDir,
  log,
  dax: { tail, minSize, guard, ...(stateDir === null ? {} : { stateDir }) },
  onGrowthStep: (step) => {
    if (step === dieAt) process.kill(process.pid, 'SIGKILL');
  },
});
const usual = profileFor(frontend, sys.mem.pageSize);
const profile = { ...usual, fenceTimeoutMs: options.fenceTimeoutMs ?? usual.fenceTimeoutMs };
using server = serve(device, { sys, loop, log, offload, socketPath, profile });

const command = new Uint8Array(1);
using _watch = loop.watch(STDIN, EPOLLIN, () => {
  const got = sys.fd.read(STDIN, command, 1);
  if (got === 0) loop.stop();
  else if (got === 1 && command[0] === ASK_STATS.charCodeAt(0)) {
    const { inodes, handles } = fs.stats;
    const stats: BackendStats = { server: server.stats, inodes, handles, guard: device.stats.guard };
    writeSync(STDOUT, `${JSON.stringify(stats)}\n`);
  }
});
writeSync(STDOUT, 'ready\n');
loop.run();
