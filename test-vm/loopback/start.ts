/**
 * `npm start`: a back-end process serves a directory to a virtual machine in this process, which checks every byte.
 * `npm start -- --vm`: the same share in a real Linux guest under QEMU, with its shell.
 */
import { parseArgs } from 'node:util';
import { startOriel } from './src/demo/oriel-program.ts';
import { SampleShare } from './src/demo/sample-share.ts';

const USAGE = `npm start            a directory served to a virtual machine in this process: no QEMU, no root
npm start -- --vm    the same in a real Linux guest under QEMU, with its shell
`;
const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

async function loopback(): Promise<void> {
  const { tour } = await import('./src/demo/tour.ts');
  using share = new SampleShare();
  await using backend = await startOriel({ ...share, tag: 'share', window: '32M' });
  print('Oriel serves a directory of the host to a virtual machine.');
  print('');
  print(`  back-end  process ${backend.pid}: oriel fs --shared-dir=${share.sharedDir} --window=32M`);
  print(`  machine   process ${process.pid}: guest memory, driver and front-end of our own; no QEMU, no root`);
  print('  between   one vhost-user socket; guest memory and mapped files travel as descriptors');
  print('');
  tour(share, print);
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
