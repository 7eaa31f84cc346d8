/** The checks that every mounted share must pass, whoever serves it. Each uses a folder of its own name. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import type { Guest } from '../boot.ts';
import { tail } from './errors.ts';
import { treeChecks } from './tree-checks.ts';

/** A share as seen from both sides. */
export interface FileCheckContext {
  readonly guest: Guest;
  /** Where the share is mounted in the guest. */
  readonly mountpoint: string;
  /** The shared folder on the host. */
  readonly hostDir: string;
}

/** A folder made for one check, on both sides. */
export interface CheckFolder {
  readonly guest: Guest;
  /** Path in the guest. */
  readonly inGuest: string;
  /** Path on the host. */
  readonly onHost: string;
}

/** One check; `run` throws an AssertionError or a GuestError. */
export interface FileCheck {
  readonly name: string;
  run(context: FileCheckContext): Promise<void>;
}

/** Around pages and around the 2 MiB ranges that DAX maps. */
const SIZES = [0, 1, 4095, 4096, 4097, (2 << 20) - 1, 2 << 20, (2 << 20) + 1] as const;

const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');
const firstWord = (text: string) => text.trim().split(/\s+/)[0];

/** Makes a check that gets a fresh folder, removed (from the host) afterwards. */
export function inFolder(name: string, body: (folder: CheckFolder) => Promise<void>): FileCheck {
  const slug = name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');
  return {
    name,
    async run({ guest, mountpoint, hostDir }) {
      const own = `${slug}-${randomBytes(3).toString('hex')}`;
      const onHost = join(hostDir, own);
      fs.mkdirSync(onHost);
      try {
        await body({ guest, inGuest: `${mountpoint}/${own}`, onHost });
      } finally {
        fs.rmSync(onHost, { recursive: true, force: true });
      }
    },
  };
}

const sizes: FileCheck[] = SIZES.flatMap((size) => [
  inFolder(`reads ${size} bytes of the host by read and by mmap`, async ({ guest, inGuest, onHost }) => {
    const data = randomBytes(size);
    fs.writeFileSync(join(onHost, 'file'), data);
    assert.equal(firstWord(await guest.ok(`sha256sum ${inGuest}/file`)), sha256(data), 'by read');
    assert.equal(firstWord(await guest.ok(`mapcat ${inGuest}/file | sha256sum`)), sha256(data), 'by mmap');
    await guest.ok(`mapcheck ${inGuest}/file`);
  }),
  inFolder(`writes ${size} bytes that the host sees`, async ({ guest, inGuest, onHost }) => {
    const made = await guest.ok(
      `head -c ${size} /dev/urandom >/tmp/w && cp /tmp/w ${inGuest}/file && sha256sum /tmp/w`,
    );
    const data = fs.readFileSync(join(onHost, 'file'));
    assert.equal(data.length, size);
    assert.equal(sha256(data), firstWord(made));
    assert.equal(firstWord(await guest.ok(`mapcat ${inGuest}/file | sha256sum; rm /tmp/w`)), sha256(data), 'by mmap');
  }),
]);

const contents: FileCheck[] = [
  inFolder('stores through a shared mapping', async ({ guest, inGuest, onHost }) => {
    fs.writeFileSync(join(onHost, 'file'), Buffer.alloc(10_000, 'a'));
    await guest.ok(`mapstore ${inGuest}/file 4090 HELLO-WORLD sync`);
    const data = fs.readFileSync(join(onHost, 'file'));
    assert.equal(data.toString('latin1', 4088, 4103), 'aaHELLO-WORLDaa');
    assert.equal(data.length, 10_000);
  }),
  inFolder('grows a mapped file', async ({ guest, inGuest, onHost }) => {
    await guest.ok(`growcheck ${inGuest}/file 64 5000`);
    assert.equal(fs.statSync(join(onHost, 'file')).size, 320_000);
  }),
  inFolder('truncates a mapped file', async ({ guest, inGuest, onHost }) => {
    fs.writeFileSync(join(onHost, 'file'), randomBytes(50_000));
    await guest.ok(`trunccheck ${inGuest}/file 10001`);
    assert.equal(fs.statSync(join(onHost, 'file')).size, 10_001);
  }),
  inFolder('truncates up and down, and appends', async ({ guest, inGuest, onHost }) => {
    const path = join(onHost, 'file');
    fs.writeFileSync(path, 'abcdef');
    await guest.ok(`cd ${inGuest} && truncate -s 3 file && printf XYZ >>file && truncate -s 8 file`);
    assert.equal(fs.readFileSync(path, 'latin1'), 'abcXYZ\0\0');
    await guest.ok(`cd ${inGuest} && truncate -s 0 file && printf end >>file`);
    assert.equal(fs.readFileSync(path, 'latin1'), 'end');
  }),
  inFolder('allocates, and punches a hole', async ({ guest, inGuest, onHost }) => {
    const path = join(onHost, 'file');
    await guest.ok(`falloc ${inGuest}/file alloc 0 1048576`);
    assert.equal(fs.statSync(path).size, 1 << 20);
    fs.writeFileSync(path, Buffer.alloc(1 << 20, 'x'));
    await guest.ok(`falloc ${inGuest}/file punch 65536 65536 && falloc ${inGuest}/file keep 1048576 4096`);
    const data = fs.readFileSync(path);
    assert.equal(data.length, 1 << 20);
    assert.ok(data.subarray(65_536, 131_072).every((byte) => byte === 0));
    assert.ok(data.subarray(0, 65_536).every((byte) => byte === 0x78));
  }),
  inFolder('seeks in a sparse file', async ({ guest, inGuest, onHost }) => {
    const fd = fs.openSync(join(onHost, 'file'), 'w');
    fs.writeSync(fd, Buffer.alloc(65_536, 1), 0, 65_536, 1 << 20);
    fs.ftruncateSync(fd, 4 << 20);
    fs.closeSync(fd);
    assert.equal(await guest.ok(`seekhole ${inGuest}/file`), `${1 << 20} ${(1 << 20) + 65_536}`);
    await guest.ok(`dd if=/dev/zero of=${inGuest}/made bs=4096 seek=1000 count=1 2>/dev/null`);
    assert.equal(fs.statSync(join(onHost, 'made')).size, 1001 * 4096);
  }),
];

/** All checks, in an order that goes from simple to involved. */
export const FILE_CHECKS: readonly FileCheck[] = [...sizes, ...contents, ...treeChecks(inFolder)];

/**
 * Runs all checks on a mounted share; a check that fails does not stop the others.
 * A suite that wants one `it` a check loops over {@link FILE_CHECKS} instead.
 * @throws Error that lists every failed check
 */
export async function fileChecks(guest: Guest, mountpoint: string, hostDir: string): Promise<void> {
  const failures: string[] = [];
  for (const check of FILE_CHECKS) {
    try {
      await check.run({ guest, mountpoint, hostDir });
    } catch (error) {
      failures.push(`${check.name}: ${tail((error as Error).message, 8)}`);
      if (!guest.alive) break;
    }
  }
  if (failures.length > 0)
    throw new Error(`${failures.length} of ${FILE_CHECKS.length} failed\n${failures.join('\n')}`);
}
