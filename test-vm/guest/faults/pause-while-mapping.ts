/**
 * The VM is paused while the guest maps blobs: a map request that QEMU has not read when it stops the device is carried out
 * on the stopped device. No back-end can call it back; at most one is under way, so some pauses are needed to meet it.
 */
import { BlobProbe, openGpuMachine } from '../index.ts';
import { show } from './fault.ts';

const SECONDS = 60;

await show({
  trigger: 'the VM is paused and resumed again and again while a program maps blobs',
  ends: 'SIGSEGV',
  async run(environment, dir, keep) {
    const { guest } = keep(await openGpuMachine({ environment, dir }));
    const probe = await BlobProbe.start(guest);
    let over = false;
    const finish = () => {
      over = true;
    };
    probe.churn(SECONDS, 1).then(finish, finish);
    let pauses = 0;
    while (!over && guest.alive) {
      const ran = await guest
        .qmp('stop')
        .then(
          () => guest.qmp('cont'),
          () => undefined,
        )
        .catch(() => undefined);
      if (ran === undefined) break;
      pauses++;
    }
    process.stdout.write(`${pauses} pauses\n`);
    return guest;
  },
});
