/**
 * The driver taken off the device and put back while blobs are mapped: the same fault as a reset, without one.
 */
import { BlobProbe, openGpuMachine } from '../index.ts';
import { show } from './fault.ts';

/** With one or two it depends on where QEMU's memory lies. */
const BLOBS = 20;

await show({
  trigger: `the driver is unbound and bound again while ${BLOBS} blobs are mapped`,
  ends: 'SIGSEGV',
  async run(environment, dir, keep) {
    const { guest } = keep(await openGpuMachine({ environment, dir }));
    const probe = await BlobProbe.start(guest);
    await probe.make(Array.from({ length: BLOBS }, (_, n) => ({ id: 1 + n, size: 4096 })));
    const driver = '/sys/bus/virtio/drivers/virtio_gpu';
    await guest.ok('echo 0 >/sys/class/vtconsole/vtcon1/bind');
    guest.run(`cd ${driver} && echo virtio0 >unbind; echo virtio0 >bind`).catch(() => {});
    return guest;
  },
});
