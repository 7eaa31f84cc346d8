import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { expect } from 'chai';
import { Compiled, parseFloor } from '../src/compiled.ts';
import { placementFor } from '../src/cpu.ts';
import { BenchError } from '../src/errors.ts';
import { FsFloor, hasFloor } from '../src/fs-floor/fs-floor.ts';
import { FLOOR_KINDS, Floor } from '../src/gpu/floor/floor.ts';
import { makeShare } from '../src/share.ts';
import { WORKLOADS } from '../src/workloads.ts';

const leftovers = () => readdirSync(tmpdir()).filter((name) => name.startsWith('oriel-bench-floor-'));

describe('parseFloor', () => {
  it('reads a run', () => {
    expect(parseFloor('8 0.5 10.5 20.25 400 300\n')).to.deep.equal({
      ...{ ops: 8, seconds: 0.5, p50Us: 10.5, p99Us: 20.25, backendCpuUs: 400, driverCpuUs: 300 },
      ...{ kicks: 0, sleeps: 0 },
    });
  });

  for (const line of ['', '1 2 3 4 5', '1 2 3 4 5 x', '1 2 3 4 5 6 7']) {
    it(`refuses '${line}'`, () => {
      expect(() => parseFloor(line)).to.throw(RangeError);
    });
  }
});

describe('Floor', function () {
  this.timeout(60_000);

  it('runs every kind, and leaves nothing behind', async function () {
    if (!Compiled.possible) this.skip();
    const before = leftovers();
    {
      using floor = new Floor(placementFor('one').backend);
      for (const kind of FLOOR_KINDS) {
        const { ops, seconds, p50Us, p99Us, backendCpuUs, driverCpuUs } = await floor.run(kind, 8192, 0.01);
        expect(ops, kind).to.be.at.least(1);
        expect(seconds, kind).to.be.at.least(0.01);
        expect(p99Us, kind).to.be.at.least(p50Us);
        expect(backendCpuUs, kind).to.be.greaterThan(0);
        expect(driverCpuUs > 0, kind).to.equal(kind !== 'memcpy');
      }
    }
    expect(leftovers()).to.deep.equal(before);
  });

  it('says which kind fails', async function () {
    if (!Compiled.possible) this.skip();
    using floor = new Floor(placementFor('one').backend);
    // No memory of 2^60 bytes can be had.
    const run = floor.run('memcpy', 2 ** 60, 0.01);
    const error = await run.then(
      () => null,
      (reason: unknown) => reason,
    );
    expect(error).to.be.instanceOf(BenchError);
    expect((error as BenchError).message).to.match(/^ERR_BENCH_PEER: floor memcpy: /);
  });
});

describe('FsFloor', function () {
  this.timeout(60_000);

  it('runs every small request, and leaves nothing behind', async function () {
    if (!Compiled.possible) this.skip();
    const before = leftovers();
    const dir = mkdtempSync('/dev/shm/oriel-bench-test-');
    try {
      makeShare(dir);
      using floor = new FsFloor(dir, placementFor('one'));
      const small = Object.keys(WORKLOADS).filter((name) => hasFloor(name, 1));
      expect(small).to.deep.equal(Object.keys(WORKLOADS).filter((name) => WORKLOADS[name]!.kind === 'small'));
      for (const workload of small) {
        const { ops, seconds, p50Us, p99Us, backendCpuUs, driverCpuUs } = await floor.run(workload, 0.02);
        expect(ops, workload).to.be.at.least(1);
        expect(seconds, workload).to.be.greaterThan(0);
        expect(p99Us, workload).to.be.at.least(p50Us);
        expect(backendCpuUs, workload).to.be.greaterThan(0);
        expect(driverCpuUs, workload).to.be.greaterThan(0);
      }
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
    expect(leftovers()).to.deep.equal(before);
  });

  it('has none at other depths', () => {
    expect(hasFloor('getattr', 2)).to.equal(false);
  });

  it('says which workload fails', async function () {
    if (!Compiled.possible) this.skip();
    using floor = new FsFloor('/nowhere', placementFor('one'));
    const error = await floor.run('open', 0.01).catch((reason: unknown) => reason);
    expect(error).to.be.instanceOf(BenchError);
    expect((error as BenchError).message).to.match(/^ERR_BENCH_PEER: floor open: .*\/nowhere/s);
  });
});
