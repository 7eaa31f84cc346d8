/** File systems of a user's own, from the guide to embedding: what a guest sees of them, with DAX and without. */
import { createHash, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { bootGuest, guestSuite, HostProcess, type SuiteContext } from '../index.ts';
import { orielDevice } from '../src/dax-share.ts';
import { zip } from '../src/fs-zip.ts';

const MODES = ['dax=always', 'dax=inode', 'dax=never'] as const;
const LONG = { timeoutMs: 120_000 };
const sha256 = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex');

/** Starts an example of @oriel/fs-dax, and boots a guest with its device. */
async function openExample(suite: SuiteContext, name: string, args: readonly string[] = []) {
  const dir = suite.folder(name);
  const socketPath = join(dir, 'socket');
  const example = fileURLToPath(new URL(`../../../packages/fs-dax/examples/${name}.ts`, import.meta.url));
  const node = [process.execPath, '--conditions=@oriel/source', '--disable-warning=ExperimentalWarning'];
  const command = [...node, example, ...args, socketPath];
  const backend = await HostProcess.startUntil(/listening/, command, { name });
  try {
    const guest = await bootGuest({ environment: suite.environment, qemuArgs: orielDevice(socketPath) });
    return { guest, backend };
  } catch (error) {
    await backend.stop();
    throw error;
  }
}

describe('file systems by the Filesystem interface', () => {
  const suite = guestSuite('fs-embedded');

  it('serve-memory: files of the process, written and read, with DAX and without', async function () {
    this.timeout(240_000);
    const { guest, backend } = await openExample(suite, 'serve-memory');
    try {
      for (const [turn, mode] of MODES.entries()) {
        await guest.ok(`mount -t virtiofs -o ${mode} memory /mnt`);
        expect(await guest.ok('cat /mnt/hello.txt; mapread /mnt/hello.txt 0 5')).to.equal('hello from the host\nhello');
        expect(await guest.ok('statx /mnt/hello.txt'), mode).to.include(`dax=${turn < 2 ? 1 : 0}`);
        const folder = `/mnt/${turn}`;
        await guest.ok(
          `mkdir -p ${folder}/a/b && head -c 3000001 /dev/urandom >/tmp/data && cp /tmp/data ${folder}/a/b/data`,
        );
        await guest.ok(`cmp /tmp/data ${folder}/a/b/data && mapcat ${folder}/a/b/data | cmp - /tmp/data`, LONG);
        expect(await guest.ok(`exercise ${folder}/exercised ${turn + 1} 3000`, LONG)).to.match(/read=[1-9]/);
        await guest.ok(`cd ${folder} && ln -s a/b link && ln a/b/data second && mv a/b/data third && cmp second third`);
        await guest.ok(`cd ${folder} && mv a moved && test -d moved/b && ! test -e a && ! cat link/none`);
        const errors = await guest.ok(`cd ${folder}; rmdir moved; ln second third; cat moved; mkdir third/x; true`);
        for (const text of ['not empty', 'exists', 'Is a directory', 'Not a directory'])
          expect(errors).to.include(text);
        await guest.ok(`cd ${folder} && chmod 640 third && touch -d '2001-02-03 04:05:06' third && chown 7:8 third`);
        expect(await guest.ok(`statx ${folder}/third`)).to.match(
          /mode=100640 nlink=2 uid=7 gid=8 .* mtime=981173106\./,
        );
        await guest.ok(`dirstress ${folder}/moved/b 500`, LONG);
        await guest.ok('umount /mnt');
      }
      await guest.ok('mount -t virtiofs memory /mnt && cmp /tmp/data /mnt/2/third && rm -r /mnt/0 /mnt/1 /mnt/2');
      expect(await guest.ok('ls -A /mnt')).to.equal('hello.txt');
      await guest.ok('umount /mnt');
      await guest.poweroff();
      expect(await backend.waitExit()).to.deep.equal({ code: 0, signal: null });
    } finally {
      await guest.close();
      await backend.stop();
    }
  });

  it('serve-zip: what a zip file holds, read-only, with DAX and without', async function () {
    this.timeout(240_000);
    const large = randomBytes(5_000_001);
    const files = [
      { name: Buffer.from('readme'), data: Buffer.from('in a zip\n') },
      { name: Buffer.from('folder/deep/large'), data: large },
      { name: Buffer.from('folder/empty'), data: Buffer.alloc(0) },
      { name: Buffer.from('n\xff\xfe', 'latin1'), data: Buffer.from('no UTF-8') },
      { name: Buffer.from('../outside'), data: Buffer.from('stays inside') },
    ];
    const path = join(suite.folder('zip'), 'files.zip');
    const packed = zip([...files, { name: Buffer.from('broken'), data: Buffer.alloc(1000, 'x') }]);
    // What follows its first name is its data: a block of a type that does not exist.
    packed[packed.indexOf('broken') + 6] = 0xff;
    writeFileSync(path, packed);
    const { guest, backend } = await openExample(suite, 'serve-zip', [path]);
    try {
      for (const mode of MODES) {
        await guest.ok(`mount -t virtiofs -o ${mode} zip /mnt`);
        expect(await guest.ok('cat /mnt/readme /mnt/n* /mnt/outside')).to.equal('in a zip\nno UTF-8stays inside');
        expect(await guest.ok('cd /mnt; find . ! -name "n*" | sort')).to.equal(
          [
            '.',
            './broken',
            './folder',
            './folder/deep',
            './folder/deep/large',
            './folder/empty',
            './outside',
            './readme',
          ].join('\n'),
        );
        const sums = await guest.ok('cd /mnt/folder/deep; sha256sum <large; mapcat large | sha256sum', LONG);
        expect(sums).to.equal(`${sha256(large)}  -\n${sha256(large)}  -`);
        expect(await guest.ok('statx /mnt/folder/deep/large')).to.include(
          `dax=${mode === 'dax=never' ? 0 : 1} size=5000001`,
        );
        expect((await guest.run('cat /mnt/broken')).output).to.match(/I.O error|Input.output/);
        const refused = await guest.ok(
          'cd /mnt; echo >>readme; echo >new; rm readme; mkdir x; mv readme y; touch readme; true',
        );
        expect(refused.split('\n')).to.have.length(6);
        for (const line of refused.split('\n')) expect(line).to.match(/Read-only file system/);
        expect((await guest.run('cat /mnt/missing')).output).to.include('No such file');
        await guest.ok('umount /mnt');
      }
      await guest.poweroff();
      expect(await backend.waitExit()).to.deep.equal({ code: 0, signal: null });
    } finally {
      await guest.close();
      await backend.stop();
    }
  });
});
