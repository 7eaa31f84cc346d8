import { packageBuild } from '../../tsup.config.base.ts';

export default packageBuild({
  main: 'src/main.ts',
  // Threads and devices are loaded by address, so each is a file of its own beside the program.
  worker: 'src/worker.ts',
  encoder: 'src/encoder.ts',
  'sandbox/pivot': 'src/sandbox/pivot.ts',
  'sandbox/guard/keeper': 'src/sandbox/guard/keeper.ts',
  'devices/fs': 'src/devices/fs.ts',
  'devices/gpu': 'src/devices/gpu.ts',
  'devices/pmem': 'src/devices/pmem.ts',
});
