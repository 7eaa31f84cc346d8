import { expect } from 'chai';
import type { RunResult } from '../src/driver/runner.ts';
import { measure, ratio } from '../src/measure.ts';
import { figure, formatTable, judge, type Report, toJson } from '../src/report.ts';

const CASE = { workload: 'getattr', depth: 32 };

function result(ops: number, backendCpuUs = ops): RunResult {
  return { ops, seconds: 1, p50Us: 5, backendCpuUs, driverCpuUs: ops, kicks: 0, sleeps: 0 };
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
    ...{ rounds: 3, seconds: 1, depths: [32], workloads: ['getattr'], cores: 'one' as const, json: undefined },
    ...{ peerSocket: undefined, shareDir: undefined, spinUs: undefined, profile: undefined },
  };
  const sides = [
    { name: 'ours', version: '1' },
    { name: 'peer', version: '2' },
  ];
  return { machine, options, sides, cases: [found] };
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
    expect(judge((await measured()).found, 'ours', 'peer')).to.deep.equal({ ops: 6, cpu: 0.5, target: 1.5, met: true });
    expect(judge((await measured(90)).found, 'ours', 'peer').met).to.equal(false);
    const slow = (await measured()).found;
    expect(judge(slow, 'peer', 'ours').met).to.equal(false);
  });

  it('leaves CPU time out where a process is not known', async () => {
    const verdict = judge((await measured(-1)).found, 'ours', 'peer');
    expect(verdict.cpu).to.be.NaN;
    expect(verdict.met).to.equal(true);
  });
});

describe('formatTable', () => {
  it('has a row for each case, the peer first', async () => {
    expect(formatTable(await reportOf()).split('\n')).to.deep.equal([
      '| workload       | QD | peer ops/s | p50 µs | cpu µs/op | ours ops/s | p50 µs | cpu µs/op | ops ratio | cpu ratio | wanted |     |',
      '|----------------|---:|-----------:|-------:|----------:|-----------:|-------:|----------:|----------:|----------:|-------:|----:|',
      '| getattr        | 32 |        100 |      5 |         2 |        600 |      5 |         1 |      6.00 |      0.50 |   1.50 | met |',
      '| geometric mean | 32 |            |        |           |            |        |           |      6.00 |      0.50 |        |     |',
    ]);
  });

  it('has no ratios without a peer', async () => {
    const report = await reportOf();
    const [header, , row] = formatTable({ ...report, sides: report.sides.slice(0, 1) }).split('\n');
    expect(header).to.equal('| workload | QD | ours ops/s | p50 µs | cpu µs/op |');
    expect(row).to.equal('| getattr  | 32 |        600 |      5 |         1 |');
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
    const { cases } = JSON.parse(toJson(await reportOf()));
    expect(cases[0].rounds[0].ours).to.deep.equal(result(300));
    expect(cases[0].verdict).to.deep.equal({ ops: 6, cpu: 0.5, target: 1.5, met: true });
  });
});
