/** The back-end is killed: QEMU and the mapped blobs live on, every further request of the guest waits for ever. */
import { BlobProbe, openGpuMachine } from '../index.ts';
import { show } from './fault.ts';

await show({
  trigger: 'the back-end is killed while a blob is mapped',
  ends: null,
  async run(environment, dir, keep) {
    const { guest, backend } = keep(await openGpuMachine({ environment, dir }));
    const probe = await BlobProbe.start(guest);
    await probe.make([{ id: 1, size: 4096 }]);
    await probe.fill(1);
    backend.kill('SIGKILL');
    await backend.waitExit();
    process.stdout.write(`the guest reads its blob as before: ${await probe.check(1)}\n`);
    const another = await probe.make([{ id: 2, size: 4096 }], 10_000).then(
      () => 'is made',
      () => 'has no answer after 10 s',
    );
    process.stdout.write(`another blob ${another}\n`);
    return guest;
  },
});
