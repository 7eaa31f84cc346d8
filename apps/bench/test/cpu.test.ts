import { spawnSync } from 'node:child_process';
import { expect } from 'chai';
import { allowedCpus, onCpu, placementFor, readCpuNs } from '../src/cpu.ts';

describe('allowedCpus', () => {
  it('reads numbers and ranges', () => {
    expect(allowedCpus('Cpus_allowed:\tf\nCpus_allowed_list:\t0-2,8,10-11\nMems_allowed:\t1\n')).to.deep.equal([
      0, 1, 2, 8, 10, 11,
    ]);
    expect(allowedCpus('Cpus_allowed_list:\t5\n')).to.deep.equal([5]);
  });
});

describe('placementFor', () => {
  it('takes the last CPU, or the last two', () => {
    expect(placementFor('one', [0, 3, 7])).to.deep.equal({ driver: 7, backend: 7 });
    expect(placementFor('two', [0, 3, 7])).to.deep.equal({ driver: 3, backend: 7 });
    expect(() => placementFor('two', [4]))
      .to.throw()
      .with.property('code', 'ERR_BENCH_USAGE');
  });

  it('holds a command there', () => {
    const { backend } = placementFor('one');
    const [command, ...args] = onCpu(backend, ['cat', '/proc/self/status']) as [string, ...string[]];
    expect(allowedCpus(spawnSync(command, args, { encoding: 'utf8' }).stdout)).to.deep.equal([backend]);
  });
});

describe('readCpuNs', () => {
  it('grows with what the process does', () => {
    const before = readCpuNs(process.pid);
    const start = process.cpuUsage();
    while (process.cpuUsage(start).user < 20_000);
    expect(readCpuNs(process.pid) - before).to.be.within(10e6, 1e9);
  });
});
