/** Shares memory with the host and draws a red square: node examples/blob.ts SOCKET */
import { openSys } from '@oriel/sys';
import { GPU_FEATURES, GpuGuest, LoopbackVm } from '../src/index.ts';

const [socket] = process.argv.slice(2) as [string];
using vm = LoopbackVm.connect({ sys: openSys(), socket, deviceFeatures: GPU_FEATURES });
vm.start();
const guest = new GpuGuest(vm);
const blob = guest.createHostBlob({ context: guest.createContext(), size: 65536 });
blob.map();
blob.write(0, Buffer.from('host and guest see this'));
process.stdout.write(`${Buffer.from(blob.read(0, 23))}\n`);
blob.unref();

const { width, height } = guest.outputs()[0]!;
const surface = guest.createSurface({ width, height });
const box = { x: 8, y: 8, width: 16, height: 16 };
const red = Buffer.alloc(box.width * box.height * 4, Buffer.from([0, 0, 255, 0]));
surface.draw(box, red);
surface.show(0);
surface.transfer();
surface.flush();
