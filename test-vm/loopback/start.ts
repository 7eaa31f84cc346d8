/**
 * `npm start`: back-end processes serve a directory and a GPU to a virtual machine in this process, which checks every byte.
 * `npm start -- --vm`: the same share in a real Linux guest under QEMU, with its shell.
 */
import { parseArgs } from 'node:util';
import { startGpu, startOriel } from './src/demo/oriel-program.ts';
import { SampleGpu } from './src/demo/sample-gpu.ts';
import { SampleShare } from './src/demo/sample-share.ts';

const USAGE = `npm start            a directory and a GPU served to a virtual machine in this process: no QEMU, no root
npm start -- --vm    the directory in a real Linux guest under QEMU, with its shell
`;
const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

async function loopback(): Promise<void> {
  using share = new SampleShare();
  using gpu = new SampleGpu();
  await using files = await startOriel({ ...share, tag: 'share', window: '32M' });
  await using display = await startGpu({ ...gpu, hostVisible: '256M', outputs: '640x480' });
  const { tour } = await import('./src/demo/tour.ts');
  const { checkPicture, gpuTour } = await import('./src/demo/gpu-tour.ts');
  print('Oriel serves a directory of the host, and a GPU, to a virtual machine.');
  print('');
  print(`  back-end  process ${files.pid}: oriel fs --shared-dir=${share.sharedDir} --window=32M`);
  print(`  back-end  process ${display.pid}: oriel gpu --host-visible=256M --outputs=640x480`);
  print(`  machine   process ${process.pid}: guest memory, drivers and front-end of our own; no QEMU, no root`);
  print('  between   vhost-user sockets; guest memory, mapped files and blobs travel as descriptors');
  print('');
  tour(share, print);
  print('');
  const pixels = gpuTour(gpu, print);
  // Whatever picture it still owes is written when it ends.
  await display.stop();
  checkPicture(gpu.picturePath, pixels, print);
  print('');
  print('All bytes agree. Next: npm start -- --vm boots a real Linux guest with such a share.');
}

async function guest(): Promise<void> {
  const { guestShell } = await import('./src/demo/guest-shell.ts');
  using share = new SampleShare();
  await using _backend = await startOriel({ ...share, tag: 'share', window: '64M' });
  print('Booting Linux under QEMU, which emulates the processor: the shell takes some ten seconds.');
  process.exitCode = await guestShell({ socketPath: share.socketPath, sharedDir: share.sharedDir, tag: 'share' });
}

try {
  const { values } = parseArgs({ options: { vm: { type: 'boolean' }, help: { type: 'boolean' } } });
  if (values.help) process.stdout.write(USAGE);
  else if (values.vm) await guest();
  else await loopback();
} catch (error) {
  process.stderr.write(`FAILED: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
