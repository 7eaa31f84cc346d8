import { expect } from 'chai';
import type { RunResult } from '../src/driver/runner.ts';
import { formatGpuTable } from '../src/gpu/gpu-report.ts';
import { measure, ratio } from '../src/measure.ts';
import { formatFsTable, judge, type Report, toJson } from '../src/report.ts';
import { figure } from '../src/table.ts';

const CASE = { workload: 'getattr', depth: 32, queues: 4 };

function result(ops: number, backendCpuUs = ops): RunResult {
  return { ops, seconds: 1, p50Us: 5, p99Us: 9, backendCpuUs, driverCpuUs: ops, kicks: 0, sleeps: 0 };
}

/** A run of two sides; ours does more each time, the peer always 100. */
async function measured(peerCpuUs = 200) {
  const order: string[] = [];
  const options = { sides: ['ours', 'peer'], rounds: 3, seconds: 1 };
  const found = await measure(CASE, options, async (side) => {
    order.push(side);
    return side === 'ours' ? result(order.length * 100) : result(100, peerCpuUs);
  });
  return { order, found };
}

async function reportOf(peerCpuUs?: number): Promise<Report> {
  const { found } = await measured(peerCpuUs);
  const machine = { cpu: 'CPU', cpus: 2, memoryGiB: 8, kernel: '7.3', arch: 'x64', node: 'v24', load: 0.1 };
  const options = {
    ...{
      rounds: 3,
      seconds: 1,
      lanes: [{ depth: 32, queues: 4 }],
      workloads: ['getattr'],
      gpuWorkloads: [],
      ringWorkloads: [],
      blkWorkloads: [],
      waylandWorkloads: [],
      guestWorkloads: [],
      cores: 'one' as const,
      json: undefined,
    },
    ...{ peerSocket: undefined, shareDir: undefined, spinUs: undefined, profile: undefined },
  };
  const sides = [
    { name: 'ours', version: '1' },
    { name: 'peer', version: '2' },
  ];
  return {
    machine,
    options,
    fs: { sides, lanes: options.lanes, cores: options.cores, cases: [found] },
    gpu: null,
    rings: null,
    blk: null,
    wayland: null,
    guest: null,
  };
}

describe('measure', () => {
  it('warms up, then runs the sides in turning order', async () => {
    const { order, found } = await measured();
    expect(order.join(' ')).to.equal('ours peer ours peer peer ours ours peer');
    expect(found.rounds).to.have.length(3);
  });

  it('gives medians, and the median of the ratios of each round', async () => {
    const { found } = await measured();
    expect(found.rounds.map((round) => round['ours']!.ops)).to.deep.equal([300, 600, 700]);
    expect(found.summary['ours']).to.deep.include({ opsPerSecond: 600, cpuUsPerOp: 1 });
    expect(found.summary['peer']).to.deep.include({ opsPerSecond: 100, cpuUsPerOp: 2 });
    expect(ratio(found, 'ours', 'peer', (run) => run.ops)).to.equal(6);
  });
});

describe('judge', () => {
  it('wants both the speed and the CPU time', async () => {
    expect(judge((await measured()).found, 'ours', 'peer', 'one')).to.deep.equal({
      ops: 6,
      cpu: 0.5,
      target: 1.5,
      met: true,
    });
    expect(judge((await measured(105)).found, 'ours', 'peer', 'one').met).to.equal(false);
    const slow = (await measured()).found;
    expect(judge(slow, 'peer', 'ours', 'one').met).to.equal(false);
  });

  it('leaves CPU time out where a process is not known', async () => {
    const verdict = judge((await measured(-1)).found, 'ours', 'peer', 'one');
    expect(verdict.cpu).to.be.NaN;
    expect(verdict.met).to.equal(true);
  });
});

