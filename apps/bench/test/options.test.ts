import { expect } from 'chai';
import { BLK_WORKLOADS } from '../src/blk/workloads.ts';
import { BenchError } from '../src/errors.ts';
import { GPU_WORKLOADS } from '../src/gpu/workloads.ts';
import { GUEST_WORKLOADS } from '../src/guest/workloads.ts';
import { readOptions } from '../src/options.ts';
import { RING_WORKLOADS } from '../src/rings/workloads.ts';
import { WAYLAND_WORKLOADS } from '../src/wayland/workloads.ts';
import { WORKLOADS } from '../src/workloads.ts';

describe('readOptions', () => {
  it('has defaults for everything', () => {
    expect(readOptions([])).to.deep.include({
      rounds: 5,
      seconds: 0.5,
      lanes: [
        { depth: 1, queues: 1 },
        { depth: 32, queues: 1 },
        { depth: 32, queues: 4 },
      ],
      workloads: Object.keys(WORKLOADS),
      gpuWorkloads: Object.keys(GPU_WORKLOADS),
      ringWorkloads: Object.keys(RING_WORKLOADS),
      blkWorkloads: Object.keys(BLK_WORKLOADS),
      waylandWorkloads: Object.keys(WAYLAND_WORKLOADS),
      guestWorkloads: Object.keys(GUEST_WORKLOADS),
      cores: 'one',
      spinUs: undefined,
    });
  });

  it('reads lists and numbers', () => {
    const args = ['--only', 'lookup,read-4k', '--depth=4,8', '--rounds', '3', '--seconds', '0.1', '--spin-us', '0'];
    expect(readOptions([...args, '--queues', '2,8', '--cores', 'two', '--json', 'x.json'])).to.deep.include({
      rounds: 3,
      seconds: 0.1,
      lanes: [
        { depth: 4, queues: 2 },
        { depth: 8, queues: 2 },
        { depth: 8, queues: 8 },
      ],
      workloads: ['lookup', 'read-4k'],
      gpuWorkloads: [],
      cores: 'two',
      spinUs: 0,
      json: 'x.json',
    });
  });

  it('runs one part, or what is named of both', () => {
    const gpuWorkloads = Object.keys(GPU_WORKLOADS);
    expect(readOptions(['--part', 'gpu'])).to.deep.include({ workloads: [], gpuWorkloads });
    expect(readOptions(['--part', 'fs'])).to.deep.include({ workloads: Object.keys(WORKLOADS), gpuWorkloads: [] });
    expect(readOptions(['--part', 'rings'])).to.deep.include({
      workloads: [],
      gpuWorkloads: [],
      ringWorkloads: Object.keys(RING_WORKLOADS),
    });
    expect(readOptions(['--only', 'split-pieces'])).to.deep.include({ workloads: [], ringWorkloads: ['split-pieces'] });
    const both = { workloads: ['create'], gpuWorkloads: ['map-4k'] };
    expect(readOptions(['--only', 'map-4k,create'])).to.deep.include(both);
  });

  it('gives null for --help', () => {
    expect(readOptions(['--help'])).to.equal(null);
  });

  for (const args of [
    ['--rounds', '0'],
    ['--rounds', '1.5'],
    ['--seconds', '0'],
    ['--seconds', 'long'],
    ['--depth', '33'],
    ['--depth', '1,'],
    ['--queues', '9'],
    ['--queues', '4', '--depth', '1,2'],
    ['--only', 'getattr,toString'],
    ['--part', 'pmem'],
    ['--part', 'fs', '--only', 'map-4k'],
    ['--cores', 'three'],
    ['--spin-us', '-1'],
    ['--peer-socket', '/tmp/x.sock'],
    ['--unknown'],
    ['word'],
  ]) {
    it(`refuses ${args.join(' ')}`, () => {
      expect(() => readOptions(args))
        .to.throw(BenchError)
        .with.property('code', 'ERR_BENCH_USAGE');
    });
  }
});
