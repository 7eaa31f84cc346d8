/** A reset of the VM while a blob is mapped: QEMU keeps a stale entry of its memory table, and trips over it at the next start. */
import { BlobProbe, openGpuMachine } from '../index.ts';
import { show } from './fault.ts';

await show({
  trigger: 'system_reset while one blob is mapped',
  ends: 'SIGSEGV',
  async run(environment, dir, keep) {
    const { guest } = keep(await openGpuMachine({ environment, dir, boot: { mayReboot: true } }));
    const probe = await BlobProbe.start(guest);
    await probe.make([{ id: 1, size: 4096 }]);
    await guest.qmp('system_reset');
    return guest;
  },
});
