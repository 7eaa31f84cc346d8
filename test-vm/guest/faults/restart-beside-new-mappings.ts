/**
 * Another device of the VM starts anew after a DAX window's mappings changed: the stale entries are those of the file
 * system, and the device that starts is the GPU, which has mapped nothing.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bootGuest, buildInitramfs, GPU_MODULES, orielDevice, orielGpuDevice, startOriel } from '../index.ts';
import { show } from './fault.ts';

await show({
  trigger: 'the GPU driver is reloaded after DAX mappings of a file system went away',
  ends: 'SIGSEGV',
  async run(environment, dir, keep) {
    const [fs, gpu, share] = ['fs.sock', 'gpu.sock', 'share'].map((name) => join(dir, name)) as [
      string,
      string,
      string,
    ];
    mkdirSync(share);
    writeFileSync(join(share, 'file'), Buffer.alloc(8 << 20, 1));
    keep(
      await startOriel(
        [
          'run',
          `--device=fs,socket-path=${fs},shared-dir=${share},tag=share,window=64M,dax-unguarded`,
          `--device=gpu,socket-path=${gpu}`,
        ],
        2,
      ),
    );
    const initramfs = await buildInitramfs(environment, { modules: GPU_MODULES });
    const qemuArgs = [...orielDevice(fs, 'fs'), ...orielGpuDevice(gpu)];
    const guest = keep(await bootGuest({ environment, initramfs, qemuArgs }));
    await guest.ok('mount -t virtiofs -o dax=always share /mnt && mapcheck /mnt/file');
    await guest.ok('echo 0 >/sys/class/vtconsole/vtcon1/bind && rmmod virtio_gpu && umount /mnt');
    guest.run('insmod /lib/oriel-modules/*-virtio_gpu.ko').catch(() => {});
    return guest;
  },
});
