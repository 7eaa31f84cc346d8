import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { openSys } from '@oriel/sys';
import { expect } from 'chai';
import { Compiled } from '../src/compiled.ts';
import { placementFor } from '../src/cpu.ts';
import { Session } from '../src/driver/session.ts';
import { BenchError } from '../src/errors.ts';
import { GPU_WORKLOADS } from '../src/gpu/workloads.ts';
import { startOrielFs } from '../src/peers.ts';
import { OURS, PLAIN_C, RUST } from '../src/rings/ring-peers.ts';
import { RING_BATCHES } from '../src/rings/workloads.ts';
import { makeShare } from '../src/share.ts';
import { WORKLOADS } from '../src/workloads.ts';

const MAIN = new URL('../src/main.ts', import.meta.url).pathname;

describe('npm run bench', function () {
  this.timeout(120_000);
  let dir: string;

  beforeEach(() => {
    dir = mkdtempSync('/dev/shm/oriel-bench-test-');
  });

  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  it('measures every workload against a server that listens already', async () => {
    makeShare(dir);
    const socketPath = join(dir, 'peer.sock');
    const peer = await startOrielFs({ cpu: placementFor('one').backend, shareDir: dir, socketPath, spinUs: 0 });
    try {
      const json = join(dir, 'out.json');
      const args = [
        '--rounds',
        '1',
        '--seconds',
        '0.01',
        '--depth',
        '2',
        '--queues',
        '1,2',
        '--part',
        'fs',
        '--share',
        dir,
        '--peer-socket',
        socketPath,
      ];
      const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args, '--json', json], {
        encoding: 'utf8',
      });
      expect(status, stderr).to.equal(0);
      const { sides, cases } = JSON.parse(readFileSync(json, 'utf8')).fs;
      expect(sides.map(({ name }: { name: string }) => name)).to.deep.equal(['oriel', 'peer']);
      const measured = cases.map(
        ({ workload, queues }: { workload: string; queues: number }) => `${workload} ${queues}`,
      );
      expect(measured).to.deep.equal(
        Object.keys(WORKLOADS).flatMap((name) => [1, 2].map((queues) => `${name} ${queues}`)),
      );
      for (const { workload, rounds } of cases) {
        for (const side of ['oriel', 'peer']) {
          const { ops, backendCpuUs, p50Us } = rounds[0][side];
          expect(ops, workload).to.be.at.least(2);
          expect(backendCpuUs, workload).to.be.greaterThan(0);
          expect(p50Us, workload).to.be.greaterThan(0);
        }
        expect(stdout).to.include(`| ${workload} `);
      }
    } finally {
      await peer.stop();
    }
  });

  it('does not spread over more queues than a back-end has', async () => {
    const socketPath = join(dir, 'peer.sock');
    const peer = await startOrielFs({ cpu: placementFor('one').backend, shareDir: dir, socketPath, spinUs: 0 }, 2);
    try {
      using two = new Session(openSys(), socketPath, 2);
      expect(two.queues.map(({ index }) => index)).to.deep.equal([1, 2, 0]);
      expect([0, 1, 2, 3].map((slot) => two.queueOf(slot).index)).to.deep.equal([1, 2, 1, 2]);
      two[Symbol.dispose]();
      expect(() => new Session(openSys(), socketPath, 3))
        .to.throw(BenchError)
        .with.property('message')
        .that.includes('has 2 request queues');
    } finally {
      await peer.stop();
    }
  });

  it('measures every workload of virtio-gpu against its floors', () => {
    const json = join(dir, 'out.json');
    const args = ['--part', 'gpu', '--rounds', '1', '--seconds', '0.01', '--json', json];
    const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8' });
    expect(status, stderr).to.equal(0);
    const { fs, gpu } = JSON.parse(readFileSync(json, 'utf8'));
    expect(fs).to.equal(null);
    const measured = gpu.cases.map(
      ({ workload, depth }: { workload: string; depth: number }) => `${workload} ${depth}`,
    );
    const wanted = Object.entries(GPU_WORKLOADS).flatMap(([name, { depths }]) =>
      depths.map((depth) => `${name} ${depth}`),
    );
    expect(measured).to.deep.equal(wanted);
    for (const { workload, rounds } of gpu.cases) {
      const floors = Compiled.possible ? GPU_WORKLOADS[workload]!.floors : [];
      expect(Object.keys(rounds[0]).sort()).to.deep.equal(['oriel', ...floors].sort());
      for (const run of Object.values(rounds[0]) as { ops: number; p50Us: number; p99Us: number }[]) {
        expect(run.ops, workload).to.be.at.least(1);
        expect(run.p99Us, workload).to.be.at.least(run.p50Us);
      }
      expect(stdout).to.include(`| ${workload} `);
    }
  });

  it('measures our rings against the peers that can be built, and says of which it is not', () => {
    const json = join(dir, 'out.json');
    const only = 'split-pieces,packed-headers';
    const args = [MAIN, '--part', 'rings', '--only', only, '--rounds', '1', '--seconds', '0.01', '--json', json];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    expect(status, stderr).to.equal(0);
    const { cases } = JSON.parse(readFileSync(json, 'utf8')).rings;
    const measured = cases.map(({ workload, depth }: { workload: string; depth: number }) => `${workload} ${depth}`);
    expect(measured).to.deep.equal(only.split(',').flatMap((name) => RING_BATCHES.map((batch) => `${name} ${batch}`)));
    const missing = [PLAIN_C, RUST].filter((name) => stderr.includes(`no ${name} to compare rings with`));
    for (const { workload, rounds } of cases) {
      const peers = workload.startsWith('packed') ? [PLAIN_C] : [PLAIN_C, RUST];
      const sides = [OURS, ...peers.filter((name) => !missing.includes(name))];
      expect(Object.keys(rounds[0]).sort(), workload).to.deep.equal(sides.sort());
      for (const { ops } of Object.values(rounds[0]) as { ops: number }[]) expect(ops).to.be.greaterThan(1000);
      expect(stdout).to.include(`| ${workload} `);
    }
  });

  it('says in one line what is wrong with an option', () => {
    const { status, stderr } = spawnSync(process.execPath, [MAIN, '--depth', '0'], { encoding: 'utf8' });
    expect(status).to.equal(1);
    expect(stderr).to.equal('bench: ERR_BENCH_USAGE: --depth 0: give a whole number from 1 to 32\n');
  });
});
