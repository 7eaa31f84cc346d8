/**
 * `oriel torture` against our devices, which must refuse or bear every clause, and against back-ends that no one here wrote
 * (virtiofsd, qemu-storage-daemon): the same table, as the oracle for what others do.
 */
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { guestSuite, HostProcess, startOrielFs, startOrielGpu } from '../index.ts';
import { treeTool } from '../src/environment.ts';

const script = (path: string) => fileURLToPath(new URL(`../../../${path}`, import.meta.url));
const NODE = [process.execPath, '--conditions=@oriel/source', '--disable-warning=ExperimentalWarning'];
const MAIN = script('apps/backend/src/main.ts');
const SERVE_EXAMPLE = script('packages/torture/test/support/serve-example.ts');
const DISK_BYTES = 16 << 20;
/** Clauses that every kind of device has, at least. */
const CLAUSES = 400;

/** How often each verdict came. */
type Counts = Readonly<Record<string, number>>;

describe('oriel torture', function () {
  this.timeout(600_000);
  const suite = guestSuite('torture');

  /** Runs the suite and prints its table. @returns its exit status and the counts of its summary */
  async function torture(
    peer: string,
    args: readonly string[],
  ): Promise<{ code: number | null; counts: Counts; table: string }> {
    const program = HostProcess.start([...NODE, MAIN, 'torture', ...args], { name: 'oriel torture' });
    const { code } = await program.waitExit(500_000);
    const table = program.stdout;
    process.stdout.write(`\n${peer}\n${table}${program.stderr}`);
    const summary = table.trimEnd().split('\n').at(-1) ?? '';
    const counts = Object.fromEntries(
      [...summary.matchAll(/(\d+) ([A-Z]+)/g)].map(([, count, verdict]) => [verdict, Number(count)]),
    );
    return { code, counts, table };
  }

  /** All was run, and nothing hung or died. */
  async function expectSurvival(peer: string, socketPath: string, device: string): Promise<void> {
    const { code, counts, table } = await torture(peer, [`--socket-path=${socketPath}`]);
    expect(table).to.include(`device: ${device}\n`);
    expect(table.split('\n').filter((row) => /^(HANG|DEAD)/.test(row))).to.deep.equal([]);
    expect(counts['REJECT']! + counts['PASS']! + counts['SKIP']!).to.be.greaterThan(CLAUSES);
    expect(code).to.equal(0);
  }

  function emptyDisk(dir: string): string {
    const path = join(dir, 'disk.img');
    writeFileSync(path, '');
    truncateSync(path, DISK_BYTES);
    return path;
  }

  it('our fs lives', async () => {
    const dir = suite.folder('fs');
    const [socketPath, sharedDir] = [join(dir, 'socket'), join(dir, 'share')];
    mkdirSync(sharedDir);
    await using _backend = await startOrielFs({ socketPath, sharedDir });
    await expectSurvival('oriel fs', socketPath, 'fs');
  });

  it('our gpu lives', async () => {
    const socketPath = join(suite.folder('gpu'), 'socket');
    await using _backend = await startOrielGpu({ socketPath });
    await expectSurvival('oriel gpu', socketPath, 'gpu');
  });

  for (const device of ['blk', 'rng']) {
    it(`our ${device} example lives`, async () => {
      const dir = suite.folder(device);
      const socketPath = join(dir, 'socket');
      await using backend = HostProcess.start([...NODE, SERVE_EXAMPLE, device, socketPath, emptyDisk(dir)]);
      await backend.waitOutput(/listening/);
      await expectSurvival(`example ${device}`, socketPath, device);
    });
  }

  /** A back-end of the tree, started for each clause. What it does is printed; that it was asked all is checked. */
  async function oracle(
    name: string,
    version: string | undefined,
    device: string,
    command: readonly string[],
  ): Promise<void> {
    const line = command.map((word) => (word.includes('{socket}') ? word : `'${word}'`)).join(' ');
    const { counts, table } = await torture(`${name} ${version}`, [`--device=${device}`, `--command=${line}`]);
    const sum = Object.values(counts).reduce((total, count) => total + count, 0);
    expect(sum).to.be.greaterThan(CLAUSES);
    expect(table).not.to.include('stopped:');
    expect(counts['REJECT']).to.be.greaterThan(100);
  }

  it('virtiofsd, as the oracle', async () => {
    const { virtiofsd, packages } = suite.environment;
    const sharedDir = suite.folder('virtiofsd');
    const args = ['--socket-path={socket}', `--shared-dir=${sharedDir}`, '--sandbox=none'];
    await oracle('virtiofsd', packages['virtiofsd'], 'fs', [...virtiofsd.command, ...args]);
  });

  it('qemu-storage-daemon, as the oracle', async () => {
    const { root, packages } = suite.environment;
    const disk = emptyDisk(suite.folder('storage-daemon'));
    const { command } = treeTool(root, 'usr/bin/qemu-storage-daemon');
    const file = `driver=file,node-name=disk,filename=${disk},discard=unmap`;
    const chardev = 'vhost-user-blk,id=export,node-name=disk,addr.type=unix,addr.path={socket},writable=on';
    const args = ['--blockdev', file, '--export', chardev];
    await oracle('qemu-storage-daemon', packages['qemu-utils'], 'blk', [...command, ...args]);
  });
});
