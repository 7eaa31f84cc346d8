/** A file shorter than its mapping: the guest's next access beyond the end kills QEMU. */
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openDaxShare } from '../index.ts';
import { show } from './fault.ts';

await show({
  trigger: 'the host truncates a file that the guest has mapped',
  ends: 'SIGBUS',
  async run(environment, dir, keep) {
    const { guest, hostDir } = keep(await openDaxShare({ environment, dir }));
    const path = join(hostDir, 'file');
    writeFileSync(path, Buffer.alloc(4 << 20, 1));
    await guest.ok('mount -t virtiofs -o dax=always share /mnt && mapcheck /mnt/file');
    truncateSync(path, 0);
    // The guest keeps the size that it knows for a second.
    guest.run('mapcat /mnt/file >/dev/null').catch(() => {});
    return guest;
  },
});
