/** The part of the file checks that is about names, folders and attributes. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { exec } from './exec.ts';
import type { CheckFolder, FileCheck } from './file-checks.ts';
import { compareTrees, describeGuestTree, describeTree } from './tree-view.ts';

/** Files in the tar check; each is followed by a link or an odd mode now and then. */
const TAR_FILES = 300;

/** Makes the checks; `inFolder` gives each its folder. */
export function treeChecks(
  inFolder: (name: string, body: (folder: CheckFolder) => Promise<void>) => FileCheck,
): FileCheck[] {
  return [
    inFolder('renames, links and unlinks', async ({ guest, inGuest, onHost }) => {
      await guest.ok(`cd ${inGuest} && echo one >a && mv a b && ln b c && ln -s b d && mkdir e && mv c e/c`);
      assert.deepEqual(fs.readdirSync(onHost).sort(), ['b', 'd', 'e']);
      assert.equal(fs.statSync(join(onHost, 'b')).nlink, 2);
      assert.equal(fs.statSync(join(onHost, 'b')).ino, fs.statSync(join(onHost, 'e/c')).ino);
      assert.equal(fs.readlinkSync(join(onHost, 'd')), 'b');
      assert.equal(await guest.ok(`cat ${inGuest}/d; stat -c %h ${inGuest}/e/c`), 'one\n2');
      await guest.ok(`cd ${inGuest} && echo two >f && mv -f f b && cat b | grep -q two && rm d e/c`);
      assert.equal(fs.readFileSync(join(onHost, 'b'), 'latin1'), 'two\n');
      assert.deepEqual(fs.readdirSync(join(onHost, 'e')), []);
    }),
    inFolder('keeps an unlinked file readable while it is open', async ({ guest, inGuest, onHost }) => {
      const output = await guest.ok(`cd ${inGuest} && echo kept >a && exec 4<a && rm a && cat <&4`);
      assert.equal(output, 'kept');
      assert.deepEqual(fs.readdirSync(onHost), []);
    }),
    inFolder('makes and removes folders', async ({ guest, inGuest, onHost }) => {
      await guest.ok(`cd ${inGuest} && mkdir -p a/b/c && touch a/b/c/file`);
      assert.notEqual((await guest.run(`rmdir ${inGuest}/a/b/c`)).code, 0, 'a full folder stays');
      await guest.ok(`cd ${inGuest} && rm a/b/c/file && rmdir a/b/c a/b a`);
      assert.deepEqual(fs.readdirSync(onHost), []);
    }),
    inFolder('lists 1000 entries', async ({ guest, inGuest, onHost }) => {
      const names = Array.from({ length: 1000 }, (_, n) => `entry-${String(n).padStart(4, '0')}-${'x'.repeat(n % 60)}`);
      for (const name of names) fs.writeFileSync(join(onHost, name), '');
      assert.deepEqual((await guest.ok(`ls ${inGuest} | sort`)).split('\n').sort(), names.sort());
    }),
    inFolder('makes, lists and removes many entries', async ({ guest, inGuest, onHost }) => {
      await guest.ok(`dirstress ${inGuest} 500`, { timeoutMs: 120_000 });
      assert.deepEqual(fs.readdirSync(onHost), []);
    }),
    inFolder('sets modes and times', async ({ guest, inGuest, onHost }) => {
      await guest.ok(`cd ${inGuest} && touch a && chmod 4751 a && touch -d '2001-02-03 04:05:06' a`);
      const st = fs.statSync(join(onHost, 'a'));
      assert.equal(st.mode & 0o7777, 0o4751);
      assert.equal(st.mtime.toISOString(), '2001-02-03T04:05:06.000Z');
      fs.chmodSync(join(onHost, 'a'), 0o640);
      assert.match(await guest.ok(`statx ${inGuest}/a`), /mode=100640 /, 'statx asks the server, not the cache');
    }),
    inFolder(`unpacks a tar of ${TAR_FILES} files`, async ({ guest, inGuest, onHost }) => {
      const source = join(onHost, 'source');
      makeSource(source);
      await exec(['tar', '-C', source, '-cf', join(onHost, 'all.tar'), '.']);
      await guest.ok(`mkdir ${inGuest}/out && tar -C ${inGuest}/out -xf ${inGuest}/all.tar && sync`, {
        timeoutMs: 120_000,
      });
      const unpacked = describeTree(join(onHost, 'out'));
      // Folder times depend on the order in which tar sets them, and busybox sets none on links.
      const timesOfFiles = (view: ReturnType<typeof describeTree>) =>
        new Map([...view].map(([path, entry]) => [path, entry.type === 'f' ? entry : { ...entry, mtime: '' }]));
      assert.deepEqual(
        compareTrees(timesOfFiles(describeTree(source)), timesOfFiles(unpacked)),
        [],
        'source and unpacked',
      );
      assert.deepEqual(compareTrees(await describeGuestTree(guest, `${inGuest}/out`), unpacked), [], 'guest and host');
    }),
  ];
}

function makeSource(source: string): void {
  for (let n = 0; n < TAR_FILES; n++) {
    const dir = join(source, `dir-${n % 7}`, `sub-${n % 3}`);
    fs.mkdirSync(dir, { recursive: true });
    const path = join(dir, `file ${n}.bin`);
    fs.writeFileSync(path, randomBytes((n * n * 37) % 20_000));
    fs.chmodSync(path, [0o644, 0o755, 0o600, 0o444][n % 4]!);
    fs.utimesSync(path, 1_000_000_000 + n, 1_000_000_000 + n);
    if (n % 10 === 0) fs.symlinkSync(`file ${n}.bin`, join(dir, `link-${n}`));
    if (n % 25 === 0) fs.linkSync(path, join(dir, `hard-${n}`));
  }
}