describe('formatFsTable', () => {
  it('has a row for each case, the peer first', async () => {
    expect(formatFsTable((await reportOf()).fs!).split('\n')).to.deep.equal([
      '| workload       | queues | QD | peer ops/s | p50 µs | cpu µs/op | ours ops/s | p50 µs | cpu µs/op | ops ratio | cpu ratio | wanted |     |',
      '|----------------|-------:|---:|-----------:|-------:|----------:|-----------:|-------:|----------:|----------:|----------:|-------:|----:|',
      '| getattr        |      4 | 32 |        100 |      5 |         2 |        600 |      5 |         1 |      6.00 |      0.50 |   1.50 | met |',
      '| geometric mean |      4 | 32 |            |        |           |            |        |           |      6.00 |      0.50 |        |     |',
    ]);
  });

  it('has a mean of the small requests beside that of all, and says nothing of what is not wanted', async () => {
    const { fs } = await reportOf();
    const [found] = fs!.cases;
    const cases = [found!, { ...found!, workload: 'read-1m' }];
    const rows = formatFsTable({ ...fs!, cores: 'two', cases })
      .split('\n')
      .slice(2);
    const cells = rows.map((row) => row.split('|').map((cell) => cell.trim()));
    expect(cells.map((row) => [row[1], ...row.slice(-5, -1)])).to.deep.equal([
      ['getattr', '6.00', '0.50', '1.30', 'met'],
      ['read-1m', '6.00', '0.50', '-', ''],
      ['geometric mean', '6.00', '0.50', '', ''],
      ['... of small ones', '6.00', '0.50', '', ''],
    ]);
  });

  it('has no ratios without a peer', async () => {
    const { fs } = await reportOf();
    const [header, , row] = formatFsTable({ ...fs!, sides: fs!.sides.slice(0, 1) }).split('\n');
    expect(header).to.equal('| workload | queues | QD | ours ops/s | p50 µs | cpu µs/op |');
    expect(row).to.equal('| getattr  |      4 | 32 |        600 |      5 |         1 |');
  });

  it('prints three digits', () => {
    expect([123456.7, 999.6, 12.345, 0.12345, Number.NaN].map(figure)).to.deep.equal([
      '123,457',
      '1,000',
      '12.3',
      '0.123',
      '-',
    ]);
  });
});

describe('toJson', () => {
  it('keeps every round, and the verdict', async () => {
    const { cases } = JSON.parse(toJson(await reportOf())).fs;
    expect(cases[0].rounds[0].ours).to.deep.equal(result(300));
    expect(cases[0].verdict).to.deep.equal({ ops: 6, cpu: 0.5, target: 1.5, met: true });
  });

  it('has the ratios of each floor', async () => {
    const { found } = await measured();
    const gpu = { ours: 'ours', version: '1', cases: [found] };
    const { fs, gpu: part } = JSON.parse(toJson({ ...(await reportOf()), fs: null, gpu }));
    expect(fs).to.equal(null);
    expect(part.cases[0].ratios).to.deep.equal([{ floor: 'peer', ops: 6, p50: null, p99: null }]);
  });
});

describe('formatGpuTable', () => {
  it('has a row for each floor of a case, with times where the depth is the same', async () => {
    const { found } = await measured();
    const [round] = found.rounds;
    const two = {
      ...{ workload: 'map-4k', depth: 1, summary: { ...found.summary, other: found.summary['peer']! } },
      rounds: [{ ...round!, other: round!['peer']! }],
    };
    expect(formatGpuTable({ ours: 'ours', version: '1', cases: [found, two] }).split('\n')).to.deep.equal([
      '| workload | QD | ops/s | p50 µs | p99 µs | cpu µs/op | floor | ops/s | p50 µs | p99 µs | cpu µs/op | ops ratio | p50 ratio | p99 ratio |',
      '|----------|---:|------:|-------:|-------:|----------:|------:|------:|-------:|-------:|----------:|----------:|----------:|----------:|',
      '| getattr  | 32 |   600 |      5 |      9 |         1 |  peer |   100 |      5 |      9 |         2 |      6.00 |         - |         - |',
      '| map-4k   |  1 |   600 |      5 |      9 |         1 |  peer |   100 |      5 |      9 |         2 |      3.00 |      1.00 |      1.00 |',
      '|          |    |       |        |        |           | other |   100 |      5 |      9 |         2 |      3.00 |      1.00 |      1.00 |',
    ]);
  });

  it('leaves the floor out where it could not be measured', async () => {
    const { found } = await measured();
    const [round] = found.rounds;
    const summary = { ours: found.summary['ours']! };
    const alone = { ...found, summary, rounds: [{ ours: round!['ours']! }] };
    const [, , row] = formatGpuTable({ ours: 'ours', version: '1', cases: [alone] }).split('\n');
    expect(row!.match(/ - /g)).to.have.length(8);
  });
});
