/** Mounts the share of a running back-end and prints a file of it: node examples/mount.ts SOCKET FILE */
import { openSys } from '@oriel/sys';
import { DaxMapper, FuseClient, LoopbackVm } from '../src/index.ts';

const [socket, name] = process.argv.slice(2) as [string, string];
using vm = LoopbackVm.connect({ sys: openSys(), socket });
vm.start();
const client = new FuseClient(vm);
client.mount('inode');
const file = client.open(name);
if (file.dax) {
  const bytes = new Uint8Array(file.size);
  new DaxMapper(client).read(file.nodeid, 0, bytes);
  process.stdout.write(bytes);
} else {
  process.stdout.write(client.read(file, 0, file.size));
}
client.unmount();
